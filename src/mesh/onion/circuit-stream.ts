import { byteLength, joinSmall, MeshError, type Pieces } from '../../core/base/index.ts'
import type { StreamEndReason } from '../../core/onion/index.ts'
import { FrameReader } from '../frame-reader.ts'
import type { FrameStream } from '../frame-stream.ts'
import type { Timers } from '../ports.ts'
import { protocolTable } from '../protocol-table.ts'

/** How long a stream that we closed waits for the other end. */
const lingerMs = 5_000
const lengthBytes = 4
const { id: protocol, maxFrameBytes, writeMs } = protocolTable.pqs

/** What a stream wants of the circuit that it belongs to. */
export interface StreamPort {
  /** The bytes stay as they are. */
  write(bytes: Pieces): void
  end(reason: StreamEndReason): void
  consumed(bytes: number): void
}

export interface CircuitStreamOptions {
  readonly port: StreamPort
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly timers: Timers
  /** Called once, when nothing comes or goes any more. */
  readonly onClosed: () => void
}

interface Pending {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void
  readonly reject: (error: MeshError) => void
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: MeshError) => void
}

const finished: IteratorResult<Uint8Array> = { done: true, value: undefined }

/** A FrameStream over a stream of an onion circuit. What one turn sends goes into the cells together. */
export class CircuitStream implements FrameStream {
  readonly path = 'onion'
  readonly peerId: string
  readonly publicKey: Uint8Array
  readonly closed: Promise<void>
  readonly #options: CircuitStreamOptions
  readonly #reader = new FrameReader({ protocol, maxFrameBytes })
  readonly #resolveClosed: () => void
  #heldAbove: () => number = () => 0
  #queue: Uint8Array[] = []
  #isScheduled = false
  #isFull = false
  /** Forgets that the other end has so long to take what is written. */
  #taken: () => void = () => undefined
  #waiting: Waiting[] = []
  #pending: Pending | undefined
  #error: MeshError | undefined
  #isClosing = false
  #peerEnded = false
  #hasEnded = false

  constructor(options: CircuitStreamOptions) {
    this.#options = options
    this.peerId = options.peerId
    this.publicKey = options.publicKey
    const { promise, resolve } = Promise.withResolvers<void>()
    this.closed = promise
    this.#resolveClosed = resolve
  }

  /** Bytes that nobody took yet, those of the layers above too. */
  get heldBytes(): number {
    return this.#reader.held + this.#heldAbove()
  }

  countHeld(heldBytes: () => number): void {
    this.#heldAbove = heldBytes
  }

  // What the circuit tells

