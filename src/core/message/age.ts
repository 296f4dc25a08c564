import { type Millis, millis, type WallMillis, wallMillis } from '../base/index.ts'
import type { Instant } from './store-port.ts'

/** When the wall clock is the only evidence (a reboot lies between), nothing expires before this long after the start. */
export const wallClockGraceMs = 3_600_000

/** Milliseconds from one instant to a later one: monotonic within one boot, whatever the wall clock does; else by the wall clock, never negative. */
export function elapsedMs(from: Instant, to: Instant): number {
  const elapsed = from.bootId === to.bootId ? to.monotonic - from.monotonic : to.wall - from.wall
  return Math.max(0, elapsed)
}

/**
 * When a message that was accepted at `accepted` expires, on the monotonic clock of the process that started at `start`.
 * Across boots: within the grace it is not mass-expired by a clock that jumped ahead, nor kept for more than its ttl by one that went back.
 */
export function expiryOf(message: { readonly accepted: Instant; readonly ttlMs: number }, start: Instant): Millis {
  const { accepted, ttlMs } = message
  if (accepted.bootId === start.bootId) return millis(accepted.monotonic + ttlMs)
  const remainingMs = Math.max(ttlMs - elapsedMs(accepted, start), Math.min(wallClockGraceMs, ttlMs))
  return millis(start.monotonic + remainingMs)
}

/** The instant at monotonic time `now` of the process that started at `start`; its wall clock as if it had never been set since. */
export function instantAt(start: Instant, now: Millis): Instant {
  return { bootId: start.bootId, monotonic: now, wall: wallMillis(start.wall + now - start.monotonic) }
}

/**
 * What is left of a message's life at its recipient. Both times are the sender's, so that the two clocks are never compared;
 * a sender whose times contradict each other (sent before it was written) is taken at the shorter life that they allow.
 */
export function remainingLifeMs(message: { readonly timestamp: WallMillis; readonly ttlS: number }, sentAt: WallMillis): number {
  return message.ttlS * 1000 - Math.max(0, sentAt - message.timestamp)
}
