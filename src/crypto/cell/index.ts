import { equalBytes } from '../../core/base/index.ts'
import { type CellCipher, cellCommands, cellSizes, nobleCells } from '../../core/onion/index.ts'

/** `native` is libsodium by the optional package sodium-native; `wasm` is libsodium in WebAssembly; `noble` plain JavaScript. From fast to slow. */
export type CellBackend = 'native' | 'wasm' | 'noble'

/** A cell cipher, and what computes it. */
export interface ChosenCells {
  readonly backend: CellBackend
  readonly cipher: CellCipher
}

/** Nothing is loaded before it is used. */
const loaders: Readonly<Record<CellBackend, () => Promise<CellCipher>>> = {
  native: async () => (await import('./sodium-native.ts')).sodiumNativeCells(),
  wasm: async () => (await import('./sodium-wasm.ts')).sodiumWasmCells(),
  noble: async () => nobleCells
}

const fastestFirst = ['native', 'wasm', 'noble'] as const satisfies readonly CellBackend[]

/** The fastest of `backends` that this machine has and that computes what noble does; noble when none of them does. */
export async function cellCipher(backends: readonly CellBackend[] = fastestFirst): Promise<ChosenCells> {
  for (const backend of backends) {
    const cipher = await loaders[backend]().catch(() => undefined)
    if (cipher !== undefined && agrees(cipher)) return { backend, cipher }
  }
  return { backend: 'noble', cipher: nobleCells }
}

/** Two cells and a tag under fixed keys: a library that computes anything else would only fail at every other node. */
function agrees(cipher: CellCipher): boolean {
  const keys = { keys: Uint8Array.from({ length: 128 }, (_, index) => index), chain: new Uint8Array(32).fill(7) }
  const [ours, noble] = [cipher, nobleCells].map((each) => {
    const layer = each.layer(keys)
    const body = Uint8Array.from({ length: cellSizes.body }, (_, index) => index)
    layer.encrypt(cellCommands.relayEarly, body)
    layer.decrypt(cellCommands.relay, body)
    const tag = layer.tag()
    layer.wipe()
    return { body, tag }
  })
  return ours !== undefined && noble !== undefined && equalBytes(ours.body, noble.body) && equalBytes(ours.tag, noble.tag)
}
