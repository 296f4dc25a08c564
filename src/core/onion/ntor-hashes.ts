import { ctr } from '@noble/ciphers/aes.js'
import { sha3_256, shake256 } from '@noble/hashes/sha3.js'
import { concat } from '../base/index.ts'

/** The symmetric primitives of ntor v3 (Tor's proposal 332, appendix A.1). A platform may give faster ones; parts count as if they were joined. */
export interface NtorHashes {
  /** SHA3-256 (FIPS 202): 32 bytes. */
  sha3(...parts: readonly Uint8Array[]): Uint8Array
  /** SHAKE-256 (FIPS 202) with `length` bytes of output. */
  shake(length: number, ...parts: readonly Uint8Array[]): Uint8Array
  /** AES-256 in counter mode from a counter of zero (NIST SP 800-38A): its own inverse. A key is used once. */
  crypt(key: Uint8Array, bytes: Uint8Array): Uint8Array
}

const firstCounter = new Uint8Array(16)

/** Those of the noble libraries, which run everywhere. */
export const nobleNtorHashes: NtorHashes = {
  sha3: (...parts) => withJoined(parts, (bytes) => sha3_256(bytes)),
  shake: (length, ...parts) => withJoined(parts, (bytes) => shake256(bytes, { dkLen: length })),
  crypt: (key, bytes) => ctr(concat(key), firstCounter).encrypt(concat(bytes))
}

/** Parts may be secrets: their copy is wiped. */
function withJoined(parts: readonly Uint8Array[], run: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): Uint8Array {
  const joined = concat(...parts)
  const result = run(joined)
  joined.fill(0)
  return result
}
