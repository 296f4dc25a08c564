import { wallMillis } from '../core/base/index.ts'
import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { isRelayed, type Paths } from './connections.ts'
import type { Delivery } from './delivery.ts'
import type { LatencyWindow } from './latency-window.ts'
import { connectionSecurity } from './hybrid-noise/index.ts'
import type { ConnectionInfo, DetailedStatus, HealthFinding, Inbox, MeshStatus, RelayInfo, RelayServing, SessionStatus } from './mesh.ts'
import { keyOf, type PeerBook } from './peer-book.ts'
import type { Platform } from './ports.ts'
import { protectionOf, type Sessions } from './sessions.ts'

export interface NodeStatusOptions {
  readonly libp2p: Libp2p
  readonly platform: Platform
  readonly delivery: Delivery
  readonly book: PeerBook
  readonly inbox: Inbox
  readonly latency: LatencyWindow
  readonly name: string
  readonly network: string
  readonly traffic: { readonly totals: { readonly sent: number; readonly received: number } }
  readonly versions: Readonly<Record<string, string>>
  readonly sessions: Sessions
  readonly paths: Paths
  readonly policy: MeshStatus['quantum']['policy']
  readonly level: number
  /** Handshakes that failed since the start: of connections by reason, of sessions by error code. */
  readonly failures: { readonly connections: ReadonlyMap<string, number>; readonly sessions: ReadonlyMap<string, number> }
  readonly relays: () => readonly RelayInfo[]
  readonly serving: () => RelayServing | undefined
  /** What share of peers is reached, and directly. */
  readonly nat: () => MeshStatus['nat']
  readonly onion: () => MeshStatus['onion']
  /** Whether paired peers are kept connected: then one that is not is worth a finding. */
  readonly keepsPairs: boolean
  /** Findings of other parts, such as a store that is full. */
  readonly findings: () => readonly HealthFinding[]
  /** Whether a key is one of a link of circuits, and no peer; left out while this node takes none. */
  readonly isLinkPeer?: (peerId: string) => boolean
}

/** What a node says of itself: everything is read when it is asked. */
export class NodeStatus {
  readonly #options: NodeStatusOptions
  readonly #startedAt: number
  #reachedBy: 'direct' | 'relay' | undefined

  constructor(options: NodeStatusOptions) {
    this.#options = options
    this.#startedAt = options.platform.clock.monotonic()
    options.libp2p.addEventListener('connection:open', ({ detail }) => {
      if (detail.direction === 'inbound' && this.#reachedBy !== 'direct') this.#reachedBy = isRelayed(detail) ? 'relay' : 'direct'
    })
  }

  addresses(): readonly string[] {
    return this.#options.libp2p.getMultiaddrs().map((address) => address.toString())
  }

  async status(): Promise<MeshStatus> {
    const { libp2p, platform, book, inbox, delivery, latency, name, network, traffic } = this.#options
    const { unread, held } = await inbox.counts()
    const strangers = held === 0 ? 0 : (await platform.trustStore.heldSources()).length
    return {
      peerId: libp2p.peerId.toString(),
      name,
      network,
      uptimeS: Math.floor((platform.clock.monotonic() - this.#startedAt) / 1_000),
      addresses: this.addresses(),
      reachability: this.#reachability(),
      peers: {
        connected: this.#peers().length,
        quantum: this.#quantumPeers(),
        paired: book.pairs.length,
        known: book.knownCount,
        blocked: book.blocked.length
      },
      quantum: this.#quantum(),
      inbox: { unread, held, strangers },
      outbox: { queued: delivery.counts.queued },
      bytes: { ...traffic.totals },
      relays: this.#options.relays(),
      serving: this.#options.serving(),
      latencyMs: latency.percentiles(),
      nat: this.#options.nat(),
      onion: this.#options.onion(),
      health: this.#health()
    }
  }

  async detailed(): Promise<DetailedStatus> {
    return {
      ...(await this.status()),
      peerList: this.#options.book.list(),
      connections: this.#connections(),
      sessions: this.#sessions(),
      versions: this.#options.versions
    }
  }

  #reachability(): MeshStatus['reachability'] {
    const addresses = this.addresses()
    if (addresses.length === 0) return 'none'
    if (this.#reachedBy !== undefined) return this.#reachedBy
    return addresses.some((address) => address.includes('/p2p-circuit')) ? 'relay' : 'unknown'
  }

  #quantum(): MeshStatus['quantum'] {
    const { policy, level, sessions, failures } = this.#options
    return {
      policy,
      level,
      sessions: sessions.openCount,
      failures: { connections: Object.fromEntries(failures.connections), sessions: Object.fromEntries(failures.sessions) }
    }
  }

  /** Connected peers of which no connection is classical. */
  #quantumPeers(): number {
    const { libp2p } = this.#options
    const isHybrid = (connection: Connection): boolean => (connectionSecurity(connection)?.level ?? 0) > 0
    return this.#peers().filter((peer) => libp2p.getConnections(peer).every(isHybrid)).length
  }

  /** Connected peers; whoever holds a link of circuits is none. */
  #peers(): readonly PeerId[] {
    const { libp2p, isLinkPeer } = this.#options
    return isLinkPeer === undefined ? libp2p.getPeers() : libp2p.getPeers().filter((peer) => !isLinkPeer(peer.toString()))
  }

