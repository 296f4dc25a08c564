import { type AeadKey, MeshError, type Pieces, byteLength } from '../base/index.ts'
import { type KdfTools, chainKey } from './key-schedule.ts'

/** Bytes of a record besides its plaintext: header and tag. */
export const recordOverheadBytes = 17
/** A key serves so many records of one direction; then the next one is derived from it, and it is wiped. */
export const chainStepRecords = 65_536
/** Noise keeps the last nonces back (revision 34 section 5.1); no epoch comes near. */
const maxRecords = 2 ** 32 - 2

/**
 * The records of one direction in one epoch: header ‖ ChaCha20-Poly1305 with the header as additional data. The nonce is a counter that both sides keep:
 * a record that is repeated, left out, moved, sent back or another session's does not open.
 */
export class RecordKey {
  readonly #tools: KdfTools
  readonly #nonce = new Uint8Array(12)
  readonly #counterView: DataView
  readonly #header = new Uint8Array(1)
  #key: Uint8Array
  #aead: AeadKey
  #records = 0
  #bytes = 0

  /** Takes `key` over: it is wiped here. */
  constructor(tools: KdfTools, key: Uint8Array) {
    this.#tools = tools
    this.#key = key
    this.#aead = tools.crypto.aead(key)
    this.#counterView = new DataView(this.#nonce.buffer)
  }

  /** Records so far. */
  get records(): number {
    return this.#records
  }

  /** Bytes of plaintext so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** The next record, in pieces. @throws {MeshError} PROTOCOL_LIMIT after 2^32 - 2 */
  seal(header: number, plaintext: Pieces): readonly Uint8Array[] {
    this.#prepare(header)
    const sealed = this.#aead.sealPieces({ nonce: this.#nonce, ad: this.#header, plaintext })
    this.#count(byteLength(plaintext))
    return [new Uint8Array(this.#header), ...sealed]
  }

  /** The plaintext of the next record. @throws {MeshError} SESSION_RECORD_INVALID, PROTOCOL_LIMIT */
  open(record: Uint8Array): Uint8Array {
    if (record.length < recordOverheadBytes) throw new MeshError('SESSION_RECORD_INVALID', { reason: `${record.length} bytes` })
    this.#prepare(record[0] ?? 0)
    const plaintext = this.#opened(record.subarray(1))
    this.#count(record.length - recordOverheadBytes)
    return plaintext
  }

  wipe(): void {
    this.#key.fill(0)
    this.#aead = closedKey
  }

  #opened(ciphertext: Uint8Array): Uint8Array {
    try {
      return this.#aead.open(this.#nonce, this.#header, ciphertext)
    } catch (cause) {
      throw new MeshError('SESSION_RECORD_INVALID', { reason: 'its tag is wrong' }, { cause })
    }
  }

  // 4 zero bytes ‖ u64 little-endian, as in Noise revision 34 section 12.3. The counter goes on over chain steps.
  #prepare(header: number): void {
    if (this.#records >= maxRecords) throw new MeshError('PROTOCOL_LIMIT', { protocol: 'the session', reason: `${maxRecords} records in one epoch` })
    this.#header[0] = header
    this.#counterView.setUint32(4, this.#records, true)
  }

  #count(bytes: number): void {
    this.#records += 1
    this.#bytes += bytes
    if (this.#records % chainStepRecords !== 0) return
    this.#key = chainKey(this.#tools, this.#key)
    this.#aead = this.#tools.crypto.aead(this.#key)
  }
}

/** In place of a key that was wiped. */
const closedKey: AeadKey = { seal: refuse, sealInto: refuse, sealPieces: refuse, open: refuse }

function refuse(): never {
  throw new MeshError('SESSION_RECORD_INVALID', { reason: 'the session has ended' })
}
