import { handshakeError } from './failures.ts'

const lengthBytes = 2
const tagBytes = 16
const none = new Uint8Array(0)

/** Takes records of u16 length and bytes apart, as they come. What came in one piece is not copied; for what did not, one array is used again and again. */
export class RecordParser {
  readonly #onRecord: (record: Uint8Array) => void
  /** The first byte of a length whose second has not come. */
  #highByte: number | undefined
  /** As long as the longest record that came in pieces. */
  #scratch: Uint8Array = none
  /** Of the record that is not complete; 0 while there is none. */
  #length = 0
  #filled = 0

  /** @param onRecord - gets each record without its length, to be used before it returns. */
  constructor(onRecord: (record: Uint8Array) => void) {
    this.#onRecord = onRecord
  }

  /** Tells of the records that `bytes` complete. @throws {MeshError} HANDSHAKE_FAILED with reason `length` for one without room for its tag */
  push(bytes: Uint8Array): void {
    let offset = this.#fill(bytes)
    while (bytes.length - offset >= lengthBytes) {
      const length = checked(((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0))
      const end = offset + lengthBytes + length
      if (end > bytes.length) {
        this.#begin(length, bytes.subarray(offset + lengthBytes))
        return
      }
      this.#onRecord(bytes.subarray(offset + lengthBytes, end))
      offset = end
    }
    this.#highByte = bytes[offset] ?? this.#highByte
  }

  /** Completes what was begun; returns how many bytes that took. */
  #fill(bytes: Uint8Array): number {
    let offset = 0
    if (this.#highByte !== undefined && bytes.length > 0) {
      this.#begin(checked((this.#highByte << 8) | (bytes[0] ?? 0)), none)
      this.#highByte = undefined
      offset = 1
    }
    if (this.#length === 0) return offset
    const part = bytes.subarray(offset, offset + this.#length - this.#filled)
    this.#scratch.set(part, this.#filled)
    this.#filled += part.length
    if (this.#filled === this.#length) {
      this.#length = 0
      this.#onRecord(this.#scratch.subarray(0, this.#filled))
    }
    return offset + part.length
  }

  #begin(length: number, first: Uint8Array): void {
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length)
    this.#scratch.set(first)
    this.#length = length
    this.#filled = first.length
  }
}

function checked(length: number): number {
  if (length < tagBytes) throw handshakeError('length')
  return length
}
