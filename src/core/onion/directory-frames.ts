import { ByteReader, ByteWriter, type Bytes } from '../base/index.ts'
import { descriptorLimits } from './descriptor.ts'
import { bucketCount, digestBytes } from './directory-digests.ts'

/**
 * The frames with which two nodes compare their views of who is in circuits; see docs/wire/onion.md. The asking side: `ask`, answered by `summary`;
 * then any number of `want`, each answered by `descriptors` (none or more frames) and `done`.
 */
export type DirectoryFrame =
  | { readonly kind: 'ask' }
  /** How many descriptors there are, and the digests of the 256 buckets, 2,048 bytes. */
  | { readonly kind: 'summary'; readonly count: number; readonly digests: Uint8Array }
  /** Buckets, ascending, at least one; and the ids of what the asking side has in them, at most 8,000. */
  | { readonly kind: 'want'; readonly buckets: readonly number[]; readonly ids: readonly Uint8Array[] }
  /** Signed descriptors, 1 to 255. */
  | { readonly kind: 'descriptors'; readonly descriptors: readonly Uint8Array[] }
  /** Nothing more comes; which of the wanted ids the other side does not have. */
  | { readonly kind: 'done'; readonly unknown: readonly Uint8Array[] }

/** Ids in one frame. */
export const maxFrameIds = 8_000
/** What `descriptors` are packed to. */
const packedBytes = 32_768
const maxPacked = 255
const kinds = { ask: 1, summary: 2, want: 3, descriptors: 4, done: 5 } as const
const bitmapBytes = bucketCount / 8
const summaryBytes = bucketCount * digestBytes
const what = 'onion directory frame'

/** The bytes of a frame. */
export function encodeDirectoryFrame(frame: DirectoryFrame): Bytes {
  const writer = new ByteWriter().u8(kinds[frame.kind])
  switch (frame.kind) {
    case 'ask':
      return writer.finish()
    case 'summary':
      return writer.u16(frame.count).raw(frame.digests).finish()
    case 'want':
      return writeIds(writer.raw(bitmapOf(frame.buckets)), frame.ids).finish()
    case 'descriptors':
      writer.u8(frame.descriptors.length)
      for (const each of frame.descriptors) writer.prefixed16(each)
      return writer.finish()
    case 'done':
      return writeIds(writer, frame.unknown).finish()
  }
}

/** Reads a frame. What is in descriptors is not looked at. @throws {MeshError} MESSAGE_MALFORMED */
export function decodeDirectoryFrame(bytes: Uint8Array): DirectoryFrame {
  const reader = new ByteReader(bytes, what)
  const frame = readFrame(reader.u8(), reader)
  reader.end()
  return frame
}

/** `descriptors` in as few frames as they need. */
export function packDescriptors(descriptors: readonly Uint8Array[]): readonly DirectoryFrame[] {
  const frames: Uint8Array[][] = []
  let bytes = packedBytes
  for (const each of descriptors) {
    const current = frames.at(-1)
    if (current === undefined || bytes + each.length > packedBytes || current.length >= maxPacked) {
      frames.push([each])
      bytes = each.length
    } else {
      current.push(each)
      bytes += each.length
    }
  }
  return frames.map((packed) => ({ kind: 'descriptors', descriptors: packed }))
}

function readFrame(kind: number, reader: ByteReader): DirectoryFrame {
  switch (kind) {
    case kinds.ask:
      return { kind: 'ask' }
    case kinds.summary:
      return { kind: 'summary', count: reader.u16(), digests: reader.raw(summaryBytes) }
    case kinds.want:
      return { kind: 'want', buckets: readBuckets(reader), ids: readIds(reader) }
    case kinds.descriptors:
      return { kind: 'descriptors', descriptors: readDescriptors(reader) }
    case kinds.done:
      return { kind: 'done', unknown: readIds(reader) }
    default:
      throw reader.malformed(`kind ${kind}`)
  }
}

function readDescriptors(reader: ByteReader): readonly Uint8Array[] {
  const count = reader.u8()
  if (count === 0) throw reader.malformed('no descriptor')
  // Copies: a descriptor that is kept would keep all of its frame.
  return Array.from({ length: count }, () => reader.prefixed16(descriptorLimits.bytes).slice())
}

function readIds(reader: ByteReader): readonly Uint8Array[] {
  const count = reader.u16()
  if (count > maxFrameIds) throw reader.malformed(`${count} ids, at most ${maxFrameIds}`)
  return Array.from({ length: count }, () => reader.raw(digestBytes))
}

function writeIds(writer: ByteWriter, ids: readonly Uint8Array[]): ByteWriter {
  writer.u16(ids.length)
  for (const id of ids) writer.raw(id)
  return writer
}

/** The first bucket is the highest bit of the first byte. */
function bitmapOf(buckets: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array(bitmapBytes)
  for (const bucket of buckets) bitmap[bucket >> 3] = (bitmap[bucket >> 3] ?? 0) | (0x80 >> (bucket & 7))
  return bitmap
}

function readBuckets(reader: ByteReader): readonly number[] {
  const bitmap = reader.raw(bitmapBytes)
  const buckets = Array.from({ length: bucketCount }, (_, bucket) => bucket).filter(
    (bucket) => ((bitmap[bucket >> 3] ?? 0) & (0x80 >> (bucket & 7))) !== 0
  )
  if (buckets.length === 0) throw reader.malformed('no bucket')
  return buckets
}
