import type { Stream } from '@libp2p/interface'
import { type Clock, type Millis, MeshError, type Pieces, byteLength, earliest, after } from '../core/base/index.ts'
import type { ConnectionPath } from '../core/nat/index.ts'
import { FrameReader } from './frame-reader.ts'
import type { FrameStream } from './frame-stream.ts'
import { LinkWriter, type WritableLink } from './link-writer.ts'
import { messageOf } from './piece-list.ts'
import type { Timers } from './ports.ts'
import type { ProtocolLimits } from './protocol-table.ts'

/** Reading stops while this much is held and the consumer has something to take. */
export const highWaterBytes = 262_144
/** How long a closed stream waits for the other side to close, too. */
const lingerMs = 5_000
/** How often a blocked writer looks for itself whether the stream takes more. */
const drainPollMs = 1_000

export interface FramedStreamOptions {
  readonly stream: Stream
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly path: ConnectionPath
  readonly remoteHost: string
  readonly capacityBytes?: number | undefined
  readonly limits: ProtocolLimits
  readonly clock: Clock
  readonly timers: Timers
  /** How long (ms) until the peer's rate lets the next frame be taken; 0 = now. Called once for each frame. */
  readonly frameDelayMs: () => number
  /** Bytes of frames, lengths included. */
  readonly onSent: (bytes: number) => void
  readonly onReceived: (bytes: number) => void
  /** The stream ended because the peer broke a limit, a format or a deadline. */
  readonly onOffence: (error: MeshError) => void
}

interface Deadline {
  readonly at: Millis
  readonly timeoutMs: number
  readonly operation: string
}

interface Pending {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void
  readonly reject: (error: MeshError) => void
}

const finished: IteratorResult<Uint8Array> = { done: true, value: undefined }

/** A libp2p stream as the writer sees it. */
const linkTo = (stream: Stream): WritableLink => ({
  get writableNeedsDrain(): boolean {
    return stream.writableNeedsDrain
  },
  send: (pieces) => stream.send(messageOf(stream, pieces))
})

/** A FrameStream over one libp2p stream. Made by ProtocolHost only. */
export class FramedStream implements FrameStream {
  readonly closed: Promise<void>
  readonly #options: FramedStreamOptions
  readonly #reader: FrameReader
  readonly #writer: LinkWriter
  readonly #resolveClosed: () => void
  #heldAbove: () => number = () => 0
  #pending: Pending | undefined
  #error: MeshError | undefined
  #offenceError: MeshError | undefined
  #ended = false
  #readEnded = false
  #remoteClosed = false
  #closing = false
  #paused = false
  #resuming = false
  #paidFor = false
  #cancelTimer: (() => void) | undefined
  #timerAt: Millis | undefined
  #cancelDelay: (() => void) | undefined
  #unheardSince: Millis | undefined
  #partialSince: Millis | undefined
  #quietSince: Millis
  #blockedSince: Millis | undefined
  #writesSeen = 0

  constructor(options: FramedStreamOptions) {
    this.#options = options
    const { stream, limits } = options
    this.#reader = new FrameReader({ protocol: limits.id, maxFrameBytes: limits.maxFrameBytes })
    this.#writer = new LinkWriter({ link: linkTo(stream), protocol: limits.id, onBytes: options.onSent })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    this.#resolveClosed = resolve
    this.#quietSince = options.clock.monotonic()
    if (stream.direction === 'inbound') this.#unheardSince = this.#quietSince
    this.#listen(stream)
    this.#catchUp(stream)
    this.#arm()
  }

  get peerId(): string {
    return this.#options.peerId
  }

  get path(): ConnectionPath {
    return this.#options.path
  }

  get remoteHost(): string {
    return this.#options.remoteHost
  }

  get capacityBytes(): number | undefined {
    return this.#options.capacityBytes
  }

  get publicKey(): Uint8Array {
    return this.#options.publicKey
  }

  /** Bytes held for a consumer that has not taken them. */
  get heldBytes(): number {
    return this.#reader.held + this.#options.stream.readBufferLength + this.#heldAbove()
  }

  countHeld(heldBytes: () => number): void {
    this.#heldAbove = heldBytes
  }

  /** What the peer did wrong, when that ended the stream. */
  get offence(): MeshError | undefined {
    return this.#offenceError
  }

  /** Resets the stream because the node holds too much that was not read. */
  shed(): void {
    this.#offence(new MeshError('PROTOCOL_LIMIT', { protocol: this.#options.limits.id, reason: 'too much is unread on this node' }))
  }

  frames(): AsyncIterable<Uint8Array> {
    const iterator: AsyncIterator<Uint8Array> = {
      next: () => this.#next(),
      return: () => Promise.resolve(finished)
    }
    return { [Symbol.asyncIterator]: () => iterator }
  }

