import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Host } from './host.ts'
import { poll } from './net.ts'
import type { Received } from './stream.ts'

/** Two nodes, paired, with a stream of durable messages from the first to the second. */
export interface Couple {
  readonly a: Host
  readonly b: Host
}

/** Resolves when so many messages more have arrived. */
export const flowing = async (host: Host, more: number): Promise<void> => {
  const { ids } = await host.call('collected')
  await poll(`${more} messages more arrive`, 60_000, async () => (await host.call('collected')).ids.length >= ids.length + more)
}

/** Ends the stream, and holds it to the promise: everything that was accepted arrived, and nothing was handed out again after its acknowledgement. */
export async function settle(t: Pick<TestContext, 'diagnostic'>, { a, b }: Couple): Promise<Received> {
  // Where a receipt was lost while others came, it is asked for again after 150 s (docs/wire/message.md).
  const sent = await a.callWithin(210_000, 'pumped', 180_000)
  // What is stored is read a moment later.
  const isAllRead = async (): Promise<boolean> => {
    const read = new Set((await b.call('collected')).ids)
    return sent.accepted.every((id) => read.has(id))
  }
  await poll('all that is stored is read', 20_000, isAllRead).catch(() => undefined)
  const received = await b.call('collected')
  t.diagnostic(`${sent.accepted.length} sent, longest gap ${received.longestGapMs} ms`)
  const got = new Set(received.ids)
  assert.deepEqual(
    sent.accepted.filter((id) => !got.has(id)),
    [],
    'lost'
  )
  assert.deepEqual([sent.notStored, sent.errors, received.errors, received.againAfterAck], [[], [], [], []])
  return received
}
