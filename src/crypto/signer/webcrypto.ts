import type { webcrypto } from 'node:crypto'
import { concat, fromHex } from '../../core/base/index.ts'
import { wipe } from '../inputs.ts'
import { subtleWith } from '../subtle.ts'
import type { SignerEngine } from './engine.ts'
import { type SignerName, signerSizes } from './parameters.ts'

const names: Readonly<Record<SignerName, string>> = {
  'ml-dsa-44': 'ML-DSA-44',
  'ml-dsa-65': 'ML-DSA-65',
  'ml-dsa-87': 'ML-DSA-87',
  ed25519: 'Ed25519'
}
// RFC 8410 section 7: WebCrypto takes a private key of Ed25519 as PKCS #8 only.
const ed25519Prefix = fromHex('302e020100300506032b657004220420')

/** ML-DSA and Ed25519 by the runtime's WebCrypto. Its private keys are seeds. */
export function webcryptoSigner(signer: SignerName): SignerEngine {
  const subtle = subtleWith(['sign', 'verify', 'getPublicKey'])
  const name = names[signer]
  const format = signer === 'ed25519' ? 'raw' : 'raw-public'
  const algorithm = (context: Uint8Array | undefined): { readonly name: string; readonly context?: Uint8Array } =>
    context === undefined ? { name } : { name, context }
  const importSeed = async (seed: Uint8Array): Promise<webcrypto.CryptoKey> => {
    if (signer !== 'ed25519') return subtle.importKey('raw-seed', seed, { name }, true, ['sign'])
    const der = concat(ed25519Prefix, seed)
    try {
      return await subtle.importKey('pkcs8', der, { name }, true, ['sign'])
    } finally {
      wipe(der)
    }
  }
  return {
    generate: async (given) => {
      const seed = given === undefined ? globalThis.crypto.getRandomValues(new Uint8Array(signerSizes[signer].seed)) : new Uint8Array(given)
      const publicKey = await subtle.getPublicKey(await importSeed(seed), ['verify'])
      return { publicKey: new Uint8Array(await subtle.exportKey(format, publicKey)), privateKey: seed }
    },
    sign: async (message, seed, { context }) => new Uint8Array(await subtle.sign(algorithm(context), await importSeed(seed), message)),
    verify: async ({ publicKey, message, signature, context }) => {
      const key = await subtle.importKey(format, publicKey, { name }, true, ['verify'])
      return subtle.verify(algorithm(context), key, signature, message)
    }
  }
}
