import { ml_kem1024, ml_kem512, ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { randomBytes } from '@noble/post-quantum/utils.js'
import { takeSecret, wipe } from '../inputs.ts'
import type { KemEngine } from './engine.ts'
import type { KemParameters } from './parameters.ts'

const algorithms = { 'ML-KEM-512': ml_kem512, 'ML-KEM-768': ml_kem768, 'ML-KEM-1024': ml_kem1024 } as const

/** ML-KEM by @noble/post-quantum: everything, in plain JavaScript, which claims no constant time. The other backends are held against it. */
export function nobleKem({ name, sizes }: KemParameters): KemEngine {
  const algorithm = algorithms[name]
  return {
    generate: (given) => {
      const seed = given === undefined ? randomBytes(sizes.seed) : new Uint8Array(given)
      const { publicKey, secretKey } = algorithm.keygen(seed)
      wipe(secretKey)
      return { publicKey, privateKey: seed }
    },
    encapsulate: (publicKey, randomness) => {
      const { cipherText, sharedSecret } = algorithm.encapsulate(publicKey, randomness)
      return { ciphertext: cipherText, sharedSecret: takeSecret(sharedSecret) }
    },
    decapsulate: (ciphertext, privateKey) => {
      if (privateKey.length !== sizes.seed) return takeSecret(algorithm.decapsulate(ciphertext, privateKey))
      const { secretKey } = algorithm.keygen(privateKey)
      try {
        return takeSecret(algorithm.decapsulate(ciphertext, secretKey))
      } finally {
        wipe(secretKey)
      }
    },
    expand: (seed) => algorithm.keygen(seed).secretKey
  }
}
