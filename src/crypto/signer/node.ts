import { type KeyObject, createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import { asBuffer, pkcs8 } from '../der.ts'
import { ed25519FromSeed, verifyRaw } from '../ed25519.ts'
import { takeSecret } from '../inputs.ts'
import type { SignerEngine } from './engine.ts'
import { type MlDsaName, type SignerName, signerSizes } from './parameters.ts'

// 2.16.840.1.101.3.4.3.17 to 19 (NIST's register of algorithms).
const identifiers: Readonly<Record<MlDsaName, string>> = {
  'ml-dsa-44': '0609608648016503040311',
  'ml-dsa-65': '0609608648016503040312',
  'ml-dsa-87': '0609608648016503040313'
}

/** ML-DSA and Ed25519 by `node:crypto` (OpenSSL 3.5). */
export const nodeSigner = (name: SignerName): SignerEngine => (name === 'ed25519' ? nodeEd25519 : nodeMlDsa(name))

const nodeEd25519: SignerEngine = {
  generate: (given) => {
    const seed = given === undefined ? takeSecret(randomBytes(signerSizes.ed25519.seed)) : new Uint8Array(given)
    return { publicKey: ed25519FromSeed(seed).publicKey, privateKey: seed }
  },
  sign: (message, seed) => ed25519FromSeed(seed).signRaw(message),
  verify: ({ publicKey, message, signature }) => verifyRaw(publicKey, message, signature)
}

function nodeMlDsa(name: MlDsaName): SignerEngine {
  const sizes = signerSizes[name]
  const importSeed = (seed: Uint8Array): KeyObject => createPrivateKey({ key: asBuffer(seed), format: 'raw-seed', asymmetricKeyType: name })
  return {
    generate: (given) => {
      const seed = given === undefined ? takeSecret(randomBytes(sizes.seed)) : new Uint8Array(given)
      return { publicKey: new Uint8Array(createPublicKey(importSeed(seed)).export({ format: 'raw-public' })), privateKey: seed }
    },
    sign: (message, privateKey, { context }) => {
      const key = privateKey.length === sizes.seed ? importSeed(privateKey) : importExpanded(privateKey, name)
      return new Uint8Array(sign(null, message, { key, ...(context === undefined ? {} : { context }) }))
    },
    verify: ({ publicKey, message, signature, context }) => {
      const key = createPublicKey({ key: asBuffer(publicKey), format: 'raw-public', asymmetricKeyType: name })
      return verify(null, message, { key, ...(context === undefined ? {} : { context }) }, signature)
    },
    expand: (seed) => {
      const der = importSeed(seed).export({ format: 'der', type: 'pkcs8' })
      // The last field of its `both` form (RFC 9881 section 6).
      const expanded = new Uint8Array(der.subarray(der.length - sizes.expandedKey))
      der.fill(0)
      return expanded
    }
  }
}

function importExpanded(expandedKey: Uint8Array, name: MlDsaName): KeyObject {
  const der = pkcs8(identifiers[name], expandedKey)
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    der.fill(0)
  }
}
