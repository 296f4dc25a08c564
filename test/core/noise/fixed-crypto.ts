import { createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import type { DhKey, HandshakeCrypto } from '../../../src/core/base/index.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'

const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** The X25519 key pair of a private key (RFC 7748 section 6.1). */
export function dhOf(privateBytes: Uint8Array): DhKey {
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8, privateBytes]), format: 'der', type: 'pkcs8' })
  return {
    publicKey: createPublicKey(privateKey).export({ format: 'raw-public' }),
    agree: (remote) =>
      diffieHellman({ privateKey, publicKey: createPublicKey({ key: Buffer.from(remote), format: 'raw-public', asymmetricKeyType: 'x25519' }) })
  }
}

export interface FixedKeys {
  readonly ephemeral: Uint8Array
  /** d||z */
  readonly kemSeed: Uint8Array
  readonly encapsulation: Uint8Array
}

/** Node's primitives with keys and chance that are given, for known answers; ML-KEM-768 by noble, the only one that takes the chance of an encapsulation. */
export const fixedCrypto = ({ ephemeral, kemSeed, encapsulation }: FixedKeys): HandshakeCrypto => ({
  ...nodeHandshakeCrypto,
  generateDh: () => dhOf(ephemeral),
  kem: () => ({
    level: 3,
    publicKeyBytes: 1_184,
    ciphertextBytes: 1_088,
    generate: () => {
      const { publicKey, secretKey } = ml_kem768.keygen(kemSeed)
      return { publicKey, decapsulate: (ciphertext) => ml_kem768.decapsulate(new Uint8Array(ciphertext), secretKey) }
    },
    encapsulate: (publicKey) => {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(new Uint8Array(publicKey), encapsulation)
      return { ciphertext: cipherText, sharedSecret }
    }
  })
})
