import type { DirectoryFrame } from '../../../src/core/onion/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { signedBy } from './descriptor-support.ts'

const random = new SeededRandom(9)
const ids = (count: number): readonly Uint8Array[] => Array.from({ length: count }, () => random.bytes(8))

/** One of each kind, and more of those that hold lists. */
export const directoryFrames: readonly DirectoryFrame[] = [
  { kind: 'ask' },
  { kind: 'summary', count: 513, digests: random.bytes(2_048) },
  { kind: 'want', buckets: [0, 7, 8, 255], ids: ids(3) },
  { kind: 'want', buckets: Array.from({ length: 256 }, (_, bucket) => bucket), ids: [] },
  { kind: 'descriptors', descriptors: ['a', 'b', 'c'].map((name) => signedBy(name).bytes) },
  { kind: 'done', unknown: ids(2) },
  { kind: 'done', unknown: [] }
]
