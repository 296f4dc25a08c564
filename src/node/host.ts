import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { type GossipSub, type GossipSubComponents, gossipsub } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type { Libp2p, PeerDiscovery } from '@libp2p/interface'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { MemoryDatastore } from 'datastore-core'
import type { Datastore } from 'interface-datastore'
import { type Libp2pOptions, createLibp2p } from 'libp2p'
import { MeshError, toHex } from '../core/base/index.ts'
import { sha256 } from '@noble/hashes/sha2.js'
import { type FailureReason, type HandshakeFailure, type NoisePolicy, type PeerMemory } from '../mesh/hybrid-noise/index.ts'
import type { LogRecord } from '../mesh/mesh.ts'
import { gossipTopic, networkIds } from '../mesh/network-ids.ts'
import { Tracker } from '../mesh/tracker.ts'
import { announced } from './announced.ts'
import { CircuitCallers } from './circuit-callers.ts'
import { systemClock } from './clock.ts'
import { AddressDialler } from './dial-port.ts'
import { eagerStreams } from './eager-negotiation.ts'
import { handshakeLog } from './handshake-log.ts'
import { type GaterLimits, gaterDefaults, hostGater } from './host-gater.ts'
import { hostLogger } from './host-logger.ts'
import {
  directAddressesFirst,
  gossipRpc,
  gossipScores,
  handshakeMs,
  inboundConnectionsPerSecond,
  maxHalfOpen,
  monitorPing,
  splitRpcs,
  streamsPerConnection,
  useGossipProtocol,
  relayWindow,
  yamuxWindow
} from './libp2p-workarounds.ts'
import { dhtMessages, guarded } from './length-guard.ts'
import { freeListenAddresses } from './listen-addresses.ts'
import { hybridNoise } from './noise.ts'
import { OwnAddresses } from './own-addresses.ts'
import { openNoiseMemory } from './noise-memory.ts'
import { RelayClient } from './relay-client.ts'
import { RelayServer, type RelayServerLimits } from './relay-server.ts'
import { systemTimers } from './timers.ts'
import { TrafficMeter } from './traffic-meter.ts'
import { boundedWrites } from './write-bounds.ts'
import { WriteBehindDatastore } from './write-behind-datastore.ts'

/** How often mDNS asks; discovery waits for one question more. */
const mdnsIntervalMs = 5_000
/** Connections of a relay besides those that keep a place: callers, its own. */
const relayHeadroom = 256
/** Links of onion circuits from one address, on top of other connections: each relay of a machine has one to each other one, and perhaps one as a client. */
const linksPerAddress = 64

export interface HostServices extends Record<string, unknown> {
  readonly identify: Identify
  readonly ping: Ping
  readonly dht: KadDHT
  readonly gossip: GossipSub
  readonly dialler: AddressDialler
  readonly own: OwnAddresses
  /** undefined when it is off. */
  readonly mdns?: PeerDiscovery
}

export type MeshHost = Libp2p<HostServices>

export interface HostOptions {
  /** The 32-byte seed of the node's Ed25519 key. */
  readonly seed: Uint8Array
  readonly network: string
  /** Multiaddrs of TCP or WebSocket (`/ws`), or of a relay and `/p2p-circuit`; port 0 = any. A port that is taken is replaced by the next free one. */
  readonly listen: readonly string[]
  readonly maxPeers: number
  readonly mdns: boolean
  /** Where libp2p keeps the peers it knows; in memory when left out. */
  readonly datastore?: Datastore
  readonly log: (record: LogRecord) => void
  /** Where this node is reached for sure: told to others without asking anybody. Default none. */
  readonly announce?: readonly string[]
  /** Be a circuit relay for others. */
  readonly relay?: RelayServerLimits
  /** Links of onion circuits that others may have here: so many connections more, default none. */
  readonly maxLinks?: number
  /** Connections from one address in a second, default 40. */
  readonly inboundConnectionsPerSecond?: number
  readonly gater?: Partial<GaterLimits>
  /** Default `prefer`: hybrid channels with whoever can. `require`: with nobody else. */
  readonly quantum?: NoisePolicy
  /** Sent to peers by identify; no version by default says less, but bug reports need it. */
  readonly agentVersion: string
}

