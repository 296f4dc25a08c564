import { messageLimits, type Via } from './types.ts'
import { mapKey } from './outbox-destination.ts'
import type { Receipt } from './receipts.ts'

/** Receipts that wait for their sender to come back: `read`, and `stored` for what was held. The oldest are dropped beyond these. */
export const receiptQueueLimits = { receiptsOfPeer: 4_096, peers: 1_024 } as const

/** Somebody over one route: what came over a circuit is not answered over a connection, nor the other way. */
interface Addressee {
  readonly publicKey: Uint8Array
  readonly via: Via
}

const keyOf = ({ publicKey, via }: Addressee): string => `${via} ${mapKey(publicKey)}`

interface Waiting extends Addressee {
  receipts: Receipt[]
}

/** What is to be told to senders when they can be reached. Bounded; only comfort is lost beyond the bounds. */
export class ReceiptQueue {
  readonly #waiting = new Map<string, Waiting>()
  readonly #connected = new Set<string>()

  connected(peer: Addressee): void {
    this.#connected.add(keyOf(peer))
  }

  disconnected(peer: Addressee): void {
    this.#connected.delete(keyOf(peer))
  }

  add(peer: Addressee, receipt: Receipt): void {
    const key = keyOf(peer)
    const waiting = this.#waiting.get(key) ?? this.#open(key, peer)
    waiting.receipts.push(receipt)
    if (waiting.receipts.length > 2 * receiptQueueLimits.receiptsOfPeer) waiting.receipts = waiting.receipts.slice(-receiptQueueLimits.receiptsOfPeer)
  }

  #open(key: string, { publicKey, via }: Addressee): Waiting {
    if (this.#waiting.size >= receiptQueueLimits.peers) {
      const [oldest] = this.#waiting.keys()
      if (oldest !== undefined) this.#waiting.delete(oldest)
    }
    const waiting: Waiting = { publicKey, via, receipts: [] }
    this.#waiting.set(key, waiting)
    return waiting
  }

  /** Takes what can be sent now, in frames' worth. */
  *drain(): Generator<Addressee & { readonly receipts: readonly Receipt[] }> {
    if (this.#waiting.size === 0) return
    for (const [key, { publicKey, via, receipts }] of this.#waiting) {
      if (!this.#connected.has(key)) continue
      this.#waiting.delete(key)
      for (let start = 0; start < receipts.length; start += messageLimits.batchMessages) {
        yield { publicKey, via, receipts: receipts.slice(start, start + messageLimits.batchMessages) }
      }
    }
  }
}
