import type { HashName, KemLevel } from '../base/index.ts'

/** What one level runs. */
export interface Suite {
  readonly level: KemLevel
  /** In the first frame. */
  readonly id: number
  /** The Noise protocol name. */
  readonly name: string
  readonly hash: HashName
  /** Of the hash, the root key and the exporter secret. */
  readonly hashBytes: 32 | 64
}

/** Every suite of the session, weakest first. */
export const suites = [
  { level: 1, id: 1, name: 'Noise_XXhfs_25519+MLKEM512_ChaChaPoly_SHA256', hash: 'sha256', hashBytes: 32 },
  { level: 3, id: 2, name: 'Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256', hash: 'sha256', hashBytes: 32 },
  { level: 5, id: 3, name: 'Noise_XXhfs_25519+MLKEM1024_ChaChaPoly_SHA512', hash: 'sha512', hashBytes: 64 }
] as const satisfies readonly Suite[]

/** The suite of a level. */
export function suiteOf(level: KemLevel): Suite {
  if (level === 1) return suites[0]
  return level === 3 ? suites[1] : suites[2]
}

/** Whether a number is a level. */
export const isLevel = (value: number): value is KemLevel => value === 1 || value === 3 || value === 5
