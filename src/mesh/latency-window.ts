/** The last 1,024 latencies, for percentiles. */
export class LatencyWindow {
  readonly #samples: number[] = []
  #next = 0

  add(ms: number): void {
    this.#samples[this.#next] = ms
    this.#next = (this.#next + 1) % 1_024
  }

  /** Undefined before the first sample. */
  percentiles(): { readonly p50: number | undefined; readonly p95: number | undefined; readonly p99: number | undefined } {
    const sorted = this.#samples.toSorted((a, b) => a - b)
    const at = (fraction: number): number | undefined => sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))]
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
}
