import instantiate from 'libsodium-sumo'
import { type CellCipher, cellMemoryBytes, makeCellCipher } from '../../core/onion/index.ts'

/** An address in the memory of WebAssembly, and how many bytes are meant. */
interface Span {
  readonly address: number
  readonly length: number
}

/**
 * The cell cipher by libsodium in WebAssembly. Each cell is copied into its memory once and out once. The instance is nobody else's, and nothing in it
 * takes memory later: what was reserved stays where it is.
 */
export async function sodiumWasmCells(): Promise<CellCipher> {
  const sodium = await instantiate()
  const start = sodium._malloc(cellMemoryBytes)
  const memory = sodium.HEAPU8.subarray(start, start + cellMemoryBytes).fill(0)
  return makeCellCipher<Span>({
    memory,
    part: (offset, length) => ({ address: start + offset, length }),
    stream: (data, key, nonce) => {
      sodium._crypto_stream_chacha20_ietf_xor(data.address, data.address, data.length, 0, nonce.address, key.address)
    },
    hash: (output, input, key) => {
      sodium._crypto_generichash(output.address, output.length, input.address, input.length, 0, key.address, key.length)
    }
  })
}
