import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../core/base/index.ts'
import type { ConnectionPath, NetworkFacts, PeerNetwork, TraversalMeans } from '../core/nat/index.ts'
import { addressOfPeer, bestConnection, isRelayed, type Paths } from './connections.ts'
import { dialReason } from './dial-reason.ts'
import type { Dialler } from './dialler.ts'
import type { IceService } from './ice/ice-service.ts'
import type { NatService } from './nat-service.ts'
import type { TraversalPorts } from './traversal.ts'
import type { TraversalKeeperOptions } from './traversal-keeper.ts'

/** The parts of a node that reach peers. */
export interface TraversalParts {
  readonly libp2p: Libp2p
  readonly dialler: Dialler
  readonly paths: Paths
  readonly nat: Pick<NatService, 'hello' | 'requestReversal' | 'heard'>
  /** A text: why there is none. */
  readonly ice: Pick<IceService, 'connect' | 'unavailable' | 'hasTurn'> | string
  readonly ownFacts: () => NetworkFacts | undefined
  /** Relays at which a peer may be that does not say where it is: addresses with /p2p. */
  readonly relays: () => readonly string[]
  /** Whether others can dial us: somebody confirmed it, or a router forwards to us. */
  readonly isReachable: () => boolean
}

/** Relays of ours that are asked for a peer of which no relay is known. */
const maxGuesses = 2

/** The ways of a traversal over the parts of a node. */
export function traversalPorts(parts: TraversalParts): TraversalPorts {
  const { libp2p, paths, nat } = parts
  return {
    means: (peerId) => means(parts, peerIdFromString(peerId)),
    ownFacts: parts.ownFacts,
    pathTo: (peerId) => paths.to(libp2p, peerIdFromString(peerId)),
    hello: (peerId, signal) => hello(parts, peerId, signal),
    dial: async (peerId, round, signal) => paths.of(await dial(parts, { peerId, round, signal })),
    relay: async (peerId, signal) => paths.of(await relay(parts, peerIdFromString(peerId), signal)),
    reversal: async (peerId, signal) => paths.of(await nat.requestReversal(peerId, signal)),
    ice: (peerId, policy, signal) => ice(parts, peerId, { policy, signal })
  }
}

/** The connections of a libp2p node, as the keeper of traversals looks at them. */
export function openConnections(libp2p: Libp2p, paths: Paths): TraversalKeeperOptions['connections'] {
  return {
    onChange: (handler) => {
      const onEvent = ({ detail }: CustomEvent<Connection>): void => handler(detail.remotePeer.toString())
      libp2p.addEventListener('connection:open', onEvent)
      libp2p.addEventListener('connection:close', onEvent)
      return () => {
        libp2p.removeEventListener('connection:open', onEvent)
        libp2p.removeEventListener('connection:close', onEvent)
      }
    },
    of: (peerId) =>
      libp2p
        .getConnections(peerIdFromString(peerId))
        .filter(({ status }) => status === 'open')
        .sort((a, b) => a.timeline.open - b.timeline.open)
        .map((connection) => ({ path: paths.of(connection), isOurs: connection.direction === 'outbound' }))
  }
}

/** The relay that a peer is reached over; undefined when it is reached directly, or not at all. */
export function relayOf(libp2p: Libp2p, peerId: string): string | undefined {
  const best = bestConnection(libp2p.getConnections(peerIdFromString(peerId)))
  if (best === undefined || !isRelayed(best)) return undefined
  return best.remoteAddr.getComponents().find(({ name }) => name === 'p2p')?.value
}

async function means({ libp2p, dialler, paths, ice: service, relays, isReachable }: TraversalParts, peer: PeerId): Promise<TraversalMeans> {
  const { direct, relayed } = await dialler.addressesOf(peer)
  const hasNothing = direct.length === 0 && relayed.length === 0
  return {
    connected: paths.to(libp2p, peer),
    // Of a peer of which nothing is known, the network is asked.
    hasAddresses: direct.length > 0 || hasNothing,
    hasRelays: relayed.length > 0 || relays().length > 0,
    iceUnavailable: typeof service === 'string' ? service : service.unavailable,
    hasTurn: typeof service === 'string' ? false : service.hasTurn,
    isReachable: isReachable()
  }
}

async function hello({ nat, dialler }: TraversalParts, peerId: string, signal: AbortSignal): Promise<PeerNetwork> {
  const { direct } = await dialler.addressesOf(peerIdFromString(peerId))
  const { facts, mapped, ice: hasIce, turn } = await nat.hello(peerId, signal)
  const known = new Set(direct.map(String))
  return { facts, ice: hasIce, turn, hasNewAddresses: mapped.some((address) => !known.has(addressOfPeer(address, peerId))) }
}

interface DialAsked {
  readonly peerId: string
  readonly round: 1 | 2
  readonly signal: AbortSignal
}

/** Beside whatever other dials there are: the first direct addresses, or those that the peer told; of a peer of which nothing is known, the network is asked. */
async function dial({ libp2p, paths, nat, dialler }: TraversalParts, { peerId, round, signal }: DialAsked): Promise<Connection> {
  const peer = peerIdFromString(peerId)
  if (round === 2) return connectTo(firstOf(dialler, addressesAt(nat.heard(peerId)?.mapped ?? [], peerId), signal), peerId)
  const { direct } = await dialler.addressesOf(peer)
  if (direct.length === 0) return connectTo(dialler.connect(peer, { signal }), peerId)
  // A connection over a TURN server would be the answer of the dialler; here it is what shall be bettered.
  const isOverTurn = paths.to(libp2p, peer) === 'turn'
  return connectTo(isOverTurn ? firstOf(dialler, direct, signal) : dialler.dialDirect(peer, signal), peerId)
}

async function relay({ dialler, relays }: TraversalParts, peer: PeerId, signal: AbortSignal): Promise<Connection> {
  const peerId = peer.toString()
  const { relayed } = await dialler.addressesOf(peer)
  if (relayed.length > 0) return connectTo(dialler.connect(peer, { signal, addresses: relayed }), peerId)
  const guesses = relays().slice(0, maxGuesses)
  const addresses = guesses.map((address) => multiaddr(`${address}/p2p-circuit/p2p/${peerId}`))
  return connectTo(firstOf(dialler, addresses, signal), peerId)
}

const addressesAt = (addresses: readonly string[], peerId: string): readonly Multiaddr[] =>
  addresses.map((address) => multiaddr(addressOfPeer(address, peerId)))

/** The first of some addresses that answers; the others are stopped. */
async function firstOf(dialler: Dialler, addresses: readonly Multiaddr[], signal: AbortSignal): Promise<Connection> {
  const found = new AbortController()
  const ends = AbortSignal.any([signal, found.signal])
  try {
    return await Promise.any(addresses.map((address) => dialler.dialAddress(address, ends)))
  } finally {
    found.abort()
  }
}

async function ice(
  { ice: service }: TraversalParts,
  peerId: string,
  call: { readonly policy: 'all' | 'stun' | 'turn'; readonly signal: AbortSignal }
): Promise<ConnectionPath> {
  if (typeof service === 'string') throw new MeshError('ICE_UNAVAILABLE', { reason: service })
  return (await service.connect(peerId, call)).path
}

/** libp2p says for each address why it did not answer: the first reason stands for all, with how many there were. */
async function connectTo(work: Promise<Connection>, peerId: string): Promise<Connection> {
  try {
    return await work
  } catch (cause) {
    throw new MeshError('PEER_UNREACHABLE', { peer: peerId, reason: dialReason(cause) }, { cause })
  }
}
