import { messageLimits } from './types.ts'
import { mapKey } from './outbox-destination.ts'
import type { Receipt } from './receipts.ts'

/** Receipts that wait for their sender to come back: `read`, and `stored` for what was held. The oldest are dropped beyond these. */
export const receiptQueueLimits = { receiptsOfPeer: 4_096, peers: 1_024 } as const

interface Waiting {
  readonly publicKey: Uint8Array
  receipts: Receipt[]
}

/** What is to be told to senders when they can be reached. Bounded; only comfort is lost beyond the bounds. */
export class ReceiptQueue {
  readonly #waiting = new Map<string, Waiting>()
  readonly #connected = new Set<string>()

  connected(publicKey: Uint8Array): void {
    this.#connected.add(mapKey(publicKey))
  }

  disconnected(publicKey: Uint8Array): void {
    this.#connected.delete(mapKey(publicKey))
  }

  add(publicKey: Uint8Array, receipt: Receipt): void {
    const key = mapKey(publicKey)
    const waiting = this.#waiting.get(key) ?? this.#open(key, publicKey)
    waiting.receipts.push(receipt)
    if (waiting.receipts.length > 2 * receiptQueueLimits.receiptsOfPeer) waiting.receipts = waiting.receipts.slice(-receiptQueueLimits.receiptsOfPeer)
  }

  #open(key: string, publicKey: Uint8Array): Waiting {
    if (this.#waiting.size >= receiptQueueLimits.peers) {
      const [oldest] = this.#waiting.keys()
      if (oldest !== undefined) this.#waiting.delete(oldest)
    }
    const waiting: Waiting = { publicKey, receipts: [] }
    this.#waiting.set(key, waiting)
    return waiting
  }

  /** Takes what can be sent now, in frames' worth. */
  *drain(): Generator<{ readonly publicKey: Uint8Array; readonly receipts: readonly Receipt[] }> {
    if (this.#waiting.size === 0) return
    for (const [key, { publicKey, receipts }] of this.#waiting) {
      if (!this.#connected.has(key)) continue
      this.#waiting.delete(key)
      for (let start = 0; start < receipts.length; start += messageLimits.batchMessages) {
        yield { publicKey, receipts: receipts.slice(start, start + messageLimits.batchMessages) }
      }
    }
  }
}
