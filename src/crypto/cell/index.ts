import { equalBytes } from '../../core/base/index.ts'
import { type CellCipher, cellCommands, cellSizes, nobleCells } from '../../core/onion/index.ts'

/** `native` is libsodium by the optional package sodium-native; `wasm` is libsodium in WebAssembly; `noble` plain JavaScript. */
export type CellBackend = 'native' | 'wasm' | 'noble'

type CellBackends = Readonly<Record<CellBackend, () => Promise<CellCipher>>>

/** What can compute the cell cipher, from fast to slow. Nothing is loaded before it is asked for; `native` rejects where its package is missing. */
export const cellBackends: CellBackends = {
  native: async () => (await import('./sodium-native.ts')).sodiumNativeCells(),
  wasm: async () => (await import('./sodium-wasm.ts')).sodiumWasmCells(),
  noble: async () => nobleCells
}

const fastestFirst = ['native', 'wasm', 'noble'] as const satisfies readonly CellBackend[]

/** The fastest backend that this machine has and that computes what noble does, and its name for logs and benches. Never rejects: noble is always there. */
export async function cellCipher(backends: CellBackends = cellBackends): Promise<{ readonly backend: CellBackend; readonly cipher: CellCipher }> {
  for (const backend of fastestFirst) {
    const cipher = await backends[backend]().catch(() => undefined)
    if (cipher !== undefined && agrees(cipher)) return { backend, cipher }
  }
  return { backend: 'noble', cipher: nobleCells }
}

/** Two cells and a tag under fixed keys: a library that computes anything else would fail only later, and at every other node. */
function agrees(cipher: CellCipher): boolean {
  try {
    return equalBytes(sampleOf(cipher), sampleOf(nobleCells))
  } catch {
    return false
  }
}

function sampleOf(cipher: CellCipher): Uint8Array {
  const layer = cipher.layer({ keys: Uint8Array.from({ length: 128 }, (_, index) => index), chain: new Uint8Array(32).fill(7) })
  const body = Uint8Array.from({ length: cellSizes.body }, (_, index) => index)
  layer.encrypt(cellCommands.relayEarly, body)
  layer.decrypt(cellCommands.relay, body)
  const tag = layer.tag()
  layer.wipe()
  return Uint8Array.from([...body, ...tag])
}
