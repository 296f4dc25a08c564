import { randomBytes } from 'node:crypto'
import type { Operations, OutputOf } from '../../api/index.ts'
import type { Mesh, MeshEvents, ReceivedMessage, SendReport } from '../../mesh/mesh.ts'
import { wireMessage, wirePeer, wireReport } from '../convert.ts'

type FeedItem = OutputOf<Operations['events']>
type WithoutCursor<Item> = Item extends FeedItem ? Omit<Item, 'cursor'> : never
/** What an item tells, before it is known where its reader stands. */
type Told = WithoutCursor<FeedItem>
type EventName = 'message' | 'outbox' | 'peer'

interface Entry {
  readonly event: EventName
  readonly told: Told
  /** Of a message in the inbox; 0 otherwise. */
  readonly position: number
  readonly bytes: number
}

/** What is kept for readers that fall behind or come back: so many events, and about so many bytes. */
const keptEvents = 1_024
const keptBytes = 8 * 1_048_576
/** What an event takes besides a body, about. */
const entryBytes = 2_048
/** How long events are kept after the last reader has gone. */
const lingerMs = 60_000
/** Messages that are read from the inbox at once; each may have 1 MiB. */
const pageMessages = 8
export const maxReaders = 64

/** Where a reader stands: behind which event of which run of the feed, and up to which position of the inbox it has had messages. */
interface Cursor {
  readonly run: string
  readonly sequence: number
  readonly position: number
}

/** A cursor is opaque to readers: run, sequence and position, by points. */
const cursorPattern = /^([0-9a-f]{8})\.(\d{1,15})\.(\d{1,15})$/

/** Whether `text` is a cursor of this software; '0' stands before everything. */
export const isCursor = (text: string): boolean => text === '0' || cursorPattern.test(text)

export interface ReadOptions {
  /** Go on behind this cursor; undefined: only what happens from now on. */
  readonly after: string | undefined
  readonly events: readonly EventName[]
  readonly signal: AbortSignal
}

/**
 * What happens in a node, for any number of readers, each at its own pace. A short tail is kept in memory. A reader that is behind it, or comes back after a
 * restart, is told `missed`, and gets the unread messages behind its position out of the inbox: messages are never missed, the rest is told to be.
 */
export class EventFeed {
  readonly #mesh: Mesh
  readonly #onMissed: (events: number) => void
  readonly #tail: Entry[] = []
  readonly #wakers = new Set<() => void>()
  #run = ''
  /** Of the newest entry. */
  #last = 0
  #bytes = 0
  #readers = 0
  #off: (() => void) | undefined
  #linger: NodeJS.Timeout | undefined

  /** @param onMissed - told of how many events a reader lost. */
  constructor(mesh: Mesh, onMissed: (events: number) => void = () => undefined) {
    this.#mesh = mesh
    this.#onMissed = onMissed
  }

  get readers(): number {
    return this.#readers
  }