  send(frame: Pieces): Promise<void> {
    const { limits } = this.#options
    const bytes = byteLength(frame)
    if (bytes === 0 || bytes > limits.maxFrameBytes) {
      return Promise.reject(
        new MeshError('PROTOCOL_LIMIT', { protocol: limits.id, reason: `a frame of ${bytes} bytes, 1 to ${limits.maxFrameBytes} are sent` })
      )
    }
    if (this.#closing) return Promise.reject(this.#error ?? this.#unreachable('the stream is closed'))
    const sent = this.#writer.send(frame)
    if (this.#blockedSince === undefined) this.#watchWriter()
    return sent
  }

  flush(): Promise<void> {
    return this.#writer.flush()
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#reader.clear()
    this.#regulate()
    this.#partialSince = undefined
    try {
      await this.#writer.flush()
      await this.#options.stream.close({ signal: AbortSignal.timeout(lingerMs) })
      this.#options.timers.schedule(lingerMs, () => this.#endQuietly())
    } catch {
      this.#endQuietly()
    }
    this.#advance()
  }

  abort(reason: MeshError): void {
    this.#fail(reason)
  }

  #listen(stream: Stream): void {
    stream.addEventListener('message', (event) => this.#receive(event.data))
    stream.addEventListener('drain', () => this.#drained())
    stream.addEventListener('remoteCloseWrite', () => {
      this.#remoteClosed = true
    })
    stream.addEventListener('end', () => this.#endReading())
    stream.addEventListener('close', (event) => {
      if (event.error !== undefined)
        this.#fail(this.#unreachable(event.local === true ? event.error.message : 'the peer reset the stream', event.error))
      else this.#end()
    })
  }

  // What happened before anybody listened is not told again: a reset that came while the stream was being opened would leave a reader waiting for ever.
  #catchUp(stream: Stream): void {
    if (stream.remoteWriteStatus === 'closed')
      this.#remoteClosed = stream.status === 'open' || stream.status === 'closing' || stream.status === 'closed'
    if (stream.status === 'reset' || stream.status === 'aborted') this.#fail(this.#unreachable('the peer reset the stream'))
    else if (stream.status === 'closed') this.#end()
    else if (stream.readableEnded && stream.readBufferLength === 0) this.#endReading()
  }

  #receive(data: Uint8Array | Iterable<Uint8Array>): void {
    if (this.#error !== undefined || this.#closing) return
    const before = this.#reader.held
    if (data instanceof Uint8Array) this.#reader.push(data)
    else for (const chunk of data) this.#reader.push(chunk)
    this.#options.onReceived(this.#reader.held - before)
    this.#unheardSince = undefined
    this.#quietSince = this.#options.clock.monotonic()
    const { stream } = this.#options
    // What libp2p read too far while it negotiated is given out after its `end`.
    if (stream.readableEnded && stream.readBufferLength === 0) this.#endReading()
    else this.#advance()
  }

  #next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#pending !== undefined) return Promise.reject(new MeshError('INTERNAL', { reason: 'frames() has two readers' }))
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#advance()
    })
  }

