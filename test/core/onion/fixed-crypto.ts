import { ml_kem1024, ml_kem512, ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import type { HandshakeCrypto, KemLevel, KemPort } from '../../../src/core/base/index.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'
import { dhOf } from '../noise/fixed-crypto.ts'

const kems = { 1: ml_kem512, 3: ml_kem768, 5: ml_kem1024 }

/** The chance of one side of a handshake. */
export interface FixedChance {
  /** The private key of X25519 that is made. */
  readonly dh: Uint8Array
  /** d ‖ z of ML-KEM.KeyGen; the client's. */
  readonly kemSeed?: Uint8Array
  /** m of ML-KEM.Encaps; the relay's. */
  readonly encapsulation?: Uint8Array
}

/** Node's primitives with keys that are given; ML-KEM by noble, the only one that takes the chance of an encapsulation. */
export const fixedCrypto = ({ dh, kemSeed, encapsulation }: FixedChance): HandshakeCrypto => ({
  ...nodeHandshakeCrypto,
  generateDh: () => dhOf(dh),
  kem: (level) => fixedKem(level, { kemSeed, encapsulation })
})

function fixedKem(level: KemLevel, { kemSeed, encapsulation }: Record<'kemSeed' | 'encapsulation', Uint8Array | undefined>): KemPort {
  const kem = kems[level]
  return {
    ...nodeHandshakeCrypto.kem(level),
    generate: () => {
      const { publicKey, secretKey } = kem.keygen(new Uint8Array(kemSeed ?? []))
      return { publicKey, decapsulate: (ciphertext) => kem.decapsulate(new Uint8Array(ciphertext), secretKey) }
    },
    encapsulate: (publicKey) => {
      const { cipherText, sharedSecret } = kem.encapsulate(new Uint8Array(publicKey), new Uint8Array(encapsulation ?? []))
      return { ciphertext: cipherText, sharedSecret }
    }
  }
}