  /** The items behind a cursor, then `live` with where the reader stands, then what comes, until `signal` aborts. */
  async *read({ after, events, signal }: ReadOptions): AsyncGenerator<FeedItem> {
    this.#attach()
    try {
      const reader = new Reader(this.#parts(), { after, events })
      while (!signal.aborted) {
        // Armed before looking: nothing that comes meanwhile is overlooked.
        const changed = this.#arm(signal)
        let isIdle = true
        for await (const item of reader.items(signal)) {
          isIdle = false
          yield item
          if (signal.aborted) break
        }
        if (isIdle) await changed.happened
        changed.off()
      }
    } finally {
      this.#detach()
    }
  }

  /** Ends the collecting of events. */
  close(): void {
    clearTimeout(this.#linger)
    this.#off?.()
    this.#off = undefined
    this.#tail.length = 0
    this.#bytes = 0
  }

  #parts(): FeedParts {
    const first = (): number => this.#last - this.#tail.length + 1
    return {
      run: this.#run,
      first,
      last: () => this.#last,
      at: (sequence) => this.#tail[sequence - first()],
      positions: () => new Set(this.#tail.map(({ position }) => position).filter((position) => position > 0)),
      unread: async (position, signal) =>
        (await this.#mesh.inbox.list({ after: position, limit: pageMessages, states: ['unread'] }, { signal })).messages,
      onMissed: this.#onMissed
    }
  }

  #attach(): void {
    this.#readers++
    clearTimeout(this.#linger)
    if (this.#off !== undefined) return
    // A new run: what happened since the last reader left is unknown.
    this.#run = randomBytes(4).toString('hex')
    const off = [
      this.#mesh.on('message', (message) => this.#add(messageEntry(message))),
      this.#mesh.on('outbox', (report) => this.#add(reportEntry(report))),
      this.#mesh.on('peer', (event) => this.#add(peerEntry(event)))
    ]
    this.#off = () => off.forEach((each) => each())
  }

  #detach(): void {
    this.#readers--
    if (this.#readers > 0) return
    clearTimeout(this.#linger)
    this.#linger = setTimeout(() => this.close(), lingerMs)
    this.#linger.unref()
  }

  #add(entry: Entry): void {
    this.#tail.push(entry)
    this.#bytes += entry.bytes
    this.#last++
    while (this.#tail.length > keptEvents || (this.#bytes > keptBytes && this.#tail.length > 1)) this.#bytes -= this.#tail.shift()?.bytes ?? 0
    for (const wake of this.#wakers) wake()
  }

  #arm(signal: AbortSignal): { readonly happened: Promise<void>; off(): void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    const off = (): void => {
      this.#wakers.delete(resolve)
      signal.removeEventListener('abort', resolve as () => void)
    }
    this.#wakers.add(resolve)
    signal.addEventListener('abort', resolve as () => void, { once: true })
    if (signal.aborted) resolve()
    return { happened: promise, off }
  }
}

const messageEntry = (message: ReceivedMessage): Entry => ({
  event: 'message',
  told: { event: 'message', data: wireMessage(message) },
  position: message.delivery === 'durable' ? message.position : 0,
  bytes: entryBytes + message.body.length
})

const reportEntry = (report: SendReport): Entry => ({
  event: 'outbox',
  told: { event: 'outbox', data: wireReport(report) },
  position: 0,
  bytes: entryBytes
})

const peerEntry = ({ type, peer }: MeshEvents['peer']): Entry => ({
  event: 'peer',
  told: { event: 'peer', data: { type, peer: wirePeer(peer) } },
  position: 0,
  bytes: 2 * entryBytes
})

interface FeedParts {
  readonly run: string
  /** The sequence of the oldest entry that is kept. */
  first(): number
  last(): number
  at(sequence: number): Entry | undefined
  /** Of the messages among the entries that are kept. */
  positions(): ReadonlySet<number>
  unread(position: number, signal: AbortSignal): Promise<readonly ReceivedMessage[]>
  onMissed(events: number): void
}

/** Why the inbox is read before anything else: from the beginning, after a restart of the feed, or because the tail does not reach back so far. */
type Gap = 'begin' | 'restarted' | 'behind'

/** The run of a cursor that was given while the inbox was being read: whoever comes back with it goes on reading there. */
const unfinishedRun = '00000000'

/** One reader's place in the feed. */
class Reader {
  readonly #parts: FeedParts
  readonly #events: readonly EventName[]
  /** Of the last entry that it had. */
  #sequence: number
  #position: number
  /** Positions of messages that came out of the inbox and are in the tail as well. */
  #given: ReadonlySet<number> = new Set()
  /** Why the inbox is to be read before anything else. */
  #gap: Gap | undefined
  #state: 'new' | 'catching-up' | 'live' = 'new'

  constructor(parts: FeedParts, options: { readonly after: string | undefined; readonly events: readonly EventName[] }) {
    this.#parts = parts
    this.#events = options.events
    const cursor = cursorOf(options.after)
    const isOwn = cursor !== undefined && cursor.run === parts.run && cursor.sequence <= parts.last()
    this.#sequence = isOwn ? cursor.sequence : parts.last()
    this.#position = cursor?.position ?? 0
    this.#gap = options.after === undefined || isOwn ? undefined : options.after === '0' ? 'begin' : 'restarted'
  }

  /** What can be had now. */
  async *items(signal: AbortSignal): AsyncGenerator<FeedItem> {
    while (!signal.aborted) {
      if (this.#sequence < this.#parts.first() - 1) this.#gap ??= 'behind'
      if (this.#gap !== undefined) yield* this.#catchUp(this.#gap, signal)
      else if (this.#state !== 'live') yield this.#becomeLive()
      else if (this.#sequence < this.#parts.last()) yield* this.#next()
      else return
    }
  }

  #item(told: Told): FeedItem {
    const cursor = this.#state === 'catching-up' ? `${unfinishedRun}.0.${this.#position}` : `${this.#parts.run}.${this.#sequence}.${this.#position}`
    return { ...told, cursor }
  }

  #becomeLive(): FeedItem {
    this.#state = 'live'
    return this.#item({ event: 'live', data: {} })
  }

  /** Goes on at the oldest entry, with the messages that were missed out of the inbox. */
  async *#catchUp(gap: Gap, signal: AbortSignal): AsyncGenerator<FeedItem> {
    this.#gap = undefined
    this.#state = 'catching-up'
    const lost = Math.max(0, this.#parts.first() - 1 - this.#sequence)
    this.#sequence += lost
    if (gap === 'behind') this.#parts.onMissed(lost)
    if (gap !== 'begin') yield this.#item({ event: 'missed', data: gap === 'behind' ? { reason: gap, events: lost } : { reason: gap } })
    if (!this.#events.includes('message')) return
    const given = new Set<number>()
    while (!signal.aborted) {
      const messages = await this.#parts.unread(this.#position, signal)
      if (messages.length === 0) break
      for (const message of messages) {
        this.#position = Math.max(this.#position, message.position)
        given.add(message.position)
        yield this.#item({ event: 'message', data: wireMessage(message) })
      }
    }
    this.#given = new Set([...this.#parts.positions()].filter((position) => given.has(position)))
  }

  *#next(): Generator<FeedItem> {
    const entry = this.#parts.at(this.#sequence + 1)
    if (entry === undefined) return
    this.#sequence++
    const isKnown = this.#given.has(entry.position)
    this.#position = Math.max(this.#position, entry.position)
    if (!isKnown && this.#events.includes(entry.event)) yield this.#item(entry.told)
  }
}

function cursorOf(text: string | undefined): Cursor | undefined {
  const match = cursorPattern.exec(text ?? '')
  return match === null ? undefined : { run: match[1] ?? '', sequence: Number(match[2]), position: Number(match[3]) }
}
