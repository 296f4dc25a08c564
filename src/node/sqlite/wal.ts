import { readFileSync } from 'node:fs'
import { MeshError } from '../../core/base/index.ts'

// The file format of SQLite's write-ahead log: https://www.sqlite.org/fileformat2.html section 4.
const headerBytes = 32
const frameHeaderBytes = 24
const magic = 0x377f0682

/**
 * Looks through a write-ahead log before SQLite does. SQLite takes everything up to the first frame that does not verify and drops the rest in silence:
 * right for the torn end after a power cut, wrong for a bit that decayed in the middle. The two differ: each transaction is on the disk before the next
 * one is written, so only the last transaction can be torn. @throws {MeshError} STATE_CORRUPT when what would be dropped is more than that.
 */
export function checkLog(file: string): void {
  const bytes = readLog(file)
  if (bytes === undefined || bytes.length < headerBytes) return
  const log = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = readHeader(log)
  if (header === undefined) {
    if (bytes.subarray(headerBytes).every((byte) => byte === 0)) return
    throw new MeshError('STATE_CORRUPT', { file, reason: 'the header of the log is damaged' })
  }
  const frames = readFrames(log, header)
  const firstBad = frames.findIndex((frame) => !frame.isValid)
  if (firstBad < 0) return
  const rest = frames.slice(firstBad).filter((frame) => frame.hasSalt)
  const commit = rest.findIndex((frame) => frame.isCommit)
  if (commit >= 0 && commit < rest.length - 1)
    throw new MeshError('STATE_CORRUPT', { file, reason: `frame ${firstBad + 1} of the log is damaged, and committed ones follow it` })
}

interface Header {
  readonly isBigEndian: boolean
  readonly pageBytes: number
  readonly sum: Sum
}

type Sum = readonly [number, number]

interface Frame {
  readonly isValid: boolean
  readonly hasSalt: boolean
  readonly isCommit: boolean
}

function readLog(file: string): Uint8Array | undefined {
  try {
    return readFileSync(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function readHeader(log: DataView): Header | undefined {
  const isBigEndian = (log.getUint32(0) & 1) === 1
  const pageBytes = log.getUint32(8)
  const sum = checksum(log, { start: 0, end: 24, isBigEndian, from: [0, 0] })
  const isValid =
    (log.getUint32(0) & ~1) === (magic & ~1) &&
    sum[0] === log.getUint32(24) &&
    sum[1] === log.getUint32(28) &&
    pageBytes >= 512 &&
    pageBytes <= 65_536
  return isValid ? { isBigEndian, pageBytes, sum } : undefined
}

function readFrames(log: DataView, { isBigEndian, pageBytes, sum }: Header): readonly Frame[] {
  const frames: Frame[] = []
  let running = sum
  let isPrefix = true
  for (let start = headerBytes; start + frameHeaderBytes + pageBytes <= log.byteLength; start += frameHeaderBytes + pageBytes) {
    const hasSalt = log.getUint32(start + 8) === log.getUint32(16) && log.getUint32(start + 12) === log.getUint32(20)
    const isCommit = log.getUint32(start + 4) !== 0
    if (isPrefix) {
      const page = start + frameHeaderBytes
      running = checksum(log, { start, end: start + 8, isBigEndian, from: running })
      running = checksum(log, { start: page, end: page + pageBytes, isBigEndian, from: running })
      isPrefix = hasSalt && running[0] === log.getUint32(start + 16) && running[1] === log.getUint32(start + 20)
    }
    frames.push({ isValid: isPrefix, hasSalt, isCommit })
  }
  return frames
}

function checksum(
  log: DataView,
  { start, end, isBigEndian, from }: { readonly start: number; readonly end: number; readonly isBigEndian: boolean; readonly from: Sum }
): Sum {
  let [first, second] = from
  for (let at = start; at < end; at += 8) {
    first = (first + log.getUint32(at, !isBigEndian) + second) >>> 0
    second = (second + log.getUint32(at + 4, !isBigEndian) + first) >>> 0
  }
  return [first, second]
}