export interface StartedHost {
  readonly libp2p: MeshHost
  readonly traffic: TrafficMeter
  /** Handshakes that failed since the start, by reason. */
  readonly handshakeFailures: ReadonlyMap<FailureReason, number>
  /** What is remembered of peers' levels. */
  readonly memory: PeerMemory
  readonly relays: RelayClient
  /** Says of which peers no connection is taken or made, from now on; of none before. */
  readonly denyPeers: (isDenied: (peerId: string) => boolean) => void
  /** undefined when this node is no relay for others. */
  readonly relayServer: RelayServer | undefined
  /** Stops the node and writes what it knows of peers. */
  stop(): Promise<void>
}

/** Makes and starts a libp2p node. Bootstrap peers are not its business: the peer supervisor dials them, and goes on dialling. @throws {MeshError} LISTEN_FAILED */
export async function startHost(options: HostOptions): Promise<StartedHost> {
  const traffic = new TrafficMeter()
  const datastore = peerDatastore(options)
  const privateKey = await generateKeyPairFromSeed('Ed25519', options.seed)
  const handshakeFailures = new Map<FailureReason, number>()
  const logFailure = handshakeLog(systemClock(), options.log)
  const callers = new CircuitCallers(systemClock())
  let running: MeshHost | undefined
  const parts: HostParts = {
    traffic,
    relays: new RelayClient(options.log, callers),
    callers,
    denied: { isDenied: () => false },
    relayServer: options.relay === undefined ? undefined : new RelayServer(options.relay, options.log),
    ownAddresses: () => running?.services.own.list().map(({ address }) => multiaddr(address)) ?? [],
    memory: await openNoiseMemory(datastore, new Tracker((what, { code, message }) => options.log(failureRecord(code, what, message)))),
    onHandshakeFailure: (failure) => {
      handshakeFailures.set(failure.reason, (handshakeFailures.get(failure.reason) ?? 0) + 1)
      logFailure(failure)
    }
  }
  for (let attempt = 1; ; attempt++) {
    const listen = await freeListenAddresses(options.listen, { log: options.log, exact: options.relay !== undefined })
    const libp2p = await createLibp2p<HostServices>({ privateKey, ...(await libp2pOptions({ ...options, datastore }, listen, parts)) })
    try {
      await libp2p.start()
      running = libp2p
      const stop = async (): Promise<void> => {
        await libp2p.stop()
        await datastore.flush()
      }
      const { memory, relays, relayServer, denied } = parts
      const denyPeers: StartedHost['denyPeers'] = (isDenied) => {
        denied.isDenied = isDenied
      }
      return { libp2p, traffic, memory, relays, relayServer, handshakeFailures, denyPeers, stop }
    } catch (cause) {
      // Another process may have taken the port since it was found free.
      const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? cause.name) : String(cause)
      if (attempt === 3) throw new MeshError('LISTEN_FAILED', { address: listen.join(', '), reason }, { cause })
    }
  }
}

interface HostParts {
  readonly traffic: TrafficMeter
  readonly memory: PeerMemory
  readonly relays: RelayClient
  readonly callers: CircuitCallers
  readonly denied: { isDenied: (peerId: string) => boolean }
  readonly relayServer: RelayServer | undefined
  readonly ownAddresses: () => readonly Multiaddr[]
  readonly onHandshakeFailure: (failure: HandshakeFailure) => void
}

const failureRecord = (event: string, what: string, reason: string): LogRecord => ({ level: 'warn', event, fields: { what, reason } })

function relayService({ relayServer }: HostParts): Record<string, (components: Parameters<RelayServer['service']>[0]) => unknown> {
  return relayServer === undefined ? {} : { relay: (components) => relayServer.service(components) }
}

const withoutPeer = (address: string): string => address.replace(/\/p2p\/[^/]+$/, '')

function peerDatastore({ datastore, log }: HostOptions): WriteBehindDatastore {
  const onFailure = (error: MeshError): void => log(failureRecord(error.code, 'writing what is known of peers', error.message))
  return new WriteBehindDatastore(datastore ?? new MemoryDatastore(), { timers: systemTimers, onFailure })
}