  /** Gives a frame to who waits for one, within the peer's rate, and stops or goes on reading. */
  #advance(): void {
    try {
      const ready = this.#reader.ready
      if (ready && this.#pending !== undefined && this.#rateAllows()) this.#give(this.#pending)
      else if (!ready && this.#pending !== undefined && (this.#readEnded || this.#closing)) this.#finish(this.#pending)
      this.#regulate()
    } catch (error) {
      this.#offence(error instanceof MeshError ? error : new MeshError('INTERNAL', { reason: String(error) }, { cause: error }))
    }
  }

  #give(pending: Pending): void {
    this.#paidFor = false
    this.#pending = undefined
    this.#partialSince = undefined
    pending.resolve({ done: false, value: this.#reader.take() })
  }

  #finish(pending: Pending): void {
    this.#pending = undefined
    if (this.#closing) pending.resolve(finished)
    else if (this.#error !== undefined) pending.reject(this.#error)
    else if (this.#reader.held > 0) pending.reject(this.#unreachable('the stream ended within a frame'))
    else if (!this.#remoteClosed) pending.reject(this.#unreachable('the connection ended'))
    else pending.resolve(finished)
  }

  #rateAllows(): boolean {
    if (this.#cancelDelay !== undefined) return false
    if (this.#paidFor) return true
    const delayMs = this.#options.frameDelayMs()
    this.#paidFor = true
    if (delayMs <= 0) return true
    this.#cancelDelay = this.#options.timers.schedule(delayMs, () => {
      this.#cancelDelay = undefined
      this.#advance()
    })
    return false
  }

  // Reading pauses only while a whole frame waits for its consumer, so that a large frame can always be completed.
  #regulate(): void {
    if (this.#readEnded) return
    const { clock } = this.#options
    const ready = this.#reader.ready
    if (!this.#resuming) this.#throttle()
    const partial = !ready && this.#reader.held > 0
    if (!partial) this.#partialSince = undefined
    else if (this.#partialSince === undefined) {
      this.#partialSince = clock.monotonic()
      this.#arm()
    }
  }

  // libp2p hands out what it held before it goes on: a pause in the midst of that would be undone by the muxer, which then lets the peer send without end.
  #throttle(): void {
    const { stream } = this.#options
    const isFull = (): boolean => this.#reader.ready && this.#reader.held >= highWaterBytes
    const isOpen = (): boolean => stream.readStatus !== 'closed' && stream.readStatus !== 'closing'
    while (isFull() !== this.#paused && isOpen()) {
      this.#paused = !this.#paused
      if (this.#paused) {
        stream.pause()
        continue
      }
      this.#resuming = true
      stream.resume()
      this.#resuming = false
    }
  }

  #drained(): void {
    this.#writer.pump()
    this.#blockedSince = undefined
    this.#watchWriter()
  }

  #watchWriter(): void {
    if (this.#writer.queuedBytes === 0 || this.#ended) return
    this.#blockedSince = this.#options.clock.monotonic()
    this.#writesSeen = this.#writer.writes
    this.#arm()
  }

  /** What the peer has to do, by when. */
  #deadlines(): readonly Deadline[] {
    const { limits } = this.#options
    const list: Deadline[] = []
    const add = (since: Millis | undefined, timeoutMs: number, operation: string): void => {
      if (since !== undefined) list.push({ at: after(since, timeoutMs), timeoutMs, operation })
    }
    add(this.#unheardSince, limits.firstByteMs, 'the first byte')
    add(this.#partialSince, limits.frameMs, 'a frame')
    add(this.#blockedSince, limits.writeMs, 'a write')
    const idle = limits.idleMs > 0 && !this.#readEnded && this.#reader.held === 0 && this.#writer.queuedBytes === 0
    add(idle ? this.#quietSince : undefined, limits.idleMs, 'the next frame')
    return list
  }

  // One timer a stream; it is set anew only when an earlier deadline appears.
  #arm(): void {
    if (this.#ended) return
    const now = this.#options.clock.monotonic()
    const poll = this.#blockedSince === undefined ? undefined : after(now, drainPollMs)
    const wake = earliest(poll, ...this.#deadlines().map((deadline) => deadline.at))
    if (wake === undefined || (this.#timerAt !== undefined && this.#timerAt <= wake)) return
    this.#cancelTimer?.()
    this.#timerAt = wake
    this.#cancelTimer = this.#options.timers.schedule(Math.max(1, wake - now), () => this.#check())
  }

  #check(): void {
    this.#timerAt = undefined
    this.#cancelTimer = undefined
    if (this.#ended) return
    if (this.#writer.queuedBytes === 0) this.#blockedSince = undefined
    else if (this.#writer.writes !== this.#writesSeen) this.#watchWriter()
    // A drain that libp2p forgot to announce does not stall the link for ever.
    if (this.#writer.queuedBytes > 0 && !this.#options.stream.writableNeedsDrain) this.#drained()
    const now = this.#options.clock.monotonic()
    const missed = this.#deadlines().find((deadline) => deadline.at <= now)
    if (missed === undefined) return this.#arm()
    const { timeoutMs, operation } = missed
    this.#offence(new MeshError('TIMEOUT', { operation: `${operation} of ${this.#options.limits.id}`, timeoutMs }))
  }

  #offence(error: MeshError): void {
    if (this.#ended) return
    this.#offenceError = error
    this.#options.onOffence(error)
    this.#fail(error)
  }

  #unreachable(reason: string, cause?: unknown): MeshError {
    return new MeshError('PEER_UNREACHABLE', { peer: this.#options.peerId, reason }, { cause })
  }

  #endQuietly(): void {
    if (!this.#ended) this.#fail(this.#unreachable('the stream is closed'))
  }

  #fail(error: MeshError): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#reader.clear()
    this.#options.stream.abort(error)
    this.#end()
  }

  #endReading(): void {
    if (this.#readEnded) return
    this.#readEnded = true
    this.#unheardSince = undefined
    // The side that stopped sending is not kept waiting for an answer for ever.
    if (!this.#ended) this.#options.timers.schedule(this.#options.limits.writeMs, () => this.#endQuietly())
    this.#advance()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelTimer?.()
    this.#writer.fail(this.#error ?? this.#unreachable('the stream is closed'))
    this.#resolveClosed()
    // libp2p keeps what was unread while it was paused; its `end` follows when that was given out.
    if (this.#error !== undefined || this.#options.stream.readBufferLength === 0) this.#endReading()
    else this.#advance()
  }
}
