import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { safeJson } from '../core/base/index.ts'

/** One event of a feed: its name, the cursor behind it, and what it tells. */
export interface FeedItem {
  readonly event: string
  readonly cursor: string
  readonly data: object
}

export const eventStreamType = 'text/event-stream; charset=utf-8'

const heartbeatMs = 15_000
/** A reader that takes nothing for so long has gone. */
const stuckMs = 60_000
const reconnectMs = 2_000

/**
 * Writes items as server-sent events (HTML standard, section 9.2), each with its cursor as id, and a comment when nothing happened for 15 s. Takes the next item
 * only when the reader has taken the last one; resolves when the items end or the reader goes.
 */
export async function writeEventStream(response: ServerResponse, items: AsyncIterable<FeedItem>, signal: AbortSignal): Promise<void> {
  const ended = new AbortController()
  const isOver = AbortSignal.any([signal, ended.signal])
  const beats = beat(response, isOver)
  try {
    await write(response, `retry: ${reconnectMs}\n\n`, signal)
    for await (const { event, cursor, data } of items) {
      await write(response, `event: ${event}\nid: ${cursor}\ndata: ${safeJson(data)}\n\n`, signal)
      if (signal.aborted) break
    }
  } finally {
    ended.abort()
    await beats
  }
  response.end()
}

/** Keeps what lies between from taking the connection for dead. */
async function beat(response: ServerResponse, isOver: AbortSignal): Promise<void> {
  while (!isOver.aborted) {
    await wait(heartbeatMs, undefined, { signal: isOver, ref: false }).catch(() => undefined)
    if (!isOver.aborted && !response.writableNeedDrain) response.write(': still here\n\n')
  }
}

async function write(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (signal.aborted || response.write(text)) return
  const stuck = AbortSignal.timeout(stuckMs)
  await once(response, 'drain', { signal: AbortSignal.any([signal, stuck]) }).catch(() => undefined)
  if (stuck.aborted) response.destroy()
}
