import { after, type Millis } from '../base/index.ts'
import { Heap } from './heap.ts'
import { Destination, mapKey } from './outbox-destination.ts'
import { type Entry, isEnd } from './outbox-entry.ts'
import type { Lane } from './outbox-lane.ts'
import { Settler } from './outbox-settler.ts'
import type { OutboxOutput } from './outbox-types.ts'
import type { OutboxState, Via } from './types.ts'

/** How long after its ttl a message that is under way waits for its receipt. */
export const receiptGraceMs = 20_000

const maxCachedBytes = 16_777_216
const expiriesAtOnce = 1_000

interface Expiry {
  readonly entry: Entry
  readonly at: Millis
}

/** How the sending of a message ends. */
export interface Ending {
  readonly state: OutboxState
  readonly failure: string
}

/** The books of one OutboxMachine: every message that has not ended, its deadline, and what the store was told of it. */
export class OutboxLedger {
  readonly settler = new Settler()
  readonly destinations = new Map<string, Destination>()
  readonly #entries = new Map<string, Entry>()
  /** Messages that ended before and get a better end (read after stored): only while that is being committed. */
  readonly #upgrades = new Map<string, Entry>()
  readonly #expiries = new Heap<Expiry>((a, b) => a.at < b.at)
  readonly #loosened = new Set<Lane>()
  #out: OutboxOutput[] = []
  #token = 0
  #queued = 0
  #queuedDirect = 0
  #queuedBytes = 0
  #cachedBytes = 0
  /** Messages and bytes under way, to all destinations. */
  flying = 0
  flyingBytes = 0

  get queued(): number {
    return this.#queued
  }

