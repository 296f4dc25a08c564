import { after, earliest, type Millis, wallMillis } from '../base/index.ts'
import { instantAt } from './age.ts'
import { backoffMs } from './backoff.ts'
import { sealBatch } from './batch.ts'
import { Heap } from './heap.ts'
import { mapKey } from './outbox-destination.ts'
import type { Entry } from './outbox-entry.ts'
import type { Flight, Lane } from './outbox-lane.ts'
import type { OutboxLedger } from './outbox-ledger.ts'
import type { OutboxInput, OutboxOptions } from './outbox-types.ts'
import type { Sha256 } from './sha256.ts'
import type { DestinationRetry, OutboxRow } from './store-port.ts'

/** How long receipts may stay away. */
export const receiptTimes = {
  /** No receipt at all from a destination with messages under way: its stream is reset and they are sent again. */
  silenceMs: 30_000,
  /** The same for one batch while others are answered. */
  batchMs: 150_000
} as const

/** A `connect` that is not answered for so long has failed. */
const connectMs = 60_000

/** Bytes under way to all destinations together. */
const maxFlyingBytes = 33_554_432

interface Timer {
  readonly lane: Lane
  readonly at: Millis
  readonly kind: 'retry' | 'receipt' | 'connect'
}

/** A flight that waits for the store. */
export interface Preparation {
  readonly flight: Flight
  readonly lane: Lane
}

/** The part of an OutboxMachine that connects, cuts batches, sends them and waits for their receipts. */
export class OutboxSender {
  readonly #options: OutboxOptions
  readonly #sha256: Sha256
  readonly #ledger: OutboxLedger
  readonly #timers = new Heap<Timer>((a, b) => a.at < b.at)
  /** Lanes that wait for the store, or for the window of all destinations. */
  readonly #starved = new Set<Lane>()
  /** Flights whose entries are being marked as sent, by the token of the settle. */
  readonly #marking = new Map<number, readonly Preparation[]>()
  readonly #loading = new Map<number, Preparation>()
  #unmarked: Preparation[] = []

  constructor(options: OutboxOptions, ledger: OutboxLedger, sha256: Sha256) {
    this.#options = options
    this.#ledger = ledger
    this.#sha256 = sha256
  }

  get wakeAt(): Millis | undefined {
    return earliest(this.#timers.peek()?.at, this.#ledger.settler.wakeAt)
  }

  /** Goes on with the backoff of an earlier process. */
  restore(retry: DestinationRetry): void {
    const { at, random } = this.#options
    const lane = this.#ledger.laneOf(retry.destination, retry.via)
    lane.attempts = retry.attempts
    if (retry.attempts === 0 || lane.isIdle) return
    const waitedMs = retry.lastAttempt.bootId === at.bootId ? at.monotonic - retry.lastAttempt.monotonic : 0
    this.#retryAt(lane, after(at.monotonic, Math.max(0, backoffMs(retry.attempts, random) - waitedMs)))
  }

  connected(input: Extract<OutboxInput, { type: 'connected' }>, now: Millis): void {
    const lane = this.#ledger.laneOf(input.destination, input.via)
    if (lane.link !== undefined) this.#dropLink(lane)
    lane.isConnecting = false
    lane.attach(input)
    lane.lastReceiptAt = now
    this.kick(lane, now)
  }

  disconnected(input: Extract<OutboxInput, { type: 'disconnected' }>, now: Millis): void {
    const lane = this.#ledger.laneOf(input.destination, input.via)
    if (lane.link === input.link) {
      this.#dropLink(lane)
      for (const entry of lane.readyEntries()) this.#unmark(entry)
      if (!lane.isIdle) this.fail(lane, now)
    }
    const { isUnused, isLinked } = lane.destination
    if (isUnused && !isLinked) this.#ledger.destinations.delete(mapKey(input.destination))
  }

  /** Written as sent because a stream was at hand, and then not sent: the store says `accepted` again. */
  #unmark(entry: Entry): void {
    if (entry.committed !== 'sent' || entry.isSent) return
    entry.committed = 'accepted'
    entry.wanted = 'accepted'
    this.#ledger.settler.mark(entry)
  }

