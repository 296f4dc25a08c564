import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cellCommands, cellSizes } from '../../../src/core/onion/index.ts'
import { cellCipher } from '../../../src/crypto/cell/index.ts'
import { chiSquare, collude, distance, type Manipulation, manipulations, type Pact, pacts, type Sight } from './collusion-games.ts'
import { playBuilding, playTagging } from './tagging-games.ts'

const seed = Number(process.env['SEED'] ?? 1)
const { cipher, backend } = await cellCipher()

/** The suite's share; `npm run bench onion tagging` plays a hundred times as many. */
test('10,000 cells tampered at every link and in both directions of real relays: 0 recognised, nothing after them either, and the circuit ends', (t) => {
  const startedAt = performance.now()
  const { games, cells, ...wrong } = playTagging(cipher, 3_600, seed)
  t.diagnostic(`SEED=${seed}, ${backend}: ${games} games, ${cells} cells in ${Math.round(performance.now() - startedAt)} ms`)
  assert.deepEqual(wrong, { recognised: 0, delivered: 0, alive: 0, lostBefore: 0 })
  assert.ok(cells >= 10_000, `${cells} cells`)
})

test('cells tampered while a circuit is being built: there is none, and no part of it stays', () => {
  assert.deepEqual(playBuilding(cipher, 300, seed), { built: 0, alive: 0 })
})

const circuits = 24
const [at, cells] = [2, 6]
const bits = cellSizes.body * 8
/** Of the bits in which two unrelated bodies differ. */
const deviation = Math.sqrt(bits / 4)

/** RELAY and RELAY_EARLY alike. */
const withoutLabel = (line: string): string => line.replace(/ [34]$/, ' relay')

/** A relay ends a circuit on which RELAY_EARLY comes back: that is seen as a DESTROY of the first would be. */
const playedBy = (pact: Pact): readonly Manipulation[] =>
  manipulations.filter((manipulation) => manipulation !== 'another label' || pact.startsWith('guard'))

type Sights = ReadonlyMap<Manipulation, readonly Sight[]>

/** The same circuits for each manipulation. */
const sightsOf = (pact: Pact): Sights =>
  new Map(
    playedBy(pact).map((manipulation) => [
      manipulation,
      Array.from({ length: circuits }, (_, index) => collude(cipher, { pact, manipulation, seed: seed * 10_000 + index * 10, at, cells }))
    ])
  )

function assertUnrelated(pairs: readonly (readonly [Uint8Array, Uint8Array])[], what: string): void {
  const distances = pairs.map(([a, b]) => distance(a, b))
  const mean = distances.reduce((all, each) => all + each, 0) / distances.length
  assert.ok(Math.abs(mean - bits / 2) < (5 * deviation) / Math.sqrt(distances.length), `${what}: ${mean} of ${bits} bits differ on average`)
  for (const each of distances) assert.ok(Math.abs(each - bits / 2) < 7 * deviation, `${what}: ${each} of ${bits} bits differ`)
}

const pairsOf = <Item>(items: readonly Item[]): readonly (readonly [Item, Item])[] =>
  items.flatMap((one, index) => items.slice(index + 1).map((other) => [one, other] as const))

const changed = (body: Uint8Array = assert.fail(), mark: Uint8Array = assert.fail()): Uint8Array =>
  body.map((byte, index) => byte ^ (mark[index] ?? 0))

for (const pact of pacts)
  test(`${pact}, who work together: whatever the first does to a cell, the second sees a circuit that dies, and noise`, () => {
    const sights = sightsOf(pact)
    const honest = sights.get('nothing wrong') ?? []
    const spoilt = [...sights].filter(([manipulation]) => manipulation !== 'nothing wrong')
    const usual = sights.get('one bit')?.map(({ shape }) => shape)
    for (const { shape } of honest) assert.ok(!shape.some((line) => line.endsWith(` ${cellCommands.destroy}`)), 'untouched, it lives')
    for (const [manipulation, seen] of spoilt) {
      // The label of a cell is open on every link: which of the two the last cell bears is seen as well, and that is all.
      const shapes = seen.map(({ shape }) => (manipulation === 'another label' ? shape.map(withoutLabel) : shape))
      assert.deepEqual(
        shapes,
        manipulation === 'another label' ? usual?.map((shape) => shape.map(withoutLabel)) : usual,
        `${manipulation}: cells, their order and the end are those of any other`
      )
      for (const [index, { bodies }] of seen.entries()) {
        assert.equal(bodies.length, at + 1, 'the spoilt cell is the last')
        for (let before = 0; before < at; before++) assert.deepEqual(bodies[before], honest[index]?.bodies[before], 'what came before is as it was')
      }
      const wrong = seen.map(({ bodies }) => bodies[at] ?? assert.fail())
      assertUnrelated(
        wrong.map((body, index) => [body, honest[index]?.bodies[at] ?? assert.fail()]),
        `${manipulation}, against the cell that was to come`
      )
      assertUnrelated(
        wrong.map((body, index) => [body, changed(honest[index]?.bodies[at], seen[index]?.mark)]),
        `${manipulation}, against the first's own mark`
      )
      assert.ok(chiSquare(wrong) < 255 + 6 * 22.6, `${manipulation}: ${chiSquare(wrong)}`)
    }
    for (const [one, other] of pairsOf(spoilt))
      assertUnrelated(
        one[1].map(({ bodies }, index) => [bodies[at] ?? assert.fail(), other[1][index]?.bodies[at] ?? assert.fail()]),
        `${one[0]} against ${other[0]}`
      )
  })
