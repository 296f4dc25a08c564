import { MeshError, type Pieces } from '../core/base/index.ts'
import { FrameQueue } from './frame-queue.ts'

/** What the writer needs of what is below it. */
export interface WritableLink {
  readonly writableNeedsDrain: boolean
  /** Takes one write, in pieces; returns whether it takes more. */
  send(pieces: readonly Uint8Array[]): boolean
}

/**
 * The most that one write has: with yamux's header (12 bytes) it just fills one message of libp2p's Noise (65,519 bytes). A larger one
 * would leave as two, the second one tiny and with system calls of its own.
 */
export const writeBytes = 65_507
/** `send` waits above this. */
const highWaterBytes = 524_288
/** A caller that does not wait is stopped here. */
const maxQueueBytes = 16_777_216

const done = Promise.resolve()

interface Waiter {
  readonly below: number
  readonly resolve: () => void
  readonly reject: (error: MeshError) => void
}

export interface LinkWriterOptions {
  readonly link: WritableLink
  readonly protocol: string
  readonly onBytes: (bytes: number) => void
  /** Default `writeBytes`. */
  readonly maxWriteBytes?: number
}

/**
 * Writes frames to a stream, many in one write, a large one in several: what is sent within one turn of the event loop leaves together, in a microtask, so that
 * an idle link adds no latency. The bytes of large frames are not copied. While the stream asks for a drain nothing is written: ignoring it ends in a reset.
 */
export class LinkWriter {
  readonly #link: WritableLink
  readonly #protocol: string
  readonly #onBytes: (bytes: number) => void
  readonly #maxWriteBytes: number
  readonly #queue = new FrameQueue()
  #scheduled = false
  #waiters: Waiter[] = []
  #error: MeshError | undefined
  #writes = 0

  constructor(options: LinkWriterOptions) {
    this.#link = options.link
    this.#protocol = options.protocol
    this.#onBytes = options.onBytes
    this.#maxWriteBytes = options.maxWriteBytes ?? writeBytes
  }

  /** Bytes that wait for the stream, lengths included. */
  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /** How many writes were made; a stalled link makes none. */
  get writes(): number {
    return this.#writes
  }

  /**
   * Queues a frame, whose bytes stay as they are until they are written; resolves once the queue is under its high-water mark.
   * @param onTaken - for a link that is done with the bytes when its `send` returns: called once it has taken the whole frame, unless the writer fails before
   */
  send(frame: Pieces, onTaken?: () => void): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#queue.bytes > maxQueueBytes) {
      return Promise.reject(new MeshError('PROTOCOL_LIMIT', { protocol: this.#protocol, reason: 'the queue of the writer is full' }))
    }
    this.#queue.push(frame, onTaken)
    if (!this.#scheduled && !this.#link.writableNeedsDrain) {
      this.#scheduled = true
      queueMicrotask(() => this.pump())
    }
    return this.#queue.bytes <= highWaterBytes ? done : this.#whenBelow(highWaterBytes)
  }

  /** Resolves when the stream took all that was queued. */
  flush(): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    return this.#queue.bytes === 0 ? done : this.#whenBelow(0)
  }

  /** Writes as much as the stream takes now; to be called when it drained. */
  pump(): void {
    this.#scheduled = false
    try {
      while (this.#queue.bytes > 0 && this.#error === undefined && !this.#link.writableNeedsDrain) {
        const before = this.#queue.bytes
        const pieces = this.#queue.take(this.#maxWriteBytes)
        this.#writes += 1
        this.#onBytes(before - this.#queue.bytes)
        const takesMore = this.#link.send(pieces)
        this.#queue.release()
        if (!takesMore) break
      }
    } catch (cause) {
      this.fail(new MeshError('PEER_UNREACHABLE', { peer: 'the peer', reason: 'the stream is closed' }, { cause }))
    }
    this.#wake()
  }

  /** Drops the queue; every waiting and later call rejects with `error`. */
  fail(error: MeshError): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#queue.clear()
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(error)
  }

  #whenBelow(below: number): Promise<void> {
    return new Promise<void>((resolve, reject) => this.#waiters.push({ below, resolve, reject }))
  }

  #wake(): void {
    if (this.#waiters.length === 0) return
    const waiting = this.#waiters
    this.#waiters = []
    for (const waiter of waiting) {
      if (this.#queue.bytes <= waiter.below) waiter.resolve()
      else this.#waiters.push(waiter)
    }
  }
}
