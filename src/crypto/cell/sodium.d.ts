/** The parts of libsodium that the cell cipher uses; neither package has declarations. */
declare module 'sodium-native' {
  interface SodiumNative {
    crypto_stream_chacha20_ietf_xor(output: Uint8Array, input: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
    crypto_generichash(output: Uint8Array, input: Uint8Array, key: Uint8Array): void
  }
  const sodium: SodiumNative
  export default sodium
}

declare module 'libsodium-sumo' {
  /** Addresses are byte offsets in HEAPU8; the high half of a length is 0. */
  interface LibSodium {
    readonly HEAPU8: Uint8Array
    _malloc(length: number): number
    _crypto_stream_chacha20_ietf_xor(output: number, input: number, length: number, lengthHigh: number, nonce: number, key: number): number
    _crypto_generichash(
      output: number,
      outputLength: number,
      input: number,
      length: number,
      lengthHigh: number,
      key: number,
      keyLength: number
    ): number
  }
  /** A new instance with memory of its own. */
  const instantiate: () => Promise<LibSodium>
  export default instantiate
}
