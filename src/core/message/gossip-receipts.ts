import { after, type Millis } from '../base/index.ts'
import { mapKey } from './outbox-destination.ts'
import type { Receipt } from './receipts.ts'
import { messageLimits, type Via } from './types.ts'

/** When receipts of what came by gossip leave: all members have it at about the same time, and would all call its sender at once. */
export const gossipReceiptTimes = { leastMs: 50, spreadMs: 1_000, sources: 1_024 } as const

interface Due {
  readonly publicKey: Uint8Array
  readonly via: Via
  readonly at: Millis
  readonly receipts: Receipt[]
}

/** Receipts of messages that came to a whole group at once: kept for a moment, and told together. */
export class GossipReceipts {
  readonly #due = new Map<string, Due>()

  get wakeAt(): Millis | undefined {
    let first: Millis | undefined
    for (const { at } of this.#due.values()) if (first === undefined || at < first) first = at
    return first
  }

  /** The moment follows from the digest, which differs from member to member. */
  add(to: { readonly publicKey: Uint8Array; readonly via: Via }, receipt: Receipt, now: Millis): void {
    const key = mapKey(to.publicKey)
    const known = this.#due.get(key)
    if (known !== undefined) return void known.receipts.push(receipt)
    // Beyond this nothing is promised: the sender sends what it has no receipt for.
    if (this.#due.size >= gossipReceiptTimes.sources) return
    const fraction = ((receipt.digest[0] ?? 0) * 256 + (receipt.digest[1] ?? 0)) / 65_536
    const at = after(now, gossipReceiptTimes.leastMs + gossipReceiptTimes.spreadMs * fraction)
    this.#due.set(key, { ...to, at, receipts: [receipt] })
  }

  /** Takes what is to be told now, in frames' worth. */
  *drain(now: Millis): Generator<Pick<Due, 'publicKey' | 'via'> & { readonly receipts: readonly Receipt[] }> {
    for (const [key, { publicKey, via, at, receipts }] of this.#due) {
      if (at > now && receipts.length < messageLimits.batchMessages) continue
      this.#due.delete(key)
      for (let start = 0; start < receipts.length; start += messageLimits.batchMessages)
        yield { publicKey, via, receipts: receipts.slice(start, start + messageLimits.batchMessages) }
    }
  }
}
