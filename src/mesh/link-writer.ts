import { MeshError } from '../core/base/index.ts'

/** What the writer needs of a libp2p 3 stream. */
export interface WritableLink {
  readonly writableNeedsDrain: boolean
  send(bytes: Uint8Array): boolean
}

/**
 * The most that one write has: with yamux's header (12 bytes) it just fills one message of libp2p's Noise (65,519 bytes). A larger one
 * would leave as two, the second one tiny and with system calls of its own.
 */
export const writeBytes = 65_507
const lengthBytes = 4
/** Filled and sent within one call: no other writer comes between. */
const scratch = new Uint8Array(writeBytes)
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
  /** By default, and at most, `writeBytes`. */
  readonly maxWriteBytes?: number
  /** For a link that is done with the bytes when its `send` returns: every write of all such writers is in one and the same buffer. */
  readonly reuseBuffer?: boolean
}

/**
 * Writes frames to a stream, many in one write, a large one in several: what is sent within one turn of the event loop leaves together, in a microtask, so that
 * an idle link adds no latency. While the stream asks for a drain nothing is written: ignoring it ends in a reset.
 */
export class LinkWriter {
  readonly #link: WritableLink
  readonly #protocol: string
  readonly #onBytes: (bytes: number) => void
  readonly #maxWriteBytes: number
  readonly #reusesBuffer: boolean
  #queue: Uint8Array[] = []
  #head = 0
  /** Bytes of the first frame, its length included, that were written already. */
  #offset = 0
  #queuedBytes = 0
  #scheduled = false
  #waiters: Waiter[] = []
  #error: MeshError | undefined
  #writes = 0

  constructor(options: LinkWriterOptions) {
    this.#link = options.link
    this.#protocol = options.protocol
    this.#onBytes = options.onBytes
    this.#maxWriteBytes = options.maxWriteBytes ?? writeBytes
    this.#reusesBuffer = options.reuseBuffer === true
  }

  /** Bytes that wait for the stream, lengths included. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** How many writes were made; a stalled link makes none. */
  get writes(): number {
    return this.#writes
  }

  /** Queues a frame; resolves once the queue is under its high-water mark. */
  send(frame: Uint8Array): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    if (this.#queuedBytes > maxQueueBytes) {
      return Promise.reject(new MeshError('PROTOCOL_LIMIT', { protocol: this.#protocol, reason: 'the queue of the writer is full' }))
    }
    this.#queue.push(frame)
    this.#queuedBytes += frame.length + lengthBytes
    if (!this.#scheduled && !this.#link.writableNeedsDrain) {
      this.#scheduled = true
      queueMicrotask(() => this.pump())
    }
    return this.#queuedBytes <= highWaterBytes ? done : this.#whenBelow(highWaterBytes)
  }

  /** Resolves when the stream took all that was queued. */
  flush(): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    return this.#queuedBytes === 0 ? done : this.#whenBelow(0)
  }

  /** Writes as much as the stream takes now; to be called when it drained. */
  pump(): void {
    this.#scheduled = false
    try {
      while (this.#queuedBytes > 0 && this.#error === undefined && !this.#link.writableNeedsDrain) {
        const bytes = this.#nextWrite()
        this.#writes += 1
        this.#onBytes(bytes.length)
        if (!this.#link.send(bytes)) break
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
    this.#queue = []
    this.#head = 0
    this.#offset = 0
    this.#queuedBytes = 0
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(error)
  }

  /** The next bytes of the queue, cut wherever a write is full. */
  #nextWrite(): Uint8Array {
    const length = Math.min(this.#maxWriteBytes, this.#queuedBytes)
    const bytes = this.#reusesBuffer ? scratch.subarray(0, length) : new Uint8Array(length)
    let filled = 0
    while (filled < bytes.length) filled += this.#fill(bytes.subarray(filled))
    this.#queuedBytes -= filled
    return bytes
  }

  /** Copies as much of the first frame as fits; returns how many bytes. */
  #fill(target: Uint8Array): number {
    const frame = this.#queue[this.#head] ?? new Uint8Array(0)
    const from = this.#offset
    let filled = 0
    for (let index = from; index < lengthBytes && filled < target.length; index++) target[filled++] = (frame.length >>> (24 - 8 * index)) & 255
    const start = Math.max(0, from + filled - lengthBytes)
    const part = frame.subarray(start, start + target.length - filled)
    target.set(part, filled)
    filled += part.length
    this.#offset = from + filled
    if (this.#offset === frame.length + lengthBytes) this.#dropHead()
    return filled
  }

  #dropHead(): void {
    this.#head += 1
    this.#offset = 0
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    } else if (this.#head >= 1_024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
  }

  #whenBelow(below: number): Promise<void> {
    return new Promise<void>((resolve, reject) => this.#waiters.push({ below, resolve, reject }))
  }

  #wake(): void {
    if (this.#waiters.length === 0) return
    const waiting = this.#waiters
    this.#waiters = []
    for (const waiter of waiting) {
      if (this.#queuedBytes <= waiter.below) waiter.resolve()
      else this.#waiters.push(waiter)
    }
  }
}
