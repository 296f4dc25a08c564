import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { toHex } from '../core/base/index.ts'

const maxCached = 4_096
const cache = new Map<string, string>()
/** The key of a stream is one and the same array for as long as it is open, and nobody writes to it. */
const byArray = new WeakMap<Uint8Array, string>()

/** The peer id of a raw Ed25519 public key (32 bytes): `12D3KooW…`. */
export function peerIdOfKey(publicKey: Uint8Array): string {
  const known = byArray.get(publicKey)
  if (known !== undefined) return known
  const peerId = peerIdOf(publicKey)
  byArray.set(publicKey, peerId)
  return peerId
}

function peerIdOf(publicKey: Uint8Array): string {
  const key = toHex(publicKey)
  const known = cache.get(key)
  if (known !== undefined) return known
  const peerId = peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString()
  if (cache.size >= maxCached) cache.delete(cache.keys().next().value ?? '')
  cache.set(key, peerId)
  return peerId
}
