import { type CellCipher, cellMemoryBytes, makeCellCipher } from '../../core/onion/index.ts'

/** The cell cipher by libsodium in native code. @throws {Error} when the optional package sodium-native is missing or does not fit this machine */
export async function sodiumNativeCells(): Promise<CellCipher> {
  const { default: sodium } = await import('sodium-native')
  const memory = new Uint8Array(cellMemoryBytes)
  return makeCellCipher<Uint8Array>({
    memory,
    part: (start, length) => memory.subarray(start, start + length),
    stream: (data, key, nonce) => sodium.crypto_stream_chacha20_ietf_xor(data, data, nonce, key),
    hash: (output, input, key) => sodium.crypto_generichash(output, input, key)
  })
}
