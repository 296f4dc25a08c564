export const buildTimeoutDefaults = {
  /** Builds that are remembered. */
  window: 100,
  /** With fewer than these the first guess holds. */
  enough: 20,
  /** The first guess of how long 80 % of builds of three hops take at most. */
  firstMs: 3_000,
  minMs: 1_500,
  /** No step takes longer (Lokinet's limit of a build). */
  maxMs: 10_000,
  /** The part of builds that shall come about. */
  quantile: 0.8,
  /** Where the most frequent time is looked for. */
  binMs: 10
} as const

export type BuildTimeoutLimits = { readonly [Key in keyof typeof buildTimeoutDefaults]: number }

/** Round trips of single links that a build of `hops` hops takes (Tor path-spec section 2.4.5). */
const actionsOf = (hops: number): number => (hops * (hops + 1)) / 2
const referenceHops = 3

/**
 * How long to wait for each step of a build: a Pareto distribution is fitted to the last 100 builds (Tor path-spec section 2.4.2), and 80 % of builds of
 * as many hops would have been done by then. A node in a slow place waits longer, one in a fast place gives up sooner.
 */
export class BuildTimeout {
  readonly #limits: BuildTimeoutLimits
  /** Milliseconds, as if each build had had three hops. */
  #samples: readonly number[] = []
  #outcomes: readonly boolean[] = []
  #firstMs: number

  constructor(limits: Partial<BuildTimeoutLimits> = {}) {
    this.#limits = { ...buildTimeoutDefaults, ...limits }
    this.#firstMs = this.#limits.firstMs
  }

  /** All of `hops` hops were added within `elapsedMs`. */
  built(hops: number, elapsedMs: number): void {
    this.#add((elapsedMs * actionsOf(referenceHops)) / actionsOf(hops), true)
  }

  /** A step of a build of `hops` hops took longer than it might: it counts for that time, which is less than it would have needed. */
  timedOut(hops: number): void {
    this.#add((this.stepMs(hops) * actionsOf(referenceHops)) / actionsOf(hops), false)
    const { enough } = this.#limits
    const late = this.#outcomes.filter((isBuilt) => !isBuilt).length
    if (this.#outcomes.length < enough || late < 0.8 * enough) return
    // The network has changed: what was learnt of it is of no use (Tor path-spec section 2.4.4).
    this.#firstMs = Math.min(this.#limits.maxMs, 2 * Math.max(this.#firstMs, this.#typicalMs()))
    this.#samples = []
    this.#outcomes = []
  }

  /** Milliseconds for each step of a build of `hops` hops: 1,500 to 10,000. */
  stepMs(hops: number): number {
    const { minMs, maxMs } = this.#limits
    return Math.round(Math.min(maxMs, Math.max(minMs, (this.#typicalMs() * actionsOf(hops)) / actionsOf(referenceHops))))
  }

  #add(referenceMs: number, isBuilt: boolean): void {
    this.#samples = [...this.#samples, Math.max(1, referenceMs)].slice(-this.#limits.window)
    this.#outcomes = [...this.#outcomes, isBuilt].slice(-this.#limits.enough)
  }

  #typicalMs(): number {
    const { enough, quantile, binMs } = this.#limits
    if (this.#samples.length < enough) return this.#firstMs
    return paretoQuantile(this.#samples, { quantile, binMs })
  }
}

/** The quantile of a Pareto distribution with the most frequent time as its scale and the shape of the greatest likelihood. */
export function paretoQuantile(samples: readonly number[], { quantile, binMs }: { readonly quantile: number; readonly binMs: number }): number {
  const scale = mostFrequent(samples, binMs)
  const logs = samples.reduce((sum, sample) => sum + Math.log(Math.max(sample, scale) / scale), 0)
  // The sum of the logarithms over their number is 1 / shape.
  return scale * (1 - quantile) ** -(logs / samples.length)
}

/** The middle of the bin with most samples; of several the earliest. */
function mostFrequent(samples: readonly number[], binMs: number): number {
  const counts = new Map<number, number>()
  for (const sample of samples) {
    const bin = Math.floor(sample / binMs)
    counts.set(bin, (counts.get(bin) ?? 0) + 1)
  }
  const [best = 0] = [...counts].sort(([a, many], [b, more]) => more - many || a - b)[0] ?? []
  return (best + 0.5) * binMs
}
