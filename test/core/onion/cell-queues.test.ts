import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { millis } from '../../../src/core/base/index.ts'
import { CellQueues } from '../../../src/core/onion/cell-queues.ts'
import { type Cell, cellCommands, cellSizes } from '../../../src/core/onion/types.ts'

const now = millis(0)
const cell = (circuit: number, mark = 0): Cell => ({ circuit, command: cellCommands.relay, body: new Uint8Array(cellSizes.body).fill(mark) })

function queues(limits: ConstructorParameters<typeof CellQueues>[0] = {}, ...peers: readonly string[]): CellQueues {
  const made = new CellQueues(limits)
  peers.forEach((peer, link) => made.openLink(link, peer))
  return made
}

test('the circuits of a link take turns', () => {
  const one = queues({}, 'a')
  for (let count = 0; count < 100; count++) one.push(0, cell(1), now)
  one.push(0, cell(2), now)
  one.push(0, cell(3), now)
  assert.deepEqual(
    one.take(0, 5).map(({ circuit }) => circuit),
    [1, 2, 3, 1, 1]
  )
})

test('each circuit keeps its order, nothing is lost or invented, and the count is right', () => {
  const step = fc.oneof(fc.record({ push: fc.integer({ min: 1, max: 5 }) }), fc.record({ take: fc.integer({ min: 0, max: 9 }) }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const one = queues({}, 'a')
      const sent = new Map<number, number>()
      const got = new Map<number, number>()
      let waiting = 0
      for (const of of steps) {
        if ('push' in of) {
          const mark = (sent.get(of.push) ?? 0) + 1
          sent.set(of.push, mark)
          waiting += 1
          assert.ok(one.push(0, cell(of.push, mark), now))
          continue
        }
        const taken = one.take(0, of.take)
        waiting -= taken.length
        assert.ok(taken.length === of.take || waiting === 0)
        for (const { circuit, body } of taken) {
          const mark = (got.get(circuit) ?? 0) + 1
          got.set(circuit, mark)
          assert.equal(body[0], mark & 255)
        }
      }
      assert.equal(one.bytes, waiting * cellSizes.cell)
    })
  )
})

test('a circuit has 512 cells at most, and DESTROY goes in all the same', () => {
  const one = queues({}, 'a')
  for (let count = 0; count < 512; count++) assert.ok(one.push(0, cell(1), now))
  assert.equal(one.push(0, cell(1), now), false)
  assert.ok(one.push(0, { ...cell(1), command: cellCommands.destroy }, now))
  assert.ok(one.push(0, cell(2), now))
})

test('over the bound the queue that waits longest goes, of the peer for whom most waits over all its links', () => {
  const all = queues({ bytes: 10 * cellSizes.cell }, 'light', 'heavy', 'heavy')
  all.push(0, cell(1), millis(1))
  all.push(0, cell(1), millis(1))
  for (let count = 0; count < 3; count++) all.push(0, cell(2), millis(9))
  for (let count = 0; count < 3; count++) all.push(1, cell(3), millis(7))
  for (let count = 0; count < 2; count++) all.push(2, cell(4), millis(5))
  assert.equal(all.overflow(), undefined)
  all.push(2, cell(5), millis(8))
  const dropped = all.overflow()
  assert.ok(dropped)
  assert.deepEqual([dropped.link, dropped.circuit], [2, 4])
  all.drop(dropped)
  assert.equal(all.overflow(), undefined)
  assert.equal(all.bytes, 9 * cellSizes.cell)
})

test('the age of a queue is that of its first cell that waits', () => {
  const all = queues({ bytes: 0 }, 'a')
  all.push(0, cell(1), millis(1))
  all.push(0, cell(2), millis(2))
  all.push(0, cell(1), millis(3))
  assert.equal(all.take(0, 1)[0]?.circuit, 1)
  assert.equal(all.overflow()?.circuit, 2)
})

test('a link that ends gives its memory back, and takes nothing more', () => {
  const all = queues({}, 'a', 'b')
  for (let circuit = 1; circuit < 50; circuit++) all.push(0, cell(circuit), now)
  all.push(1, cell(1), now)
  all.closeLink(0)
  assert.equal(all.bytes, cellSizes.cell)
  assert.equal(all.push(0, cell(1), now), false)
  assert.deepEqual(all.take(0, 9), [])
})

test('cells that are still there when the next frame comes hold their own bytes only', () => {
  const all = queues({}, 'a', 'b')
  const frame = (mark: number): void => {
    const bytes = new Uint8Array(64_512).fill(mark)
    for (let at = 0; at < 4; at++) {
      const body = bytes.subarray(at * cellSizes.cell + cellSizes.header, (at + 1) * cellSizes.cell)
      all.push(at % 2, { ...cell(1 + (at >> 1)), body, hasRoom: true }, now)
    }
  }
  const held = (cells: readonly Cell[]): readonly (readonly [number | undefined, number, boolean | undefined])[] =>
    cells.map(({ body, hasRoom }) => [body[0], body.buffer.byteLength, hasRoom])
  frame(1)
  assert.deepEqual(held(all.take(0, 1)), [[1, 64_512, true]])
  frame(2)
  assert.deepEqual(held(all.take(0, 9)), [
    [1, cellSizes.body, false],
    [2, 64_512, true],
    [2, 64_512, true]
  ])
  frame(3)
  assert.deepEqual(held(all.take(1, 9)), [
    [1, cellSizes.body, false],
    [1, cellSizes.body, false],
    [2, cellSizes.body, false],
    [2, cellSizes.body, false],
    [3, 64_512, true],
    [3, 64_512, true]
  ])
})
