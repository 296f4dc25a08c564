import { after, type Millis } from '../base/index.ts'

/** Seconds' worth of messages that may come at once. */
const burstSeconds = 5

/** A token bucket that may go into debt: what came is counted, and nothing more is wanted before the debt is paid. */
export class RateBucket {
  #tokens: number
  #at: Millis

  constructor(perSecond: number, now: Millis) {
    this.#tokens = perSecond * burstSeconds
    this.#at = now
  }

  /** Counts `messages` at `now`. */
  take(messages: number, perSecond: number, now: Millis): void {
    this.#refill(perSecond, now)
    this.#tokens -= messages
  }

  /** Takes `messages` if there are enough; false otherwise, and nothing is counted. */
  tryTake(messages: number, perSecond: number, now: Millis): boolean {
    this.#refill(perSecond, now)
    if (this.#tokens < messages) return false
    this.#tokens -= messages
    return true
  }

  /** When the debt is paid; undefined when there is none. */
  paidAt(perSecond: number, now: Millis): Millis | undefined {
    this.#refill(perSecond, now)
    return this.#tokens >= 0 ? undefined : after(now, Math.ceil((-this.#tokens / perSecond) * 1_000))
  }

  #refill(perSecond: number, now: Millis): void {
    this.#tokens = Math.min(perSecond * burstSeconds, this.#tokens + ((now - this.#at) / 1_000) * perSecond)
    this.#at = now
  }
}
