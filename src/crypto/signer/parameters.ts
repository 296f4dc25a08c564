/** Lengths in bytes (FIPS 204 table 2, RFC 8032 section 5.1). */
export interface SignerSizes {
  readonly publicKey: number
  /** The expanded private key of ML-DSA: 2,560, 4,032 or 4,896. For Ed25519, whose private key is the seed: 32. */
  readonly expandedKey: number
  readonly signature: number
  readonly seed: 32
}

export type MlDsaName = 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87'
export type SignerName = MlDsaName | 'ed25519'

export const signerSizes: Readonly<Record<SignerName, SignerSizes>> = {
  'ml-dsa-44': { publicKey: 1_312, expandedKey: 2_560, signature: 2_420, seed: 32 },
  'ml-dsa-65': { publicKey: 1_952, expandedKey: 4_032, signature: 3_309, seed: 32 },
  'ml-dsa-87': { publicKey: 2_592, expandedKey: 4_896, signature: 4_627, seed: 32 },
  ed25519: { publicKey: 32, expandedKey: 32, signature: 64, seed: 32 }
}

/** Lengths that are the same for all: of a context at most (FIPS 204 algorithm 2), of given randomness (algorithm 7). */
export const maxContextBytes = 255
export const randomnessBytes = 32
