import assert from 'node:assert/strict'
import { createHash, createHmac, hkdfSync } from 'node:crypto'
import { test } from 'node:test'
import { type AeadKey, type HandshakeCrypto, type KemKey, type KemLevel, concat, equalBytes, toHex, utf8 } from '../../../src/core/base/index.ts'
import { type CreateHandshake, suiteOf } from '../../../src/core/session/index.ts'
import { RecordKey, chainStepRecords } from '../../../src/core/session/record-key.ts'
import { type End, createHandshake, crypto, levels, openPair, settle } from './support.ts'

const label = 'synaptic-mesh/pqs/1'

/** HKDF-Expand (RFC 5869) for up to 64 bytes of SHA-512, or of SHA-256, by hand. */
// oxlint-disable-next-line max-params -- as in the RFC
function expand(hash: string, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  let out = Buffer.alloc(0)
  let block = Buffer.alloc(0)
  for (let counter = 1; out.length < length; counter++) {
    block = createHmac(hash, secret)
      .update(block)
      .update(info)
      .update(new Uint8Array([counter]))
      .digest()
    out = Buffer.concat([out, block])
  }
  return new Uint8Array(out.subarray(0, length))
}

const hkdf = (
  hash: string,
  options: { readonly salt: Uint8Array; readonly ikm: Uint8Array; readonly info: string; readonly length: number }
): Uint8Array => new Uint8Array(hkdfSync(hash, options.ikm, options.salt, utf8(options.info), options.length))

interface Used {
  /** What was given, and a copy from that time. */
  readonly array: Uint8Array
  readonly copy: Uint8Array
}

/** One end's primitives and handshake, with copies of what went through them. */
class Watched {
  readonly keys: string[] = []
  readonly agreed: Uint8Array[] = []
  readonly kem: Uint8Array[] = []
  readonly hashed: Uint8Array[] = []
  readonly hmacKeys: Used[] = []
  readonly chainingKeys: Used[] = []
  hash = new Uint8Array(0)

  readonly crypto: HandshakeCrypto = {
    ...crypto,
    generateDh: () => {
      const key = crypto.generateDh()
      return { publicKey: key.publicKey, agree: (remote) => keep(this.agreed, key.agree(remote)) }
    },
    kem: (level) => {
      const port = crypto.kem(level)
      const generate = (): KemKey => {
        const key = port.generate()
        return { publicKey: key.publicKey, decapsulate: (ciphertext) => keep(this.kem, key.decapsulate(ciphertext)) }
      }
      return { ...port, generate }
    },
    hash: (name, ...parts) => {
      this.hashed.push(concat(...parts))
      return crypto.hash(name, ...parts)
    },
    hmac: (name, key, ...parts) => {
      this.hmacKeys.push({ array: key, copy: new Uint8Array(key) })
      return crypto.hmac(name, key, ...parts)
    },
    aead: (key) => {
      this.keys.push(toHex(key))
      return crypto.aead(key)
    }
  }

  readonly createHandshake: CreateHandshake = (request) => {
    const inner = createHandshake(request)
    const chainingKey = (): Uint8Array => {
      const array = inner.chainingKey
      this.chainingKeys.push({ array, copy: new Uint8Array(array) })
      this.hash = new Uint8Array(inner.hash)
      return array
    }
    return {
      writeMessage: (payload) => inner.writeMessage(payload),
      readMessage: (message) => inner.readMessage(message),
      wipe: () => inner.wipe(),
      get hash() {
        return inner.hash
      },
      get chainingKey() {
        return chainingKey()
      }
    }
  }

  /** root_0, computed with another HKDF. */
  root(level: KemLevel): Uint8Array {
    const { hash, hashBytes } = suiteOf(level)
    return hkdf(hash, { salt: this.hash, ikm: this.chainingKeys[0]?.copy ?? nothing, info: `${label} root`, length: hashBytes })
  }
}

const nothing = new Uint8Array(0)

function keep(list: Uint8Array[], secret: Uint8Array): Uint8Array {
  list.push(new Uint8Array(secret))
  return secret
}

/** A session whose initiator is watched. */
function watchedPair(level: KemLevel): { readonly alice: End; readonly bob: End; readonly watched: Watched } {
  const watched = new Watched()
  return { ...openPair({ alice: { level, crypto: watched.crypto, createHandshake: watched.createHandshake } }), watched }
}

// oxlint-disable-next-line max-params -- the length is mostly the same
const named = (level: KemLevel, secret: Uint8Array, name: string, length = 32): Uint8Array =>
  expand(suiteOf(level).hash, secret, utf8(`${label} ${name}`), length)

