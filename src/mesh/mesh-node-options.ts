import type { Libp2p } from '@libp2p/interface'
import type { MeshOptions } from '../core/options/index.ts'
import type { GossipPort } from './cards.ts'
import type { DhtPort, MdnsPort } from './discovery.ts'
import type { LogRecord, RememberedPart } from './mesh.ts'
import type { NatPorts } from './nat-ports.ts'
import type { OnionLimits } from './onion/onion-limits.ts'
import type { OnionPorts } from './onion/onion-service.ts'
import type { Platform } from './ports.ts'
import type { LimitChanges } from './protocol-table.ts'
import type { UpkeepPort } from './upkeep.ts'

/** Bytes over the node's sockets since its start. */
export interface Traffic {
  readonly totals: { readonly sent: number; readonly received: number }
}

export interface MeshNodeOptions {
  /** Started. */
  readonly libp2p: Libp2p
  readonly gossip: GossipPort
  /** undefined while mDNS is off. */
  readonly mdns: MdnsPort | undefined
  readonly dht: DhtPort
  readonly traffic: Traffic
  /** Handshakes of connections that failed since the start, by reason. */
  readonly handshakeFailures: ReadonlyMap<string, number>
  /** Takes back what is remembered of what a peer could do; what that was. */
  readonly forgetPeer: (peer: { readonly peerId: string; readonly publicKey: Uint8Array }) => readonly RememberedPart[]
  readonly platform: Platform
  /** Says of which peers no connection is taken or made, from now on. */
  readonly denyPeers: (isDenied: (peerId: string) => boolean) => void
  readonly nat: NatPorts
  readonly onion: OnionPorts
  readonly upkeep: UpkeepPort
  readonly options: MeshOptions
  readonly versions: Readonly<Record<string, string>>
  /** Every log record, from the first one on; `on('log')` gives those that follow. */
  readonly log: (record: LogRecord) => void
  /** Other limits of protocols than those of the table, for tests. */
  readonly protocolLimits?: LimitChanges
  /** Other limits of circuits, for tests. */
  readonly onionLimits?: OnionLimits
  /** Resident memory of the process, in bytes. */
  readonly residentBytes: () => number
  /** Ends what the platform opened: the libp2p node, the stores. */
  readonly release: () => Promise<void>
}
