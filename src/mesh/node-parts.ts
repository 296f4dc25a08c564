import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../core/base/index.ts'
import type { OutboxEntry, OutboxRecovery, SavedThreads } from '../core/message/index.ts'
import { AgentLabels } from './agent-labels.ts'
import { Arrivals } from './arrivals.ts'
import { Paths } from './connections.ts'
import type { ContactService } from './contact-service.ts'
import { Delivery } from './delivery.ts'
import type { Diagnostics } from './diagnostics.ts'
import { Dialler } from './dialler.ts'
import { EventHub } from './event-hub.ts'
import { GroupBook } from './groups/group-book.ts'
import { MeshGroups } from './groups/groups.ts'
import { inboxLimits } from './inbox-limits.ts'
import { LatencyWindow } from './latency-window.ts'
import type * as mesh from './mesh.ts'
import { MeshInbox } from './mesh-inbox.ts'
import type { MeshNodeOptions } from './mesh-node-options.ts'
import { MeshOutbox, type Recipient } from './mesh-outbox.ts'
import { Neighbourhood } from './neighbourhood.ts'
import { NodeMetrics } from './node-metrics.ts'
import { makeContacts, makeDiagnostics, makeStatus, makeUpkeep } from './node-makers.ts'
import type { NodeStatus } from './node-status.ts'
import { OnionService } from './onion/onion-service.ts'
import { keyOf, PeerBook } from './peer-book.ts'
import { PeerComings } from './peer-comings.ts'
import { PairingWords } from './pairing-words.ts'
import { PendingRequests } from './pending-requests.ts'
import type { AgentRecord, BlockedRecord, PairRecord } from './ports.ts'
import { ProtocolHost, shortPeerId } from './protocol-host.ts'
import { Reach } from './reach.ts'
import { kemLevel, Sessions } from './sessions.ts'
import { Threads } from './threads.ts'
import { Tracker } from './tracker.ts'
import type { NodeUpkeep } from './upkeep.ts'

/** How long a session over a circuit stays for an answer where nothing else can bring it. */
const answerMs = 1_800_000

/** What an earlier process left. */
export interface Recovered {
  readonly recovery: OutboxRecovery
  readonly pairs: readonly PairRecord[]
  readonly agents: readonly AgentRecord[]
  readonly blocked: readonly BlockedRecord[]
  readonly threads: SavedThreads
}

/** The parts of a mesh node, and what happens between them. */
export class NodeParts {
  readonly peerId: string
  readonly inbox: MeshInbox
  readonly outbox: MeshOutbox
  readonly agents: AgentLabels
  readonly threads: Threads
  readonly contacts: ContactService
  readonly groups: MeshGroups
  readonly #config: MeshNodeOptions
  /** Known from the first message on, whatever else is still being put together. */
  readonly #groupBook: GroupBook
  readonly events: EventHub<mesh.MeshEvents>
  readonly tracker: Tracker
  readonly host: ProtocolHost
  readonly book: PeerBook
  readonly onion: OnionService
  readonly sessions: Sessions
  readonly delivery: Delivery
  readonly neighbourhood: Neighbourhood
  readonly requests: PendingRequests
  readonly arrivals: Arrivals
  readonly peers: PeerComings
  readonly paths = new Paths()
  readonly dialler: Dialler
  readonly reach: Reach
  readonly latency = new LatencyWindow()
  readonly words: PairingWords
  readonly diagnostics: Diagnostics
  readonly status: NodeStatus
  readonly metrics: NodeMetrics
  readonly upkeep: NodeUpkeep

