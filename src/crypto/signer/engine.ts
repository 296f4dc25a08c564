import type { Awaitable } from '../inputs.ts'

/** A key pair of a signature algorithm. */
export interface SignerKeyPair {
  readonly publicKey: Uint8Array
  /** The 32-byte seed where the backend has seeds, else the expanded private key. `sign` takes either. The caller wipes it. */
  readonly privateKey: Uint8Array
}

/** What is signed, besides the message. */
export interface SigningOptions {
  /** Up to 255 bytes that are signed as well, and are not part of the signature (FIPS 204 algorithm 2). Empty without it. */
  readonly context?: Uint8Array
  /** The 32-byte rnd of FIPS 204 algorithm 7, for test vectors; all zero is the deterministic variant. Fresh randomness without it. */
  readonly randomness?: Uint8Array
}

/** A signature and what it is said to sign. */
export interface SignedMessage {
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
  /** See SigningOptions. */
  readonly context?: Uint8Array
}

/** What a backend can do with one algorithm. */
export interface SignerAbilities {
  /** Key pairs from a 32-byte seed, and seeds as private keys. */
  readonly seeds: boolean
  /** Expanded private keys (FIPS 204 algorithm 24). */
  readonly expandedKeys: boolean
  /** The expanded private key of a seed. */
  readonly expansion: boolean
  /** A context that is not empty. */
  readonly context: boolean
  /** Signing with randomness of the caller. */
  readonly randomness: boolean
}

/** The port of a backend, one for each algorithm. Inputs are plain arrays of the right lengths, and what it cannot do is never asked for. */
export interface SignerEngine {
  generate(seed: Uint8Array | undefined): Awaitable<SignerKeyPair>
  sign(message: Uint8Array, privateKey: Uint8Array, options: SigningOptions): Awaitable<Uint8Array>
  verify(signed: SignedMessage): Awaitable<boolean>
  expand?(seed: Uint8Array): Awaitable<Uint8Array>
}
