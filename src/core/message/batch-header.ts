import { MeshError, type WallMillis, wallMillis } from '../base/index.ts'
import { decodeCbor, encodeCbor, malformedCbor } from './cbor.ts'
import { isIntegerIn } from './field-rules.ts'
import { messageLimits } from './types.ts'

/** What one signature covers: see docs/wire/envelope.md. */
export interface BatchHeader {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly epoch: Uint8Array
  /** The sender's clock at transmission, continuing the clock by which the messages got their timestamps. */
  readonly sentAt: WallMillis
  /** The lowest sequence to this destination whose sending has not ended; at least 1. */
  readonly floor: number
  /** Messages, 1–256. */
  readonly size: number
  readonly root: Uint8Array
}

export const batchHeaderMaxBytes = 256
const batchVersion = 1
const what = 'batch header'

/** The signed bytes: deterministic CBOR. */
export const encodeBatchHeader = (header: BatchHeader): Uint8Array =>
  encodeCbor([batchVersion, header.source, header.destination, header.epoch, header.sentAt, header.floor, header.size, header.root])

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeBatchHeader(bytes: Uint8Array): BatchHeader {
  const value = decodeCbor(bytes, { what, maxBytes: batchHeaderMaxBytes, maxItems: 9, maxDepth: 1 })
  if (!Array.isArray(value)) throw malformedCbor(what, 'not an array')
  const fields: readonly unknown[] = value
  if (isIntegerIn(fields[0], 0, 65_535) && fields[0] !== batchVersion)
    throw new MeshError('UNSUPPORTED_VERSION', { what: 'The batch', version: fields[0] })
  if (fields.length !== 8 || fields[0] !== batchVersion) throw malformedCbor(what, 'not an array of 8')
  return {
    source: bytesOf(fields[1], 32),
    destination: bytesOf(fields[2], 32),
    epoch: bytesOf(fields[3], 16),
    sentAt: wallMillis(integerOf(fields[4], 0, Number.MAX_SAFE_INTEGER)),
    floor: integerOf(fields[5], 1, Number.MAX_SAFE_INTEGER - messageLimits.sequenceWindow),
    size: integerOf(fields[6], 1, messageLimits.batchMessages),
    root: bytesOf(fields[7], 32)
  }
}

function bytesOf(value: unknown, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw malformedCbor(what, `a field is not ${length} bytes`)
  return value
}

function integerOf(value: unknown, min: number, max: number): number {
  if (!isIntegerIn(value, min, max)) throw malformedCbor(what, 'a number is out of range')
  return value
}
