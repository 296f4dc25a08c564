import type { AbortOptions, Connection, Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/** How a peer is reached: by a connection of its own, or by one that a relay forwards. */
export type Path = 'direct' | 'relay'

/** With less left, a new relayed connection is made: a handshake would not fit. */
const leastBytes = 16_384n
const leastSeconds = 5
/** What a session has to have besides messages: its handshake with ML-DSA in both directions, receipts, the frames of the muxer. */
const sessionBytes = 24_576
const usableShare = 0.9

export const isRelayed = ({ limits, remoteAddr }: Connection): boolean => limits !== undefined || remoteAddr.toString().includes('/p2p-circuit')

export const pathOf = (connection: Connection): Path => (isRelayed(connection) ? 'relay' : 'direct')

/** The best way in which a peer is reached now; undefined while it is not connected. */
export function pathTo(libp2p: Libp2p, peer: PeerId): Path | undefined {
  const connections = libp2p.getConnections(peer)
  if (connections.length === 0) return undefined
  return connections.every(isRelayed) ? 'relay' : 'direct'
}

/** How many bytes of messages a session over the connection can carry; undefined when nobody counts. */
export function capacityOf({ limits }: Connection): number | undefined {
  return limits?.bytes === undefined ? undefined : Math.max(0, Math.floor(Number(limits.bytes) * usableShare) - sessionBytes)
}

interface ConnectionOptions extends AbortOptions {
  /** Bytes that a relayed connection must have left, default 16,384. */
  readonly least?: bigint
}

/**
 * The connection to open a stream on: a direct one before a relayed one, a new one when there is none or what the relay forwards is nearly used up.
 * libp2p itself dials anew for every stream while there is a relayed connection only.
 */
export async function connectionTo(libp2p: Libp2p, peer: PeerId, options: ConnectionOptions): Promise<Connection> {
  const { least = leastBytes, ...dialOptions } = options
  const open = libp2p.getConnections(peer).filter(({ status }) => status === 'open')
  const best = open.find((connection) => !isRelayed(connection)) ?? open.find((connection) => !isUsedUp(connection, least))
  return best ?? libp2p.dial(peer, { ...dialOptions, force: open.length > 0 })
}

function isUsedUp({ limits }: Connection, least: bigint): boolean {
  return (limits?.bytes ?? least) < least || (limits?.seconds ?? leastSeconds) < leastSeconds
}

/** An address with the peer's id at its end. */
export const addressOfPeer = (address: string, peerId: string): string => (/\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${peerId}`)

/** Where somebody calls from, without the port; behind a relay, the relay's address. */
export function hostOf(address: Multiaddr): string {
  const ip = address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')
  return ip?.value ?? address.toString()
}