  #sessions(): readonly SessionStatus[] {
    const { sessions, book } = this.#options
    return sessions.list().map(({ peerId, direction, openedAt, endedAt, path, words, info }) => ({
      ...book.referenceOf(peerId),
      ...protectionOf(info),
      direction,
      path,
      openedAt,
      endedAt,
      words,
      epoch: info.epoch
    }))
  }

  #connections(): readonly ConnectionInfo[] {
    const { libp2p } = this.#options
    const connections = this.#peers().flatMap((peer) => libp2p.getConnections(peer))
    return connections.map((connection) => ({
      ...this.#options.book.reference(keyOf(connection.remotePeer.toString())),
      address: connection.remoteAddr.toString(),
      direction: connection.direction,
      path: this.#options.paths.of(connection),
      encryption: connection.encryption ?? '',
      quantumLevel: connectionSecurity(connection)?.level ?? 0,
      multiplexer: connection.multiplexer ?? '',
      openedAt: wallMillis(connection.timeline.open),
      streams: connection.streams.length
    }))
  }

  #health(): readonly HealthFinding[] {
    const { book, delivery, sessions, keepsPairs } = this.#options
    const findings: HealthFinding[] = [...this.#options.findings()]
    const away = book.pairs.filter(({ peerId }) => keepsPairs && !book.info(peerId).connected)
    if (this.#peers().length === 0)
      findings.push({
        code: 'NO_PEERS',
        message: 'No peer is connected',
        hint: 'Join an invite, or name a bootstrap peer: synaptic-mesh p2p config set bootstrap_peers ADDRESS'
      })
    else if (away.length > 0)
      findings.push({
        code: 'PEERS_AWAY',
        message: `${away.length === 1 ? '1 paired peer is' : `${away.length} paired peers are`} not connected: ${away
          .slice(0, 5)
          .map(({ peerId }) => book.info(peerId).name)
          .join(', ')}`,
        hint: 'They are dialled again by themselves; messages to them wait in the outbox.'
      })
    for (const [peerId, error] of sessions.refused)
      findings.push({
        code: 'SESSION_REFUSED',
        message: `Messages to ${book.referenceOf(peerId).name} wait, as no safe session with it can be opened: ${error.message} (${error.code})`,
        hint: error.hint
      })
    if (this.addresses().length === 0)
      findings.push({ code: 'NO_ADDRESS', message: 'The node listens on no address', hint: 'Set listen_addrs and restart.' })
    const { queued } = delivery.counts
    if (queued > 0 && this.#peers().length === 0)
      findings.push({ code: 'OUTBOX_WAITING', message: `${queued} messages wait for a peer to come back`, hint: 'synaptic-mesh p2p outbox' })
    return findings
  }
}