  constructor(config: MeshNodeOptions, { recovery, pairs, agents, blocked, threads }: Recovered) {
    const { libp2p, platform } = config
    this.#config = config
    this.peerId = libp2p.peerId.toString()
    this.events = new EventHub((event, error) => this.log('error', 'INTERNAL', { reason: `a handler of '${event}' threw: ${String(error)}` }))
    this.tracker = new Tracker((what, error) => this.log('warn', error.code, { what, reason: error.message }))
    this.metrics = new NodeMetrics(config.residentBytes)
    this.metrics.watch(libp2p)
    this.words = new PairingWords(platform.clock)
    this.dialler = new Dialler({ libp2p, port: config.nat.dial, timers: platform.timers })
    this.host = this.#makeHost()
    this.book = this.#makeBook(pairs, blocked)
    this.#groupBook = new GroupBook(platform.signer.publicKey)
    this.onion = this.#makeOnion()
    this.sessions = this.#makeSessions()
    this.delivery = this.#makeDelivery(recovery)
    this.onion.directory.onChange(() => this.delivery.ways.changed())
    this.threads = this.#makeThreads(threads)
    const parts = { platform, delivery: this.delivery, book: this.book, threads: this.threads }
    this.inbox = new MeshInbox(parts)
    this.outbox = new MeshOutbox({ ...parts, via: config.options.onionRouting ? 'onion' : 'direct' })
    this.agents = new AgentLabels({
      store: platform.agentStore,
      agents,
      wall: () => platform.clock.wall(),
      onChange: () => this.neighbourhood.cardChanged()
    })
    this.requests = new PendingRequests(platform.timers)
    this.arrivals = this.#makeArrivals()
    this.peers = this.#makePeers()
    this.reach = this.#makeReach()
    this.neighbourhood = this.#makeNeighbourhood()
    this.diagnostics = makeDiagnostics(this, config)
    this.status = makeStatus(this, config)
    this.upkeep = makeUpkeep(this, config)
    this.contacts = makeContacts(this, config)
    this.groups = this.#makeGroups()
    this.outbox.withGroups(this.groups.sender)
    config.denyPeers((peerId) => this.book.isBlocked(peerId))
  }