  /** Of those, accepted for the direct way. */
  get queuedDirect(): number {
    return this.#queuedDirect
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get wakeAt(): Millis | undefined {
    return this.#expiries.peek()?.at
  }

  nextToken(): number {
    return ++this.#token
  }

  emit(output: OutboxOutput): void {
    this.#out.push(output)
  }

  /** What was emitted since the last call. */
  takeOutputs(): readonly OutboxOutput[] {
    const out = this.#out
    this.#out = []
    return out
  }

  /** Lanes whose window got room, however that was, since the last call. */
  takeLoosened(): readonly Lane[] {
    if (this.#loosened.size === 0) return []
    const loosened = [...this.#loosened]
    this.#loosened.clear()
    return loosened
  }

  find(id: string): Entry | undefined {
    return this.#entries.get(id) ?? this.#upgrades.get(id)
  }

  destinationOf(publicKey: Uint8Array): Destination {
    const key = mapKey(publicKey)
    const known = this.destinations.get(key)
    if (known !== undefined) return known
    const destination = new Destination(publicKey, 1)
    this.destinations.set(key, destination)
    return destination
  }

  laneOf(publicKey: Uint8Array, via: Via): Lane {
    return this.destinationOf(publicKey).lane(via)
  }

  /** Every lane of every destination. */
  lanes(): readonly Lane[] {
    return [...this.destinations.values()].flatMap((destination) => destination.lanes)
  }

  /** The lane of a destination that is known; undefined otherwise. */
  knownLane(publicKey: Uint8Array, via: Via): Lane | undefined {
    return this.destinations.get(mapKey(publicKey))?.lane(via)
  }

  /** Takes an entry into the books. */
  add(entry: Entry): void {
    entry.isTracked = true
    this.#entries.set(entry.id, entry)
    this.#queued++
    if (entry.row.via === 'direct') this.#queuedDirect++
    this.#queuedBytes += entry.bytes
  }

  /** Queues an entry that is in the store, and watches its deadline. */
  open(entry: Entry): void {
    entry.lane.makeReady(entry)
    this.watch(entry)
  }

  /** Watches the deadline of an entry that is in the store. */
  watch(entry: Entry): void {
    this.#expiries.push({ entry, at: entry.deadline })
    if (this.#expiries.size > 2 * this.#queued + 1_024) this.#expiries.retain((expiry) => expiry.entry.stage !== 'ended')
  }

  /** Strikes an entry out: its end is committed, or it never was in the store. */
  forget(entry: Entry): void {
    if (!entry.isTracked) {
      this.#upgrades.delete(entry.id)
      return
    }
    entry.isTracked = false
    this.#entries.delete(entry.id)
    this.#queued--
    if (entry.row.via === 'direct') this.#queuedDirect--
    this.#queuedBytes -= entry.bytes
    this.uncache(entry)
  }

  /** Keeps the envelope at hand for the first transmission while there is room; else it is loaded from the store. */
  cache(entry: Entry, envelope: Uint8Array): void {
    if (this.#cachedBytes + envelope.length <= maxCachedBytes) this.hold(entry, envelope)
  }

  hold(entry: Entry, envelope: Uint8Array): void {
    entry.envelope = envelope
    this.#cachedBytes += envelope.length
  }

  uncache(entry: Entry): void {
    if (entry.envelope === undefined) return
    this.#cachedBytes -= entry.envelope.length
    entry.envelope = undefined
  }

  /** Takes an entry out of the air. */
  land(entry: Entry): void {
    if (entry.flight === undefined) return
    this.#loosened.add(entry.lane)
    entry.lane.land(entry)
    this.flyingBytes -= entry.bytes
    this.flying--
  }

  /** Puts an entry that was under way back into its queue. */
  requeue(entry: Entry): void {
    this.land(entry)
    this.uncache(entry)
    entry.lane.makeReady(entry)
  }

  /** Ends the sending: nothing is sent any more, and the new state is settled. */
  end(entry: Entry, ending: Ending, now: Millis): void {
    if (entry.stage === 'ready') entry.lane.dropReady(entry)
    this.land(entry)
    this.uncache(entry)
    entry.stage = 'ended'
    if (!entry.isTracked) this.#upgrades.set(entry.id, entry)
    entry.state = ending.state
    entry.wanted = ending.state
    entry.failure = ending.failure
    entry.settledMs = Math.max(0, Math.round(now - entry.acceptedAt))
    this.settler.mark(entry)
  }

  /** Ends what has outlived its ttl: sent without an answer is told apart from never sent. */
  expire(now: Millis): void {
    for (let count = 0; count < expiriesAtOnce; count++) {
      const expiry = this.#expiries.peek()
      if (expiry === undefined || expiry.at > now) return
      this.#expiries.pop()
      this.#expireEntry(expiry.entry, now)
    }
  }

  #expireEntry(entry: Entry, now: Millis): void {
    if (entry.stage === 'ended') return
    const last = after(entry.deadline, receiptGraceMs)
    if (entry.stage === 'flying' && now < last) this.#expiries.push({ entry, at: last })
    else if (entry.lastRefusal !== undefined) this.end(entry, { state: 'failed', failure: entry.lastRefusal }, now)
    else if (entry.isSent) this.end(entry, { state: 'expired-unknown', failure: '' }, now)
    else this.end(entry, { state: 'failed', failure: 'EXPIRED' }, now)
  }

  /** The store committed a settle: tells the states, and forgets what has ended. */
  settled(token: number): void {
    for (const { entry, change } of this.settler.take(token)) {
      entry.committed = change.state
      if (!isEnd(change.state)) continue
      this.emit({ type: 'state', entry: entry.after(change) })
      if (entry.cancelCall !== undefined) this.emit({ type: 'cancelled', call: entry.cancelCall, entry: entry.after(change) })
      entry.cancelCall = undefined
      if (entry.unsettled > 0 || this.settler.isMarked(entry)) continue
      if (entry.isTracked) for (const lane of entry.destination.release(entry.sequence, entry.lane)) this.#loosened.add(lane)
      this.forget(entry)
    }
  }

  /** The store was full: ends are settled again later; marks of a transmission are given up with it. */
  settleFailed(token: number, now: Millis): void {
    for (const { entry, change } of this.settler.take(token)) if (isEnd(change.state)) this.settler.mark(entry)
    this.settler.block(now)
  }
}
