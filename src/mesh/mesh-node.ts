import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../core/base/index.ts'
import type { OutboxEntry, OutboxRecovery } from '../core/message/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import { Arrivals } from './arrivals.ts'
import { Paths } from './connections.ts'
import { Delivery } from './delivery.ts'
import { Dialler } from './dialler.ts'
import { EventHub } from './event-hub.ts'
import { inboxLimits } from './inbox-limits.ts'
import { LatencyWindow } from './latency-window.ts'
import type * as mesh from './mesh.ts'
import { MeshInbox } from './mesh-inbox.ts'
import { MeshOutbox, type Recipient } from './mesh-outbox.ts'
import { Neighbourhood } from './neighbourhood.ts'
import type { MeshNodeOptions } from './mesh-node-options.ts'
import { NodeMetrics } from './node-metrics.ts'
import { NodeStatus } from './node-status.ts'
import { isKnownPeerId, keyOf, PeerBook } from './peer-book.ts'
import { PeerComings } from './peer-comings.ts'
import { PendingRequests } from './pending-requests.ts'
import type { PairRecord } from './ports.ts'
import { ProtocolHost, shortPeerId } from './protocol-host.ts'
import { Reach } from './reach.ts'
import { kemLevel, Sessions } from './sessions.ts'
import { Tracker } from './tracker.ts'

interface Recovered {
  readonly recovery: OutboxRecovery
  readonly pairs: readonly PairRecord[]
}

const pruneEveryMs = 600_000

/** A mesh node over a started libp2p node: it composes the parts and routes what happens between them. */
export class MeshNode implements mesh.Mesh {
  readonly peerId: string
  readonly options: MeshOptions
  readonly inbox: MeshInbox
  readonly outbox: MeshOutbox
  readonly #config: MeshNodeOptions
  readonly #events: EventHub<mesh.MeshEvents>
  readonly #tracker: Tracker
  readonly #host: ProtocolHost
  readonly #book: PeerBook
  readonly #sessions: Sessions
  readonly #delivery: Delivery
  readonly #neighbourhood: Neighbourhood
  readonly #requests: PendingRequests
  readonly #arrivals: Arrivals
  readonly #peers: PeerComings
  readonly #paths = new Paths()
  readonly #dialler: Dialler
  readonly #reach: Reach
  readonly #latency = new LatencyWindow()
  readonly #status: NodeStatus
  readonly #metrics: NodeMetrics
  #cancelPrune: () => void = () => undefined
  #stopping: Promise<void> | undefined

  /** Recovers what an earlier process left, and starts serving. */
  static async start(config: MeshNodeOptions): Promise<MeshNode> {
    const { deliveryStore, peerStore } = config.platform
    const node = new MeshNode(config, { recovery: await deliveryStore.recoverOutbox(), pairs: await peerStore.pairs() })
    await node.#start()
    return node
  }

