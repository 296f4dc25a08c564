import { after, type Millis } from '../base/index.ts'
import { Heap } from './heap.ts'
import type { Entry } from './outbox-entry.ts'
import type { Lane } from './outbox-lane.ts'
import type { OutboxLedger } from './outbox-ledger.ts'

interface Parked {
  readonly entry: Entry
  readonly at: Millis
}

/** How a parked message is told from one that goes the ordinary way; where it was given to neighbours is nobody's business. */
const gossipPath = 'gossip'

/** Messages that went to a whole group at once, or are about to: they wait for a receipt before they are sent to their destination alone. */
export class OutboxParking {
  readonly #ledger: OutboxLedger
  readonly #parked = new Heap<Parked>((a, b) => a.at < b.at)

  constructor(ledger: OutboxLedger) {
    this.#ledger = ledger
  }

  get wakeAt(): Millis | undefined {
    return this.#parked.peek()?.at
  }

  /** An entry is to wait; a receipt for it may come before it was ever sent to its destination alone. */
  choose(entry: Entry, { parkMs, digest }: { readonly parkMs: number; readonly digest: Uint8Array }): void {
    entry.parkMs = parkMs
    entry.envelopeDigest = digest
  }

  /** Queues an entry that is in the store, or keeps it out of its queue until its time is over. */
  open(entry: Entry, now: Millis): void {
    if (entry.parkMs === 0) return this.#ledger.open(entry)
    const at = after(now, entry.parkMs)
    entry.stage = 'parked'
    // From here on bytes of it may leave at any moment: an end without a receipt is not known to be none.
    entry.isSent = true
    this.#ledger.watch(entry)
    this.#parked.push({ entry, at })
  }

  /** The message of these ids was given to neighbours, or to nobody: then it need not wait. The lanes in which something can be sent now. */
  gossiped({ ids, isGiven }: { readonly ids: readonly string[]; readonly isGiven: boolean }): ReadonlySet<Lane> {
    const released = new Set<Lane>()
    for (const id of ids) {
      const entry = this.#ledger.find(id)
      if (entry?.stage !== 'parked') continue
      if (isGiven) this.#sent(entry)
      else {
        entry.isSent = false
        released.add(release(entry))
      }
    }
    return released
  }

  /** Puts those whose time is over into their queues. */
  release(now: Millis): ReadonlySet<Lane> {
    const released = new Set<Lane>()
    for (let next = this.#parked.peek(); next !== undefined && next.at <= now; next = this.#parked.peek()) {
      this.#parked.pop()
      if (next.entry.stage === 'parked') released.add(release(next.entry))
    }
    return released
  }

  #sent(entry: Entry): void {
    entry.attempts++
    entry.path = gossipPath
    entry.state = 'sent'
    this.#ledger.emit({ type: 'state', entry: entry.snapshot() })
  }
}

function release(entry: Entry): Lane {
  entry.lane.makeReady(entry)
  return entry.lane
}