  /** Bytes came. */
  receive(bytes: Uint8Array): void {
    if (this.#hasEnded) return
    if (this.#isClosing) return this.#options.port.consumed(bytes.length)
    // The first chunk is kept as it comes, those behind it are copied together; none may hold the frame of cells that it came in.
    this.#reader.push(this.#reader.held === 0 ? bytes.slice() : bytes)
    this.#advance()
  }

  /** Whether more may be written now. Who takes nothing for a minute loses the stream, as over a connection: what waits is our memory. */
  setFull(isFull: boolean): void {
    this.#isFull = isFull
    this.#taken()
    if (!isFull) return this.#release()
    const stuck = (): void => this.#fail(unreachable(this.peerId, `nothing was taken for ${writeMs} ms`), 'broken')
    this.#taken = this.#options.timers.schedule(writeMs, stuck)
  }

  /** The other end ended its side, or the stream. */
  peerEnded(reason: StreamEndReason): void {
    this.#peerEnded = true
    if (reason !== 'done') return this.#fail(unreachable(this.peerId, 'the other end broke the stream off'), undefined)
    this.#advance()
    if (this.#isClosing) this.#end()
  }

  /** The circuit is gone. */
  lost(error: MeshError | undefined): void {
    const reason = error === undefined ? 'the circuit was closed' : error.message
    this.#fail(unreachable(this.peerId, reason, error), undefined)
  }

  // FrameStream

  frames(): AsyncIterable<Uint8Array> {
    const iterator: AsyncIterator<Uint8Array> = { next: () => this.#next(), return: () => Promise.resolve(finished) }
    return { [Symbol.asyncIterator]: () => iterator }
  }

  send(frame: Pieces): Promise<void> {
    const length = byteLength(frame)
    if (length === 0 || length > maxFrameBytes)
      return Promise.reject(new MeshError('PROTOCOL_LIMIT', { protocol, reason: `a frame of ${length} bytes, 1 to ${maxFrameBytes} are sent` }))
    if (this.#isClosing || this.#hasEnded) return Promise.reject(this.#error ?? unreachable(this.peerId, 'the stream is closed'))
    this.#queue.push(Uint8Array.of(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255))
    if (frame instanceof Uint8Array) this.#queue.push(frame)
    else this.#queue.push(...frame)
    this.#schedule()
    return this.#isFull ? this.#untilReleased() : Promise.resolve()
  }

  flush(): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error)
    return this.#queue.length === 0 && !this.#isFull ? Promise.resolve() : this.#untilReleased()
  }

  async close(): Promise<void> {
    if (this.#isClosing || this.#hasEnded) return
    this.#isClosing = true
    this.#drop()
    this.#write()
    this.#options.port.end('done')
    this.#pending?.resolve(finished)
    this.#pending = undefined
    if (this.#peerEnded) this.#end()
    else this.#options.timers.schedule(lingerMs, () => this.#fail(unreachable(this.peerId, 'the stream is closed'), 'broken'))
  }

  abort(reason: MeshError): void {
    this.#fail(reason, 'broken')
  }

  // Writing: all frames of one turn together, so that they share cells

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#write()
      if (!this.#isFull) this.#release()
    })
  }

  #write(): void {
    const pieces = this.#queue
    this.#queue = []
    if (pieces.length > 0 && !this.#hasEnded) this.#options.port.write(joinSmall(pieces))
  }

  #untilReleased(): Promise<void> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  #release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { resolve } of waiting) resolve()
  }

  // Reading

  #next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#pending !== undefined) return Promise.reject(new MeshError('INTERNAL', { reason: 'frames() has two readers' }))
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#advance()
    })
  }

  #advance(): void {
    const pending = this.#pending
    if (pending === undefined) return
    try {
      if (this.#reader.ready) {
        this.#pending = undefined
        const value = this.#reader.take()
        this.#options.port.consumed(lengthBytes + value.length)
        pending.resolve({ done: false, value })
      } else if (this.#error !== undefined) this.#settle(pending, this.#error)
      else if (this.#isClosing) this.#settle(pending, undefined)
      else if (this.#peerEnded) this.#settle(pending, this.#reader.held > 0 ? unreachable(this.peerId, 'the stream ended within a frame') : undefined)
    } catch (error) {
      this.#fail(error instanceof MeshError ? error : new MeshError('INTERNAL', { reason: String(error) }, { cause: error }), 'broken')
    }
  }

  #settle(pending: Pending, error: MeshError | undefined): void {
    this.#pending = undefined
    if (error === undefined) pending.resolve(finished)
    else pending.reject(error)
  }

  // Endings

  /** @param told - how the other end is told, when it is not the one that ended it */
  #fail(error: MeshError, told: StreamEndReason | undefined): void {
    if (this.#hasEnded) return
    this.#error = error
    if (told !== undefined) this.#options.port.end(told)
    this.#drop()
    this.#end()
  }

  #drop(): void {
    const { held } = this.#reader
    this.#reader.clear()
    if (held > 0 && !this.#hasEnded) this.#options.port.consumed(held)
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#taken()
    const error = this.#error ?? unreachable(this.peerId, 'the stream is closed')
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting = []
    if (this.#pending !== undefined) this.#settle(this.#pending, this.#error)
    this.#options.onClosed()
    this.#resolveClosed()
  }
}

const unreachable = (peer: string, reason: string, cause?: unknown): MeshError => new MeshError('PEER_UNREACHABLE', { peer, reason }, { cause })
