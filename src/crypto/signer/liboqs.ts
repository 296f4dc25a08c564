import { createMLDSA44, createMLDSA65, createMLDSA87 } from '@oqs/liboqs-js/sig'
import type { SignerEngine } from './engine.ts'
import type { MlDsaName } from './parameters.ts'

const loaders = { 'ml-dsa-44': createMLDSA44, 'ml-dsa-65': createMLDSA65, 'ml-dsa-87': createMLDSA87 } as const

/** ML-DSA by liboqs in WebAssembly; only the chosen parameter set is loaded. It has neither seeds nor contexts. */
export async function liboqsSigner(name: MlDsaName): Promise<SignerEngine> {
  const algorithm = await loaders[name]()
  return {
    generate: () => {
      const { publicKey, secretKey } = algorithm.generateKeyPair()
      return { publicKey, privateKey: secretKey }
    },
    sign: (message, privateKey) => algorithm.sign(message, privateKey),
    verify: ({ publicKey, message, signature }) => algorithm.verify(message, signature, publicKey)
  }
}
