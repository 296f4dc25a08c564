import { ed25519 } from '@noble/curves/ed25519.js'
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js'
import { randomBytes } from '@noble/post-quantum/utils.js'
import { wipe } from '../inputs.ts'
import type { SignerEngine } from './engine.ts'
import { type MlDsaName, type SignerName, signerSizes } from './parameters.ts'
import { isStrictCommitment } from './strict-ed25519.ts'

const algorithms = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 } as const
const seedOf = (given: Uint8Array | undefined): Uint8Array => (given === undefined ? randomBytes(32) : new Uint8Array(given))

/** ML-DSA by @noble/post-quantum and Ed25519 by @noble/curves: everything, in plain JavaScript, which claims no constant time. */
export const nobleSigner = (name: SignerName): SignerEngine => (name === 'ed25519' ? nobleEd25519 : nobleMlDsa(name))

const nobleEd25519: SignerEngine = {
  generate: (given) => {
    const seed = seedOf(given)
    return { publicKey: ed25519.getPublicKey(seed), privateKey: seed }
  },
  sign: (message, seed) => ed25519.sign(message, seed),
  // noble's equation is cofactored, OpenSSL's is not: they agree where A and R have no small-order part. A was looked at before.
  verify: ({ publicKey, message, signature }) =>
    isStrictCommitment(signature.subarray(0, signerSizes.ed25519.publicKey)) && ed25519.verify(signature, message, publicKey, { zip215: false })
}

function nobleMlDsa(name: MlDsaName): SignerEngine {
  const algorithm = algorithms[name]
  return {
    generate: (given) => {
      const seed = seedOf(given)
      const { publicKey, secretKey } = algorithm.keygen(seed)
      wipe(secretKey)
      return { publicKey, privateKey: seed }
    },
    sign: (message, privateKey, { context, randomness }) => {
      const isSeed = privateKey.length === signerSizes[name].seed
      const secretKey = isSeed ? algorithm.keygen(privateKey).secretKey : privateKey
      try {
        return algorithm.sign(message, secretKey, {
          ...(context === undefined ? {} : { context }),
          ...(randomness === undefined ? {} : { extraEntropy: randomness })
        })
      } finally {
        if (isSeed) wipe(secretKey)
      }
    },
    verify: ({ publicKey, message, signature, context }) => algorithm.verify(signature, message, publicKey, context === undefined ? {} : { context }),
    expand: (seed) => algorithm.keygen(seed).secretKey
  }
}
