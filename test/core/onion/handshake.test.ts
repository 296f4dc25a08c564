import assert from 'node:assert/strict'
import { createCipheriv, createHash, createPublicKey, createPrivateKey, diffieHellman } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type KemLevel, fromHex, isMeshError, millis, toHex } from '../../../src/core/base/index.ts'
import { type LayerKeys, type OnionCrypto, OnionKeys, cellSizes, createOnionCrypto, nobleCells } from '../../../src/core/onion/index.ts'
import { answerHandshake, beginHandshake } from '../../../src/core/onion/handshake.ts'
import { nobleNtorHashes as hashes } from '../../../src/core/onion/ntor-hashes.ts'
import { nodeHandshakeCrypto as crypto, nodeNtorHashes } from '../../../src/crypto/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { dhOf } from '../noise/fixed-crypto.ts'
import { fixedCrypto } from './fixed-crypto.ts'

const levels: readonly KemLevel[] = [1, 3, 5]
const failed = (reason?: string) => (thrown: unknown) =>
  isMeshError(thrown, 'CIRCUIT_HANDSHAKE_FAILED') && (reason === undefined || thrown.details['reason'] === reason)

interface Node {
  readonly publicKey: Uint8Array
  readonly keys: OnionKeys
  readonly onion: OnionCrypto
}

function node(): Node {
  const publicKey = crypto.randomBytes(32)
  const keys = new OnionKeys({ crypto, now: millis(0) })
  return { publicKey, keys, onion: createOnionCrypto({ crypto, cipher: nobleCells, keys, publicKey, hashes: nodeNtorHashes }) }
}

const target = ({ publicKey, keys }: Node): { readonly publicKey: Uint8Array; readonly onionKey: Uint8Array } => ({
  publicKey,
  onionKey: keys.publicKey
})

const parts = ({ forward, backward, binding }: LayerKeys): readonly Uint8Array[] => [
  ...[0, 32, 64, 96].map((at) => forward.keys.subarray(at, at + 32)),
  forward.chain,
  ...[0, 32, 64, 96].map((at) => backward.keys.subarray(at, at + 32)),
  backward.chain,
  binding
]

test('at every level both sides have the same eleven keys, and the bytes have one size', () => {
  const [client, relay] = [node(), node()]
  for (const level of levels) {
    const handshake = client.onion.begin(target(relay), level)
    assert.equal(handshake.request.length, cellSizes.create)
    const answer = relay.onion.answer(handshake.request)
    assert.equal(answer.reply.length, cellSizes.created)
    assert.equal(answer.level, level)
    const keys = handshake.finish(answer.reply)
    assert.deepEqual(keys, answer.keys)
    assert.equal(new Set(parts(keys).map(toHex)).size, 11)
    assert.ok(parts(keys).every((part) => part.length === 32 && part.some((byte) => byte !== 0)))
  }
})

test('what passes by does not show the level: past the keys every byte looks like chance', () => {
  const [client, relay] = [node(), node()]
  const ones = (bytes: Uint8Array): number => bytes.reduce((sum, byte) => sum + (byte.toString(2).match(/1/g)?.length ?? 0), 0)
  for (const level of levels) {
    for (let round = 0; round < 20; round++) {
      const { request } = client.onion.begin(target(relay), level)
      const { reply } = relay.onion.answer(request)
      // The last 200 bytes of the sealed messages are padding at level 1 and the KEM's bytes at level 5: half of their bits are set, 6 sigma allowed.
      for (const bytes of [request.subarray(-232, -32), reply.subarray(-200)]) assert.ok(Math.abs(ones(bytes) - 800) < 6 * 20)
      // In the clear, three bytes of ML-KEM's key hold two numbers below 3,329 each.
      const numbers = [...Array(200).keys()].map((index) => ((request[96 + 2 + 3 * index] ?? 0) | ((request[97 + 2 + 3 * index] ?? 0) << 8)) & 0xfff)
      assert.ok(numbers.some((number) => number >= 3_329))
    }
  }
})

