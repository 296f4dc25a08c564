import { MeshError } from '../core/base/index.ts'
import type { Timers } from './ports.ts'

/** A signal that aborts with the caller's signal or after `timeoutMs`, and its release. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal
  /** The MeshError for what ended it: ABORTED by the caller, TIMEOUT otherwise. */
  error(): MeshError
}

export interface DeadlineOptions {
  readonly operation: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Starts a deadline; use it with `using`, so that its timer never outlives the work. */
export function startDeadline(timers: Timers, options: DeadlineOptions): Deadline {
  const { operation, timeoutMs } = options
  const timer = new AbortController()
  const cancel = timers.schedule(timeoutMs, () => timer.abort())
  const signal = options.signal === undefined ? timer.signal : AbortSignal.any([options.signal, timer.signal])
  return {
    signal,
    error: () => (timer.signal.aborted ? new MeshError('TIMEOUT', { operation, timeoutMs }) : new MeshError('ABORTED', { operation })),
    [Symbol.dispose]: cancel
  }
}

/** `work`, or the deadline's error as soon as the deadline passes. */
export async function within<T>(deadline: Deadline, work: Promise<T>): Promise<T> {
  const { signal } = deadline
  const { promise: expired, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(deadline.error())
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, expired])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
