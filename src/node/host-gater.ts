import type { ConnectionGater, MultiaddrConnection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { hostOf, isCircuit } from '../mesh/connections.ts'
import type { CircuitCallers } from './circuit-callers.ts'

export interface GaterLimits {
  /** Connections from one address at one time, default 64. */
  readonly perAddress: number
  /** Connections from one address that have not proved an identity, default 32. */
  readonly halfOpenPerAddress: number
  /** Connections with one peer at one time, default 8. */
  readonly perPeer: number
}

export const gaterDefaults: GaterLimits = { perAddress: 64, halfOpenPerAddress: 32, perPeer: 8 }

export interface GaterOptions {
  readonly limits: GaterLimits
  /** Who may call over relays. */
  readonly callers: Pick<CircuitCallers, 'mayCall' | 'enter'>
  /** With whom there are no connections at all. */
  readonly isDenied: (peerId: string) => boolean
  /** What this node listens on: nobody else answers there. */
  readonly ownAddresses: () => readonly Multiaddr[]
  readonly onRefused: (reason: string, address: string) => void
  /** A connection, in or out, whose peer has proved its identity. */
  readonly onUpgraded: (connection: MultiaddrConnection) => void
}

interface Tally {
  open: number
  halfOpen: number
}

/** libp2p counts connections in all; this counts them for each address and peer, so that one cannot take every place, and those over relays by their callers. Maps hold open connections only. */
export function hostGater({ limits, callers, isDenied, ownAddresses, onRefused, onUpgraded }: GaterOptions): ConnectionGater {
  const addresses = new Map<string, Tally>()
  const peers = new Map<string, number>()
  const proved = new WeakSet<MultiaddrConnection>()
  const release = (host: string, tally: Tally, connection: MultiaddrConnection): void => {
    tally.open -= 1
    if (!proved.has(connection)) tally.halfOpen -= 1
    if (tally.open <= 0) addresses.delete(host)
  }
  return {
    // A peer of this machine that had our port before: its remembered addresses lead to ourselves.
    denyDialMultiaddr: (address) => ownAddresses().some((own) => !isCircuit(address) && placeOf(own) === placeOf(address)),
    denyDialPeer: (peer) => isDenied(peer.toString()),
    denyInboundRelayedConnection: (_relay, source) => isDenied(source.toString()) || !callers.mayCall(source.toString()),
    denyInboundConnection: (connection) => {
      if (isCircuit(connection.remoteAddr)) return !enters(callers, connection)
      const host = hostOf(connection.remoteAddr)
      const tally = addresses.get(host) ?? { open: 0, halfOpen: 0 }
      if (tally.open >= limits.perAddress || tally.halfOpen >= limits.halfOpenPerAddress) {
        onRefused('too many connections from one address', host)
        return true
      }
      tally.open += 1
      tally.halfOpen += 1
      addresses.set(host, tally)
      connection.addEventListener('close', () => release(host, tally, connection), { once: true })
      return false
    },
    // Everything here is keyed by Ed25519 keys. A connection is refused where an identity of another kind is proved, before anybody is told of it.
    denyOutboundEncryptedConnection: (peer) => {
      if (peer.type !== 'Ed25519') onRefused('its key is not Ed25519', peer.toString())
      return peer.type !== 'Ed25519' || isDenied(peer.toString())
    },
    denyInboundEncryptedConnection: (peer, connection) => {
      if (peer.type !== 'Ed25519') {
        onRefused('its key is not Ed25519', hostOf(connection.remoteAddr))
        return true
      }
      const tally = isCircuit(connection.remoteAddr) ? undefined : addresses.get(hostOf(connection.remoteAddr))
      if (tally !== undefined && !proved.has(connection)) tally.halfOpen -= 1
      proved.add(connection)
      return isDenied(peer.toString())
    },
    denyInboundUpgradedConnection: (peer, connection) => {
      const key = peer.toString()
      const open = peers.get(key) ?? 0
      if (open >= limits.perPeer) {
        onRefused('too many connections of one peer', key)
        return true
      }
      countPeer(peers, peer, connection)
      onUpgraded(connection)
      return false
    },
    denyOutboundUpgradedConnection: (_peer, connection) => {
      onUpgraded(connection)
      return false
    }
  }
}

/** An address without the peer that is said to be there. */
const placeOf = (address: Multiaddr): string => address.toString().replace(/\/p2p\/[^/]+$/, '')

/** Whether a call over a relay is taken: it is counted until it ends. */
function enters(callers: GaterOptions['callers'], connection: MultiaddrConnection): boolean {
  const caller = connection.remoteAddr.getComponents().findLast(({ name }) => name === 'p2p')?.value ?? ''
  const leave = callers.enter(caller)
  if (leave !== undefined) connection.addEventListener('close', leave, { once: true })
  return leave !== undefined
}

function countPeer(peers: Map<string, number>, peer: PeerId, connection: MultiaddrConnection): void {
  const key = peer.toString()
  peers.set(key, (peers.get(key) ?? 0) + 1)
  connection.addEventListener(
    'close',
    () => {
      const left = (peers.get(key) ?? 1) - 1
      if (left > 0) peers.set(key, left)
      else peers.delete(key)
    },
    { once: true }
  )
}
