import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { equalBytes, isMeshError } from '../../../src/core/base/index.ts'
import { type CellCommand, type DirectionKeys, cellCommands, cellSizes, isRecognised, nobleCells } from '../../../src/core/onion/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const random = (seed: number): SeededRandom => new SeededRandom(seed)
const keysOf = (seed: number): DirectionKeys => ({ keys: random(seed).bytes(128), chain: random(seed + 1).bytes(32) })
const { relay, relayEarly } = cellCommands

/** A body that its end recognises. */
function ownBody(seed: number): Uint8Array {
  const body = random(seed).bytes(cellSizes.body)
  return body.fill(0, 0, cellSizes.recognised)
}

function differingBits(a: Uint8Array, b: Uint8Array): number {
  let bits = 0
  for (const [index, byte] of a.entries()) for (let rest = byte ^ (b[index] ?? 0); rest > 0; rest &= rest - 1) bits += 1
  return bits
}

test('whatever a relay makes or passes on, its client decrypts, cell after cell, and both have the same tag', () => {
  const command = fc.constantFrom<CellCommand>(relay, relayEarly)
  fc.assert(
    fc.property(fc.nat(), fc.array(fc.tuple(command, fc.nat()), { minLength: 1, maxLength: 8 }), (seed, cells) => {
      const [encrypting, decrypting] = [nobleCells.layer(keysOf(seed)), nobleCells.layer(keysOf(seed))]
      for (const [each, bodySeed] of cells) {
        const body = ownBody(bodySeed)
        encrypting.originate(each, body)
        assert.equal(isRecognised(body), false)
        decrypting.decrypt(each, body)
        assert.deepEqual(body, ownBody(bodySeed))
        const passed = random(bodySeed).bytes(cellSizes.body)
        encrypting.encrypt(each, passed)
        decrypting.decrypt(each, passed)
        assert.deepEqual(passed, random(bodySeed).bytes(cellSizes.body))
        assert.deepEqual(encrypting.tag(), decrypting.tag())
      }
    }),
    { numRuns: 30 }
  )
})

test('one bit that changes anywhere changes half of all bits, in both directions', () => {
  for (const direction of ['encrypt', 'decrypt'] as const) {
    for (const place of [0, 15, 16, 31, 32, 500, 1_015]) {
      const [one, other] = [random(3).bytes(cellSizes.body), random(3).bytes(cellSizes.body)]
      other[place] = (other[place] ?? 0) ^ 1
      nobleCells.layer(keysOf(5))[direction](relay, one)
      nobleCells.layer(keysOf(5))[direction](relay, other)
      const share = differingBits(one, other) / (cellSizes.body * 8)
      assert.ok(share > 0.46 && share < 0.54, `${direction}, byte ${place}: ${share}`)
    }
  }
})

test('equal cells differ on the wire, and nothing after an altered, lost, repeated or relabelled cell is recognised', () => {
  const faults: Readonly<
    Record<string, (cells: readonly (readonly [CellCommand, Uint8Array])[]) => readonly (readonly [CellCommand, Uint8Array])[]>
  > = {
    altered: ([first, ...rest]) => (first === undefined ? [] : [[first[0], first[1].map((byte, at) => (at === 900 ? byte ^ 1 : byte))], ...rest]),
    lost: ([, ...rest]) => rest,
    repeated: ([first, ...rest]) => (first === undefined ? [] : [first, first, ...rest]),
    swapped: ([first, second, ...rest]) => (first === undefined || second === undefined ? [] : [second, first, ...rest]),
    relabelled: ([first, ...rest]) => (first === undefined ? [] : [[relayEarly, first[1]], ...rest])
  }
  for (const [name, fault] of Object.entries(faults)) {
    for (const [there, back] of [
      ['originate', 'decrypt'],
      ['decrypt', 'encrypt']
    ] as const) {
      const [sending, receiving] = [nobleCells.layer(keysOf(9)), nobleCells.layer(keysOf(9))]
      const sent = [1, 1, 1, 1].map((seed): readonly [CellCommand, Uint8Array] => {
        const body = ownBody(seed)
        sending[there](relay, body)
        return [relay, body]
      })
      assert.equal(new Set(sent.map(([, body]) => body.join())).size, 4)
      const recognised = fault(sent).map(([command, bytes]) => {
        const body = bytes.slice()
        receiving[back](command, body)
        return isRecognised(body)
      })
      const honest = name === 'repeated' ? 1 : 0
      assert.deepEqual(
        recognised,
        [...recognised.keys()].map((index) => index < honest),
        `${name} ${there}`
      )
      assert.equal(equalBytes(sending.tag(), receiving.tag()), false)
    }
  }
})

