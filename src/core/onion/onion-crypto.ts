import type { HandshakeCrypto } from '../base/index.ts'
import { answerHandshake, beginHandshake } from './handshake.ts'
import { type NtorHashes, nobleNtorHashes } from './ntor-hashes.ts'
import { parseRequest } from './ntor.ts'
import type { OnionKeys } from './onion-keys.ts'
import type { CellCipher, OnionCrypto } from './types.ts'

export interface OnionCryptoOptions {
  readonly crypto: HandshakeCrypto
  readonly cipher: CellCipher
  /** Our own onion keys, with which requests are answered. */
  readonly keys: OnionKeys
  /** Our 32-byte Ed25519 identity key. */
  readonly publicKey: Uint8Array
  /** The platform's, when it has faster ones than noble's. */
  readonly hashes?: NtorHashes
}

/** What a node makes and answers circuits with. */
export function createOnionCrypto({ crypto, cipher, keys, publicKey, hashes = nobleNtorHashes }: OnionCryptoOptions): OnionCrypto {
  const tools = { crypto, hashes }
  return {
    cipher,
    begin: (target, level) => beginHandshake(tools, target, level),
    answer: (request) => {
      const onionKey = keys.find(parseRequest(request).onionKey)
      return answerHandshake(tools, { publicKey, onionKey, once: (mac) => keys.once(onionKey.publicKey, mac) }, request)
    }
  }
}
