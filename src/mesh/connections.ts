import type { AbortOptions, Connection, Libp2p, PeerId } from '@libp2p/interface'

/** How a peer is reached: by a connection of its own, or by one that a relay forwards. */
export type Path = 'direct' | 'relay'

/** A relayed connection with less left than this is not begun anything with: a handshake would not fit. */
const leastBytes = 16_384n
const leastSeconds = 5

export const isRelayed = ({ limits, remoteAddr }: Connection): boolean => limits !== undefined || remoteAddr.toString().includes('/p2p-circuit')

export const pathOf = (connection: Connection): Path => (isRelayed(connection) ? 'relay' : 'direct')

/** The best way in which a peer is reached now; undefined while it is not connected. */
export function pathTo(libp2p: Libp2p, peer: PeerId): Path | undefined {
  const connections = libp2p.getConnections(peer)
  if (connections.length === 0) return undefined
  return connections.every(isRelayed) ? 'relay' : 'direct'
}

/**
 * The connection to open a stream on: a direct one before a relayed one, a new one when there is none or what the relay forwards is nearly used up.
 * libp2p itself dials anew for every stream while there is a relayed connection only.
 */
export async function connectionTo(libp2p: Libp2p, peer: PeerId, options: AbortOptions): Promise<Connection> {
  const open = libp2p.getConnections(peer).filter(({ status }) => status === 'open')
  const best = open.find((connection) => !isRelayed(connection)) ?? open.find((connection) => !isUsedUp(connection))
  return best ?? libp2p.dial(peer, { ...options, force: open.length > 0 })
}

function isUsedUp({ limits }: Connection): boolean {
  return (limits?.bytes ?? leastBytes) < leastBytes || (limits?.seconds ?? leastSeconds) < leastSeconds
}

/** An address with the peer's id at its end. */
export const addressOfPeer = (address: string, peerId: string): string => (/\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${peerId}`)
