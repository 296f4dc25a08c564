import { type Clock, MeshError, type Millis, after, toMeshError } from '../core/base/index.ts'
import { FrameReader } from './frame-reader.ts'
import type { Timers } from './ports.ts'

/** Reading stops while this much is held and the consumer has something to take. */
const highWaterBytes = 262_144

/** The frames inside of a session. */
export interface InnerLimits {
  /** For errors. */
  readonly id: string
  readonly maxFrameBytes: number
  /** From a frame's first byte to its last. */
  readonly frameMs: number
  /** How long (ms) until the peer's rate lets the next frame be taken; 0 = now. Called once for each frame. */
  readonly frameDelayMs?: () => number
}

export interface SessionFramesOptions {
  readonly inner: InnerLimits
  readonly clock: Clock
  readonly timers: Timers
  /** A frame was taken: there may be room again. */
  readonly onTaken: () => void
  /** The peer broke a limit or the format. */
  readonly onOffence: (error: MeshError) => void
}

interface Pending {
  readonly resolve: (result: IteratorResult<Uint8Array>) => void
  readonly reject: (error: MeshError) => void
}

const finished: IteratorResult<Uint8Array> = { done: true, value: undefined }

/** The plaintext of a session on its way to one consumer, cut into frames. */
export class SessionFrames implements AsyncIterator<Uint8Array> {
  readonly #options: SessionFramesOptions
  readonly #reader: FrameReader
  #pending: Pending | undefined
  /** How it ends once all frames are taken: an error, or true. */
  #end: MeshError | true | undefined
  #paidFor = false
  #cancelDelay: (() => void) | undefined
  #partialSince: Millis | undefined

  constructor(options: SessionFramesOptions) {
    this.#options = options
    this.#reader = new FrameReader({ protocol: options.inner.id, maxFrameBytes: options.inner.maxFrameBytes })
  }

  /** Bytes that no consumer has taken. */
  get held(): number {
    return this.#reader.held
  }

  /** Whether reading should pause. A frame that is larger than all that may be held can still be completed. */
  get isFull(): boolean {
    return this.#end === undefined && this.#reader.held >= highWaterBytes && this.#reader.ready
  }

  /** When the frame that has begun must be whole. */
  get deadline(): Millis | undefined {
    return this.#partialSince === undefined ? undefined : after(this.#partialSince, this.#options.inner.frameMs)
  }

  push(data: Uint8Array): void {
    if (this.#end !== undefined) return
    this.#reader.push(data)
    this.#advance()
  }

  /** Nothing more comes: the frames that are there can still be taken. */
  finish(): void {
    this.#end ??= true
    this.#advance()
  }

  /** Drops what is there; the consumer is told `error`, or that it has ended. */
  stop(error: MeshError | undefined): void {
    this.#cancelDelay?.()
    this.#cancelDelay = undefined
    this.#reader.clear()
    this.#end = error ?? true
    this.#advance()
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#pending !== undefined) return Promise.reject(new MeshError('INTERNAL', { reason: 'frames() has two readers' }))
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject }
      this.#advance()
    })
  }

  /** The consumer left. */
  return(): Promise<IteratorResult<Uint8Array>> {
    return Promise.resolve(finished)
  }

  /** Gives a frame to who waits for one, within the peer's rate. */
  #advance(): void {
    try {
      const { ready } = this.#reader
      const pending = this.#pending
      const taken = pending !== undefined && ready && this.#rateAllows()
      if (taken) this.#give(pending)
      else if (pending !== undefined && !ready && this.#end !== undefined) this.#finish(pending, this.#end)
      this.#watchPartial()
      if (taken) this.#options.onTaken()
    } catch (error) {
      this.#options.onOffence(toMeshError(error))
    }
  }

  #give(pending: Pending): void {
    this.#pending = undefined
    this.#paidFor = false
    this.#partialSince = undefined
    pending.resolve({ done: false, value: this.#reader.take() })
  }

  #finish(pending: Pending, end: MeshError | true): void {
    this.#pending = undefined
    if (end !== true) pending.reject(end)
    else if (this.#reader.held > 0) pending.reject(new MeshError('SESSION_TRUNCATED'))
    else pending.resolve(finished)
  }

  #watchPartial(): void {
    const partial = this.#reader.held > 0 && !this.#reader.ready && this.#end === undefined
    if (!partial) this.#partialSince = undefined
    else this.#partialSince ??= this.#options.clock.monotonic()
  }

  #rateAllows(): boolean {
    const { inner, timers } = this.#options
    if (this.#cancelDelay !== undefined) return false
    if (this.#paidFor || inner.frameDelayMs === undefined) return true
    const delayMs = inner.frameDelayMs()
    this.#paidFor = true
    if (delayMs <= 0) return true
    this.#cancelDelay = timers.schedule(delayMs, () => {
      this.#cancelDelay = undefined
      this.#advance()
    })
    return false
  }
}
