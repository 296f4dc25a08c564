import { type Datastore, Key } from 'interface-datastore'
import { type MeshError, equalBytes, toHex, toMeshError } from '../core/base/index.ts'
import type { PqKeys } from '../core/session/index.ts'
import { sha256 } from '../crypto/index.ts'

const prefix = '/pq-keys'
const digestBytes = 32
/** Peers remembered of each kind: those that we called, and those that only called us. */
const maxPeers = 4_096

/** The keys of peers, which their operator may have forgotten. */
export interface RememberedPqKeys extends PqKeys {
  /** Takes back which key the peer has, so that its next one is kept; whether one was known. */
  forget(publicKey: Uint8Array): boolean
}

/**
 * The first ML-DSA-65 key of each peer, kept in the datastore: the key ends with the peer's Ed25519 key, the value is SHA-256 of the ML-DSA-65 key, and 1 when we
 * ever called the peer. Those that only called us are forgotten first; of each kind, the ones not met for longest. @param onFailure - told when an entry could not be written
 */
export async function openPqKeys(datastore: Datastore, onFailure: (error: MeshError) => void): Promise<RememberedPqKeys> {
  const called = new Map<string, Uint8Array>()
  const others = new Map<string, Uint8Array>()
  const keyOf = (peer: string): Key => new Key(`${prefix}/${peer}`)
  const later = (work: Promise<unknown>): void => void work.catch((error: unknown) => onFailure(toMeshError(error)))
  for await (const { key, value } of datastore.query({ prefix }))
    if (value.length === digestBytes + 1) (value[digestBytes] === 1 ? called : others).set(key.baseNamespace(), value.slice(0, digestBytes))

  const keep = (peer: string, digest: Uint8Array, wasCalled: boolean): void => {
    const kind = wasCalled ? called : others
    others.delete(peer)
    kind.set(peer, digest)
    later(Promise.resolve(datastore.put(keyOf(peer), new Uint8Array([...digest, wasCalled ? 1 : 0]))))
    const oldest = kind.size > maxPeers ? kind.keys().next().value : undefined
    if (oldest === undefined) return
    kind.delete(oldest)
    later(Promise.resolve(datastore.delete(keyOf(oldest))))
  }

  return {
    forget: (publicKey) => {
      const peer = toHex(publicKey)
      const isKnown = called.delete(peer) || others.delete(peer)
      if (isKnown) later(Promise.resolve(datastore.delete(keyOf(peer))))
      return isKnown
    },
    accepts: (publicKey, pqKey, wasCalled) => {
      const peer = toHex(publicKey)
      const digest = sha256(pqKey)
      const known = called.get(peer) ?? others.get(peer)
      if (known !== undefined && !equalBytes(known, digest)) return false
      if (known === undefined || (wasCalled && !called.has(peer))) keep(peer, digest, wasCalled)
      else moveToEnd(called.has(peer) ? called : others, peer, known)
      return true
    }
  }
}

/** The map keeps the order of use. */
function moveToEnd(kind: Map<string, Uint8Array>, peer: string, digest: Uint8Array): void {
  kind.delete(peer)
  kind.set(peer, digest)
}
