import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CellCipher, type CellCommand, cellCommands, cellSizes, nobleCells } from '../../src/core/onion/index.ts'
import { type CellBackend, cellBackends, cellCipher } from '../../src/crypto/cell/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { replay } from '../core/onion/cell-vectors.ts'
import { collude, tamper } from './tampered-cells.ts'

/** sodium-native is built for some machines only; WebAssembly is everywhere. */
const native = await cellBackends.native().catch(() => undefined)
const needsNative = native === undefined && 'needs the optional package sodium-native'
const fast: readonly (readonly [CellBackend, CellCipher | undefined])[] = [
  ['native', native],
  ['wasm', await cellBackends.wasm()]
]

for (const [backend, found] of fast) {
  const cipher = found ?? nobleCells
  const skip = found === undefined && needsNative

  test(`${backend} makes the recorded cells and tags, and takes them back`, { skip }, () => {
    replay(cipher, ({ plain, cell, tag }, found) => assert.deepEqual(found, { plain, cell, tag }))
  })

  test(`${backend} and noble agree on whatever cells come, in layers that take turns`, { skip }, () => {
    const step = fc.record({
      layer: fc.nat({ max: 2 }),
      step: fc.constantFrom('encrypt' as const, 'originate' as const, 'decrypt' as const),
      command: fc.constantFrom<CellCommand>(cellCommands.relay, cellCommands.relayEarly),
      seed: fc.nat()
    })
    fc.assert(
      fc.property(fc.nat(), fc.array(step, { minLength: 1, maxLength: 12 }), (seed, steps) => {
        const keys = [0, 1, 2].map((index) => ({
          keys: new SeededRandom(seed + index).bytes(128),
          chain: new SeededRandom(seed - index).bytes(32)
        }))
        const [ours, theirs] = [keys.map((each) => cipher.layer(each)), keys.map((each) => nobleCells.layer(each))]
        for (const { layer, step: kind, command, seed: bodySeed } of steps) {
          const [one, other] = [new SeededRandom(bodySeed).bytes(cellSizes.body), new SeededRandom(bodySeed).bytes(cellSizes.body)]
          ours[layer]?.[kind](command, one)
          theirs[layer]?.[kind](command, other)
          assert.deepEqual(one, other)
          assert.deepEqual(ours[layer]?.tag(), theirs[layer]?.tag())
        }
      }),
      { numRuns: 40 }
    )
  })

  test(`${backend} works in place, on a part of a larger array`, { skip }, () => {
    const [frame, alone] = [new SeededRandom(1).bytes(2_048), new SeededRandom(1).bytes(2_048).slice(9, 9 + cellSizes.body)]
    const keys = { keys: new SeededRandom(2).bytes(128), chain: new SeededRandom(3).bytes(32) }
    const before = frame.slice()
    cipher.layer(keys).encrypt(cellCommands.relay, frame.subarray(9, 9 + cellSizes.body))
    nobleCells.layer(keys).encrypt(cellCommands.relay, alone)
    before.set(alone, 9)
    assert.deepEqual(frame, before)
  })
}

test('the fastest backend that there is gets chosen; one that fails or computes something else is passed over', async () => {
  const missing = async (): Promise<CellCipher> => Promise.reject(new Error('not installed'))
  const wrong: CellCipher = { layer: (keys) => nobleCells.layer({ ...keys, chain: keys.chain.map((byte) => byte ^ 1) }) }
  const broken: CellCipher = {
    layer: () => {
      throw new Error('no memory')
    }
  }
  const chosen = async (backends: Partial<typeof cellBackends>): Promise<CellBackend> => (await cellCipher({ ...cellBackends, ...backends })).backend
  assert.equal(await chosen({}), native === undefined ? 'wasm' : 'native')
  assert.equal(await chosen({ native: missing }), 'wasm')
  assert.equal(await chosen({ native: async () => wrong }), 'wasm')
  assert.equal(await chosen({ native: async () => broken }), 'wasm')
  assert.equal(await chosen({ native: missing, wasm: async () => wrong }), 'noble')
  assert.equal(await chosen({ native: missing, wasm: missing, noble: missing }), 'noble')
})

/** The suite plays 10,000 games; `npm run bench onion tagging` a million. */
test('10,000 times tampered, at every hop and in both directions: no such cell nor any after it is recognised, and no tag fits', async () => {
  const { cipher } = await cellCipher()
  const { games, cells, recognised, tags, lostBefore } = tamper(cipher, 10_000, Number(process.env['SEED'] ?? 1))
  assert.deepEqual({ games, recognised, tags, lostBefore }, { games: 10_000, recognised: 0, tags: 0, lostBefore: 0 })
  assert.ok(cells > 15_000, `${cells} cells`)
})

test('two attackers with honest relays between them undo nothing: all that is left of the circuit is garbage', async () => {
  const { cipher } = await cellCipher()
  const { games, cells, recognised, tags, lostBefore } = collude(cipher, 1_000, Number(process.env['SEED'] ?? 1))
  assert.deepEqual({ games, recognised, tags, lostBefore }, { games: 1_000, recognised: 0, tags: 0, lostBefore: 0 })
  assert.ok(cells > 1_500, `${cells} cells`)
})