  #dropLink(lane: Lane): void {
    lane.link = undefined
    for (const flight of lane.flights) this.#ground(flight)
  }

  /** Puts what a flight still carries back into the queue. */
  #ground(flight: Flight): void {
    for (const entry of flight.entries) if (entry.flight === flight) this.#ledger.requeue(entry)
  }

  unreachable({ destination, via }: Extract<OutboxInput, { type: 'unreachable' }>, now: Millis): void {
    const lane = this.#ledger.knownLane(destination, via)
    if (lane === undefined) return
    lane.isConnecting = false
    if (!lane.isIdle) this.fail(lane, now)
  }

  reachable({ destination, via }: Extract<OutboxInput, { type: 'reachable' }>, now: Millis): void {
    const lane = this.#ledger.knownLane(destination, via)
    if (lane !== undefined && lane.link === undefined) this.hurry(lane, now)
  }

  /** Tries now; the count of failures stays. */
  hurry(lane: Lane, now: Millis): void {
    lane.retryAt = undefined
    this.kick(lane, now)
  }

  /** One more failure of the lane: it waits longer. Failures during a wait count once. */
  fail(lane: Lane, now: Millis): void {
    if (lane.retryAt !== undefined && lane.retryAt > now) return
    lane.attempts++
    this.#retryAt(lane, after(now, backoffMs(lane.attempts, this.#options.random)))
    this.#saveRetry(lane, now)
  }

  /** The destination answered: only that ends a row of failures, a mere connection does not. */
  answered(lane: Lane, now: Millis): void {
    lane.lastReceiptAt = now
    if (lane.attempts === 0) return
    lane.attempts = 0
    this.#saveRetry(lane, now)
  }

  #saveRetry(lane: Lane, now: Millis): void {
    const { via, attempts } = lane
    const { publicKey } = lane.destination
    this.#ledger.emit({ type: 'save-retry', retry: { destination: publicKey, via, attempts, lastAttempt: instantAt(this.#options.at, now) } })
  }

  #retryAt(lane: Lane, at: Millis): void {
    lane.retryAt = at
    this.#timers.push({ lane, at, kind: 'retry' })
  }

  kickAll(lanes: Iterable<Lane>, now: Millis): void {
    for (const lane of lanes) this.kick(lane, now)
  }

  /** Does the next thing that brings the lane's queue forward. */
  kick(lane: Lane, now: Millis): void {
    if (lane.retryAt !== undefined && lane.retryAt > now) return
    lane.retryAt = undefined
    if (lane.readyCount === 0) return
    if (lane.link !== undefined) this.#launch(lane, now)
    else if (!lane.isConnecting) {
      lane.isConnecting = true
      lane.connectBy = after(now, connectMs)
      this.#timers.push({ lane, at: lane.connectBy, kind: 'connect' })
      this.#ledger.emit({ type: 'connect', destination: lane.destination.publicKey, via: lane.via })
    }
  }

  #launch(lane: Lane, now: Millis): void {
    const ledger = this.#ledger
    while (lane.link !== undefined && lane.hasRoom()) {
      if (ledger.flyingBytes >= maxFlyingBytes || ledger.settler.isBlocked(now)) {
        this.#starved.add(lane)
        return
      }
      const entries = lane.takeBatch(now)
      if (entries.length === 0) return
      const flight = lane.launch(entries, lane.link)
      ledger.flying += entries.length
      for (const entry of entries) ledger.flyingBytes += entry.bytes
      this.#prepare({ flight, lane }, now)
    }
  }

  /** Sends at once when the store knows every entry as sent; else when it does. */
  #prepare(preparation: Preparation, now: Millis): void {
    const unmarked = preparation.flight.entries.filter((entry) => entry.committed !== 'sent')
    for (const entry of unmarked) {
      entry.wanted = 'sent'
      this.#ledger.settler.mark(entry)
    }
    if (unmarked.length > 0) this.#unmarked.push(preparation)
    else this.#load(preparation, now)
  }

  #load(preparation: Preparation, now: Millis): void {
    const missing = preparation.flight.entries.filter((entry) => entry.flight === preparation.flight && entry.envelope === undefined)
    if (missing.length === 0) return this.#send(preparation, now)
    const token = this.#ledger.nextToken()
    this.#loading.set(token, preparation)
    this.#ledger.emit({ type: 'load', token, ids: missing.map(({ id }) => id) })
  }

  #send({ flight, lane }: Preparation, now: Millis): void {
    const entries = flight.entries.filter((entry) => entry.flight === flight)
    if (entries.length === 0) return
    if (lane.link !== flight.link) return this.#ground(flight)
    const { recovery, random, signer } = this.#options
    const { floor, publicKey } = lane.destination
    const clockOffset = Math.max(...entries.map((entry) => entry.clockOffset))
    const sentAt = wallMillis(Math.max(0, Math.round(now + clockOffset)))
    const envelopes = entries.map((entry) => this.#transmit(entry))
    const frame = sealBatch(
      { header: { destination: publicKey, epoch: recovery.epoch, sentAt, floor }, envelopes },
      { signer, random, sha256: this.#sha256 }
    )
    flight.sentAt = now
    this.#ledger.emit({ type: 'send', destination: publicKey, via: lane.via, link: flight.link, frame, messages: entries.length })
    if (!lane.hasReceiptTimer) this.#armReceiptTimer(lane, after(now, receiptTimes.silenceMs))
  }

  #transmit(entry: Entry): Uint8Array {
    const envelope = entry.envelope ?? new Uint8Array()
    entry.envelopeDigest ??= this.#sha256(envelope)
    entry.stage = 'flying'
    entry.isSent = true
    entry.lastRefusal = undefined
    entry.attempts++
    entry.path = entry.lane.path
    if (entry.state === 'accepted') {
      entry.state = 'sent'
      this.#ledger.emit({ type: 'state', entry: entry.snapshot() })
    }
    this.#ledger.uncache(entry)
    return envelope
  }

  /** Takes the answer to a `load` of this part; false when it was not one. */
  loaded(token: number, rows: readonly OutboxRow[], now: Millis): boolean {
    const preparation = this.#loading.get(token)
    if (preparation === undefined) return false
    this.#loading.delete(token)
    const { flight, lane } = preparation
    const byId = new Map(rows.map((row) => [row.id, row.envelope]))
    for (const entry of flight.entries) {
      if (entry.flight !== flight || entry.envelope !== undefined) continue
      const envelope = byId.get(entry.id)
      // A row that is gone was not ours to lose: say so instead of waiting for ever.
      if (envelope === undefined || envelope.length === 0) this.#ledger.end(entry, { state: 'failed', failure: 'STATE_CORRUPT' }, now)
      else this.#ledger.hold(entry, envelope)
    }
    this.#send(preparation, now)
    this.kick(lane, now)
    return true
  }

  loadFailed(token: number, now: Millis): boolean {
    const preparation = this.#loading.get(token)
    if (preparation === undefined) return false
    this.#loading.delete(token)
    this.#giveUp(preparation)
    this.#ledger.settler.block(now)
    return true
  }

  /** The marks of a settle are committed: their flights leave. */
  marked(token: number, now: Millis): void {
    for (const preparation of this.#takeMarking(token)) {
      this.#load(preparation, now)
      this.kick(preparation.lane, now)
    }
  }

  markFailed(token: number): void {
    for (const preparation of this.#takeMarking(token)) this.#giveUp(preparation)
  }

  #takeMarking(token: number): readonly Preparation[] {
    const preparations = this.#marking.get(token) ?? []
    this.#marking.delete(token)
    return preparations
  }

  #giveUp(preparation: Preparation): void {
    this.#ground(preparation.flight)
    this.#starved.add(preparation.lane)
  }

  /** Runs the timers that are due, and goes on where the store or the window of all was in the way. */
  advance(now: Millis): void {
    for (let timer = this.#timers.peek(); timer !== undefined && timer.at <= now; timer = this.#timers.peek()) {
      this.#timers.pop()
      if (timer.kind === 'receipt') this.#checkReceipts(timer.lane, now)
      else if (timer.kind === 'connect') this.#checkConnect(timer, now)
      else if (timer.lane.retryAt === timer.at) this.kick(timer.lane, now)
    }
    for (const lane of this.#ledger.takeLoosened()) this.kick(lane, now)
    if (this.#starved.size === 0 || this.#ledger.flyingBytes >= maxFlyingBytes || this.#ledger.settler.isBlocked(now)) return
    const starved = [...this.#starved]
    this.#starved.clear()
    for (const lane of starved) this.kick(lane, now)
  }

  /** An attempt to connect that was never answered is over. */
  #checkConnect({ lane, at }: Timer, now: Millis): void {
    if (!lane.isConnecting || lane.connectBy !== at) return
    lane.isConnecting = false
    if (!lane.isIdle) this.fail(lane, now)
  }

  /** Gives the changes that this input made to the store. */
  flush(now: Millis): void {
    const token = this.#ledger.nextToken()
    const settle = this.#ledger.settler.flush(token, now)
    if (settle !== undefined) {
      this.#ledger.emit(settle)
      if (this.#unmarked.length > 0) this.#marking.set(token, this.#unmarked)
    } else for (const preparation of this.#unmarked) this.#giveUp(preparation)
    if (this.#unmarked.length > 0) this.#unmarked = []
  }

  #armReceiptTimer(lane: Lane, at: Millis): void {
    lane.hasReceiptTimer = true
    this.#timers.push({ lane, at, kind: 'receipt' })
  }

  #checkReceipts(lane: Lane, now: Millis): void {
    lane.hasReceiptTimer = false
    const oldest = oldestSent(lane)
    if (oldest === undefined) return
    const silentAt = after(oldest > lane.lastReceiptAt ? oldest : lane.lastReceiptAt, receiptTimes.silenceMs)
    const due = earliest(silentAt, after(oldest, receiptTimes.batchMs))
    if (due !== undefined && due > now) return this.#armReceiptTimer(lane, due)
    if (lane.link !== undefined) this.#ledger.emit({ type: 'reset', destination: lane.destination.publicKey, via: lane.via, link: lane.link })
    this.#dropLink(lane)
    this.fail(lane, now)
  }
}

function oldestSent(lane: Lane): Millis | undefined {
  for (const flight of lane.flights) if (flight.sentAt !== undefined) return flight.sentAt
  return undefined
}