test('a request is answered once', () => {
  const [client, relay] = [node(), node()]
  const { request } = client.onion.begin(target(relay), 3)
  relay.onion.answer(request)
  assert.throws(() => relay.onion.answer(request), failed('replay'))
  assert.throws(() => relay.onion.answer(request.slice()), failed('replay'))
})

test('an answer counts once, and none after the client gave up', () => {
  const [client, relay] = [node(), node()]
  const first = client.onion.begin(target(relay), 1)
  const { reply } = relay.onion.answer(first.request)
  first.finish(reply)
  assert.throws(() => first.finish(reply), failed('state'))
  const second = client.onion.begin(target(relay), 1)
  second.abandon()
  assert.throws(() => second.finish(relay.onion.answer(second.request).reply), failed('state'))
  const third = client.onion.begin(target(relay), 1)
  assert.throws(() => third.finish(reply), failed('auth'))
  assert.throws(() => third.finish(relay.onion.answer(third.request).reply), failed('state'))
})

test('only the relay that was meant can answer', () => {
  const [client, relay, other] = [node(), node(), node()]
  const { request } = client.onion.begin(target(relay), 3)
  assert.throws(() => other.onion.answer(request), failed('onion-key'))
  const sameKeys = createOnionCrypto({ crypto, cipher: nobleCells, keys: relay.keys, publicKey: other.publicKey })
  assert.throws(() => sameKeys.answer(request), failed('identity'))
})

test('an onion key that is no point is refused before anything is sent', () => {
  const client = node()
  for (const onionKey of [new Uint8Array(32), new Uint8Array(31), new Uint8Array(0)]) {
    assert.throws(() => client.onion.begin({ publicKey: new Uint8Array(32), onionKey }, 3), failed('dh-key'))
  }
})

test('a key of ML-KEM that fails the check of its modulus is refused, and so are bytes that belong to nothing', () => {
  const relay = node()
  const seal = (edit: (key: Uint8Array) => Uint8Array): Uint8Array => {
    const kem = crypto.kem(3)
    const forging = { ...crypto, kem: () => ({ ...kem, generate: () => ({ ...kem.generate(), publicKey: edit(kem.generate().publicKey) }) }) }
    return beginHandshake({ crypto: forging, hashes }, target(relay), 3).request
  }
  assert.throws(() => relay.onion.answer(seal((key) => key.fill(255, 0, 3))), failed('kem-key'))
  assert.throws(() => relay.onion.answer(seal((key) => new Uint8Array([...key, 1]))), failed('message'))
  assert.throws(() => relay.onion.answer(new Uint8Array(cellSizes.create - 1)), failed())
  assert.throws(() => relay.onion.answer(new Uint8Array(0)), failed('length'))
  const { request } = node().onion.begin(target(relay), 3)
  assert.throws(() => relay.onion.answer(new Uint8Array([...request, 0])), failed('length'))
})

test('a request that was altered gives no answer, and leaves no trace: the one before it is still answered', () => {
  const random = new SeededRandom(1)
  const [client, relay] = [node(), node()]
  const handshake = client.onion.begin(target(relay), 1)
  for (let at = 0; at < cellSizes.create; at += random.integer(1, 7)) {
    const altered = handshake.request.slice()
    altered[at] = (altered[at] ?? 0) ^ random.integer(1, 255)
    assert.throws(() => relay.onion.answer(altered), failed())
  }
  const { reply, keys } = relay.onion.answer(handshake.request)
  assert.deepEqual(handshake.finish(reply), keys)
})

test('an altered reply gives no keys', () => {
  const random = new SeededRandom(2)
  const [client, relay] = [node(), node()]
  for (let at = 0; at < cellSizes.created; at += random.integer(10, 40)) {
    const handshake = client.onion.begin(target(relay), 1)
    const { reply } = relay.onion.answer(handshake.request)
    reply[at] = (reply[at] ?? 0) ^ random.integer(1, 255)
    assert.throws(() => handshake.finish(reply), failed())
  }
})