async function libp2pOptions(options: HostOptions, listen: readonly string[], parts: HostParts): Promise<Libp2pOptions<HostServices>> {
  const ids = networkIds(options.network)
  const refused = (reason: string, address: string): void => options.log({ level: 'warn', event: 'connection.refused', fields: { reason, address } })
  return {
    start: false,
    nodeInfo: { name: 'synaptic-mesh', version: options.agentVersion, userAgent: `synaptic-mesh/${options.agentVersion}` },
    logger: hostLogger(options.log),
    addresses: { listen: [...listen, '/p2p-circuit'], appendAnnounce: (options.announce ?? []).map(withoutPeer), announceFilter: announced },
    transports: [
      tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } }),
      webSockets(),
      (components) => parts.relays.transport(components)
    ],
    connectionEncrypters: hybridNoise({ policy: options.quantum ?? 'prefer', memory: parts.memory, onFailure: parts.onHandshakeFailure }),
    streamMuxers: [
      eagerStreams(
        boundedWrites(
          yamux({
            maxInboundStreams: streamsPerConnection,
            maxEarlyStreams: streamsPerConnection,
            streamOptions: options.relay === undefined ? yamuxWindow : relayWindow
          })
        )
      )
    ],
    connectionGater: hostGater({
      limits: { ...gaterDefaults, perAddress: gaterDefaults.perAddress + (options.maxLinks === undefined ? 0 : linksPerAddress), ...options.gater },
      callers: parts.callers,
      isDenied: (peerId) => parts.denied.isDenied(peerId),
      ownAddresses: parts.ownAddresses,
      onRefused: refused,
      onUpgraded: (connection) => parts.traffic.track(connection)
    }),
    connectionManager: {
      maxConnections:
        Math.max(options.maxPeers, options.relay === undefined ? 0 : options.relay.maxReservations + relayHeadroom) + (options.maxLinks ?? 0),
      inboundConnectionThreshold: options.inboundConnectionsPerSecond ?? inboundConnectionsPerSecond,
      maxIncomingPendingConnections: maxHalfOpen,
      inboundUpgradeTimeout: handshakeMs,
      maxParallelDials: 32,
      addressSorter: directAddressesFirst,
      maxDialQueueLength: 256,
      dialTimeout: 10_000,
      // The peer supervisor redials; libp2p's own gives up after five tries.
      reconnectRetries: 0
    },
    connectionMonitor: { protocolPrefix: ids.prefix, pingInterval: 15_000, pingTimeout: monitorPing },
    ...(options.datastore === undefined ? {} : { datastore: options.datastore }),
    services: hostServices(options, parts)
  }
}

function hostServices(options: HostOptions, parts: HostParts): NonNullable<Libp2pOptions<HostServices>['services']> {
  const ids = networkIds(options.network)
  return {
    identify: identify({ protocolPrefix: ids.prefix, maxMessageSize: 8_192 }),
    ping: ping({ protocolPrefix: ids.prefix, maxInboundStreams: 8, maxOutboundStreams: 32 }),
    dht: guarded(
      kadDHT({
        protocol: ids.dht,
        clientMode: false,
        peerInfoMapper: passthroughMapper,
        allowQueryWithZeroPeers: true,
        maxInboundStreams: 32,
        initialQuerySelfInterval: 500,
        providers: { cacheSize: 256 }
      }),
      dhtMessages
    ),
    ...(options.mdns ? { mdns: mdns({ serviceTag: ids.mdnsTag, interval: mdnsIntervalMs }) } : {}),
    ...relayService(parts),
    dialler: (components: ConstructorParameters<typeof AddressDialler>[0]) => new AddressDialler(components),
    own: (components: ConstructorParameters<typeof OwnAddresses>[0]) => new OwnAddresses(components),
    gossip: (components: GossipSubComponents) => useGossipProtocol(splitRpcs(makeGossip(options.network)(components)), ids.gossip)
  }
}

function makeGossip(network: string): (components: GossipSubComponents) => GossipSub {
  return gossipsub({
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true,
    emitSelf: false,
    doPX: false,
    globalSignaturePolicy: 'StrictSign',
    allowedTopics: [gossipTopic(network, 'cards'), gossipTopic(network, 'onion'), gossipTopic(network, 'group')],
    maxInboundStreams: 4,
    maxOutboundStreams: 4,
    scoreParams: gossipScores,
    maxInboundDataLength: gossipRpc.inboundBytes,
    maxOutboundBufferSize: 4_194_304,
    maxTopicBytesPerPeer: 32_768,
    messageProcessingConcurrency: 8,
    decodeRpcLimits: {
      maxSubscriptions: 64,
      maxMessages: 256,
      maxIhaveMessageIDs: 1_000,
      maxIwantMessageIDs: 1_000,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 512,
      maxPeerInfos: 16
    },
    // Without it the signature of every duplicate is checked. All of the message is hashed: with less, a forger could shadow an honest message.
    fastMsgIdFn: (message) =>
      toHex(
        sha256
          .create()
          .update(message.from ?? none)
          .update(message.seqno ?? none)
          .update(message.signature ?? none)
          .update(message.data ?? none)
          .digest()
      )
  })
}

const none = new Uint8Array(0)
