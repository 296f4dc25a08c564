import { after, earliest, type Millis, wallMillis } from '../base/index.ts'
import { instantAt } from './age.ts'
import { backoffMs } from './backoff.ts'
import { sealBatch } from './batch.ts'
import { Heap } from './heap.ts'
import { type Destination, type Flight, mapKey } from './outbox-destination.ts'
import type { Entry } from './outbox-entry.ts'
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
  readonly destination: Destination
  readonly at: Millis
  readonly kind: 'retry' | 'receipt' | 'connect'
}

/** A flight that waits for the store. */
export interface Preparation {
  readonly flight: Flight
  readonly destination: Destination
}

/** The part of an OutboxMachine that connects, cuts batches, sends them and waits for their receipts. */
export class OutboxSender {
  readonly #options: OutboxOptions
  readonly #sha256: Sha256
  readonly #ledger: OutboxLedger
  readonly #timers = new Heap<Timer>((a, b) => a.at < b.at)
  /** Destinations that wait for the store, or for the window of all destinations. */
  readonly #starved = new Set<Destination>()
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
    const destination = this.#ledger.destinationOf(retry.destination)
    destination.attempts = retry.attempts
    if (retry.attempts === 0 || destination.isIdle) return
    const waitedMs = retry.lastAttempt.bootId === at.bootId ? at.monotonic - retry.lastAttempt.monotonic : 0
    this.#retryAt(destination, after(at.monotonic, Math.max(0, backoffMs(retry.attempts, random) - waitedMs)))
  }

  connected(input: Extract<OutboxInput, { type: 'connected' }>, now: Millis): void {
    const destination = this.#ledger.destinationOf(input.destination)
    if (destination.link !== undefined) this.#dropLink(destination)
    destination.isConnecting = false
    destination.attach(input)
    destination.lastReceiptAt = now
    this.kick(destination, now)
  }

  disconnected(input: Extract<OutboxInput, { type: 'disconnected' }>, now: Millis): void {
    const destination = this.#ledger.destinationOf(input.destination)
    if (destination.isUnused) this.#ledger.destinations.delete(mapKey(input.destination))
    if (destination.link !== input.link) return
    this.#dropLink(destination)
    for (const entry of destination.readyEntries()) this.#unmark(entry)
    if (!destination.isIdle) this.fail(destination, now)
  }

  /** Written as sent because a stream was at hand, and then not sent: the store says `accepted` again. */
  #unmark(entry: Entry): void {
    if (entry.committed !== 'sent' || entry.isSent) return
    entry.committed = 'accepted'
    entry.wanted = 'accepted'
    this.#ledger.settler.mark(entry)
  }

  #dropLink(destination: Destination): void {
    destination.link = undefined
    for (const flight of destination.flights) this.#ground(flight)
  }

  /** Puts what a flight still carries back into the queue. */
  #ground(flight: Flight): void {
    for (const entry of flight.entries) if (entry.flight === flight) this.#ledger.requeue(entry)
  }

  unreachable(publicKey: Uint8Array, now: Millis): void {
    const destination = this.#ledger.destinations.get(mapKey(publicKey))
    if (destination === undefined) return
    destination.isConnecting = false
    if (!destination.isIdle) this.fail(destination, now)
  }

  reachable(publicKey: Uint8Array, now: Millis): void {
    const destination = this.#ledger.destinations.get(mapKey(publicKey))
    if (destination !== undefined && destination.link === undefined) this.hurry(destination, now)
  }

  /** Tries now; the count of failures stays. */
  hurry(destination: Destination, now: Millis): void {
    destination.retryAt = undefined
    this.kick(destination, now)
  }

  /** One more failure of the destination: it waits longer. Failures during a wait count once. */
  fail(destination: Destination, now: Millis): void {
    if (destination.retryAt !== undefined && destination.retryAt > now) return
    destination.attempts++
    this.#retryAt(destination, after(now, backoffMs(destination.attempts, this.#options.random)))
    this.#saveRetry(destination, now)
  }

  /** The destination answered: only that ends a row of failures, a mere connection does not. */
  answered(destination: Destination, now: Millis): void {
    destination.lastReceiptAt = now
    if (destination.attempts === 0) return
    destination.attempts = 0
    this.#saveRetry(destination, now)
  }

  #saveRetry(destination: Destination, now: Millis): void {
    const { publicKey, attempts } = destination
    this.#ledger.emit({ type: 'save-retry', retry: { destination: publicKey, attempts, lastAttempt: instantAt(this.#options.at, now) } })
  }

  #retryAt(destination: Destination, at: Millis): void {
    destination.retryAt = at
    this.#timers.push({ destination, at, kind: 'retry' })
  }

  /** Does the next thing that brings the destination's queue forward. */
  kick(destination: Destination, now: Millis): void {
    if (destination.retryAt !== undefined && destination.retryAt > now) return
    destination.retryAt = undefined
    if (destination.readyCount === 0) return
    if (destination.link !== undefined) this.#launch(destination, now)
    else if (!destination.isConnecting) {
      destination.isConnecting = true
      destination.connectBy = after(now, connectMs)
      this.#timers.push({ destination, at: destination.connectBy, kind: 'connect' })
      this.#ledger.emit({ type: 'connect', destination: destination.publicKey })
    }
  }

  #launch(destination: Destination, now: Millis): void {
    const ledger = this.#ledger
    while (destination.link !== undefined && destination.hasRoom()) {
      if (ledger.flyingBytes >= maxFlyingBytes || ledger.settler.isBlocked(now)) {
        this.#starved.add(destination)
        return
      }
      const entries = destination.takeBatch(now)
      if (entries.length === 0) return
      const flight = destination.launch(entries, destination.link)
      ledger.flying += entries.length
      for (const entry of entries) ledger.flyingBytes += entry.bytes
      this.#prepare({ flight, destination }, now)
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

  #send({ flight, destination }: Preparation, now: Millis): void {
    const entries = flight.entries.filter((entry) => entry.flight === flight)
    if (entries.length === 0) return
    if (destination.link !== flight.link) return this.#ground(flight)
    const { recovery, random, signer } = this.#options
    const { floor, publicKey } = destination
    const clockOffset = Math.max(...entries.map((entry) => entry.clockOffset))
    const sentAt = wallMillis(Math.max(0, Math.round(now + clockOffset)))
    const envelopes = entries.map((entry) => this.#transmit(entry))
    const frame = sealBatch(
      { header: { destination: publicKey, epoch: recovery.epoch, sentAt, floor }, envelopes },
      { signer, random, sha256: this.#sha256 }
    )
    flight.sentAt = now
    this.#ledger.emit({ type: 'send', destination: publicKey, link: flight.link, frame, messages: entries.length })
    if (!destination.hasReceiptTimer) this.#armReceiptTimer(destination, after(now, receiptTimes.silenceMs))
  }

  #transmit(entry: Entry): Uint8Array {
    const envelope = entry.envelope ?? new Uint8Array()
    entry.envelopeDigest ??= this.#sha256(envelope)
    entry.stage = 'flying'
    entry.isSent = true
    entry.lastRefusal = undefined
    entry.attempts++
    entry.path = entry.destination.path
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
    const { flight, destination } = preparation
    const byId = new Map(rows.map((row) => [row.id, row.envelope]))
    for (const entry of flight.entries) {
      if (entry.flight !== flight || entry.envelope !== undefined) continue
      const envelope = byId.get(entry.id)
      // A row that is gone was not ours to lose: say so instead of waiting for ever.
      if (envelope === undefined || envelope.length === 0) this.#ledger.end(entry, { state: 'failed', failure: 'STATE_CORRUPT' }, now)
      else this.#ledger.hold(entry, envelope)
    }
    this.#send(preparation, now)
    this.kick(destination, now)
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
      this.kick(preparation.destination, now)
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
    this.#starved.add(preparation.destination)
  }

  /** Runs the timers that are due, and goes on where the store or the window of all was in the way. */
  advance(now: Millis): void {
    for (let timer = this.#timers.peek(); timer !== undefined && timer.at <= now; timer = this.#timers.peek()) {
      this.#timers.pop()
      if (timer.kind === 'receipt') this.#checkReceipts(timer.destination, now)
      else if (timer.kind === 'connect') this.#checkConnect(timer, now)
      else if (timer.destination.retryAt === timer.at) this.kick(timer.destination, now)
    }
    for (const destination of this.#ledger.takeLoosened()) this.kick(destination, now)
    if (this.#starved.size === 0 || this.#ledger.flyingBytes >= maxFlyingBytes || this.#ledger.settler.isBlocked(now)) return
    const starved = [...this.#starved]
    this.#starved.clear()
    for (const destination of starved) this.kick(destination, now)
  }

  /** An attempt to connect that was never answered is over. */
  #checkConnect({ destination, at }: Timer, now: Millis): void {
    if (!destination.isConnecting || destination.connectBy !== at) return
    destination.isConnecting = false
    if (!destination.isIdle) this.fail(destination, now)
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

  #armReceiptTimer(destination: Destination, at: Millis): void {
    destination.hasReceiptTimer = true
    this.#timers.push({ destination, at, kind: 'receipt' })
  }

  #checkReceipts(destination: Destination, now: Millis): void {
    destination.hasReceiptTimer = false
    const oldest = oldestSent(destination)
    if (oldest === undefined) return
    const silentAt = after(oldest > destination.lastReceiptAt ? oldest : destination.lastReceiptAt, receiptTimes.silenceMs)
    const due = earliest(silentAt, after(oldest, receiptTimes.batchMs))
    if (due !== undefined && due > now) return this.#armReceiptTimer(destination, due)
    if (destination.link !== undefined) this.#ledger.emit({ type: 'reset', destination: destination.publicKey, link: destination.link })
    this.#dropLink(destination)
    this.fail(destination, now)
  }
}

function oldestSent(destination: Destination): Millis | undefined {
  for (const flight of destination.flights) if (flight.sentAt !== undefined) return flight.sentAt
  return undefined
}
