/** A port of this node's on a private IPv4 address. */
export interface InternalPort {
  readonly address: string
  readonly port: number
}

/** A port that a router forwards. */
export interface MappedPort {
  /** The router's own address, as it says. */
  readonly externalAddress: string
  readonly externalPort: number
  readonly protocol: 'upnp' | 'nat-pmp'
  /** How long it holds unless it is asked for again. */
  readonly leaseMs: number
}

/** Opens ports in the router of the local network. */
export interface PortMappingPort {
  /** Which of these addresses of this machine is in the router's network; undefined when that is not known. */
  nearRouter(addresses: readonly string[]): string | undefined
  /**
   * Has `internal` forwarded, from the same port outside if that is free; again: renews it. Takes some seconds at most.
   * A router that cannot or will not is no error: the reason is what comes back.
   */
  map(internal: InternalPort, signal: AbortSignal): Promise<MappedPort | { readonly reason: string }>
  /** Takes back whatever was asked for, also what nobody answered to; tries for 2 s at most. */
  unmapAll(): Promise<void>
}

/** An address of this node as libp2p knows it. */
export interface OwnAddress {
  /** Without /p2p. */
  readonly address: string
  /** Whether it is announced to others. */
  readonly isVerified: boolean
}

/** This node's addresses, and what is said of them. */
export interface OwnAddressPort {
  /** Where it listens, and what is mapped there. */
  list(): readonly OwnAddress[]
  /** It is announced from now on. */
  confirm(address: string): void
  /** It is announced no more. */
  doubt(address: string): void
  addMapping(internal: InternalPort, external: InternalPort): void
  removeMapping(internal: InternalPort, external: InternalPort): void
}