for (const level of levels) {
  test(`the keys and exports of level ${level} are those of the document, computed with another HKDF`, () => {
    const { alice, watched } = watchedPair(level)
    const { hash, hashBytes } = suiteOf(level)
    const root = watched.root(level)
    assert.deepEqual(watched.keys.slice(-2), [toHex(named(level, root, 'key i2r')), toHex(named(level, root, 'key r2i'))])
    const info = concat(utf8(`${label} exporter `), new Uint8Array([0, 0, 0, 1]), utf8('p'), new Uint8Array([0, 0, 0, 2]), utf8('cc'))
    const exported = expand(hash, named(level, root, 'exporter', hashBytes), info, 40)
    assert.equal(toHex(alice.machine.exportSecret('p', utf8('cc'), 40)), toHex(exported))
  })

  test(`the second root of level ${level} comes from next of the first, both new secrets and both messages (rule Q2)`, () => {
    const { alice, bob, watched } = watchedPair(level)
    const { hash, hashBytes } = suiteOf(level)
    alice.input({ type: 'rekey' })
    settle(alice, bob)
    const [request = nothing, answer = nothing] = watched.hashed.slice(-2)
    const port = crypto.kem(level)
    assert.deepEqual([request.length, answer.length], [32 + port.publicKeyBytes, 32 + port.ciphertextBytes])
    const digest = (bytes: Uint8Array): Uint8Array => createHash(hash).update(bytes).digest()
    const ikm = concat(watched.kem.at(-1) ?? nothing, watched.agreed.at(-1) ?? nothing, digest(request), digest(answer))
    const root = hkdf(hash, { salt: named(level, watched.root(level), 'next', hashBytes), ikm, info: `${label} root`, length: hashBytes })
    const keys = ['key i2r', 'key r2i'].map((name) => toHex(named(level, root, name)))
    assert.deepEqual(watched.keys.slice(-2).toSorted(), keys.toSorted())
  })

  test(`root, next, chaining key and confirmation keys of level ${level} are wiped as soon as they were used (rule Q2)`, () => {
    const { alice, bob, watched } = watchedPair(level)
    const { hashBytes } = suiteOf(level)
    const root = watched.root(level)
    const wiped = (secret: Uint8Array): void => {
      const used = [...watched.hmacKeys, ...watched.chainingKeys].filter(({ copy }) => equalBytes(copy, secret))
      assert.ok(used.length > 0)
      for (const { array } of used) assert.ok(array.every((byte) => byte === 0))
    }
    wiped(root)
    wiped(watched.chainingKeys[0]?.copy ?? nothing)
    for (const role of ['initiator', 'responder']) wiped(named(level, root, `confirm ${role}`))
    alice.input({ type: 'rekey' })
    settle(alice, bob)
    wiped(named(level, root, 'next', hashBytes))
  })
}

test('after 2^16 records of a direction the key is replaced by one derived from it, the nonce counts on, and the old one is wiped', () => {
  const keys: Uint8Array[] = []
  const nonces: number[] = []
  const key: AeadKey = {
    seal: () => assert.fail(),
    sealInto: () => assert.fail(),
    sealPieces: ({ nonce }) => {
      nonces.push(new DataView(nonce.buffer).getUint32(4, true))
      return []
    },
    open: () => new Uint8Array(0)
  }
  const first = new Uint8Array(32).fill(9)
  const counting: HandshakeCrypto = {
    ...crypto,
    aead: (bytes) => {
      keys.push(new Uint8Array(bytes))
      return key
    }
  }
  const records = new RecordKey({ crypto: counting, suite: suiteOf(3) }, first)
  for (let count = 0; count < chainStepRecords; count++) records.seal(8, new Uint8Array(1))
  assert.equal(keys.length, 2)
  assert.deepEqual(keys[1], expand('sha256', new Uint8Array(32).fill(9), utf8(`${label} chain`), 32))
  assert.deepEqual(first, new Uint8Array(32))
  records.seal(8, new Uint8Array(1))
  assert.equal(chainStepRecords, 65_536)
  assert.equal(nonces.at(-1), 65_536)
})

test('records go on over a chain step in both directions', () => {
  const { alice, bob } = openPair()
  const data = new Uint8Array([1])
  for (let count = 0; count < chainStepRecords + 5; count++) {
    alice.input({ type: 'send', data })
    if (alice.frames.length > 1_000) settle(alice, bob)
  }
  settle(alice, bob)
  assert.equal(bob.error, undefined)
  assert.equal(bob.data.length, chainStepRecords + 5)
})
