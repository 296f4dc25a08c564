import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, millis, toHex } from '../../../src/core/base/index.ts'
import { OnionKeys, createOnionCrypto, nobleCells, onionKeyTimes } from '../../../src/core/onion/index.ts'
import { nodeHandshakeCrypto as crypto } from '../../../src/crypto/index.ts'

const { rotateMs, acceptMs } = onionKeyTimes
const wake = { type: 'wake' } as const
const failed = (reason: string) => (thrown: unknown) => isMeshError(thrown, 'CIRCUIT_HANDSHAKE_FAILED') && thrown.details['reason'] === reason
const start = millis(1_000)
const at = (ms: number) => millis(1_000 + ms)
const make = (maxRequests?: number): OnionKeys => new OnionKeys({ crypto, now: start, ...(maxRequests === undefined ? {} : { maxRequests }) })

test('a key is published for 24 hours, taken for 24 hours more, and gone then', () => {
  const keys = make()
  const first = keys.publicKey
  assert.equal(keys.wakeAt, at(rotateMs))
  assert.deepEqual(keys.handle(wake, at(rotateMs - 1)), [])
  assert.equal(keys.publicKey, first)
  const [rotated] = keys.handle(wake, at(rotateMs))
  assert.notEqual(toHex(keys.publicKey), toHex(first))
  assert.deepEqual(rotated, { type: 'rotated', publicKey: keys.publicKey })
  assert.equal(keys.find(first).publicKey, first)
  assert.equal(keys.handle(wake, at(rotateMs + acceptMs - 1)).length, 0)
  assert.equal(keys.find(first).publicKey, first)
  keys.handle(wake, at(rotateMs + acceptMs))
  assert.throws(() => keys.find(first), failed('onion-key'))
  assert.throws(() => keys.once(first, new Uint8Array(32)), failed('onion-key'))
})

test('whoever slept through a rotation wakes to a fresh key', () => {
  const keys = make()
  const first = keys.publicKey
  assert.equal(keys.handle(wake, at(10 * rotateMs)).length, 1)
  assert.equal(keys.wakeAt, at(11 * rotateMs))
  assert.equal(keys.find(first).publicKey, first)
})

test('a key that is not ours is not found', () => {
  assert.throws(() => make().find(crypto.randomBytes(32)), failed('onion-key'))
  assert.throws(() => make().find(new Uint8Array(0)), failed('onion-key'))
})

test('each key remembers its own requests, also when it was replaced', () => {
  const keys = make()
  const [first, mac] = [keys.publicKey, crypto.randomBytes(32)]
  keys.once(first, mac)
  assert.throws(() => keys.once(first, mac), failed('replay'))
  keys.handle(wake, at(rotateMs))
  assert.throws(() => keys.once(first, mac), failed('replay'))
  keys.once(first, crypto.randomBytes(32))
  keys.once(keys.publicKey, mac)
})

test('a memory that is seven eighths full makes the key rotate at once; the rest serves those who still have the old one', () => {
  const keys = make(64)
  const first = keys.publicKey
  for (let count = 0; count < 55; count++) keys.once(first, crypto.randomBytes(32))
  assert.equal(keys.wakeAt, at(rotateMs))
  keys.once(first, crypto.randomBytes(32))
  assert.ok((keys.wakeAt ?? 0) < at(0))
  assert.equal(keys.handle(wake, at(5)).length, 1)
  assert.equal(keys.wakeAt, at(5 + rotateMs))
  for (let count = 0; count < 8; count++) keys.once(first, crypto.randomBytes(32))
  assert.throws(() => keys.once(first, crypto.randomBytes(32)), failed('full'))
  assert.equal(keys.find(first).publicKey, first)
})

test('however often a flood makes the key rotate, four keys are held at most', () => {
  const keys = make(8)
  const all = [keys.publicKey]
  for (let round = 1; round <= 20; round++) {
    for (let count = 0; count < 7; count++) keys.once(keys.publicKey, crypto.randomBytes(32))
    assert.equal(keys.handle(wake, at(round)).length, 1)
    all.push(keys.publicKey)
  }
  const held = all.filter((key) => {
    try {
      return keys.find(key).publicKey === key
    } catch {
      return false
    }
  })
  assert.deepEqual(held, all.slice(-4))
})

test('the whole cache of 131,072 requests: every one is known again, and the next is refused', () => {
  const keys = make()
  const first = keys.publicKey
  const macOf = (index: number): Uint8Array => new Uint8Array(new BigUint64Array([BigInt(index), 7n, 7n, 7n]).buffer)
  for (let index = 0; index < 131_072; index++) keys.once(first, macOf(index))
  for (let index = 0; index < 131_072; index += 997) assert.throws(() => keys.once(first, macOf(index)), failed('replay'))
  assert.throws(() => keys.once(first, macOf(131_072)), failed('full'))
})

test('a circuit can be made with the key of yesterday, not with the one before', () => {
  const publicKey = crypto.randomBytes(32)
  const keys = make()
  const onion = createOnionCrypto({ crypto, cipher: nobleCells, keys, publicKey })
  const target = { publicKey, onionKey: keys.publicKey }
  const [early, late] = [onion.begin(target, 3), onion.begin(target, 3)]
  keys.handle(wake, at(rotateMs))
  assert.deepEqual(early.finish(onion.answer(early.request).reply).binding.length, 32)
  keys.handle(wake, at(rotateMs + acceptMs))
  assert.throws(() => onion.answer(late.request), failed('onion-key'))
})
