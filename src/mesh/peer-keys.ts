import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { toHex } from '../core/base/index.ts'

const maxCached = 4_096
const cache = new Map<string, string>()

/** The peer id of a raw Ed25519 public key (32 bytes): `12D3KooW…`. */
export function peerIdOfKey(publicKey: Uint8Array): string {
  const key = toHex(publicKey)
  const known = cache.get(key)
  if (known !== undefined) return known
  const peerId = peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString()
  if (cache.size >= maxCached) cache.delete(cache.keys().next().value ?? '')
  cache.set(key, peerId)
  return peerId
}
