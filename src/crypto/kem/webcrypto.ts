import type { webcrypto } from 'node:crypto'
import { takeSecret } from '../inputs.ts'
import { subtleWith } from '../subtle.ts'
import type { KemEngine } from './engine.ts'
import type { KemParameters } from './parameters.ts'

/** ML-KEM by the runtime's WebCrypto (WICG "Modern Algorithms in the Web Cryptography API"). Its private keys are seeds. */
export function webcryptoKem({ name, sizes }: KemParameters): KemEngine {
  const subtle = subtleWith(['encapsulateBits', 'decapsulateBits', 'getPublicKey'])
  const importSeed = (seed: Uint8Array): Promise<webcrypto.CryptoKey> => subtle.importKey('raw-seed', seed, { name }, true, ['decapsulateBits'])
  return {
    generate: async (given) => {
      const seed = given === undefined ? globalThis.crypto.getRandomValues(new Uint8Array(sizes.seed)) : new Uint8Array(given)
      const publicKey = await subtle.getPublicKey(await importSeed(seed), ['encapsulateBits'])
      return { publicKey: new Uint8Array(await subtle.exportKey('raw-public', publicKey)), privateKey: seed }
    },
    encapsulate: async (publicKey) => {
      const key = await subtle.importKey('raw-public', publicKey, { name }, true, ['encapsulateBits'])
      const { ciphertext, sharedKey } = await subtle.encapsulateBits({ name }, key)
      return { ciphertext: new Uint8Array(ciphertext), sharedSecret: takeSecret(sharedKey) }
    },
    decapsulate: async (ciphertext, seed) => takeSecret(await subtle.decapsulateBits({ name }, await importSeed(seed), ciphertext))
  }
}
