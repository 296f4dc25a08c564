import { type Random, randomFraction } from '../base/index.ts'

/** Milliseconds to wait after so many failures in a row before this one: doubling, capped, and between half of that and all of it. */
export function retryDelayMs(random: Random, failures: number, limits: { readonly firstMs: number; readonly maxMs: number }): number {
  const ceiling = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(failures, 20))
  return Math.ceil(ceiling * (0.5 + randomFraction(random) / 2))
}
