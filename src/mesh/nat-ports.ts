import type { AbortOptions, Connection, Upgrader } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { NatFacts } from '../core/nat/index.ts'
import type { IcePort } from './ice/ice-port.ts'
import type { OwnAddressPort, PortMappingPort } from './mapping-ports.ts'
import type { RelayClientPort, RelayServerPort } from './relay-ports.ts'
import type { RatesStore } from './traversal-keeper.ts'

/** Dials one address, whatever connections there are: libp2p's own dialling joins what goes to one peer into one row. */
export interface DialPort {
  dial(address: Multiaddr, options: AbortOptions): Promise<Connection>
}

/** One STUN server as it was asked. */
export interface StunServerReport {
  readonly host: string
  readonly port: number
  /** Where its name led; undefined when the name has no address. */
  readonly address: string | undefined
  /** answered; silent: nothing came in time; unresolved: its name has no address; unreachable: the system knows no way to it; implausible: what it said of us cannot be. */
  readonly result: 'answered' | 'silent' | 'unresolved' | 'unreachable' | 'implausible'
  /** From the first transmission to the answer: an upper bound where the first was lost. */
  readonly roundTripMs: number | undefined
}

/** What one probe found out, and whom it asked. */
export interface NatProbe extends NatFacts {
  readonly servers: readonly StunServerReport[]
}

/** Asks STUN servers over UDP how the network looks from outside. */
export interface StunProbePort {
  /** Takes 2 s at most, 2.7 s with names to resolve. Servers that are silent are no error. @throws {MeshError} ABORTED */
  probe(servers: readonly { readonly host: string; readonly port: number }[], signal: AbortSignal): Promise<NatProbe>
}

/** An address of a network interface of this machine. */
export interface InterfaceAddress {
  readonly address: string
  readonly family: 4 | 6
  /** Loopback. */
  readonly isInternal: boolean
}

/** Tells when this machine moved to another network. */
export interface NetworkWatchPort {
  /** Calls back when addresses came or went; the returned function ends that. */
  onChange(handler: () => void): () => void
  addresses(): readonly InterfaceAddress[]
}

/** What a platform gives of the network around it. */
export interface NatPorts {
  readonly dial: DialPort
  readonly own: OwnAddressPort
  readonly mapping: PortMappingPort
  readonly relays: RelayClientPort
  /** The relay that this node is for others; undefined when it is none. */
  readonly relayServer: RelayServerPort | undefined
  readonly stun: StunProbePort
  readonly network: NetworkWatchPort
  readonly ice: IcePort
  /** Makes connections of what ICE has found. */
  readonly upgrader: Upgrader
  readonly rates: RatesStore
}
