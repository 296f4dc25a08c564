import { randomFillSync } from 'node:crypto'
import type { Random } from '../core/base/index.ts'

/** Small requests are served from a block: one call into the operating system's generator for many of them. */
const blockBytes = 4_096
const smallBytes = 64
const block = new Uint8Array(blockBytes)
let used = blockBytes

function small(length: number): Uint8Array {
  if (used + length > blockBytes) {
    randomFillSync(block)
    used = 0
  }
  const bytes = block.slice(used, used + length)
  // What was given out is not kept.
  block.fill(0, used, used + length)
  used += length
  return bytes
}

/** The operating system's randomness. */
export const systemRandom: Random = {
  bytes: (length) => (length <= smallBytes ? small(length) : randomFillSync(new Uint8Array(length)))
}
