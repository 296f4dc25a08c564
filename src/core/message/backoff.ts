import { type Random, randomFraction } from '../base/index.ts'

export const backoffLimits = { firstMs: 500, maxMs: 60_000 } as const

/** The longest wait after `attempts` failures (at least 1): doubles from 0.5 s to 60 s. */
export const backoffCapMs = (attempts: number): number => Math.min(backoffLimits.maxMs, backoffLimits.firstMs * 2 ** Math.min(attempts - 1, 16))

/** A wait drawn evenly from 0 to the cap ("full jitter"), so that many senders never return together. */
export const backoffMs = (attempts: number, random: Random): number => Math.ceil(randomFraction(random) * backoffCapMs(attempts))
