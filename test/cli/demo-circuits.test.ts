import assert from 'node:assert/strict'
import { test } from 'node:test'
import { demoEnds, demoHops } from '../../src/cli/demo/demo-circuits.ts'

test('in a demo of any size the circuits lead to two nodes, neither of which makes them, over no more relays than are left', () => {
  for (let nodes = 3; nodes <= 16; nodes++) {
    const ends = demoEnds(nodes)
    assert.equal(new Set(ends).size, 2)
    assert.ok(
      ends.every((place) => place > 0 && place < nodes),
      `${nodes} nodes: ${ends.join()}`
    )
    for (const wanted of [3, 5]) assert.ok(demoHops(wanted, nodes) >= 1 && demoHops(wanted, nodes) <= nodes - 2)
  }
  assert.deepEqual(
    [demoEnds(3), demoEnds(4), demoEnds(5), demoEnds(8)],
    [
      [1, 2],
      [3, 1],
      [3, 4],
      [3, 5]
    ]
  )
  assert.deepEqual([demoHops(3, 3), demoHops(5, 4), demoHops(5, 8)], [1, 2, 5])
})
