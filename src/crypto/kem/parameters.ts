import type { KemLevel } from '../../core/base/index.ts'

/** Lengths in bytes (FIPS 203 table 3). */
export interface KemSizes {
  /** The encapsulation key: 800, 1,184 or 1,568. */
  readonly publicKey: number
  /** The expanded decapsulation key: 1,632, 2,400 or 3,168. */
  readonly expandedKey: number
  /** 768, 1,088 or 1,568. */
  readonly ciphertext: number
  /** The seed d ‖ z of a key pair: 64. */
  readonly seed: 64
  /** The randomness m of an encapsulation: 32. */
  readonly randomness: 32
  readonly sharedSecret: 32
}

export type KemName = 'ML-KEM-512' | 'ML-KEM-768' | 'ML-KEM-1024'

/** One parameter set of FIPS 203 section 8. */
export interface KemParameters {
  readonly level: KemLevel
  readonly name: KemName
  /** The rank of the module. */
  readonly k: 2 | 3 | 4
  readonly sizes: KemSizes
}

// oxlint-disable-next-line max-params -- a row of a table
function row(level: KemLevel, name: KemName, k: 2 | 3 | 4, ciphertext: number): KemParameters {
  const publicKey = 384 * k + 32
  return { level, name, k, sizes: { publicKey, expandedKey: 768 * k + 96, ciphertext, seed: 64, randomness: 32, sharedSecret: 32 } }
}

export const kemParameters: Readonly<Record<KemLevel, KemParameters>> = {
  1: row(1, 'ML-KEM-512', 2, 768),
  3: row(3, 'ML-KEM-768', 3, 1_088),
  5: row(5, 'ML-KEM-1024', 4, 1_568)
}
