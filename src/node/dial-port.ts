import type { AbortOptions, Connection, ConnectionGater, Upgrader } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { DialPort } from '../mesh/nat-ports.ts'
import { withEagerUpgrader } from './eager-negotiation.ts'

interface Components {
  readonly transportManager: { dial(address: Multiaddr, options: AbortOptions): Promise<Connection> }
  readonly connectionManager: { openConnection(address: Multiaddr, options: AbortOptions): Promise<Connection> }
  readonly connectionGater: ConnectionGater
  readonly upgrader: Upgrader
}

/** A libp2p service that dials single addresses through the transports, past the dial queue; connections are counted and kept as all others. */
export class AddressDialler implements DialPort {
  /** Makes connections of byte pipes that came from elsewhere, to peers that speak as we do. */
  readonly upgrader: Upgrader
  readonly #components: Components

  constructor(components: Components) {
    this.#components = components
    this.upgrader = withEagerUpgrader({ upgrader: components.upgrader }).upgrader
  }

  async dial(address: Multiaddr, options: AbortOptions): Promise<Connection> {
    const { transportManager, connectionManager, connectionGater } = this.#components
    if ((await connectionGater.denyDialMultiaddr?.(address)) === true) throw new Error(`${address.toString()} is an address of this node`)
    // What has to be looked up first is beyond the transports.
    if (address.getComponents()[0]?.name === 'dnsaddr') return connectionManager.openConnection(address, options)
    return transportManager.dial(address, options)
  }
}
