import type { Clock } from '../core/base/index.ts'
import type { Timers } from '../mesh/ports.ts'
import { TokenBuckets } from '../mesh/token-buckets.ts'

export interface RelayRatesOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** What one peer may send over all its circuits. */
  readonly bytesPerSecond: number
}

const minBurstBytes = 262_144
/** What a peer may always send, however busy the relay is: messages, not floods. */
const light = { perSecond: 16_384, burst: 49_152 } as const
/** What all may send together beyond that: as much as this process can carry without coming late. */
const shared = { least: 1_048_576, first: 8_388_608, most: 1_073_741_824 } as const
const lookEveryMs = 200
/** So late a timer comes when the process has more to do than it can. */
const busyMs = 40

/**
 * How fast circuits go. Each peer has its rate; and when the process comes late with its timers, those who send much share what it can carry, while those who
 * send little go on as if nobody else were there: no number of floods can keep a message waiting.
 */
export class RelayRates {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #peers: TokenBuckets
  readonly #light: TokenBuckets
  #perSecond: number = shared.first
  #tokens: number = shared.first / 4
  #refilledAt: number
  #cancelLook: (() => void) | undefined

  constructor({ clock, timers, bytesPerSecond }: RelayRatesOptions) {
    this.#clock = clock
    this.#timers = timers
    this.#peers = new TokenBuckets({ clock, perSecond: bytesPerSecond, burst: Math.max(bytesPerSecond, minBurstBytes) })
    this.#light = new TokenBuckets({ clock, ...light })
    this.#refilledAt = clock.monotonic()
  }

  /** What those who send much may send together now. */
  get sharedPerSecond(): number {
    return this.#perSecond
  }

  /** Counts what a peer sends; how long (ms) to wait before more of it is taken. */
  reserveMs(peerId: string, bytes: number): number {
    this.#watch()
    const own = this.#peers.reserveMs(peerId, bytes)
    if (this.#light.take(peerId, bytes)) return own
    this.#refill()
    this.#tokens -= bytes
    return this.#tokens >= 0 ? own : Math.max(own, Math.ceil((-this.#tokens / this.#perSecond) * 1_000))
  }

  stop(): void {
    this.#cancelLook?.()
    this.#cancelLook = undefined
  }

  #refill(): void {
    const now = this.#clock.monotonic()
    this.#tokens = Math.min(this.#perSecond / 4, this.#tokens + ((now - this.#refilledAt) / 1_000) * this.#perSecond)
    this.#refilledAt = now
  }

  /** Looks how late the process is, while anything goes over circuits. */
  #watch(): void {
    if (this.#cancelLook !== undefined) return
    const due = this.#clock.monotonic() + lookEveryMs
    this.#cancelLook = this.#timers.schedule(lookEveryMs, () => {
      this.#cancelLook = undefined
      this.#refill()
      const isLate = this.#clock.monotonic() - due > busyMs
      this.#perSecond = isLate ? Math.max(shared.least, this.#perSecond * 0.7) : Math.min(shared.most, this.#perSecond * 1.1)
    })
  }
}
