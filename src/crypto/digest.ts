import { type KeyObject, createHmac, createSecretKey, hash } from 'node:crypto'

/** SHA-256 (FIPS 180-4), 32 bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(hash('sha256', bytes, 'buffer'))

/** HMAC-SHA-256 (RFC 2104), 32 bytes. */
export function hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const secret: KeyObject = createSecretKey(key)
  return new Uint8Array(createHmac('sha256', secret).update(bytes).digest())
}
