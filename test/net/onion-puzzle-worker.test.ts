import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, toHex } from '../../src/core/base/index.ts'
import { type Cell, cellCommands, cellSizes, demandCell, isPuzzleSolved, solutionIn } from '../../src/core/onion/index.ts'
import { PuzzleWorker, maxWorkDifficulty } from '../../src/mesh/onion/puzzle-worker.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'

const random = new SeededRandom(11)
const relay = random.bytes(32)
const violation = (thrown: unknown): boolean => isMeshError(thrown, 'CIRCUIT_VIOLATION')

/** A worker whose slices are run by hand. */
function makeWorker() {
  const sent: Cell[] = []
  const due = new Set<() => void>()
  const timers = {
    schedule: (_delayMs: number, run: () => void) => {
      const slice = (): void => {
        due.delete(slice)
        run()
      }
      due.add(slice)
      return () => void due.delete(slice)
    }
  }
  const worker = new PuzzleWorker({ relay, random, timers, send: (cell) => sent.push(cell) })
  const slices = (): number => {
    let count = 0
    for (let next = [...due][0]; next !== undefined; next = [...due][0], count++) next()
    return count
  }
  return { worker, sent, slices, due }
}

const demand = (difficulty: number) => ({ seed: random.bytes(16), difficulty })

test('the work that a relay asks for is done in slices, and fits its demand', () => {
  const { worker, sent, slices } = makeWorker()
  const asked = demand(14)
  worker.created()
  worker.take(demandCell(asked, random).body)
  assert.equal(sent.length, 0)
  assert.ok(slices() > 1)
  assert.deepEqual([sent.length, sent[0]?.circuit, sent[0]?.command], [1, 0, cellCommands.link])
  const solution = solutionIn(sent[0]?.body ?? assert.fail()) ?? assert.fail()
  assert.equal(toHex(solution.seed), toHex(asked.seed))
  assert.ok(isPuzzleSolved({ ...asked, relay }, solution.nonce))
  assert.ok(!isPuzzleSolved({ ...asked, relay: random.bytes(32) }, solution.nonce))
})

test('each CREATE pays for one demand, and a relay that wants more, or harder work, broke the rules', () => {
  const { worker, sent, slices } = makeWorker()
  assert.throws(() => worker.take(demandCell(demand(0), random).body), violation)
  worker.created()
  assert.throws(() => worker.take(demandCell(demand(maxWorkDifficulty + 1), random).body), violation)
  const asked = demandCell(demand(3), random)
  worker.take(asked.body)
  // The same demand again is no other one.
  worker.take(asked.body)
  slices()
  assert.equal(sent.length, 1)
  assert.throws(() => worker.take(demandCell(demand(3), random).body), violation)
  assert.throws(
    () => worker.take(demandCell(demand(25), random).body),
    (thrown: unknown) => isMeshError(thrown, 'MESSAGE_MALFORMED')
  )
})

test('a new demand takes the place of the one before, and an ended link ends the work', () => {
  const { worker, sent, slices, due } = makeWorker()
  const [first, second] = [demand(20), demand(2)]
  for (const each of [first, second]) {
    worker.created()
    worker.take(demandCell(each, random).body)
    assert.equal(due.size, 1)
  }
  slices()
  assert.equal(toHex(solutionIn(sent[0]?.body ?? assert.fail())?.seed ?? assert.fail()), toHex(second.seed))
  worker.created()
  worker.take(demandCell(demand(20), random).body)
  worker.stop()
  assert.equal(due.size, 0)
  assert.equal(sent.length, 1)
})

test('a LINK cell about something else means nothing', () => {
  const { worker, due } = makeWorker()
  worker.created()
  for (const kind of [0, 1, 3, 200]) worker.take(new Uint8Array(cellSizes.body).fill(kind, 0, 1))
  assert.equal(due.size, 0)
})
