import { equalBytes } from '../base/index.ts'
import type { Sha256 } from './sha256.ts'

const hashBytes = 32

/** The hash of a leaf, RFC 6962 section 2.1: SHA-256(0x00 ‖ data). Here data = salt(16) ‖ envelope: the salt hides a short sibling. */
export function leafHash(salt: Uint8Array, envelope: Uint8Array, sha256: Sha256): Uint8Array {
  const bytes = new Uint8Array(1 + salt.length + envelope.length)
  bytes.set(salt, 1)
  bytes.set(envelope, 1 + salt.length)
  return sha256(bytes)
}

function nodeHash(left: Uint8Array, right: Uint8Array, sha256: Sha256): Uint8Array {
  const bytes = new Uint8Array(1 + 2 * hashBytes)
  bytes[0] = 1
  bytes.set(left, 1)
  bytes.set(right, 1 + hashBytes)
  return sha256(bytes)
}

/** The hash tree of RFC 6962 section 2.1 over at least one leaf hash; an odd node is carried up, never doubled. */
export class MerkleTree {
  readonly #levels: readonly (readonly Uint8Array[])[]

  constructor(leaves: readonly Uint8Array[], sha256: Sha256) {
    const levels: (readonly Uint8Array[])[] = [leaves]
    let level = leaves
    while (level.length > 1) {
      const above: Uint8Array[] = []
      for (let index = 0; index < level.length; index += 2) {
        const left = level[index]
        const right = level[index + 1]
        if (left !== undefined) above.push(right === undefined ? left : nodeHash(left, right, sha256))
      }
      levels.push(above)
      level = above
    }
    this.#levels = levels
  }

  get size(): number {
    return this.#levels[0]?.length ?? 0
  }

  /** The 32 bytes that stand for all leaves in their order. */
  get root(): Uint8Array {
    return this.#levels.at(-1)?.[0] ?? new Uint8Array(hashBytes)
  }

  /** The siblings from the leaf up (RFC 6962 section 2.1.1); their number follows from index and size. */
  path(leafIndex: number): readonly Uint8Array[] {
    const path: Uint8Array[] = []
    let index = leafIndex
    for (const level of this.#levels) {
      const sibling = level[index ^ 1]
      if (sibling !== undefined) path.push(sibling)
      index >>= 1
    }
    return path
  }
}

/** How many hashes the path of a leaf has. */
export function merklePathLength(leafIndex: number, size: number): number {
  let count = 0
  let index = leafIndex
  for (let width = size; width > 1; width = (width + 1) >> 1) {
    if ((index ^ 1) < width) count++
    index >>= 1
  }
  return count
}

/** Whether `path` leads from the leaf at `index` of a tree of `size` leaves to `root`. */
export function verifyMerklePath(
  claim: {
    readonly leaf: Uint8Array
    readonly index: number
    readonly size: number
    readonly path: readonly Uint8Array[]
    readonly root: Uint8Array
  },
  sha256: Sha256
): boolean {
  const { size, path } = claim
  if (claim.index < 0 || claim.index >= size || path.length !== merklePathLength(claim.index, size)) return false
  let hash = claim.leaf
  let index = claim.index
  let used = 0
  for (let width = size; width > 1; width = (width + 1) >> 1) {
    if ((index ^ 1) < width) {
      const sibling = path[used++] ?? hash
      hash = index % 2 === 1 ? nodeHash(sibling, hash, sha256) : nodeHash(hash, sibling, sha256)
    }
    index >>= 1
  }
  return equalBytes(hash, claim.root)
}
