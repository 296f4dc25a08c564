import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { isRelayed } from './connections.ts'

export interface FriendOptions {
  readonly libp2p: Libp2p
  readonly isPaired: (peerId: string) => boolean
  /** The option `onion_routing`. */
  readonly onionRouting: boolean
}

/**
 * Who gets more than strangers do when it is about addresses: asked to dial us and dialled in turn, told where we are. These are paired peers. With `onion_routing` only those
 * among them that are connected directly already: packets between two networks would tell whoever sees them, and each side the other's address, what circuits hide.
 */
export function friendsOf({ libp2p, isPaired, onionRouting }: FriendOptions): (peerId: string) => boolean {
  const isNear = (peerId: string): boolean =>
    libp2p.getConnections(peerIdFromString(peerId)).some((connection) => connection.status === 'open' && !isRelayed(connection))
  return (peerId) => isPaired(peerId) && (!onionRouting || isNear(peerId))
}
