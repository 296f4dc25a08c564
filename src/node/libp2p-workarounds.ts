import type { GossipSub } from '@libp2p/gossipsub'
import type { Address } from '@libp2p/interface'
import { circuitRelayAddressesLast, loopbackAddressLast, publicAddressesFirst, reliableTransportsFirst } from '@libp2p/utils'

// What libp2p 3.3 does not do as this software needs it, each with the reason. test/net/libp2p-traps.test.ts tells when upstream has mended one.

/**
 * gossipsub 17.1 declares the option `protocols` and ignores it: every network would speak /meshsub/1.x with every other one.
 * The field is read at start, so it is set before.
 */
export function useGossipProtocol<Service extends Pick<GossipSub, 'protocols'>>(service: Service, id: string): Service {
  service.protocols = [id]
  return service
}

/**
 * By default gossipsub scores a peer down for every other one at its address beyond ten, and soon hears nothing of any of them: eleven nodes of one office, or of one machine,
 * were deaf to each other. How many connections one address gets is bounded where they are made, see host-gater.ts.
 */
export const gossipScores = { IPColocationFactorWeight: 0 } as const

export const gossipRpc = {
  /** What is taken in one piece: more resets the stream, and a gossip stream that was reset stays dead. */
  inboundBytes: 131_072,
  /** Messages that are sent in one piece; control messages come on top. */
  outboundBytes: 65_536
} as const

/** The part of gossipsub 17's service that matters here; it is private, TypeScript hides it. */
interface RpcSender {
  sendRpc(id: string, rpc: { readonly messages: readonly { readonly data?: Uint8Array }[] }): boolean
}

const hasSendRpc = (service: object): service is RpcSender => 'sendRpc' in service && typeof service.sendRpc === 'function'

/**
 * gossipsub answers a peer that asks for several messages with all of them in one piece, however large, which the peer then refuses by a reset.
 * From here on it sends several pieces.
 */
export function splitRpcs<Service extends object>(service: Service): Service {
  const whole: object = service
  if (!hasSendRpc(whole)) return service
  const send = whole.sendRpc.bind(whole)
  whole.sendRpc = (id, rpc) => {
    const pieces = piecesOf(rpc.messages)
    const last = pieces.pop() ?? []
    for (const messages of pieces) if (!send(id, { ...emptyRpc, messages })) return false
    // The object itself goes when it can: gossipsub adds control messages to it.
    return send(id, pieces.length === 0 ? rpc : { ...rpc, messages: last })
  }
  return service
}

const emptyRpc = { subscriptions: [], control: undefined } as const
/** Signer, signature, sequence, topic. */
const gossipOverhead = 512

function piecesOf<Message extends { readonly data?: Uint8Array }>(messages: readonly Message[]): Message[][] {
  const pieces: Message[][] = []
  let room = 0
  for (const message of messages) {
    const bytes = (message.data?.length ?? 0) + gossipOverhead
    const piece = pieces.at(-1)
    if (piece === undefined || bytes > room) {
      pieces.push([message])
      room = gossipRpc.outboundBytes - bytes
    } else {
      piece.push(message)
      room -= bytes
    }
  }
  return pieces
}

/**
 * A yamux window grows to 16 MiB, but a paused stream that holds over 4 MiB is reset: a slow reader of a fast link lost its stream.
 * With this maximum what arrives after a pause always fits, and memory for each stream is bounded.
 */
export const yamuxWindow = { initialStreamWindowSize: 262_144, maxStreamWindowSize: 1_048_576 } as const

/** Of a relay: each circuit may hold a window in each direction. At 50 ms of round trip it carries 5 MB a second. */
export const relayWindow = { ...yamuxWindow, maxStreamWindowSize: 262_144 } as const

/**
 * Streams of one connection, in each direction. The same number may come while the connection is still being set up: with libp2p's ten, a peer that begins
 * at once with a few queries gets a muxer that is closed on a connection that stays "open" and is of no use.
 */
export const streamsPerConnection = 256

/** Five connections a second from one address is the default: the sixth local node would be dropped. */
export const inboundConnectionsPerSecond = 40

/** Ten half-open connections are the default: one address that opens and says nothing would keep everybody out. See host-gater.ts for its share. */
export const maxHalfOpen = 128

/** A handshake takes a few milliseconds; the default of 10 s gives a silent peer its slot for too long. */
export const handshakeMs = 5_000

/**
 * libp2p ends a connection whose ping takes longer than five times the average of the last ones: a busy machine loses good links.
 * Never under 10 s.
 */
export const monitorPing = { minTimeout: 10_000, maxTimeout: 30_000 } as const

/** libp2p dials a public relay before a peer's own address in the same local network. Here every direct address comes first; then as in libp2p. */
export const directAddressesFirst = (a: Address, b: Address): -1 | 0 | 1 =>
  circuitRelayAddressesLast(a.multiaddr, b.multiaddr) ||
  loopbackAddressLast(a.multiaddr, b.multiaddr) ||
  publicAddressesFirst(a.multiaddr, b.multiaddr) ||
  certifiedFirst(a, b) ||
  reliableTransportsFirst(a.multiaddr, b.multiaddr)

const certifiedFirst = (a: Address, b: Address): -1 | 0 | 1 => (a.isCertified === b.isCertified ? 0 : a.isCertified ? -1 : 1)

/** The part of @libp2p/tcp 11's connection that matters here; TypeScript does not know it. */
interface SocketConnection {
  readonly socket: { cork(): void; uncork(): void }
  sendData(data: unknown): unknown
}

const hasSocket = (connection: object): connection is SocketConnection =>
  'sendData' in connection &&
  typeof connection.sendData === 'function' &&
  'socket' in connection &&
  typeof connection.socket === 'object' &&
  connection.socket !== null &&
  'cork' in connection.socket &&
  'uncork' in connection.socket

/**
 * A connection of libp2p's TCP makes one system call, and one packet, for each piece of a list. From here on it makes one for all.
 * Returns false for any other connection: those that send messages send one for each piece.
 */
export function gatherWrites(connection: object): boolean {
  if (!hasSocket(connection)) return false
  const sendData = connection.sendData.bind(connection)
  connection.sendData = (data) => {
    connection.socket.cork()
    try {
      return sendData(data)
    } finally {
      connection.socket.uncork()
    }
  }
  return true
}