test('a cell that a relay passes on is never taken for its own, whatever it begins with', () => {
  const [passing, client] = [nobleCells.layer(keysOf(21)), nobleCells.layer(keysOf(21))]
  for (let index = 0; index < 3; index++) {
    const body = ownBody(index)
    passing.encrypt(relay, body)
    client.decrypt(relay, body)
    assert.equal(isRecognised(body), false)
    const own = ownBody(index)
    passing.originate(relay, own)
    client.decrypt(relay, own)
    assert.equal(isRecognised(own), true)
  }
})

test('a tag shows that all cells up to it arrived as they were: it changes with each of them', () => {
  const layer = nobleCells.layer(keysOf(11))
  const tags = [layer.tag()]
  for (let index = 0; index < 4; index++) {
    layer.encrypt(relay, ownBody(1))
    tags.push(layer.tag())
  }
  assert.deepEqual(new Set(tags.map((tag) => tag.join())).size, 5)
  assert.deepEqual(layer.tag(), tags.at(-1))
  assert.equal(layer.tag().length, 16)
})

test('directions with other keys or another chain make other cells', () => {
  const { keys, chain } = keysOf(13)
  const cells = [
    { keys, chain },
    { keys: keysOf(14).keys, chain },
    { keys, chain: keysOf(15).chain }
  ].map((direction) => {
    const body = ownBody(1)
    nobleCells.layer(direction).encrypt(relay, body)
    return body.join()
  })
  assert.equal(new Set(cells).size, 3)
})

test('keys are copied, and a layer that forgot them does nothing any more', () => {
  const { keys, chain } = keysOf(17)
  const [kept, twin] = [nobleCells.layer({ keys, chain }), nobleCells.layer(keysOf(17))]
  keys.fill(0)
  chain.fill(0)
  const [body, other] = [ownBody(1), ownBody(1)]
  kept.encrypt(relay, body)
  twin.encrypt(relay, other)
  assert.deepEqual(body, other)
  kept.wipe()
  const isEnded = (error: unknown): boolean => isMeshError(error) && error.code === 'CIRCUIT_DESTROYED'
  for (const use of [() => kept.encrypt(relay, body), () => kept.decrypt(relay, body), () => kept.tag()]) assert.throws(use, isEnded)
  assert.deepEqual(body, other)
  twin.encrypt(relay, other)
})

test('bodies and keys of a wrong length are refused, and the cell does not count', () => {
  const [layer, twin] = [nobleCells.layer(keysOf(19)), nobleCells.layer(keysOf(19))]
  for (const length of [0, 1_015, 1_017, 1_024])
    assert.throws(
      () => layer.encrypt(relay, new Uint8Array(length)),
      (error) => isMeshError(error) && error.code === 'MESSAGE_MALFORMED'
    )
  assert.deepEqual(layer.tag(), twin.tag())
  const wrong = [
    { keys: new Uint8Array(127), chain: new Uint8Array(32) },
    { keys: new Uint8Array(128), chain: new Uint8Array(31) }
  ]
  for (const keys of wrong)
    assert.throws(
      () => nobleCells.layer(keys),
      (error) => isMeshError(error) && error.code === 'KEY_INVALID'
    )
})

test('a body is recognised by all of its first 16 bytes, and only at its full length', () => {
  assert.equal(isRecognised(ownBody(1)), true)
  for (let index = 0; index < cellSizes.recognised; index++) {
    for (const bit of [1, 128]) {
      const body = ownBody(1)
      body[index] = bit
      assert.equal(isRecognised(body), false, `byte ${index}`)
    }
  }
  assert.equal(isRecognised(new Uint8Array(cellSizes.body)), true)
  for (const length of [0, 15, 16, 1_000, 1_024]) assert.equal(isRecognised(new Uint8Array(length)), false)
})