test('every shared secret is wiped, however a handshake ends', () => {
  const secrets: Uint8Array[] = []
  const kept = (secret: Uint8Array): Uint8Array => {
    secrets.push(secret)
    return secret
  }
  const watched = {
    hashes: { ...hashes, shake: (length: number, ...pieces: readonly Uint8Array[]) => kept(hashes.shake(length, ...pieces)) },
    crypto: {
      ...crypto,
      generateDh: () => {
        const dh = crypto.generateDh()
        return { ...dh, agree: (remote: Uint8Array) => kept(dh.agree(remote)) }
      },
      kem: (level: KemLevel) => {
        const kem = crypto.kem(level)
        return {
          ...kem,
          generate: () => {
            const key = kem.generate()
            return { ...key, decapsulate: (ciphertext: Uint8Array) => kept(key.decapsulate(ciphertext)) }
          },
          encapsulate: (publicKey: Uint8Array) => {
            const encapsulated = kem.encapsulate(publicKey)
            kept(encapsulated.sharedSecret)
            return encapsulated
          }
        }
      }
    }
  }
  const onionKey = watched.crypto.generateDh()
  const relay = { publicKey: crypto.randomBytes(32), onionKey, once: () => undefined }
  const begin = () => beginHandshake(watched, { publicKey: relay.publicKey, onionKey: onionKey.publicKey }, 3)
  const [good, cheated, abandoned] = [begin(), begin(), begin()]
  good.finish(answerHandshake(watched, relay, good.request).reply)
  assert.throws(() => cheated.finish(answerHandshake(watched, relay, cheated.request).reply.fill(7, 40)), failed('auth'))
  assert.throws(() => answerHandshake(watched, relay, abandoned.request.slice().fill(7, 1_890)), failed('mac'))
  abandoned.abandon()
  assert.ok(secrets.length > 25)
  for (const secret of secrets) assert.ok(secret.every((byte) => byte === 0))
})

test("noble's hashes and the platform's are the same", () => {
  const random = new SeededRandom(3)
  for (let round = 0; round < 200; round++) {
    const pieces = Array.from({ length: random.integer(0, 4) }, () => random.bytes(random.integer(0, 300)))
    const [key, bytes] = [random.bytes(32), random.bytes(random.integer(0, 2_000))]
    assert.deepEqual(nodeNtorHashes.sha3(...pieces), hashes.sha3(...pieces))
    assert.deepEqual(nodeNtorHashes.shake(round + 1, ...pieces), hashes.shake(round + 1, ...pieces))
    assert.deepEqual(nodeNtorHashes.crypt(key, bytes), hashes.crypt(key, bytes))
  }
})

interface KnownAnswer {
  readonly level: KemLevel
  readonly identity: string
  readonly b: string
  readonly x: string
  readonly y: string
  readonly kemSeed: string
  readonly encapsulation: string
  readonly request: string
  readonly reply: string
  /** forward K1..K4 and c_0, backward K1..K4 and c_0, binding. */
  readonly keys: string
}

const path = join(import.meta.dirname, '../../vectors/onion-handshake-v1.json')
const { vectors }: { readonly vectors: readonly KnownAnswer[] } = JSON.parse(readFileSync(path, 'utf8'))

test('the recorded answers of every level come out to the byte', () => {
  assert.deepEqual(
    vectors.map(({ level }) => level),
    levels
  )
  for (const vector of vectors) assert.deepEqual(run(vector), vector)
})

test('a second derivation, written from docs/wire/onion.md over node:crypto, gives the same bytes', () => {
  for (const vector of vectors) {
    const { request, reply, keys } = derived(vector)
    assert.equal(toHex(request), vector.request)
    assert.equal(toHex(reply), vector.reply)
    assert.equal(toHex(keys), vector.keys)
  }
})

function run(vector: KnownAnswer): KnownAnswer {
  const of = (name: 'identity' | 'b' | 'x' | 'y' | 'kemSeed' | 'encapsulation'): Uint8Array => fromHex(vector[name])
  const [publicKey, onionKey] = [of('identity'), dhOf(of('b'))]
  const client = fixedCrypto({ dh: of('x'), kemSeed: of('kemSeed') })
  const handshake = beginHandshake({ crypto: client, hashes }, { publicKey, onionKey: onionKey.publicKey }, vector.level)
  const relay = fixedCrypto({ dh: of('y'), encapsulation: of('encapsulation') })
  const { reply, keys } = answerHandshake({ crypto: relay, hashes }, { publicKey, onionKey, once: () => undefined }, handshake.request)
  assert.deepEqual(handshake.finish(reply), keys)
  return { ...vector, request: toHex(handshake.request), reply: toHex(reply), keys: parts(keys).map(toHex).join('') }
}

