import { createMLKEM1024, createMLKEM512, createMLKEM768 } from '@oqs/liboqs-js/kem'
import type { KemEngine } from './engine.ts'
import type { KemParameters } from './parameters.ts'

const loaders = { 'ML-KEM-512': createMLKEM512, 'ML-KEM-768': createMLKEM768, 'ML-KEM-1024': createMLKEM1024 } as const

/** ML-KEM by liboqs in WebAssembly; only the chosen parameter set is loaded. It has no seeds: its private keys are expanded ones. */
export async function liboqsKem({ name }: KemParameters): Promise<KemEngine> {
  const algorithm = await loaders[name]()
  return {
    generate: () => {
      const { publicKey, secretKey } = algorithm.generateKeyPair()
      return { publicKey, privateKey: secretKey }
    },
    encapsulate: (publicKey) => algorithm.encapsulate(publicKey),
    decapsulate: (ciphertext, privateKey) => algorithm.decapsulate(ciphertext, privateKey)
  }
}
