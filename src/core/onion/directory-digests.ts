import { sha256 } from '@noble/hashes/sha2.js'
import { type Bytes, compareBytes, concat, toHex } from '../base/index.ts'

/** Buckets by the first byte of the key: two views are compared bucket by bucket. */
export const bucketCount = 256
/** A descriptor's id and a bucket's digest: the first bytes of a SHA-256. */
export const digestBytes = 8

/** The id of a descriptor in one version: the first 8 bytes of the SHA-256 of its bytes. */
export const descriptorId = (bytes: Uint8Array): Uint8Array => sha256(bytes).subarray(0, digestBytes)

/** The buckets in which two summaries differ, ascending. */
export const differingBuckets = (a: Uint8Array, b: Uint8Array): readonly number[] =>
  Array.from({ length: bucketCount }, (_, bucket) => bucket).filter((bucket) => compareBytes(digestIn(a, bucket), digestIn(b, bucket)) !== 0)

const digestIn = (summary: Uint8Array, bucket: number): Uint8Array => summary.subarray(bucket * digestBytes, (bucket + 1) * digestBytes)

/** The ids of all descriptors of a view in 256 buckets, and a digest of each bucket. */
export class DirectoryDigests {
  readonly #buckets: readonly Map<string, Uint8Array>[] = Array.from({ length: bucketCount }, () => new Map<string, Uint8Array>())
  readonly #digests = new Uint8Array(bucketCount * digestBytes)
  readonly #changed = new Set<number>()

  add(publicKey: Uint8Array, id: Uint8Array): void {
    this.#bucketOf(publicKey).set(toHex(id), id)
  }

  delete(publicKey: Uint8Array, id: Uint8Array): void {
    this.#bucketOf(publicKey).delete(toHex(id))
  }

  /** The digests of all buckets, 2,048 bytes: of each its ids in order, hashed; zero when it is empty. */
  summary(): Bytes {
    for (const bucket of this.#changed) this.#digests.set(digestOf(this.ids([bucket])), bucket * digestBytes)
    this.#changed.clear()
    return this.#digests.slice()
  }

  /** The ids in these buckets, in each in order. */
  ids(buckets: readonly number[]): readonly Uint8Array[] {
    return buckets.flatMap((bucket) => [...(this.#buckets[bucket]?.values() ?? [])].sort(compareBytes))
  }

  #bucketOf(publicKey: Uint8Array): Map<string, Uint8Array> {
    const bucket = publicKey[0] ?? 0
    this.#changed.add(bucket)
    return this.#buckets[bucket] ?? new Map<string, Uint8Array>()
  }
}

const digestOf = (ids: readonly Uint8Array[]): Uint8Array => (ids.length === 0 ? new Uint8Array(digestBytes) : descriptorId(concat(...ids)))
