import type { Clock } from '../core/base/index.ts'

/** A card is signed anew after an hour: an older one comes from a clock that is behind, or lay somewhere. */
const cardAgeMs = 3_600_000
const maxPeers = 256

/** Compares this machine's clock with those of peers, by the times on cards as they arrive. */
export class ClockWatch {
  readonly #clock: Pick<Clock, 'wall'>
  readonly #ahead = new Map<string, number>()

  constructor(clock: Pick<Clock, 'wall'>) {
    this.#clock = clock
  }

  /** A new card of a peer arrived. */
  heard(peerId: string, issuedAt: number): void {
    const sinceMs = this.#clock.wall() - issuedAt
    this.#ahead.delete(peerId)
    if (this.#ahead.size >= maxPeers) this.#ahead.delete(this.#ahead.keys().next().value ?? '')
    this.#ahead.set(peerId, sinceMs < 0 ? -sinceMs : -Math.max(0, sinceMs - cardAgeMs))
  }

  /** At least so many milliseconds each peer's clock is ahead of ours; negative: behind; 0: nothing says that they differ. */
  get clocks(): ReadonlyMap<string, number> {
    return this.#ahead
  }
}
