import { type AbortOptions, type Connection, type ConnectionGater, serviceCapabilities } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { isCircuit } from '../mesh/connections.ts'
import type { LogRecord } from '../mesh/mesh.ts'
import type { LinkHost, LinkHosts } from '../mesh/onion/link-host.ts'
import { CircuitCallers } from './circuit-callers.ts'
import { systemClock } from './clock.ts'
import { AddressDialler } from './dial-port.ts'
import { eagerDials, eagerStreams } from './eager-negotiation.ts'
import { hostLogger } from './host-logger.ts'
import { handshakeMs, yamuxWindow } from './libp2p-workarounds.ts'
import { hybridNoise } from './noise.ts'
import { RelayClient } from './relay-client.ts'
import { boundedWrites } from './write-bounds.ts'

/** A peer opens no streams here: what libp2p's own protocols of a host try is refused by there being none. */
const maxInboundStreams = 8
/** Links to relays and endpoints, connections with circuit relays. */
const maxConnections = 4_096

export interface OnionHostsOptions {
  readonly log: (record: LogRecord) => void
}

/**
 * Makes libp2p nodes that dial and do nothing else, each with a key of its own: links of circuits go over them, so that no gossip, DHT or identify rides along, and the
 * peer that is called learns an ephemeral key. They listen nowhere, serve nothing, ask and tell nobody anything.
 */
export function onionHosts({ log }: OnionHostsOptions): LinkHosts {
  return { start: () => startOnionHost(log) }
}

async function startOnionHost(log: (record: LogRecord) => void): Promise<LinkHost> {
  const relays = new RelayClient(log, new CircuitCallers(systemClock()))
  // Whom links go to speaks as we do; a circuit relay on the way there may be any software's.
  const called = new Set<string>()
  const isOurs = (peerId: string): boolean => called.has(peerId)
  const libp2p = await createLibp2p({
    logger: hostLogger(log),
    addresses: { listen: [], announce: [] },
    transports: [
      eagerDials(tcp({ dialOpts: { noDelay: true } }), isOurs),
      eagerDials(webSockets(), isOurs),
      (components) => relays.transport(components)
    ],
    connectionEncrypters: hybridNoise({ policy: 'prefer' }),
    streamMuxers: [eagerStreams(boundedWrites(yamux({ maxInboundStreams, maxEarlyStreams: maxInboundStreams, streamOptions: yamuxWindow })))],
    connectionGater: dialOnly,
    connectionManager: { maxConnections, maxParallelDials: 32, inboundUpgradeTimeout: handshakeMs, dialTimeout: 10_000, reconnectRetries: 0 },
    connectionMonitor: { enabled: false },
    services: {
      dialler: (components: ConstructorParameters<typeof AddressDialler>[0]) => new AddressDialler(components),
      identify: () => noIdentify
    }
  })
  const dial = (address: Multiaddr, options: AbortOptions): Promise<Connection> => {
    const peer = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
    if (peer !== undefined && !isCircuit(address)) remember(called, peer)
    return libp2p.services.dialler.dial(address, options)
  }
  return { libp2p, dial: { dial }, stop: async () => libp2p.stop() }
}

function remember(called: Set<string>, peer: string): void {
  if (called.size >= maxConnections) called.clear()
  called.add(peer)
}

/** Nobody calls such a host, not over a relay either; identities are Ed25519 keys. */
const dialOnly: ConnectionGater = {
  denyInboundConnection: () => true,
  denyInboundRelayedConnection: () => true,
  denyOutboundEncryptedConnection: (peer) => peer.type !== 'Ed25519'
}

/** libp2p's circuit transport does not start without; nothing of ours asks who a peer is. */
const noIdentify = { [serviceCapabilities]: ['@libp2p/identify'] }
