import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromHex, isMeshError, toHex, utf8 } from '../../../src/core/base/index.ts'
import { nobleNtorHashes } from '../../../src/core/onion/ntor-hashes.ts'
import { NtorClient, NtorRelay, type NtorTerms, ntorProtocol } from '../../../src/core/onion/ntor.ts'
import { nodeHandshakeCrypto as crypto } from '../../../src/crypto/index.ts'
import { dhOf } from '../noise/fixed-crypto.ts'

const vector: Readonly<Record<string, string>> = JSON.parse(readFileSync(join(import.meta.dirname, '../../vectors/ntor-v3.json'), 'utf8'))
const known = (name: string): Uint8Array => fromHex(vector[name] ?? assert.fail(name))
const terms: NtorTerms = {
  hashes: nobleNtorHashes,
  protocol: ntorProtocol('ntor3-curve25519-sha3_256-1'),
  verification: known('VER'),
  identity: known('ID'),
  onionKey: known('B')
}
const keyBytes = 256
const failed = (reason: string) => (thrown: unknown) => isMeshError(thrown, 'CIRCUIT_HANDSHAKE_FAILED') && thrown.details['reason'] === reason

test("with nothing mixed in it gives the bytes of the test vectors of Tor's proposal 332", () => {
  const client = new NtorClient(terms, dhOf(known('x')), known('CM'))
  assert.equal(toHex(client.request), vector['client_handshake'])
  const relay = new NtorRelay(terms, dhOf(known('b')), client.request)
  assert.equal(toHex(relay.message), vector['CM'])
  assert.equal(toHex(relay.mac), vector['msg_mac'])
  const { reply, keys } = relay.answer(dhOf(known('y')), known('SM'), { keyBytes })
  assert.equal(toHex(reply), vector['server_handshake'])
  assert.equal(toHex(keys), vector['KEYSTREAM'])
  const result = client.finish(reply, { keyBytes })
  assert.equal(toHex(result.message), vector['SM'])
  assert.equal(toHex(result.keys), vector['KEYSTREAM'])
})

test('another verification text, identity or onion key on one side ends it', () => {
  const client = new NtorClient(terms, crypto.generateDh(), utf8('hello'))
  const own = dhOf(known('b'))
  assert.throws(() => new NtorRelay({ ...terms, verification: utf8('other') }, own, client.request), failed('mac'))
  assert.throws(() => new NtorRelay({ ...terms, identity: new Uint8Array(32) }, own, client.request), failed('identity'))
  assert.throws(() => new NtorRelay({ ...terms, onionKey: new Uint8Array(32) }, own, client.request), failed('onion-key'))
  // The right names and another private key: the request cannot be read.
  assert.throws(() => new NtorRelay(terms, crypto.generateDh(), client.request), failed('mac'))
})

test('every byte of request and reply counts', () => {
  const own = dhOf(known('b'))
  const client = new NtorClient(terms, crypto.generateDh(), utf8('hello'))
  for (let at = 0; at < client.request.length; at++) {
    const altered = client.request.slice()
    altered[at] = (altered[at] ?? 0) ^ 4
    assert.throws(
      () => new NtorRelay(terms, own, altered),
      (thrown: unknown) => isMeshError(thrown, 'CIRCUIT_HANDSHAKE_FAILED')
    )
  }
  const { reply } = new NtorRelay(terms, own, client.request).answer(crypto.generateDh(), utf8('hola'), { keyBytes })
  for (let at = 0; at < reply.length; at++) {
    const dh = dhOf(known('x'))
    const again = new NtorClient(terms, dh, utf8('hello'))
    const answered = new NtorRelay(terms, own, again.request).answer(crypto.generateDh(), utf8('hola'), { keyBytes }).reply
    // The highest bit of a key does not count in X25519 (RFC 7748 section 5), but it does here.
    answered[at] = (answered[at] ?? 0) ^ 128
    assert.throws(() => again.finish(answered, { keyBytes }), failed('auth'))
  }
})

// Points of small order (RFC 7748 section 6.1 wants the check): 0, 1, two of order 8, p - 1, p and p + 1.
const lowOrder = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'
].map(fromHex)

test('a key of low order is refused on either side, also when the platform would take it', () => {
  const own = dhOf(known('b'))
  const careless = { publicKey: own.publicKey, agree: () => new Uint8Array(32) }
  for (const point of lowOrder) {
    assert.throws(() => new NtorClient({ ...terms, onionKey: point }, crypto.generateDh(), utf8('')), failed('dh-key'))
    const client = new NtorClient(terms, crypto.generateDh(), utf8(''))
    const forged = client.request.slice()
    forged.set(point, 64)
    assert.throws(() => new NtorRelay(terms, own, forged), failed('dh-key'))
    assert.throws(() => new NtorRelay(terms, careless, forged), failed('dh-key'))
    const { reply } = new NtorRelay(terms, own, client.request).answer(crypto.generateDh(), utf8(''), { keyBytes })
    reply.set(point)
    assert.throws(() => client.finish(reply, { keyBytes }), failed('dh-key'))
  }
})

test('a key that is our own comes back to nobody', () => {
  const own = dhOf(known('b'))
  const dh = crypto.generateDh()
  assert.throws(() => new NtorClient(terms, own, utf8('')), failed('dh-key'))
  const client = new NtorClient(terms, dh, utf8(''))
  const reflected = client.request.slice()
  reflected.set(own.publicKey, 64)
  assert.throws(() => new NtorRelay(terms, own, reflected), failed('dh-key'))
  const { reply } = new NtorRelay(terms, own, client.request).answer(crypto.generateDh(), utf8(''), { keyBytes })
  reply.set(dh.publicKey)
  assert.throws(() => client.finish(reply, { keyBytes }), failed('dh-key'))
})

test('what is too short, or has keys of another length, is refused', () => {
  assert.throws(() => new NtorRelay(terms, dhOf(known('b')), new Uint8Array(127)), failed('length'))
  assert.throws(() => new NtorClient(terms, crypto.generateDh(), utf8('')).finish(new Uint8Array(63), { keyBytes }), failed('length'))
  assert.throws(() => new NtorClient({ ...terms, onionKey: new Uint8Array(31) }, crypto.generateDh(), utf8('')), failed('dh-key'))
  assert.throws(() => new NtorClient({ ...terms, identity: new Uint8Array(31) }, crypto.generateDh(), utf8('')), failed('identity'))
})
