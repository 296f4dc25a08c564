import { type Datastore, Key } from 'interface-datastore'
import type { ProtectionLevel } from '../core/noise/index.ts'
import { BoundedPeerMemory, type PeerMemory } from '../mesh/hybrid-noise/index.ts'
import type { Tracker } from '../mesh/tracker.ts'

const prefix = '/noise-memory'
const levels: readonly ProtectionLevel[] = [0, 1, 3, 5]

/**
 * What peers could do before, kept in the datastore beside what libp2p knows of them: the key ends with the peer id, the value is the level, and 1 when we ever
 * called it. What cannot be read is passed over.
 */
export async function openNoiseMemory(datastore: Datastore, tracker: Pick<Tracker, 'track'>): Promise<PeerMemory> {
  const keyOf = (peerId: string): Key => new Key(`${prefix}/${peerId}`)
  const later = async (work: () => unknown): Promise<void> => void (await work())
  const memory = new BoundedPeerMemory({
    onForgotten: (peerId) =>
      tracker.track(
        'forgetting a peer',
        later(() => datastore.delete(keyOf(peerId)))
      )
  })
  for await (const { key, value } of datastore.query({ prefix })) {
    const level = levels.find((each) => each === value[0])
    if (level !== undefined) memory.store(key.baseNamespace(), { level, wasDialled: value[1] === 1 })
  }
  return {
    load: (peerId) => memory.load(peerId),
    forget: (peerId) => memory.forget(peerId),
    store: (peerId, peer) => {
      memory.store(peerId, peer)
      const value = new Uint8Array([peer.level, peer.wasDialled ? 1 : 0])
      tracker.track(
        'remembering a peer',
        later(() => datastore.put(keyOf(peerId), value))
      )
    }
  }
}
