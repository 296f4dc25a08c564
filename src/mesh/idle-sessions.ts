import { after, type Clock, type Millis } from '../core/base/index.ts'
import type { Timers } from './ports.ts'

/** A session as far as its idleness goes. */
export interface IdleSession {
  /** When something was last sent or came. */
  readonly usedAt: Millis
  readonly closed: Promise<void>
  close(): Promise<void>
}

export interface IdleSessionsOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** A session that carried nothing for so long is closed. */
  readonly idleMs: number
}

/** Under pressure a session is idle that carried nothing for so long: what is being asked is answered by then, as a rule. */
const restMs = 2_000

/**
 * Closes the sessions over our own circuits that nobody uses: each holds a circuit, which would get successor after successor for it. Whoever has something
 * to send opens a new one.
 */
export class IdleSessions {
  readonly #options: IdleSessionsOptions
  readonly #cancels = new Map<IdleSession, () => void>()
  /** Those whose circuits have not heard of their end yet. */
  readonly #closing = new Set<IdleSession>()

  constructor(options: IdleSessionsOptions) {
    this.#options = options
  }

  /** Closes it once it is idle. */
  watch(session: IdleSession): void {
    this.#check(session)
    void session.closed.then(() => this.#forget(session))
  }

  /** Others want circuits and get none: closes so many of those that were idle for longest. */
  makeRoom(count: number): void {
    const before = after(this.#options.clock.monotonic(), -restMs)
    const idle = [...this.#cancels.keys()].filter(({ usedAt }) => usedAt <= before).sort((a, b) => a.usedAt - b.usedAt)
    for (const session of idle.slice(0, Math.max(0, count - this.#closing.size))) this.#close(session)
  }

  #check(session: IdleSession): void {
    const { clock, timers, idleMs } = this.#options
    const leftMs = after(session.usedAt, idleMs) - clock.monotonic()
    if (leftMs <= 0) this.#close(session)
    else
      this.#cancels.set(
        session,
        timers.schedule(Math.ceil(leftMs), () => this.#check(session))
      )
  }

  #close(session: IdleSession): void {
    this.#cancels.get(session)?.()
    this.#cancels.delete(session)
    this.#closing.add(session)
    // One that cannot be closed in order has ended by itself.
    session.close().catch(() => undefined)
  }

  #forget(session: IdleSession): void {
    this.#cancels.get(session)?.()
    this.#cancels.delete(session)
    this.#closing.delete(session)
  }
}
