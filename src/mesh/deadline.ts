import { MeshError } from '../core/base/index.ts'
import type { Timers } from './ports.ts'

export interface DeadlineOptions {
  readonly operation: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Ends with the caller's signal or after a time. Made by `startDeadline`; disposing it releases the timer. */
export class Deadline implements Disposable {
  readonly #options: DeadlineOptions
  readonly #listeners = new Set<() => void>()
  readonly #cancelTimer: () => void
  #controller: AbortController | undefined
  #ended: 'timeout' | 'abort' | undefined

  constructor(timers: Timers, options: DeadlineOptions) {
    this.#options = options
    this.#cancelTimer = timers.schedule(options.timeoutMs, () => this.#end('timeout'))
    if (options.signal?.aborted === true) this.#end('abort')
    else options.signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Aborts when the deadline ends. Made when it is first asked for: what needs none is spared it. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#ended !== undefined) this.#controller.abort()
    return this.#controller.signal
  }

  /** The MeshError for what ended it: ABORTED by the caller, TIMEOUT otherwise. */
  error(): MeshError {
    const { operation, timeoutMs } = this.#options
    return this.#ended === 'abort' ? new MeshError('ABORTED', { operation }) : new MeshError('TIMEOUT', { operation, timeoutMs })
  }

  /** Calls `listener` when the deadline ends, at once when it has ended; the returned function takes that back. */
  onEnd(listener: () => void): () => void {
    if (this.#ended === undefined) this.#listeners.add(listener)
    else listener()
    return () => this.#listeners.delete(listener)
  }

  [Symbol.dispose](): void {
    this.#cancelTimer()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => this.#end('abort')

  #end(why: 'timeout' | 'abort'): void {
    if (this.#ended !== undefined) return
    this.#ended = why
    this.#controller?.abort()
    for (const listener of this.#listeners) listener()
  }
}

/** Starts a deadline; use it with `using`, so that its timer never outlives the work. */
export const startDeadline = (timers: Timers, options: DeadlineOptions): Deadline => new Deadline(timers, options)

/** `work`, or the deadline's error as soon as the deadline ends. */
export function within<T>(deadline: Deadline, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const release = deadline.onEnd(() => reject(deadline.error()))
    work.then(
      (value) => {
        release()
        resolve(value)
      },
      (error: unknown) => {
        release()
        reject(error)
      }
    )
  })
}