  private constructor(config: MeshNodeOptions, { recovery, pairs }: Recovered) {
    const { libp2p, platform, options } = config
    this.#config = config
    this.options = options
    this.peerId = libp2p.peerId.toString()
    this.#events = new EventHub((event, error) => this.#log('error', 'INTERNAL', { reason: `a handler of '${event}' threw: ${String(error)}` }))
    this.#tracker = new Tracker((what, error) => this.#log('warn', error.code, { what, reason: error.message }))
    this.#metrics = new NodeMetrics(config.residentBytes)
    this.#metrics.watch(libp2p)
    this.#dialler = new Dialler({ libp2p, port: config.nat.dial, timers: platform.timers })
    this.#host = new ProtocolHost({
      libp2p,
      connect: this.#dialler.connect.bind(this.#dialler),
      paths: this.#paths,
      clock: platform.clock,
      timers: platform.timers,
      log: (record) => this.#emitLog(record),
      onRefused: ({ protocol, error }) => this.#metrics.protocolError(protocol, error.code),
      isPaired: (peerId) => this.#book.pairOf(peerId) !== undefined,
      ...(config.protocolLimits === undefined ? {} : { limits: config.protocolLimits })
    })
    this.#book = new PeerBook({
      ownPeerId: this.peerId,
      pairs,
      pathTo: (peerId) => this.#paths.to(libp2p, peerIdFromString(peerId)),
      wall: () => platform.clock.wall()
    })
    this.#sessions = this.#makeSessions()
    this.#delivery = this.#makeDelivery(recovery)
    const parts = { platform, delivery: this.#delivery, book: this.#book }
    this.inbox = new MeshInbox(parts)
    this.outbox = new MeshOutbox(parts)
    this.#requests = new PendingRequests(platform.timers)
    this.#arrivals = new Arrivals({
      book: this.#book,
      metrics: this.#metrics,
      requests: this.#requests,
      wall: () => platform.clock.wall(),
      onMessage: (message) => this.#events.emit('message', message)
    })
    this.#peers = new PeerComings({
      libp2p,
      ...parts,
      inbox: this.inbox,
      arrivals: this.#arrivals,
      tracker: this.#tracker,
      log: (record) => this.#emitLog(record),
      onPeer: (event) => this.#events.emit('peer', event)
    })
    this.#reach = this.#makeReach()
    this.#neighbourhood = this.#makeNeighbourhood()
    this.#status = this.#makeStatus()
  }

  addresses(): readonly string[] {
    return this.#status.addresses()
  }

  send(destination: string, content: string | Uint8Array, options: mesh.SendOptions = {}): Promise<mesh.SendReport> {
    const known = this.#knownRecipient(destination)
    if (known !== undefined) return this.#send(known, content, options)
    return this.#recipient(destination).then((recipient) => this.#send(recipient, content, options))
  }

  async request(destination: string, content: string | Uint8Array, options: mesh.SendOptions = {}): Promise<mesh.ReceivedMessage> {
    const recipient = this.#knownRecipient(destination) ?? (await this.#recipient(destination))
    const { peerId } = recipient
    const id = options.id ?? this.outbox.nextId()
    const full: mesh.SendOptions = { ...options, id, type: options.type ?? 'Command', expectsReply: true }
    const send = async (): Promise<void> => {
      const report = await this.#send(recipient, content, full)
      if (report.error !== undefined)
        throw new MeshError(report.error.code, { id, what: `Message ${id}`, peer: peerId, reason: report.error.message })
    }
    const response = await this.#requests.ask({ id, peerId }, send, options)
    if (response.delivery === 'durable') await this.inbox.ack([{ source: peerId, id: response.id }])
    return response
  }

  reply(
    message: Pick<mesh.ReceivedMessage, 'id' | 'source' | 'delivery'>,
    content: string | Uint8Array,
    options: mesh.SendOptions = {}
  ): Promise<mesh.SendReport> {
    return this.send(message.source.peerId, content, { delivery: message.delivery, ...options, type: 'Response', inReplyTo: message.id })
  }

  discover(
    options: mesh.CallOptions & { readonly method?: mesh.DiscoveryMethod | 'all'; readonly count?: number } = {}
  ): Promise<mesh.DiscoverReport> {
    return this.#neighbourhood.discover(options)
  }

  invite(options: { readonly expiresInS?: number } = {}): ReturnType<mesh.Mesh['invite']> {
    return this.#neighbourhood.invite(options)
  }

  async join(invite: string, options: mesh.CallOptions & { readonly alias?: string } = {}): Promise<mesh.PairedPeer> {
    const { peerId, name, alias } = await this.#neighbourhood.join(invite, options)
    return { peerId, name, alias: alias === '' ? undefined : alias }
  }

  peers(): Promise<readonly mesh.PeerInfo[]> {
    return Promise.resolve(this.#book.list())
  }

  async peer(name: string): Promise<mesh.PeerInfo> {
    return this.#book.info((await this.#neighbourhood.find(name)).peerId)
  }

  async quantum(name: string, options: mesh.SessionCall = {}): Promise<mesh.QuantumReport> {
    const { publicKey, peerId } = await this.#recipient(name)
    return { peer: this.#book.referenceOf(peerId), ...(await this.#sessions.measure(publicKey, options)) }
  }

  async trust(name: string): ReturnType<mesh.Mesh['trust']> {
    const { peerId } = await this.#neighbourhood.find(name)
    const forgotten = this.#config.forgetPeer({ peerId, publicKey: keyOf(peerId) })
    this.#log('warn', 'peer.trusted', { peer: shortPeerId(peerId), what: forgotten })
    return { peer: this.#book.referenceOf(peerId), forgotten }
  }

  async ping(name: string, options: mesh.CallOptions & { readonly count?: number } = {}): ReturnType<mesh.Mesh['ping']> {
    const { peerId } = await this.#recipient(name)
    return { peer: this.#book.referenceOf(peerId), rttMs: await this.#neighbourhood.ping(peerId, options) }
  }

  status(): Promise<mesh.MeshStatus> {
    return this.#status.status()
  }

  detailedStatus(): Promise<mesh.DetailedStatus> {
    return this.#status.detailed()
  }

  async metrics(): Promise<string> {
    const { bytes: inboxBytes } = await this.inbox.counts()
    return this.#metrics.text(await this.#status.status(), { outbox: this.#delivery.counts, inboxBytes })
  }

  on<Name extends keyof mesh.MeshEvents>(event: Name, handler: (value: mesh.MeshEvents[Name]) => void): () => void {
    return this.#events.on(event, handler)
  }

  /** Stops serving, gives running work a moment, closes connections and stores. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #start(): Promise<void> {
    this.#peers.start()
    await this.#delivery.start()
    await this.#reach.start()
    await this.#neighbourhood.start()
    this.#peers.announce()
    this.#schedulePrune()
    this.#log('info', 'node.started', { peer: this.peerId, addresses: this.addresses() })
  }

  async #stop(): Promise<void> {
    this.#cancelPrune()
    this.#neighbourhood.stop()
    await this.#reach.stop()
    this.#delivery.stop()
    this.#host.closeAll(new MeshError('SHUTTING_DOWN'))
    await this.#tracker.settle()
    await this.#config.release()
    this.#log('info', 'node.stopped', {})
  }

  #makeSessions(): Sessions {
    const { platform, options } = this.#config
    const level = kemLevel(options.mlkemSecurityLevel)
    return new Sessions({
      host: this.#host,
      platform,
      network: options.network,
      peerId: this.peerId,
      level,
      minimumLevel: options.quantumResistant ? level : 1,
      pqAuth: options.quantumSignatures,
      ...(this.#config.protocolLimits?.message === undefined ? {} : { frames: this.#config.protocolLimits.message }),
      onFailed: ({ error }) => this.#metrics.sessionFailed(error.code)
    })
  }

  #makeDelivery(recovery: OutboxRecovery): Delivery {
    const { platform, options } = this.#config
    return new Delivery({
      platform,
      sessions: this.#sessions,
      tracker: this.#tracker,
      recovery,
      outboxLimits: { maxMessages: options.outboxMaxMessages, maxBytes: options.outboxMaxBytes },
      limitsOf: (publicKey) => inboxLimits(publicKey, this.#book.isPaired(publicKey), options),
      onArrived: (publicKey, messages) => this.#arrivals.durable(publicKey, messages),
      onVolatile: (publicKey, messages) => this.#arrivals.volatile(publicKey, messages),
      onAccepted: (entry) => this.#metrics.outbox(entry),
      onState: (entry) => this.#outboxChanged(entry),
      onRefused: (refusal) => this.#metrics.refused(refusal),
      onMisbehaved: (publicKey, error) => this.#misbehaved(publicKey, error),
      onFatal: (error) => {
        this.#metrics.storeFailed(error.code)
        this.#log('error', error.code, { reason: error.message })
        this.#events.emit('fatal', error.report())
      }
    })
  }

  #makeNeighbourhood(): Neighbourhood {
    const { libp2p, platform, options } = this.#config
    return new Neighbourhood({
      libp2p,
      dialler: this.#dialler,
      nat: this.#config.nat,
      gossip: this.#config.gossip,
      mdns: this.#config.mdns,
      dht: this.#config.dht,
      platform,
      options,
      host: this.#host,
      book: this.#book,
      tracker: this.#tracker,
      log: (record) => this.#emitLog(record),
      onDiscovered: (peerId) => this.#events.emit('peer', { type: 'discovered', peer: this.#book.info(peerId) }),
      onPaired: (pair) => this.#peers.paired(pair)
    })
  }

  #makeStatus(): NodeStatus {
    const { libp2p, platform, options } = this.#config
    return new NodeStatus({
      platform,
      delivery: this.#delivery,
      book: this.#book,
      libp2p,
      inbox: this.inbox,
      latency: this.#latency,
      name: options.name,
      network: options.network,
      traffic: this.#config.traffic,
      versions: this.#config.versions,
      sessions: this.#sessions,
      paths: this.#paths,
      policy: options.quantumResistant ? 'require' : 'prefer',
      level: options.mlkemSecurityLevel,
      failures: { connections: this.#config.handshakeFailures, sessions: this.#metrics.sessionFailures },
      relays: () => this.#neighbourhood.relays.relays,
      serving: () => this.#config.nat.relayServer?.serving,
      findings: () => [...this.#neighbourhood.findings(), ...this.#reach.findings()]
    })
  }

  #makeReach(): Reach {
    const { libp2p, platform, options, nat } = this.#config
    return new Reach({
      libp2p,
      ports: nat,
      platform,
      options,
      host: this.#host,
      book: this.#book,
      paths: this.#paths,
      dialler: this.#dialler,
      tracker: this.#tracker,
      log: (record) => this.#emitLog(record),
      move: (peerId) => this.#delivery.move(keyOf(peerId))
    })
  }

  /** Whom a text means, with its address known to libp2p. */
  async #recipient(destination: string): Promise<Recipient> {
    await this.#neighbourhood.find(destination)
    const { peerId, publicKey, label, address } = this.#book.resolve(destination)
    if (peerId === this.peerId) throw new MeshError('USAGE', { problem: `${destination} is this node itself` })
    if (address !== undefined) await this.#config.libp2p.peerStore.merge(peerIdFromString(peerId), { multiaddrs: [multiaddr(address)] })
    return { peerId, publicKey, label }
  }

  #send(recipient: Recipient, content: string | Uint8Array, options: mesh.SendOptions): Promise<mesh.SendReport> {
    if (options.delivery !== 'volatile') return this.outbox.send(recipient, content, options)
    this.#metrics.volatileSent(options.type ?? 'Thought')
    return this.outbox.sendVolatile(recipient, content, options)
  }

  /** The fast way for a whole peer id, which says all by itself. */
  #knownRecipient(destination: string): Recipient | undefined {
    if (!isKnownPeerId(destination) || destination === this.peerId) return undefined
    return { peerId: destination, publicKey: keyOf(destination), label: '' }
  }

  #outboxChanged(entry: OutboxEntry): void {
    this.outbox.changed(entry)
    this.#metrics.outbox(entry)
    if (entry.state === 'stored') this.#latency.add(entry.settledMs)
    const to = this.#book.reference(entry.destination)
    if (entry.state === 'failed' || entry.state === 'expired-unknown')
      this.#log('warn', entry.failure === '' ? 'EXPIRED_UNKNOWN' : entry.failure, {
        id: entry.id,
        peer: shortPeerId(to.peerId),
        attempts: entry.attempts
      })
    if (this.#events.has('outbox')) this.#events.emit('outbox', this.outbox.report(entry))
  }

  #misbehaved(publicKey: Uint8Array, error: MeshError): void {
    this.#metrics.protocolError('message', error.code)
    this.#log('warn', error.code, { peer: shortPeerId(this.#book.reference(publicKey).peerId), reason: error.message })
  }

  #schedulePrune(): void {
    const { timers, deliveryStore } = this.#config.platform
    this.#cancelPrune = timers.schedule(pruneEveryMs, () => {
      this.#tracker.track('pruning the store', deliveryStore.prune(this.#delivery.now()))
      this.#schedulePrune()
    })
  }

  #log(level: mesh.LogRecord['level'], event: string, fields: mesh.LogRecord['fields']): void {
    this.#emitLog({ level, event, fields })
  }

  #emitLog(record: mesh.LogRecord): void {
    this.#metrics.logged(record)
    this.#config.log(record)
    this.#events.emit('log', record)
  }
}
