import type { WallMillis } from '../base/index.ts'

/** How a NAT chooses the public port of a socket (RFC 4787 section 4.1). `none`: the address is public itself. */
export const natMappings = ['none', 'endpoint-independent', 'address-dependent', 'address-and-port-dependent', 'unknown'] as const
export type NatMapping = (typeof natMappings)[number]

/** Whom a NAT lets in by a port that it has mapped (RFC 4787 section 5). */
export const natFilterings = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent', 'unknown'] as const
export type NatFiltering = (typeof natFilterings)[number]

/**
 * The usual names (RFC 3489 section 5): mapping and filtering together. `cone`: endpoint-independent mapping, filtering not measured.
 * `symmetric`: a mapping that depends on the destination. `open`: no NAT. `udp-blocked`: no STUN server answers over UDP, TCP works.
 */
export const natClasses = ['open', 'full-cone', 'address-restricted', 'port-restricted', 'cone', 'symmetric', 'udp-blocked', 'unknown'] as const
export type NatClass = (typeof natClasses)[number]

/** What a node found out about the network that it is in. */
export interface NatFacts {
  readonly natClass: NatClass
  readonly mapping: NatMapping
  readonly filtering: NatFiltering
  readonly udp: 'open' | 'blocked' | 'unknown'
  /** As the STUN servers see it; undefined when none answered. */
  readonly publicAddress: { readonly address: string; readonly port: number } | undefined
  /** Whether an interface has a global IPv6 address. */
  readonly ipv6: boolean
  readonly probedAt: WallMillis
}

/**
 * How a connection really goes. Over ICE it follows from the candidate pair that was selected, otherwise from the addresses of the connection.
 * direct-lan: private, link-local or loopback addresses; direct-ipv6: global IPv6; direct-mapped: a port that UPnP or NAT-PMP opened; direct-public: a public
 * IPv4 address; punched: two NATs were opened from inside (a server-reflexive or peer-reflexive candidate); turn: over a TURN server; relayed: over a circuit relay;
 * onion: over an onion circuit (streams only: no connection with the peer is involved).
 */
export const connectionPaths = ['direct-lan', 'direct-ipv6', 'direct-mapped', 'direct-public', 'punched', 'turn', 'relayed', 'onion'] as const
export type ConnectionPath = (typeof connectionPaths)[number]

/** auto: every way; stun: ICE with STUN only; turn: ICE over a TURN server only. */
export const traversalMethods = ['auto', 'stun', 'turn'] as const
export type TraversalMethod = (typeof traversalMethods)[number]

/** The ways to reach a peer, as reports and metrics name them. */
export const techniques = ['dial', 'relay', 'reversal', 'ice', 'ice-stun', 'ice-turn'] as const
export type Technique = (typeof techniques)[number]
