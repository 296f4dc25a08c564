import { handshakeError } from './failures.ts'

const lengthBytes = 2
const tagBytes = 16

/** Takes records of u16 length and bytes apart, as they come. What came in one piece is not copied. */
export class RecordParser {
  /** The first byte of a length whose second has not come. */
  #highByte: number | undefined
  #record: Uint8Array | undefined
  #filled = 0

  /** The records that `bytes` complete, without their lengths. @throws {MeshError} HANDSHAKE_FAILED with reason `length` for one without room for its tag */
  push(bytes: Uint8Array): Uint8Array[] {
    const records: Uint8Array[] = []
    let offset = this.#fill(bytes, records)
    while (bytes.length - offset >= lengthBytes) {
      const length = checked(((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0))
      const end = offset + lengthBytes + length
      if (end > bytes.length) {
        this.#begin(length, bytes.subarray(offset + lengthBytes))
        return records
      }
      records.push(bytes.subarray(offset + lengthBytes, end))
      offset = end
    }
    this.#highByte = bytes[offset] ?? this.#highByte
    return records
  }

  /** Completes what was begun; returns how many bytes that took. */
  #fill(bytes: Uint8Array, records: Uint8Array[]): number {
    let offset = 0
    if (this.#highByte !== undefined && bytes.length > 0) {
      this.#begin(checked((this.#highByte << 8) | (bytes[0] ?? 0)), bytes.subarray(0, 0))
      this.#highByte = undefined
      offset = 1
    }
    const record = this.#record
    if (record === undefined) return offset
    const part = bytes.subarray(offset, offset + record.length - this.#filled)
    record.set(part, this.#filled)
    this.#filled += part.length
    if (this.#filled === record.length) {
      records.push(record)
      this.#record = undefined
    }
    return offset + part.length
  }

  #begin(length: number, first: Uint8Array): void {
    this.#record = new Uint8Array(length)
    this.#record.set(first)
    this.#filled = first.length
  }
}

function checked(length: number): number {
  if (length < tagBytes) throw handshakeError('length')
  return length
}
