import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto'
import { defaultCrypto } from '@libp2p/noise/crypto'
import type { ICryptoInterface } from '@libp2p/noise'
import { Uint8ArrayList } from 'uint8arraylist'

const algorithm = 'chacha20-poly1305'
const tagBytes = 16
/** Up to here one copy costs less than one more call into OpenSSL. */
const joinedUpTo = 4_096

/** Node 24 takes five times as long for a cipher from bytes as from a key object; a connection has two keys for all its life. */
const keys = new WeakMap<Uint8Array, KeyObject>()

function keyOf(bytes: Uint8Array): KeyObject {
  let key = keys.get(bytes)
  if (key === undefined) {
    key = createSecretKey(bytes)
    keys.set(bytes, key)
  }
  return key
}

type Bytes = Uint8Array | Uint8ArrayList

const piecesOf = (bytes: Bytes): Iterable<Uint8Array> =>
  bytes instanceof Uint8Array ? [bytes] : bytes.byteLength <= joinedUpTo ? [bytes.subarray()] : bytes

/** What libp2p's Noise computes with on this platform: its own defaults, but every record by `node:crypto` with a kept key object. */
export const noiseCrypto: ICryptoInterface = {
  ...defaultCrypto,

  /** ChaCha20-Poly1305 (RFC 8439); the tag follows the ciphertext. */
  chaCha20Poly1305Encrypt(plaintext, nonce, ad, key) {
    const cipher = createCipheriv(algorithm, keyOf(key), nonce, { authTagLength: tagBytes })
    if (ad.byteLength > 0) cipher.setAAD(ad, { plaintextLength: plaintext.byteLength })
    const output = new Uint8ArrayList()
    for (const piece of piecesOf(plaintext)) output.append(cipher.update(piece))
    cipher.final()
    output.append(cipher.getAuthTag())
    return output
  },

  /** @throws {Error} when the tag does not fit */
  chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key) {
    const length = ciphertext.byteLength - tagBytes
    const decipher = createDecipheriv(algorithm, keyOf(key), nonce, { authTagLength: tagBytes })
    if (ad.byteLength > 0) decipher.setAAD(ad, { plaintextLength: length })
    decipher.setAuthTag(ciphertext.subarray(length))
    const text = ciphertext instanceof Uint8Array ? ciphertext.subarray(0, length) : ciphertext.sublist(0, length)
    const output = new Uint8ArrayList()
    for (const piece of piecesOf(text)) output.append(decipher.update(piece))
    decipher.final()
    return output
  }
}
