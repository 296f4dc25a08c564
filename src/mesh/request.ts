import { MeshError } from '../core/base/index.ts'
import type { FrameStream } from './frame-stream.ts'
import type { Timers } from './ports.ts'

export interface ExchangeOptions {
  /** Named in the TIMEOUT. */
  readonly operation: string
  /** For each answer. */
  readonly timeoutMs: number
  readonly timers: Timers
  readonly signal?: AbortSignal
}

/** Requests and responses, one after the other, over a stream; each answer has a deadline, and missing it resets the stream. */
export class FrameExchange {
  readonly #stream: FrameStream
  readonly #options: ExchangeOptions
  readonly #frames: AsyncIterator<Uint8Array>

  constructor(stream: FrameStream, options: ExchangeOptions) {
    this.#stream = stream
    this.#options = options
    this.#frames = stream.frames()[Symbol.asyncIterator]()
  }

  /** Sends `frame` and resolves with the next one. @throws {MeshError} TIMEOUT, ABORTED, PEER_UNREACHABLE, PROTOCOL_LIMIT */
  async request(frame: Uint8Array): Promise<Uint8Array> {
    await this.#stream.send(frame)
    return this.next()
  }

  /** The next frame. @throws {MeshError} TIMEOUT, ABORTED, PEER_UNREACHABLE, PROTOCOL_LIMIT */
  async next(): Promise<Uint8Array> {
    const stop = this.#watch()
    try {
      const frame = await this.#frames.next()
      if (frame.done === true) throw new MeshError('PEER_UNREACHABLE', { peer: this.#stream.peerId, reason: 'it closed without an answer' })
      return frame.value
    } finally {
      stop()
    }
  }

  #watch(): () => void {
    const { operation, timeoutMs, timers, signal } = this.#options
    const interrupt = (): void => this.#stream.abort(new MeshError('ABORTED', { operation }))
    const cancel = timers.schedule(timeoutMs, () => this.#stream.abort(new MeshError('TIMEOUT', { operation, timeoutMs })))
    if (signal?.aborted === true) interrupt()
    signal?.addEventListener('abort', interrupt, { once: true })
    return () => {
      cancel()
      signal?.removeEventListener('abort', interrupt)
    }
  }
}
