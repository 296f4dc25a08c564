import { createHash, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'
import { ml_kem1024, ml_kem512, ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import type { DhKey, HandshakeCrypto, KemLevel, KemPort } from '../../../src/core/base/index.ts'
import { nodeHandshakeCrypto } from '../../../src/crypto/handshake-crypto.ts'

const kems = { 1: ml_kem512, 3: ml_kem768, 5: ml_kem1024 } as const
// RFC 8410: everything before the 32 bytes of an X25519 key.
const privatePrefix = Buffer.from('302e020100300506032b656e04220420', 'hex')
const publicPrefix = Buffer.from('302a300506032b656e032100', 'hex')

/** Primitives whose chance follows from a seed: SHA-256(seed ‖ ' ' ‖ counter ‖ ' ' ‖ part), the counter from 0 for each request, the part from 0. */
export function seededCrypto(seed: string): HandshakeCrypto {
  let counter = 0
  const randomBytes = (length: number): Uint8Array => {
    const request = counter++
    const parts = Array.from({ length: Math.ceil(length / 32) }, (_, part) => createHash('sha256').update(`${seed} ${request} ${part}`).digest())
    return new Uint8Array(Buffer.concat(parts).subarray(0, length))
  }
  return { ...nodeHandshakeCrypto, randomBytes, generateDh: () => dhKey(randomBytes(32)), kem: (level) => kemPort(level, randomBytes) }
}

function dhKey(scalar: Uint8Array): DhKey {
  const privateKey = createPrivateKey({ key: Buffer.concat([privatePrefix, scalar]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return {
    publicKey: new Uint8Array(spki.subarray(publicPrefix.length)),
    agree: (remote) => {
      const publicKey = createPublicKey({ key: Buffer.concat([publicPrefix, remote]), format: 'der', type: 'spki' })
      return new Uint8Array(diffieHellman({ privateKey, publicKey }))
    }
  }
}

function kemPort(level: KemLevel, randomBytes: (length: number) => Uint8Array): KemPort {
  const kem = kems[level]
  const { publicKeyBytes, ciphertextBytes } = nodeHandshakeCrypto.kem(level)
  return {
    level,
    publicKeyBytes,
    ciphertextBytes,
    generate: () => {
      const { publicKey, secretKey } = kem.keygen(randomBytes(64))
      return { publicKey, decapsulate: (ciphertext) => kem.decapsulate(new Uint8Array(ciphertext), secretKey) }
    },
    encapsulate: (publicKey) => {
      const { cipherText, sharedSecret } = kem.encapsulate(new Uint8Array(publicKey), randomBytes(32))
      return { ciphertext: cipherText, sharedSecret }
    }
  }
}
