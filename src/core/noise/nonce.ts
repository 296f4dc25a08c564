import { MeshError } from '../base/index.ts'

/** Nonces of one key. Noise allows 2^64 - 1; two peers that send 2^32 records to each other make a new connection before. */
export const nonceLimit = 2 ** 32 - 2

/** The nonces of a key of ChaChaPoly, each once: four zero bytes, then the counter, little-endian (Noise revision 34, section 12.3). */
export class NonceCounter {
  readonly #bytes = new Uint8Array(12)
  #count: number

  /** @param start - for tests of the limit. */
  constructor(start = 0) {
    this.#count = start
  }

  /** The next one, good until the next call. @throws {MeshError} HANDSHAKE_FAILED with reason `nonce` when the key is used up */
  next(): Uint8Array {
    const count = this.#count
    if (count >= nonceLimit) throw new MeshError('HANDSHAKE_FAILED', { reason: 'nonce' })
    this.#bytes[4] = count
    this.#bytes[5] = count >>> 8
    this.#bytes[6] = count >>> 16
    this.#bytes[7] = count >>> 24
    this.#count = count + 1
    return this.#bytes
  }
}
