import type { AbortOptions, Connection, Libp2p, PeerId } from '@libp2p/interface'
import { isGlobalUnicast, isPrivate } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { ConnectionPath } from '../core/nat/index.ts'

/** With less left, a new relayed connection is made: a handshake would not fit. */
const leastBytes = 16_384n
const leastSeconds = 5
/** What a session has to have besides messages: its handshake with ML-DSA in both directions, receipts, the frames of the muxer. */
const sessionBytes = 24_576
const usableShare = 0.9

export const isRelayed = ({ limits, remoteAddr }: Connection): boolean => limits !== undefined || isCircuit(remoteAddr)

/** Whether an address goes over a circuit relay. */
export const isCircuit = (address: Multiaddr): boolean => address.getComponents().some(({ name }) => name === 'p2p-circuit')

/** Whether a direct connection was made by a port that a router opened by UPnP or NAT-PMP, of ours or of the peer. */
export type IsMapped = (connection: Connection) => boolean

/** How connections really go. What the addresses cannot tell is noted by whoever knows: ICE its candidate pair, the port mapping its ports. */
export class Paths {
  readonly #noted = new Map<string, ConnectionPath>()
  /** Set by the part that knows of mapped ports. */
  isMapped: IsMapped = () => false

  /** Says how connections to or from `address` go; the returned function takes it back. */
  note(address: Multiaddr, path: ConnectionPath): () => void {
    const key = address.toString()
    this.#noted.set(key, path)
    return () => this.#noted.delete(key)
  }

  of(connection: Connection): ConnectionPath {
    if (isRelayed(connection)) return 'relayed'
    const noted = this.#noted.get(connection.remoteAddr.toString())
    if (noted !== undefined) return noted
    return this.isMapped(connection) ? 'direct-mapped' : pathByAddress(connection.remoteAddr)
  }

  /** The best way in which a peer is reached now; undefined while it is not connected. */
  to(libp2p: Libp2p, peer: PeerId): ConnectionPath | undefined {
    const best = bestConnection(libp2p.getConnections(peer))
    return best === undefined ? undefined : this.of(best)
  }
}

function pathByAddress(address: Multiaddr): ConnectionPath {
  const host = address.getComponents()[0]?.name
  if (host === 'ip6' && isGlobalUnicast(address)) return 'direct-ipv6'
  if (host === 'ip6' || (host === 'ip4' && isPrivate(address))) return 'direct-lan'
  return 'direct-public'
}

/** An open direct connection before a relayed one; of several direct ones the newest: a peer that changed its network makes another, and the old one is silent. */
export function bestConnection(connections: readonly Connection[]): Connection | undefined {
  const open = connections.filter(({ status }) => status === 'open')
  return open.findLast((connection) => !isRelayed(connection)) ?? open[0]
}

/** How many bytes of messages a session over the connection can carry; undefined when nobody counts. */
export function capacityOf({ limits }: Connection): number | undefined {
  return limits?.bytes === undefined ? undefined : Math.max(0, Math.floor(Number(limits.bytes) * usableShare) - sessionBytes)
}

/** A connection that a stream can begin on: the newest direct one before one over a relay, and none of which the relay forwards little more. */
export function usableConnection(connections: readonly Connection[], least = leastBytes): Connection | undefined {
  const open = connections.filter(({ status }) => status === 'open')
  return open.findLast((connection) => !isRelayed(connection)) ?? open.find((connection) => !isUsedUp(connection, least))
}

function isUsedUp({ limits }: Connection, least: bigint): boolean {
  return (limits?.bytes ?? least) < least || (limits?.seconds ?? leastSeconds) < leastSeconds
}

/** How streams to a peer get a connection: the one there is, or a new one. */
export type Connect = (peer: PeerId, options: AbortOptions & { readonly least?: bigint }) => Promise<Connection>

/** An address with the peer's id at its end. */
export const addressOfPeer = (address: string, peerId: string): string => (/\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${peerId}`)

const hostNames: readonly string[] = ['ip4', 'ip6', 'dns', 'dns4', 'dns6']

/** Where somebody calls from or was dialled, without the port: an IP address, or a name that was dialled; behind a relay, that of the relay. */
export function hostOf(address: Multiaddr): string {
  return address.getComponents().find(({ name }) => hostNames.includes(name))?.value ?? address.toString()
}
