import { sha256 } from '@noble/hashes/sha2.js'

/** SHA-256 (FIPS 180-4) of all of `bytes`: 32 bytes. A platform may bring a native one; results must be the same. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** The one that needs no platform. */
export const nobleSha256: Sha256 = (bytes) => sha256(bytes)
