import { createCipheriv, createHash, hash } from 'node:crypto'
import type { NtorHashes } from '../core/onion/index.ts'

const firstCounter = new Uint8Array(16)

/** SHA3, SHAKE and AES of onion handshakes by OpenSSL: a tenth of what noble's cost. */
export const nodeNtorHashes: NtorHashes = {
  sha3: (...parts) => withJoined(parts, (joined) => hash('sha3-256', joined, 'buffer')),
  shake: (length, ...parts) => withJoined(parts, (joined) => createHash('shake256', { outputLength: length }).update(joined).digest()),
  crypt: (key, bytes) => plain(createCipheriv('aes-256-ctr', key, firstCounter).update(bytes))
}

/** Parts may be secrets: their copy is wiped. */
function withJoined(parts: readonly Uint8Array[], run: (joined: Buffer) => Buffer): Uint8Array {
  const joined = Buffer.concat(parts)
  const result = run(joined)
  joined.fill(0)
  return plain(result)
}

/** The same bytes without Buffer's own `slice`, which does not copy. */
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
