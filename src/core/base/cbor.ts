import { decode, encode } from 'cborg'
import { compareBytes } from './bytes.ts'
import { MeshError } from './errors.ts'

/** Bounds of a signed object, checked before anything is built from it. */
export interface CborBounds {
  /** The name of the format, for the error. */
  readonly what: string
  readonly maxBytes: number
  /** Items of all kinds: arrays, and what they hold. */
  readonly maxItems: number
  readonly maxDepth: number
}

/** What signed objects are made of: unsigned integers, byte and text strings, arrays, true, false, null. */
export type CborValue = number | string | boolean | null | Uint8Array | readonly CborValue[]

const decodeOptions = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: false,
  allowNaN: false,
  allowInfinity: false
} as const

/** Deterministic CBOR (RFC 8949 section 4.2.1) of `value`. */
export const encodeCbor = (value: CborValue): Uint8Array => encode(value)

/**
 * Decodes deterministic CBOR: the same bytes must come out of encoding the result again. Bounds are checked first, by a scan of the
 * item heads that allocates nothing. @throws {MeshError} MESSAGE_MALFORMED
 */
export function decodeCbor(bytes: Uint8Array, bounds: CborBounds): unknown {
  const reason = shapeProblem(bytes, bounds)
  if (reason !== undefined) throw malformedCbor(bounds.what, reason)
  let value: unknown
  let again: Uint8Array
  try {
    value = decode(bytes, decodeOptions)
    again = encode(value)
  } catch (cause) {
    throw new MeshError('MESSAGE_MALFORMED', { what: bounds.what, reason: 'not deterministic CBOR' }, { cause })
  }
  if (again.length !== bytes.length || compareBytes(again, bytes) !== 0) throw malformedCbor(bounds.what, 'not deterministic CBOR')
  return value
}

/** The error for a value that was decoded and does not fit. */
export const malformedCbor = (what: string, reason: string): MeshError => new MeshError('MESSAGE_MALFORMED', { what, reason })

/** Why `bytes` are no item of plain CBOR within the bounds; undefined when they are one. */
function shapeProblem(bytes: Uint8Array, bounds: CborBounds): string | undefined {
  if (bytes.length > bounds.maxBytes) return `${bytes.length} bytes, at most ${bounds.maxBytes}`
  const open: number[] = []
  let offset = 0
  let items = 0
  do {
    if (++items > bounds.maxItems) return `over ${bounds.maxItems} items`
    const head = readHead(bytes, offset)
    if (head === undefined) return 'not plain CBOR'
    offset = head.next
    if (head.major === 2 || head.major === 3) offset += head.value
    if (offset > bytes.length) return 'cut short'
    if (head.major === 4) {
      if (open.length >= bounds.maxDepth) return `nested over ${bounds.maxDepth} deep`
      open.push(head.value)
    } else if (open.length > 0) {
      open[open.length - 1] = (open.at(-1) ?? 0) - 1
    }
    while (open.at(-1) === 0) {
      open.pop()
      if (open.length > 0) open[open.length - 1] = (open.at(-1) ?? 0) - 1
    }
  } while (open.length > 0)
  return offset === bytes.length ? undefined : 'bytes left over'
}

interface Head {
  readonly major: number
  readonly value: number
  readonly next: number
}

/** The head of the item at `offset`; undefined for maps, tags, floats, negative numbers, indefinite lengths, and at the end. */
export function readHead(bytes: Uint8Array, offset: number): Head | undefined {
  const first = bytes[offset]
  if (first === undefined) return undefined
  const major = first >> 5
  const info = first & 31
  if (major === 7) return info >= 20 && info <= 22 ? { major, value: info, next: offset + 1 } : undefined
  if (major === 1 || major > 4 || info > 27) return undefined
  if (info < 24) return { major, value: info, next: offset + 1 }
  const length = 1 << (info - 24)
  if (offset + 1 + length > bytes.length) return undefined
  let value = 0
  for (let index = 0; index < length; index++) value = value * 256 + (bytes[offset + 1 + index] ?? 0)
  return { major, value, next: offset + 1 + length }
}
