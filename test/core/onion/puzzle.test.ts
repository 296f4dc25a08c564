import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { isMeshError, toHex, utf8 } from '../../../src/core/base/index.ts'
import { PuzzleSolver, isPuzzleSolved } from '../../../src/core/onion/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const random = new SeededRandom(5)
const puzzle = (difficulty: number) => ({ relay: random.bytes(32), seed: random.bytes(16), difficulty })

function solve(solver: PuzzleSolver, slice = 1_000): Uint8Array {
  for (;;) {
    const nonce = solver.step(slice)
    if (nonce !== undefined) return nonce
  }
}

test('a solution has as many leading zero bits as were asked, counted by another hand', () => {
  for (let difficulty = 0; difficulty <= 12; difficulty++) {
    const asked = puzzle(difficulty)
    const nonce = solve(new PuzzleSolver(asked))
    const inner = createHash('sha256').update(utf8('synaptic-mesh/onion-puzzle/1')).update(asked.relay).update(asked.seed).digest()
    const bits = BigInt(`0x${createHash('sha256').update(inner).update(nonce).digest('hex')}`).toString(2)
    assert.ok(256 - bits.length >= difficulty, `${difficulty} asked, ${256 - bits.length} found`)
    assert.ok(isPuzzleSolved(asked, nonce))
  }
})

test('work for one relay, one demand or fewer bits pays for no other', () => {
  const asked = puzzle(10)
  const nonce = solve(new PuzzleSolver(asked))
  let elsewhere = 0
  for (let round = 0; round < 50; round++) {
    if (isPuzzleSolved({ ...asked, relay: random.bytes(32) }, nonce)) elsewhere++
    if (isPuzzleSolved({ ...asked, seed: random.bytes(16) }, nonce)) elsewhere++
    if (isPuzzleSolved(asked, random.bytes(8))) elsewhere++
  }
  assert.ok(elsewhere <= 3, `${elsewhere} of 150, where 0.15 are expected`)
  assert.ok(!isPuzzleSolved({ ...asked, difficulty: 32 }, nonce))
})

test('the search goes on where the slice before ended, and finds the same nonce', () => {
  const asked = puzzle(9)
  const whole = new PuzzleSolver(asked)
  const sliced = new PuzzleSolver(asked)
  assert.equal(toHex(solve(whole, 1_000_000)), toHex(solve(sliced, 7)))
  assert.equal(whole.tries, sliced.tries)
  assert.equal(sliced.step(0), undefined)
})

test('each bit more doubles the work', () => {
  const mean = (difficulty: number): number => {
    let tries = 0
    for (let round = 0; round < 200; round++) {
      const solver = new PuzzleSolver(puzzle(difficulty))
      solve(solver)
      tries += solver.tries
    }
    return tries / 200
  }
  // 200 geometric draws: their mean has a deviation of 7 %.
  for (const difficulty of [4, 7]) assert.ok(Math.abs(mean(difficulty) / 2 ** difficulty - 1) < 0.35)
})

test('more than 24 bits are not worked for, and nonces and seeds of other lengths solve nothing', () => {
  for (const difficulty of [25, -1, 1.5, Number.NaN]) {
    assert.throws(
      () => new PuzzleSolver(puzzle(difficulty)),
      (thrown: unknown) => isMeshError(thrown, 'CIRCUIT_VIOLATION')
    )
  }
  assert.ok(!isPuzzleSolved(puzzle(0), new Uint8Array(7)))
  assert.ok(!isPuzzleSolved(puzzle(0), new Uint8Array(9)))
  assert.ok(!isPuzzleSolved({ ...puzzle(0), seed: new Uint8Array(15) }, new Uint8Array(8)))
})
