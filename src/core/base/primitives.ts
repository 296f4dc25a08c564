import type { Pieces } from './bytes.ts'

// The shapes of the primitives that handshakes and sessions compute with. A platform gives them; core only names them, so that its machines stay pure.

/** The hash functions of the handshakes and sessions (FIPS 180-4). */
export type HashName = 'sha256' | 'sha512'

/** The parameter sets of ML-KEM by their NIST security category: ML-KEM-512, ML-KEM-768, ML-KEM-1024 (FIPS 203 section 8). */
export type KemLevel = 1 | 3 | 5

/** A key pair of X25519 (RFC 7748). The private half never leaves it. */
export interface DhKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The 32-byte shared secret; the caller wipes it. @throws {MeshError} HANDSHAKE_FAILED when it is all zero (RFC 7748 section 6.1). */
  agree(remotePublicKey: Uint8Array): Uint8Array
}

/** A key pair of ML-KEM, used for one handshake. */
export interface KemKey {
  readonly publicKey: Uint8Array
  /** The 32-byte shared secret, of implicit rejection when the ciphertext is not of this key: never throws for the right length (FIPS 203 section 6.3). */
  decapsulate(ciphertext: Uint8Array): Uint8Array
}

/** What encapsulation gives (FIPS 203 section 7.2). */
export interface Encapsulated {
  readonly ciphertext: Uint8Array
  /** 32 bytes; the caller wipes them. */
  readonly sharedSecret: Uint8Array
}

/** ML-KEM at one level. */
export interface KemPort {
  readonly level: KemLevel
  /** 800, 1,184 or 1,568. */
  readonly publicKeyBytes: number
  /** 768, 1,088 or 1,568. */
  readonly ciphertextBytes: number
  generate(): KemKey
  /** @throws {MeshError} when the key fails the checks of FIPS 203 section 7.2 */
  encapsulate(publicKey: Uint8Array): Encapsulated
}

/** One record to be sealed. */
export interface Sealing {
  /** 12 bytes, never used twice with one key. */
  readonly nonce: Uint8Array
  readonly ad: Uint8Array
  readonly plaintext: Pieces
}

/** A key of ChaCha20-Poly1305 (RFC 8439); the 16-byte tag follows the ciphertext. */
export interface AeadKey {
  /** Ciphertext and tag. */
  seal(nonce: Uint8Array, ad: Uint8Array, plaintext: Pieces): Uint8Array
  /** Writes ciphertext and tag into all of `target`, which is 16 bytes longer than the plaintext. */
  sealInto(target: Uint8Array, sealing: Sealing): void
  /** Ciphertext and tag as the cipher hands them out, in pieces: no byte is copied. */
  sealPieces(sealing: Sealing): readonly Uint8Array[]
  /** The plaintext. @throws {Error} when the tag does not fit */
  open(nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Uint8Array
}

/** All that a handshake or a session computes with. Parts of a hash or an HMAC count as if they were joined. */
export interface HandshakeCrypto {
  generateDh(): DhKey
  kem(level: KemLevel): KemPort
  hash(name: HashName, ...parts: readonly Uint8Array[]): Uint8Array
  hmac(name: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array
  /** Takes a copy of the 32 bytes: the caller may wipe them. */
  aead(key: Uint8Array): AeadKey
  randomBytes(length: number): Uint8Array
}