/** The same by another hand: nothing of src/core/onion, and OpenSSL's primitives. */
function derived(vector: KnownAnswer): Record<'request' | 'reply' | 'keys', Buffer> {
  const id = 'synaptic-mesh/ntor3-x25519-mlkem-sha3_256-1'
  const encap = (bytes: Buffer): Buffer => {
    const length = Buffer.alloc(8)
    length.writeBigUInt64BE(BigInt(bytes.length))
    return Buffer.concat([length, bytes])
  }
  const tweak = (suffix: string): Buffer => encap(Buffer.from(`${id}:${suffix}`))
  const sha3 = (...pieces: readonly Buffer[]): Buffer => createHash('sha3-256').update(Buffer.concat(pieces)).digest()
  const shake = (length: number, ...pieces: readonly Buffer[]): Buffer =>
    createHash('shake256', { outputLength: length }).update(Buffer.concat(pieces)).digest()
  const aes = (key: Buffer, bytes: Buffer): Buffer => createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(bytes)
  const privateKey = (hex: string) =>
    createPrivateKey({ key: Buffer.from(`302e020100300506032b656e04220420${hex}`, 'hex'), format: 'der', type: 'pkcs8' })
  const publicOf = (hex: string): Buffer => createPublicKey(privateKey(hex)).export({ type: 'spki', format: 'der' }).subarray(-32)
  const exp = (own: string, other: string): Buffer => diffieHellman({ privateKey: privateKey(own), publicKey: createPublicKey(privateKey(other)) })

  const [ID, B, X, Y] = [Buffer.from(vector.identity, 'hex'), publicOf(vector.b), publicOf(vector.x), publicOf(vector.y)]
  const [protoId, ver] = [Buffer.from(id), encap(Buffer.from('circuit lioness-chacha20-blake2b-1024'))]
  const Bx = exp(vector.x, vector.b)
  const Xy = exp(vector.y, vector.x)
  const kem = fixedCrypto({ dh: fromHex(vector.x), kemSeed: fromHex(vector.kemSeed), encapsulation: fromHex(vector.encapsulation) }).kem(vector.level)
  const ek = Buffer.from(kem.generate().publicKey)
  const encapsulated = kem.encapsulate(ek)
  const [ct, ss] = [Buffer.from(encapsulated.ciphertext), Buffer.from(encapsulated.sharedSecret)]

  const phase1 = shake(64, tweak('kdf_phase1'), Bx, ID, X, B, protoId, ver)
  const CM = Buffer.concat([Buffer.from([1, vector.level]), ek, Buffer.alloc(1_770 - ek.length)])
  const head = Buffer.concat([ID, B, X, aes(phase1.subarray(0, 32), CM)])
  const mac = sha3(tweak('msg_mac'), encap(phase1.subarray(32)), head)
  const input = [Xy, Bx, ss, sha3(ct), sha3(ek), ID, B, X, Y, protoId, ver]
  const mixing = shake(32, tweak('kdf_mixing'), Xy, Bx, ID, B, X, Y, protoId, ver)
  const stream = shake(384, tweak('kdf_final'), sha3(tweak('key_seed'), ...input))
  const SM = Buffer.alloc(1_636 - ct.length)
  SM[0] = 1
  const sealed = Buffer.concat([aes(mixing, ct), aes(stream.subarray(0, 32), SM)])
  const verify = sha3(tweak('verify'), ...input)
  const auth = sha3(tweak('auth_final'), verify, ID, B, Y, X, mac, encap(sealed), protoId, Buffer.from('Server'))
  return { request: Buffer.concat([head, mac]), reply: Buffer.concat([Y, auth, sealed]), keys: stream.subarray(32) }
}
