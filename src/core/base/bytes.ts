import { MeshError } from './errors.ts'

// Pure, and in every runtime; core's `lib` leaves them out together with the impure globals.
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
}
declare class TextDecoder {
  constructor(label: string, options: { readonly fatal: boolean; readonly ignoreBOM: boolean })
  decode(bytes: Uint8Array): string
}

export type Bytes = Uint8Array<ArrayBuffer>

/** Bytes in one piece or in several. */
export type Pieces = Uint8Array | readonly Uint8Array[]

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The UTF-8 bytes of `text`. */
export const utf8 = (text: string): Bytes => encoder.encode(text)

/** The text of UTF-8 `bytes`. @throws {MeshError} MESSAGE_MALFORMED when they are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new MeshError('MESSAGE_MALFORMED', { what: 'text', reason: 'not UTF-8' }, { cause })
  }
}

/** One array with all of `parts`, in order. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** How many bytes all of `pieces` have. */
export function byteLength(pieces: Pieces): number {
  if (pieces instanceof Uint8Array) return pieces.length
  let length = 0
  for (const piece of pieces) length += piece.length
  return length
}

/** What is shorter is copied together with its neighbours: each piece is one more call into every cipher and every stream below. */
const smallBytes = 2_048

/** The same bytes in fewer pieces: neighbours under 2 KiB become one, large pieces stay the arrays that they are. */
export function joinSmall(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  const joined: Uint8Array[] = []
  let small: Uint8Array[] = []
  for (const piece of pieces) {
    if (piece.length < smallBytes) {
      small.push(piece)
      continue
    }
    if (small.length > 0) joined.push(concat(...small))
    small = []
    joined.push(piece)
  }
  if (small.length > 0) joined.push(concat(...small))
  return joined
}

/** Whether two arrays are equal, in time that depends on their lengths only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0)
  return difference === 0
}

/** Lexicographic order of two arrays: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  for (let index = 0; index < shorter; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

const hexPairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += hexPairs[byte]
  return text
}

/** The bytes of an even number of hexadecimal digits. @throws {MeshError} MESSAGE_MALFORMED */
export function fromHex(text: string): Bytes {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new MeshError('MESSAGE_MALFORMED', { what: 'hexadecimal text', reason: 'not pairs of digits' })
  }
  const bytes = new Uint8Array(text.length / 2)
  for (let index = 0; index < bytes.length; index++) bytes[index] = Number.parseInt(text.slice(2 * index, 2 * index + 2), 16)
  return bytes
}

const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** base64url without padding (RFC 4648 section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  let text = ''
  for (let index = 0; index < bytes.length; index += 3) {
    const group = ((bytes[index] ?? 0) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0)
    const digits = Math.min(4, bytes.length - index + 1)
    for (let digit = 0; digit < digits; digit++) text += base64Digits.charAt((group >> (18 - 6 * digit)) & 63)
  }
  return text
}

/** The bytes of canonical, unpadded base64url. @throws {MeshError} MESSAGE_MALFORMED */
export function fromBase64Url(text: string): Bytes {
  const malformed = (): MeshError => new MeshError('MESSAGE_MALFORMED', { what: 'base64url text', reason: 'not canonical' })
  if (text.length % 4 === 1) throw malformed()
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let bits = 0
  let held = 0
  let offset = 0
  for (const character of text) {
    const digit = base64Digits.indexOf(character)
    if (digit < 0) throw malformed()
    held = ((held << 6) | digit) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[offset++] = (held >> bits) & 255
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw malformed()
  return bytes
}

const viewOf = ({ buffer, byteOffset, byteLength: length }: Uint8Array): DataView => new DataView(buffer, byteOffset, length)

/** Writes a fixed layout, big-endian, growing as needed. */
export class ByteWriter {
  #bytes: Bytes
  #view: DataView
  #length = 0

  /** @param memory - to begin with: how many bytes, or an array that is the writer's from now on. */
  constructor(memory: number | Bytes = 256) {
    this.#bytes = typeof memory === 'number' ? new Uint8Array(memory) : memory
    this.#view = viewOf(this.#bytes)
  }

  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    this.#reserve(1)
    this.#view.setUint8(this.#length, value)
    this.#length += 1
    return this
  }

  u16(value: number): this {
    this.#reserve(2)
    this.#view.setUint16(this.#length, value)
    this.#length += 2
    return this
  }

  u32(value: number): this {
    this.#reserve(4)
    this.#view.setUint32(this.#length, value)
    this.#length += 4
    return this
  }

  /** Writes over the two bytes at `offset`, which were written before. */
  setU16(offset: number, value: number): this {
    this.#view.setUint16(offset, value)
    return this
  }

  /** An unsigned 64-bit number of at most 2^53 - 1. */
  u64(value: number): this {
    this.#reserve(8)
    this.#view.setBigUint64(this.#length, BigInt(value))
    this.#length += 8
    return this
  }

  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** The characters of a text that is known to be ASCII: what is none would be cut to eight bits. */
  ascii(text: string): this {
    this.#reserve(text.length)
    for (let index = 0; index < text.length; index++) this.#bytes[this.#length + index] = text.charCodeAt(index)
    this.#length += text.length
    return this
  }

  /** `bytes` behind their length as u16. */
  prefixed16(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes)
  }

  /** `bytes` behind their length as u32: lp() of the wire documents. */
  prefixed32(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes)
  }

  /** A copy of what was written. */
  finish(): Bytes {
    return this.#bytes.slice(0, this.#length)
  }

  /** What was written, without a copy; the writer must not be used afterwards. */
  take(): Bytes {
    return this.#bytes.subarray(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    grown.set(this.#bytes)
    this.#bytes = grown
    this.#view = viewOf(grown)
  }
}

/** Reads a fixed layout, big-endian. Every failure is MESSAGE_MALFORMED with the offset; each length has a maximum. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #what: string
  #offset = 0

  /** @param what - the name of the format, for the error. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#what = what
  }

  get offset(): number {
    return this.#offset
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  /** An unsigned 64-bit number of at most 2^53 - 1. */
  u64(): number {
    const value = this.#view.getBigUint64(this.#take(8))
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.malformed('number over 2^53 - 1')
    return Number(value)
  }

  /** A view of exactly `length` bytes. */
  raw(length: number): Uint8Array {
    const start = this.#take(length)
    return this.#bytes.subarray(start, start + length)
  }

  prefixed16(maxBytes: number): Uint8Array {
    return this.raw(this.#limited(this.u16(), maxBytes))
  }

  prefixed32(maxBytes: number): Uint8Array {
    return this.raw(this.#limited(this.u32(), maxBytes))
  }

  /** Ends the reading. @throws {MeshError} MESSAGE_MALFORMED when bytes are left. */
  end(): void {
    if (this.remaining > 0) throw this.malformed(`${this.remaining} bytes left over`)
  }

  /** The error for a value that was read and does not fit. */
  malformed(reason: string): MeshError {
    return new MeshError('MESSAGE_MALFORMED', { what: this.#what, reason, offset: this.#offset })
  }

  #limited(length: number, maxBytes: number): number {
    if (length > maxBytes) throw this.malformed(`length ${length} over ${maxBytes}`)
    return length
  }

  #take(length: number): number {
    if (length > this.remaining) throw this.malformed(`${length} bytes wanted, ${this.remaining} left`)
    const start = this.#offset
    this.#offset += length
    return start
  }
}
