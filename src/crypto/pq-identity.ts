import { type KeyObject, createPrivateKey, createPublicKey, hkdfSync, sign, verify } from 'node:crypto'
import { type KemLevel, MeshError, type Signer, signingInput } from '../core/base/index.ts'
import { type PqIdentity, type PqVerifier, encodePqRecord, pqContext, pqSizes } from '../core/session/index.ts'

const asymmetricKeyType = 'ml-dsa-65'
const context = Buffer.from(pqContext)
/** Bytes of the seed of an ML-DSA-65 key (FIPS 204 algorithm 1). */
export const pqSeedBytes = 32

export interface PqIdentityOptions {
  /** 32 secret bytes; the caller wipes them. */
  readonly seed: Uint8Array
  readonly network: string
  /** The Ed25519 identity that the record ties the key to. */
  readonly signer: Signer
  readonly levels: readonly KemLevel[]
  /** Higher than in any record before. */
  readonly sequence: number
}

/** An ML-DSA-65 identity (FIPS 204) with its cross-signed record, by `node:crypto`. @throws {MeshError} KEY_CORRUPT for a seed of another length */
export function createPqIdentity({ seed, network, signer, levels, sequence }: PqIdentityOptions): PqIdentity {
  if (seed.length !== pqSeedBytes) throw new MeshError('KEY_CORRUPT', { file: 'the seed', reason: `${seed.length} bytes instead of ${pqSeedBytes}` })
  const key = createPrivateKey({ key: Buffer.from(seed), format: 'raw-seed', asymmetricKeyType })
  const publicKey = new Uint8Array(createPublicKey(key).export({ format: 'raw-public' }))
  const pqSign: PqIdentity['sign'] = (domain, bytes) => new Uint8Array(sign(null, signingInput(domain, network, bytes), { key, context }))
  return { publicKey, sign: pqSign, record: encodePqRecord({ publicKey, levels, sequence }, { signer, pqSign }) }
}

/**
 * The seed of the ML-DSA-65 key that belongs to an Ed25519 seed: HKDF-SHA-256. Whoever breaks Ed25519 finds the scalar of a public key, which is half of a
 * SHA-512 of its seed, and is as far from the seed as before.
 */
export const pqSeedOf = (seed: Uint8Array): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', seed, new Uint8Array(0), 'synaptic-mesh/identity/1 mldsa65', pqSeedBytes))

/** A verifier of the ML-DSA-65 signatures of `network`. */
export const createPqVerifier = (network: string): PqVerifier => ({
  // oxlint-disable-next-line max-params -- as the Verifier of core/base
  verify: (domain, publicKey, bytes, signature) => {
    const key = importPublicKey(publicKey)
    return (
      key !== undefined && signature.length === pqSizes.signature && verify(null, signingInput(domain, network, bytes), { key, context }, signature)
    )
  }
})

function importPublicKey(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== pqSizes.publicKey) return undefined
  try {
    return createPublicKey({ key: Buffer.from(publicKey), format: 'raw-public', asymmetricKeyType })
  } catch {
    return undefined
  }
}
