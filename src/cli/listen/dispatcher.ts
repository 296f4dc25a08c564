import type { Catalogue, OutputOf } from '../../api/index.ts'
import type { Handle, Handled, HeardMessage } from './handler.ts'

export type HandledReport = Extract<OutputOf<Catalogue['listen']>, { readonly handled: string }>

const firstRetryMs = 1_000
const maxRetryMs = 300_000
/** Messages that wait for another try at most; then nothing new is taken. */
const maxWaiting = 256

/** What became of the answer; `problem`: it could not be sent, and so the message was not acknowledged. */
export interface Finished {
  readonly reply?: string
  readonly problem?: string
}

export interface DispatcherOptions {
  readonly handle: Handle
  readonly maxRunning: number
  readonly attempts: number
  /** Ends what runs and what waits. */
  readonly interrupted: AbortSignal
  /** Sends the answer, where one is wanted, and acknowledges the message. Rejects only when the daemon is gone. */
  readonly finish: (message: HeardMessage, handled: Handled) => Promise<Finished>
  readonly report: (report: HandledReport) => Promise<void>
  /** Between 0 and 1. */
  readonly random?: () => number
}

/** How a message ended for this listener. */
export type Ending = 'acknowledged' | 'given-up' | 'interrupted'

interface Tried {
  readonly ending: Ending
  /** Not its end: it is tried again after so many milliseconds. */
  readonly retryInMs?: number
}

/** Hands messages to a handler: so many at once, again after a failure with growing patience, and acknowledged only when it succeeded. */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #open = new Set<Promise<Ending>>()
  readonly #queue: (() => void)[] = []
  #running = 0

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  /** Takes one message as soon as there is room; `finished` tells how it ended, and rejects when the daemon could not be told. */
  async take(message: HeardMessage): Promise<{ readonly finished: Promise<Ending> }> {
    while (this.#open.size >= this.#options.maxRunning + maxWaiting) await Promise.race(this.#open)
    await this.#enter()
    const finished = this.#work(message)
    this.#open.add(finished)
    const forget = (): void => void this.#open.delete(finished)
    finished.then(forget, forget)
    return { finished }
  }

  /** Waits for all that runs and waits. Rejects as the first one that did. */
  async settle(): Promise<void> {
    const results = await Promise.allSettled(this.#open)
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  async #work(message: HeardMessage): Promise<Ending> {
    const { interrupted } = this.#options
    for (let attempt = 1; ; attempt++) {
      if (attempt > 1) await this.#enter()
      const { ending, retryInMs } = await this.#try(message, attempt)
      if (retryInMs === undefined) return ending
      await pause(retryInMs, interrupted)
      if (interrupted.aborted) return 'interrupted'
    }
  }

  /** One try, with a place among those that run. */
  async #try(message: HeardMessage, attempt: number): Promise<Tried> {
    const started = performance.now()
    const { handle, interrupted, finish, report } = this.#options
    try {
      if (interrupted.aborted) return { ending: 'interrupted' }
      const handled = await handle(message, interrupted)
      const ms = Math.round(performance.now() - started)
      const tell = (how: Partial<HandledReport> & Pick<HandledReport, 'outcome'>): Promise<void> =>
        report({ ...this.#reportOf(message, handled, { attempt, ms }), ...how })
      if (handled.outcome === 'interrupted' || interrupted.aborted) {
        await tell({ outcome: 'interrupted' })
        return { ending: 'interrupted' }
      }
      // A volatile message is in no inbox, and worthless late.
      const isFinal = handled.isFinal === true || message.delivery === 'volatile'
      if (handled.outcome === 'failed') return await this.#failed({ ...handled, isFinal }, { attempt, tell })
      const { reply, problem } = await finish(message, handled)
      if (problem === undefined) await tell({ outcome: 'acknowledged', ...(reply === undefined ? {} : { reply }) })
      else await tell({ outcome: 'given-up', reason: problem })
      return { ending: problem === undefined ? 'acknowledged' : 'given-up' }
    } finally {
      this.#leave()
    }
  }

  async #failed(handled: Handled, { attempt, tell }: Failure): Promise<Tried> {
    if (handled.isFinal === true || attempt >= this.#options.attempts) {
      await tell({ outcome: 'given-up' })
      return { ending: 'given-up' }
    }
    const retryInMs = Math.min(maxRetryMs, Math.max(handled.retryAfterMs ?? 0, this.#backoffMs(attempt)))
    await tell({ outcome: 'failed', retryInMs })
    return { ending: 'given-up', retryInMs }
  }

  /** Doubles from 1 s to 5 min; up to a fifth less, so that what failed together is not tried together. */
  #backoffMs(attempt: number): number {
    const random = this.#options.random ?? Math.random
    return Math.round(Math.min(maxRetryMs, firstRetryMs * 2 ** (attempt - 1)) * (1 - random() / 5))
  }

  #reportOf(
    message: HeardMessage,
    handled: Handled,
    { attempt, ms }: { readonly attempt: number; readonly ms: number }
  ): Omit<HandledReport, 'outcome'> {
    const { reason, exitCode, signal, httpStatus, stdout, stderr, dropped } = handled
    return {
      handled: message.id,
      source: message.source,
      name: message.name,
      type: message.type,
      delivery: message.delivery,
      attempt,
      attempts: this.#options.attempts,
      ms,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(signal === undefined ? {} : { signal }),
      ...(httpStatus === undefined ? {} : { httpStatus }),
      ...(reason === undefined ? {} : { reason }),
      stdout,
      stderr,
      dropped
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < this.#options.maxRunning) {
      this.#running += 1
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#queue.push(resolve)
    await promise
  }

  #leave(): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#running -= 1
    else next()
  }
}

interface Failure {
  readonly attempt: number
  readonly tell: (how: Partial<HandledReport> & Pick<HandledReport, 'outcome'>) => Promise<void>
}

/** Waits, or until `interrupted`. */
export async function pause(ms: number, interrupted: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  const end = (): void => resolve()
  interrupted.addEventListener('abort', end, { once: true })
  if (interrupted.aborted) resolve()
  await promise
  clearTimeout(timer)
  interrupted.removeEventListener('abort', end)
}
