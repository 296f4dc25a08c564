import { type KeyObject, createPrivateKey, createPublicKey, decapsulate, encapsulate, generateKeyPairSync } from 'node:crypto'
import { asBuffer, pkcs8 } from '../der.ts'
import { takeSecret } from '../inputs.ts'
import type { KemEngine } from './engine.ts'
import type { KemName, KemParameters } from './parameters.ts'

type KeyType = 'ml-kem-512' | 'ml-kem-768' | 'ml-kem-1024'
const types: Readonly<Record<KemName, KeyType>> = { 'ML-KEM-512': 'ml-kem-512', 'ML-KEM-768': 'ml-kem-768', 'ML-KEM-1024': 'ml-kem-1024' }
// 2.16.840.1.101.3.4.4.1 to 3 (NIST's register of algorithms).
const identifiers: Readonly<Record<KemName, string>> = {
  'ML-KEM-512': '0609608648016503040401',
  'ML-KEM-768': '0609608648016503040402',
  'ML-KEM-1024': '0609608648016503040403'
}

/** ML-KEM by `node:crypto` (OpenSSL 3.5). */
export function nodeKem({ name, sizes }: KemParameters): KemEngine {
  const asymmetricKeyType = types[name]
  const importSeed = (seed: Uint8Array): KeyObject => createPrivateKey({ key: asBuffer(seed), format: 'raw-seed', asymmetricKeyType })
  return {
    generate: (seed) => {
      const privateKey = seed === undefined ? generateKeyPairSync(asymmetricKeyType).privateKey : importSeed(seed)
      return {
        publicKey: new Uint8Array(createPublicKey(privateKey).export({ format: 'raw-public' })),
        privateKey: takeSecret(privateKey.export({ format: 'raw-seed' }))
      }
    },
    encapsulate: (publicKey) => {
      const key = createPublicKey({ key: asBuffer(publicKey), format: 'raw-public', asymmetricKeyType })
      const { ciphertext, sharedKey } = encapsulate(key)
      return { ciphertext: new Uint8Array(ciphertext), sharedSecret: takeSecret(sharedKey) }
    },
    decapsulate: (ciphertext, privateKey) => {
      const key = privateKey.length === sizes.seed ? importSeed(privateKey) : importExpanded(privateKey, name)
      return takeSecret(decapsulate(key, ciphertext))
    },
    expand: (seed) => {
      const der = importSeed(seed).export({ format: 'der', type: 'pkcs8' })
      // The last field of its `both` form (RFC 9935 section 6).
      const expanded = new Uint8Array(der.subarray(der.length - sizes.expandedKey))
      der.fill(0)
      return expanded
    }
  }
}

function importExpanded(expandedKey: Uint8Array, name: KemName): KeyObject {
  const der = pkcs8(identifiers[name], expandedKey)
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    der.fill(0)
  }
}
