import type { Clock, Millis } from '../core/base/index.ts'

interface Bucket {
  tokens: number
  at: Millis
}

/** One token bucket for each key (a peer, never a connection), at most `maxKeys` of them: the one that was used longest ago goes first. */
export class TokenBuckets {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  readonly #maxKeys: number
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: { readonly clock: Clock; readonly perSecond: number; readonly burst: number; readonly maxKeys?: number }) {
    this.#clock = options.clock
    this.#perSecond = options.perSecond
    this.#burst = options.burst
    this.#maxKeys = options.maxKeys ?? 4_096
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Takes tokens (default 1) when there are enough. */
  take(key: string, tokens = 1): boolean {
    const bucket = this.#refilled(key)
    if (bucket.tokens < tokens) return false
    bucket.tokens -= tokens
    return true
  }

  /** Takes tokens (default 1) now or in advance; how long (ms) to wait until they are earned. */
  reserveMs(key: string, tokens = 1): number {
    const bucket = this.#refilled(key)
    bucket.tokens -= tokens
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens / this.#perSecond) * 1_000)
  }

  #refilled(key: string): Bucket {
    const now = this.#clock.monotonic()
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return this.#added(key, { tokens: this.#burst, at: now })
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.at) / 1_000) * this.#perSecond)
    bucket.at = now
    // Moved to the end: the map keeps the order of use.
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    return bucket
  }

  #added(key: string, bucket: Bucket): Bucket {
    if (this.#buckets.size >= this.#maxKeys) {
      const oldest = this.#buckets.keys().next()
      if (oldest.done !== true) this.#buckets.delete(oldest.value)
    }
    this.#buckets.set(key, bucket)
    return bucket
  }
}
