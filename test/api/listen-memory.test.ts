import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arrivals } from '../../src/daemon/operations/listen.ts'
import type { Mesh, ReceivedMessage } from '../../src/mesh/mesh.ts'

/** Arrivals of a listener that takes nothing, and what gives it volatile messages. */
function slowListener() {
  let handler: (message: ReceivedMessage) => void = () => undefined
  const on: Mesh['on'] = (_name, given) => {
    handler = given as typeof handler
    return () => undefined
  }
  const arrivals = new Arrivals({ on }, new AbortController().signal, () => true)
  return { arrivals, give: (id: number, body: Uint8Array) => handler({ id: String(id), delivery: 'volatile', body } as ReceivedMessage) }
}

const bytesOf = (messages: readonly ReceivedMessage[]): number => messages.reduce((sum, { body }) => sum + body.buffer.byteLength, 0)

test('large volatile messages take 8 MiB at most while a listener is slow, and the newest are kept', () => {
  const { arrivals, give } = slowListener()
  const body = new Uint8Array(1_048_576)
  for (let round = 0; round < 2; round++) {
    for (let id = 0; id < 100; id++) give(id, body)
    const taken = arrivals.takeVolatile(1_000)
    assert.deepEqual(
      taken.map(({ id }) => Number(id)),
      [92, 93, 94, 95, 96, 97, 98, 99]
    )
  }
})

test('a small message that waits does not keep the large frame that it came in', () => {
  const { arrivals, give } = slowListener()
  for (let id = 0; id < 1_100; id++) give(id, new Uint8Array(65_536).subarray(id, id + 10))
  const taken = arrivals.takeVolatile(2_000)
  assert.equal(taken.length, 1_000)
  assert.equal(bytesOf(taken), 10_000)
})
