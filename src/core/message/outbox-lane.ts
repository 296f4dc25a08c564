import { type Millis, millis } from '../base/index.ts'
import { batchFrameOverhead } from './batch.ts'
import { Heap, isSentBefore } from './heap.ts'
import type { Destination } from './outbox-destination.ts'
import type { Entry } from './outbox-entry.ts'
import { messageLimits, type Via } from './types.ts'

/** How much may be under way to one destination at a time, without a receipt. */
export const sendWindow = { messages: 4_096, bytes: 4_194_304, partialBatches: 2 } as const

/** Messages whose clocks agree to this may share a batch, hence one `sentAt`. */
const clockToleranceMs = 5_000

/** One batch that was sent over `link` (or is being prepared for it). */
export interface Flight {
  readonly link: number
  readonly entries: readonly Entry[]
  /** Undefined until it is sent. */
  sentAt: Millis | undefined
  /** Messages without a receipt. */
  outstanding: number
}

/** The messages to one destination that take one route: their queue, window, connection and backoff. Mutable: it belongs to one OutboxMachine. */
export class Lane {
  readonly destination: Destination
  readonly via: Via
  link: number | undefined
  path = ''
  /** What `link` can carry at most. */
  #capacityBytes = Number.POSITIVE_INFINITY
  isConnecting = false
  /** When the attempt to connect has failed without an answer. */
  connectBy: Millis | undefined
  /** Failures since the last receipt; persisted. */
  attempts = 0
  /** No attempt before; undefined when there is nothing to wait for. */
  retryAt: Millis | undefined
  lastReceiptAt: Millis = millis(0)
  hasReceiptTimer = false
  readonly flights = new Set<Flight>()
  flyingMessages = 0
  flyingBytes = 0
  /** Entries that can be sent, live ones only. */
  readyCount = 0
  readyBytes = 0
  /** Messages that have not ended (their end committed). */
  liveCount = 0
  readonly #ready = new Heap<Entry>(isSentBefore)
  /** Entries too far ahead of the floor for the recipient to take. */
  readonly #beyond = new Heap<Entry>((a, b) => a.sequence < b.sequence)
  /** Entries that the link of now cannot carry. */
  #tooLarge: Entry[] = []

  constructor(destination: Destination, via: Via) {
    this.destination = destination
    this.via = via
  }

  get isIdle(): boolean {
    return this.liveCount === 0
  }

  /** The floor rose to `floor`: true when entries can be sent now that were too far ahead. */
  loosen(floor: number): boolean {
    let isLoosened = false
    for (let entry = this.#beyond.peek(); entry !== undefined && entry.sequence < floor + messageLimits.sequenceWindow; entry = this.#beyond.peek()) {
      this.#beyond.pop()
      if (entry.stage !== 'ready') continue
      this.#ready.push(entry)
      isLoosened = true
    }
    return isLoosened
  }

  /** A new link: what the last one could not carry is tried again. */
  attach(link: { readonly link: number; readonly path: string; readonly capacityBytes?: number | undefined }): void {
    this.link = link.link
    this.path = link.path
    this.#capacityBytes = link.capacityBytes ?? Number.POSITIVE_INFINITY
    for (const entry of this.#tooLarge) if (entry.stage === 'ready') this.#ready.push(entry)
    this.#tooLarge = []
  }

  /** Whether a message of so many bytes can go over the link of now. */
  canCarry(bytes: number): boolean {
    return this.link !== undefined && bytes + batchFrameOverhead.message <= this.#capacityBytes
  }

  /** Puts an entry in the queue. */
  makeReady(entry: Entry): void {
    entry.stage = 'ready'
    this.readyCount++
    this.readyBytes += entry.bytes
    this.#ready.push(entry)
  }

  /** Takes an entry out of the queue because it ended; the heap forgets it later. */
  dropReady(entry: Entry): void {
    this.readyCount--
    this.readyBytes -= entry.bytes
    if (this.#ready.size > 2 * this.readyCount + 1_024) this.#ready.retain((item) => item.stage === 'ready')
    if (this.#beyond.size > 2 * this.readyCount + 1_024) this.#beyond.retain((item) => item.stage === 'ready')
    if (this.#tooLarge.length > 2 * this.readyCount + 1_024) this.#tooLarge = this.#tooLarge.filter((item) => item.stage === 'ready')
  }

  /** Those in the queue, in no particular order. */
  readyEntries(): readonly Entry[] {
    return [...this.#ready.items(), ...this.#beyond.items(), ...this.#tooLarge].filter((entry) => entry.stage === 'ready')
  }

  /** Whether another batch may leave now: the window has room, and it is full or few are under way. */
  hasRoom(): boolean {
    if (this.readyCount === 0 || this.flyingMessages >= sendWindow.messages || this.flyingBytes >= sendWindow.bytes) return false
    const isFull = this.readyCount >= messageLimits.batchMessages || this.readyBytes >= messageLimits.batchBytes
    return isFull || this.flights.size < sendWindow.partialBatches
  }

  /** Takes the next batch out of the queue: by priority, then sequence; none that expired, that the recipient would refuse or that the link cannot carry. */
  takeBatch(now: Millis): Entry[] {
    const { floor } = this.destination
    const taken: Entry[] = []
    const aside: Entry[] = []
    let bytes = 0
    let offset: number | undefined
    while (taken.length < messageLimits.batchMessages && aside.length < messageLimits.batchMessages) {
      const entry = this.#ready.peek()
      if (entry === undefined) break
      const size = entry.bytes + batchFrameOverhead.message
      const isCarried = this.canCarry(entry.bytes)
      if (entry.stage === 'ready' && isCarried && !this.#hasRoomFor(size, bytes)) break
      this.#ready.pop()
      if (entry.stage !== 'ready') continue
      if (entry.sequence >= floor + messageLimits.sequenceWindow) this.#beyond.push(entry)
      else if (!isCarried) this.#tooLarge.push(entry)
      else if (entry.deadline <= now || Math.abs(entry.clockOffset - (offset ?? entry.clockOffset)) > clockToleranceMs) aside.push(entry)
      else {
        offset ??= entry.clockOffset
        bytes += size
        taken.push(entry)
      }
    }
    for (const entry of aside) this.#ready.push(entry)
    for (const entry of taken) {
      this.readyCount--
      this.readyBytes -= entry.bytes
    }
    return taken
  }

  /** Whether a message fits beside the others of a batch, and beside what is under way. */
  #hasRoomFor(size: number, batchBytes: number): boolean {
    const fitsBatch = batchBytes === 0 || batchBytes + size <= messageLimits.batchBytes
    return fitsBatch && this.flyingBytes + batchBytes + size <= this.#capacityBytes
  }

  /** Counts a batch as under way. */
  launch(entries: readonly Entry[], link: number): Flight {
    const flight: Flight = { link, entries, sentAt: undefined, outstanding: entries.length }
    this.flights.add(flight)
    this.flyingMessages += entries.length
    for (const entry of entries) {
      entry.stage = 'preparing'
      entry.flight = flight
      this.flyingBytes += entry.bytes
    }
    return flight
  }

  /** Counts one message as no longer under way. */
  land(entry: Entry): void {
    const { flight } = entry
    if (flight === undefined) return
    entry.flight = undefined
    this.flyingMessages--
    this.flyingBytes -= entry.bytes
    flight.outstanding--
    if (flight.outstanding === 0) this.flights.delete(flight)
  }
}
