import type { Millis } from '../base/index.ts'

interface Bucket {
  tokens: number
  at: Millis
}

/** Token buckets by key, without a clock of their own. There are at most `maxKeys`; the one that was used longest ago goes first. */
export class RateBuckets {
  readonly #perSecond: number
  readonly #burst: number
  readonly #maxKeys: number
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: { readonly perSecond: number; readonly burst: number; readonly maxKeys?: number }) {
    this.#perSecond = options.perSecond
    this.#burst = options.burst
    this.#maxKeys = options.maxKeys ?? 4_096
  }

  /** Takes tokens (default 1), when there are enough. */
  take(key: string, now: Millis, tokens = 1): boolean {
    const bucket = this.#refilled(key, now)
    if (bucket.tokens < tokens) return false
    bucket.tokens -= tokens
    return true
  }

  /** Takes tokens, in advance when there are not enough; how long (ms) to wait until they are earned. */
  reserveMs(key: string, now: Millis, tokens: number): number {
    const bucket = this.#refilled(key, now)
    bucket.tokens -= tokens
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens / this.#perSecond) * 1_000)
  }

  /** Whole tokens that there are now; never below 0. */
  available(key: string, now: Millis): number {
    return Math.max(0, Math.floor(this.#refilled(key, now).tokens))
  }

  #refilled(key: string, now: Millis): Bucket {
    const bucket = this.#buckets.get(key) ?? { tokens: this.#burst, at: now }
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.at) / 1_000) * this.#perSecond)
    bucket.at = now
    // Moved to the end: the map keeps the order of use.
    this.#buckets.delete(key)
    if (this.#buckets.size >= this.#maxKeys) this.#buckets.delete(this.#buckets.keys().next().value ?? '')
    this.#buckets.set(key, bucket)
    return bucket
  }
}
