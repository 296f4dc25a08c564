import type { Encapsulated } from '../../core/base/index.ts'
import type { Awaitable } from '../inputs.ts'

/** A key pair of ML-KEM. */
export interface KemKeyPair {
  readonly publicKey: Uint8Array
  /** The 64-byte seed d ‖ z where the backend has seeds, else the expanded decapsulation key. `decapsulate` takes either. The caller wipes it. */
  readonly privateKey: Uint8Array
}

/** What a backend can do besides random keys, encapsulation and decapsulation. */
export interface KemAbilities {
  /** Key pairs from a 64-byte seed, and seeds as private keys. */
  readonly seeds: boolean
  /** Expanded decapsulation keys (FIPS 203 algorithm 16) as private keys. */
  readonly expandedKeys: boolean
  /** The expanded decapsulation key of a seed. */
  readonly expansion: boolean
  /** Encapsulation with randomness of the caller (FIPS 203 algorithm 17). */
  readonly randomness: boolean
}

/** The port of a backend, one for each level. Inputs are plain arrays of the right lengths, the checks of FIPS 203 section 7 are done, and what it cannot do is never asked for. */
export interface KemEngine {
  generate(seed: Uint8Array | undefined): Awaitable<KemKeyPair>
  encapsulate(publicKey: Uint8Array, randomness: Uint8Array | undefined): Awaitable<Encapsulated>
  decapsulate(ciphertext: Uint8Array, privateKey: Uint8Array): Awaitable<Uint8Array>
  expand?(seed: Uint8Array): Awaitable<Uint8Array>
}
