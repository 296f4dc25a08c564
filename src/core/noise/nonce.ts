/** The counter must stay below this. Noise allows 2^64 - 1; two peers that send 2^32 records to each other make a new connection before. */
export const nonceLimit = 2 ** 32 - 2

/** A nonce of ChaChaPoly: four zero bytes, then the counter, little-endian (Noise revision 34, section 12.3). */
export const counterNonce = (): Uint8Array => new Uint8Array(12)

/** Writes `count`, 0 to 2^32 - 1. */
export function setCounter(nonce: Uint8Array, count: number): void {
  nonce[4] = count
  nonce[5] = count >>> 8
  nonce[6] = count >>> 16
  nonce[7] = count >>> 24
}