  #makeHost(): ProtocolHost {
    const { libp2p, platform, protocolLimits } = this.#config
    return new ProtocolHost({
      libp2p,
      connect: this.dialler.connect.bind(this.dialler),
      paths: this.paths,
      clock: platform.clock,
      timers: platform.timers,
      log: (record) => this.#emitLog(record),
      onRefused: ({ protocol, error }) => this.metrics.protocolError(protocol, error.code),
      isPaired: (peerId) => this.book.pairOf(peerId) !== undefined,
      ...(protocolLimits === undefined ? {} : { limits: protocolLimits })
    })
  }

  #makeBook(pairs: readonly PairRecord[], blocked: readonly BlockedRecord[]): PeerBook {
    const { libp2p, platform, options } = this.#config
    return new PeerBook({
      ownPeerId: this.peerId,
      ownName: options.name,
      pairs,
      blocked,
      pathTo: (peerId) => this.paths.to(libp2p, peerIdFromString(peerId)),
      wall: () => platform.clock.wall(),
      wordsOf: (peerId) => this.words.of(peerId),
      groupOf: (mark, from) => this.groups.received(mark, from)
    })
  }

  #makeThreads(saved: SavedThreads): Threads {
    const { platform } = this.#config
    return new Threads({
      platform,
      saved,
      tracker: this.tracker,
      log: (record) => this.#emitLog(record),
      onRefused: (code) => this.metrics.loopRefused(code)
    })
  }

  #makeArrivals(): Arrivals {
    const { platform } = this.#config
    return new Arrivals({
      book: this.book,
      metrics: this.metrics,
      requests: this.requests,
      threads: this.threads,
      wall: () => platform.clock.wall(),
      onMessage: (message) => this.events.emit('message', message)
    })
  }

  #makeGroups(): MeshGroups {
    const { libp2p, platform, options, gossip } = this.#config
    const { delivery, outbox, threads, tracker } = this
    const shared = { libp2p, platform, gossip, delivery, outbox, threads, tracker, network: options.network, peers: this.book }
    return new MeshGroups(
      {
        ...shared,
        via: options.onionRouting ? 'onion' : 'direct',
        showsAddresses: !options.onionRouting,
        self: () => ({ name: options.name, addresses: this.status.addresses() }),
        log: (record) => this.#emitLog(record),
        onFrame: (event) => this.metrics.groupFrame(event),
        release: async (member, group) =>
          this.book.standingOf(member).blocked ? undefined : this.arrivals.releaseGroup({ publicKey: member, group }, this)
      },
      this.#groupBook
    )
  }

  #makeOnion(): OnionService {
    const { libp2p, platform, options, gossip, onion } = this.#config
    return new OnionService({
      libp2p,
      host: this.host,
      gossip,
      platform,
      ports: onion,
      options,
      level: kemLevel(options.mlkemSecurityLevel),
      tracker: this.tracker,
      isPaired: (peerId) => this.book.pairOf(peerId) !== undefined,
      reference: (peerId) => this.book.referenceOf(peerId),
      log: (record) => this.#emitLog(record),
      onRefused: ({ protocol, error }) => this.metrics.protocolError(protocol, error.code),
      limits: this.#config.onionLimits,
      onSucceed: (publicKey) => this.delivery.move(publicKey, 'onion'),
      onCrowded: (count) => this.sessions.makeRoom(count),
      onBuilt: (part, ms) => this.metrics.circuitBuilt(part, ms)
    })
  }

  #makeSessions(): Sessions {
    const { platform, options, onionLimits } = this.#config
    const level = kemLevel(options.mlkemSecurityLevel)
    return new Sessions({
      host: this.host,
      onion: this.onion,
      // Who takes no circuits hears answers over its own alone.
      onionIdleMs: onionLimits?.idleMs ?? (options.onionRouting ? undefined : answerMs),
      platform,
      network: options.network,
      peerId: this.peerId,
      level,
      minimumLevel: options.quantumResistant ? level : 1,
      pqAuth: options.quantumSignatures,
      ...(this.#config.protocolLimits?.message === undefined ? {} : { frames: this.#config.protocolLimits.message }),
      ...(this.#config.protocolLimits?.pairing === undefined ? {} : { pairingFrames: this.#config.protocolLimits.pairing }),
      onFailed: ({ error }) => this.metrics.sessionFailed(error.code)
    })
  }

  #makeDelivery(recovery: OutboxRecovery): Delivery {
    const { platform, options } = this.#config
    return new Delivery({
      platform,
      sessions: this.sessions,
      tracker: this.tracker,
      recovery,
      onionRouting: options.onionRouting,
      outboxLimits: { maxMessages: options.outboxMaxMessages, maxBytes: options.outboxMaxBytes },
      limitsOf: (publicKey) => ({
        ...inboxLimits(publicKey, this.book.standingOf(publicKey), options),
        standing: (group) => this.#groupBook.standing(group, publicKey)
      }),
      onArrived: (publicKey, messages) => {
        this.arrivals.durable(publicKey, messages)
        const readable = messages.filter(({ state }) => state !== 'held')
        this.groups.arrived(
          publicKey,
          readable.map(({ envelope }) => envelope)
        )
      },
      onVolatile: (publicKey, messages) => this.arrivals.volatile(publicKey, messages),
      onAccepted: (entry) => this.metrics.outbox(entry),
      onState: (entry) => this.#outboxChanged(entry),
      onRefused: (refusal) => this.metrics.refused(refusal),
      onMisbehaved: (publicKey, error) => this.#misbehaved(publicKey, error),
      onFatal: (error) => {
        this.metrics.storeFailed(error.code)
        this.log('error', error.code, { reason: error.message })
        this.events.emit('fatal', error.report())
      }
    })
  }

  #makeNeighbourhood(): Neighbourhood {
    const { libp2p, platform, options } = this.#config
    return new Neighbourhood({
      libp2p,
      dialler: this.dialler,
      nat: this.#config.nat,
      gossip: this.#config.gossip,
      mdns: this.#config.mdns,
      dht: this.#config.dht,
      platform,
      options,
      host: this.host,
      sessions: this.sessions,
      words: this.words,
      book: this.book,
      tracker: this.tracker,
      log: (record) => this.#emitLog(record),
      onPairing: (role, outcome) => this.metrics.pairing(role, outcome),
      onDiscovered: (peerId) => this.events.emit('peer', { type: 'discovered', peer: this.book.info(peerId) }),
      onPaired: (pair) => {
        const released = this.peers.paired(pair)
        released.then(
          () => this.groups.desk.poke(),
          () => undefined
        )
        this.reach.reachability.nat.paired(pair.peerId)
        this.reach.network.refresh()
        this.reach.reachability.paired()
        return released
      },
      ...(options.onionRouting ? { isLinkPeer: (peerId: string) => this.onion.links.isLinkPeer(peerId) } : {}),
      onCard: () => this.reach.network.refresh(),
      labels: () => this.agents.labels
    })
  }

  #makePeers(): PeerComings {
    return new PeerComings({
      libp2p: this.#config.libp2p,
      ...(this.#config.options.onionRouting ? { isLinkPeer: (peerId: string) => this.onion.links.isLinkPeer(peerId) } : {}),
      book: this.book,
      delivery: this.delivery,
      inbox: this.inbox,
      arrivals: this.arrivals,
      tracker: this.tracker,
      log: (record) => this.#emitLog(record),
      onPeer: (event) => this.events.emit('peer', event)
    })
  }

  #makeReach(): Reach {
    const { libp2p, platform, options, nat } = this.#config
    return new Reach({
      libp2p,
      ports: nat,
      platform,
      options,
      host: this.host,
      book: this.book,
      paths: this.paths,
      dialler: this.dialler,
      tracker: this.tracker,
      log: (record) => this.#emitLog(record),
      move: (peerId) => this.delivery.move(keyOf(peerId), 'direct'),
      showCard: (peerId, signal) => this.neighbourhood.showCard(peerId, signal),
      relays: () => this.neighbourhood.relays.relays.map(({ address }) => address),
      onReport: (report) => this.metrics.traversed(report),
      onDialled: (purpose, outcome) => this.metrics.dialled(purpose, outcome),
      onNetworkChanged: () => {
        this.neighbourhood.networkChanged()
        this.onion.links.networkChanged()
      }
    })
  }

  /** Whom a text means; for the direct way, with its address known to libp2p. */
  async recipient(destination: string, via = this.outbox.routeOf({})): Promise<Recipient> {
    await this.neighbourhood.find(destination, via)
    const { peerId, publicKey, label, address } = this.book.resolve(destination)
    if (peerId === this.peerId) throw new MeshError('USAGE', { problem: `${destination} is this node itself` })
    if (this.book.isBlocked(peerId)) throw new MeshError('PEER_BLOCKED', { peer: this.book.referenceOf(peerId).name })
    if (address !== undefined && via === 'direct')
      await this.#config.libp2p.peerStore.merge(peerIdFromString(peerId), { multiaddrs: [multiaddr(address)] })
    return { peerId, publicKey, label }
  }

  #outboxChanged(entry: OutboxEntry): void {
    this.outbox.changed(entry)
    this.metrics.outbox(entry)
    if (entry.state === 'stored' && entry.control !== true) this.latency.add(entry.settledMs)
    const to = this.book.reference(entry.destination)
    if (entry.state === 'failed' || entry.state === 'expired-unknown')
      this.log('warn', entry.failure === '' ? 'EXPIRED_UNKNOWN' : entry.failure, {
        id: entry.id,
        peer: shortPeerId(to.peerId),
        attempts: entry.attempts
      })
    if (this.events.has('outbox') && entry.control !== true) this.events.emit('outbox', this.outbox.report(entry))
  }

  #misbehaved(publicKey: Uint8Array, error: MeshError): void {
    this.metrics.protocolError('message', error.code)
    this.log('warn', error.code, { peer: shortPeerId(this.book.reference(publicKey).peerId), reason: error.message })
  }

  log(level: mesh.LogRecord['level'], event: string, fields: mesh.LogRecord['fields']): void {
    this.#emitLog({ level, event, fields })
  }

  #emitLog(record: mesh.LogRecord): void {
    this.metrics.logged(record)
    this.#config.log(record)
    this.events.emit('log', record)
  }
}
