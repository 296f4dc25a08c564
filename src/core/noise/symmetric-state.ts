import { type AeadKey, type HandshakeCrypto, type HashName, MeshError, concat, utf8 } from '../base/index.ts'
import { NonceCounter } from './nonce.ts'

const one = new Uint8Array([1])
const two = new Uint8Array([2])
const none = new Uint8Array(0)
const keyBytes = 32

/** Bytes of the tag behind each ciphertext. */
export const tagBytes = 16

/** The two keys of a finished handshake, 32 bytes each: `first` is the initiator's for sending. The caller wipes them. */
export interface SplitKeys {
  readonly first: Uint8Array
  readonly second: Uint8Array
}

/** SymmetricState and CipherState of a handshake (Noise revision 34, sections 5.1 and 5.2). */
export class SymmetricState {
  readonly #crypto: HandshakeCrypto
  readonly #hashName: HashName
  #nonces = new NonceCounter()
  #key: AeadKey | undefined
  #h: Uint8Array
  #ck: Uint8Array

  constructor(crypto: HandshakeCrypto, { hash, name }: { readonly hash: HashName; readonly name: string }) {
    this.#crypto = crypto
    this.#hashName = hash
    const bytes = utf8(name)
    const length = hash === 'sha256' ? 32 : 64
    if (bytes.length > length) this.#h = crypto.hash(hash, bytes)
    else {
      this.#h = new Uint8Array(length)
      this.#h.set(bytes)
    }
    this.#ck = concat(this.#h)
  }

  /** A copy of the handshake hash h. */
  get hash(): Uint8Array {
    return concat(this.#h)
  }

  /** A copy of the chaining key, which is a secret. */
  get chainingKey(): Uint8Array {
    return concat(this.#ck)
  }

  /** Whether what is encrypted from now on has a tag. */
  get hasKey(): boolean {
    return this.#key !== undefined
  }

  mixHash(data: Uint8Array): void {
    this.#h = this.#crypto.hash(this.#hashName, this.#h, data)
  }

  /** Mixes a secret in, and wipes it. */
  mixKey(secret: Uint8Array): void {
    const [next, key] = this.#hkdf(secret)
    secret.fill(0)
    this.#ck.fill(0)
    this.#ck = next
    this.#key = this.#crypto.aead(key.subarray(0, keyBytes))
    this.#nonces = new NonceCounter()
    key.fill(0)
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = this.#key === undefined ? plaintext : this.#key.seal(this.#nonces.next(), this.#h, plaintext)
    this.mixHash(ciphertext)
    return ciphertext
  }

  /** @throws {MeshError} HANDSHAKE_FAILED with reason `decrypt` */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array {
    const plaintext = this.#key === undefined ? ciphertext : this.#open(this.#key, ciphertext)
    this.mixHash(ciphertext)
    return plaintext
  }

  split(): SplitKeys {
    const outputs = this.#hkdf(none)
    const [first, second] = outputs
    const keys = { first: concat(first.subarray(0, keyBytes)), second: concat(second.subarray(0, keyBytes)) }
    for (const output of outputs) output.fill(0)
    return keys
  }

  /** Overwrites the chaining key and drops the cipher's. */
  wipe(): void {
    this.#ck.fill(0)
    this.#key = undefined
  }

  #open(key: AeadKey, ciphertext: Uint8Array): Uint8Array {
    try {
      return key.open(this.#nonces.next(), this.#h, ciphertext)
    } catch (cause) {
      throw new MeshError('HANDSHAKE_FAILED', { reason: 'decrypt' }, { cause })
    }
  }

  /** HKDF of Noise section 4.3 with two outputs. */
  #hkdf(secret: Uint8Array): readonly [Uint8Array, Uint8Array] {
    const temporary = this.#crypto.hmac(this.#hashName, this.#ck, secret)
    const first = this.#crypto.hmac(this.#hashName, temporary, one)
    const second = this.#crypto.hmac(this.#hashName, temporary, first, two)
    temporary.fill(0)
    return [first, second]
  }
}
