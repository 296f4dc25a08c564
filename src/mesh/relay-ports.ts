import type { Connection } from '@libp2p/interface'
import type { RelayServing } from './mesh.ts'

/** Why a relay refused a peer, or cut a circuit. */
export const relayRefusals = [
  'not-paired',
  'reservations',
  'circuits',
  'circuits-of-peer',
  'rate',
  'no-reservation',
  'unreachable',
  'over-a-relay',
  'malformed',
  'bytes',
  'time',
  'stalled'
] as const
export type RelayRefusal = (typeof relayRefusals)[number]

/** The circuit relay that this node is for others. */
export interface RelayServerPort {
  readonly serving: RelayServing
  /** What the card says of it: `relay-1`, and `stun-PORT` while the STUN server runs. */
  readonly features: readonly string[]
  /** Says whom to serve besides those of the options; nobody before. */
  serve(isPaired: (peerId: string) => boolean): void
}

/** A place at a relay as it is asked for. */
export interface RelayPlace {
  /** A direct connection with the relay. */
  readonly connection: Connection
  /** Where the relay is known to be, with /p2p. */
  readonly addresses: readonly string[]
}

/** The client of circuit relays. */
export interface RelayClientPort {
  /** Says whose calls over relays are taken before those of others. */
  prefer(isPaired: (peerId: string) => boolean): void
  /** Takes a place; resolves with how long the relay took to answer (ms). It is renewed until it is lost. @throws {MeshError} RELAY_REFUSED, or Error when the relay does not answer */
  reserve(place: RelayPlace, signal: AbortSignal): Promise<number>
  /** Gives a place back: nobody calls over it any more. */
  release(peerId: string): void
  /** Tells of places that were lost: the relay is gone, or does not renew. */
  onLost(handler: (peerId: string) => void): () => void
}
