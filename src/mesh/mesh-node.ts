import { MeshError } from '../core/base/index.ts'
import { type MeshOptions, shownOptions } from '../core/options/index.ts'
import { pairedPeerOf } from './invite-info.ts'
import type { InviteService } from './invites.ts'
import type * as mesh from './mesh.ts'
import type { MeshInbox } from './mesh-inbox.ts'
import type { MeshNodeOptions } from './mesh-node-options.ts'
import { type MeshOutbox, ownCopy, type Recipient } from './mesh-outbox.ts'
import { NodeParts } from './node-parts.ts'
import type { CircuitCall, CircuitInfo, CircuitReport } from './onion/circuit-report.ts'
import { isKnownPeerId, keyOf } from './peer-book.ts'
import type { Cause } from './threads.ts'
import type { NodeUpkeep } from './upkeep.ts'

const pruneEveryMs = 600_000

/** A mesh node over a started libp2p node: what its users call. */
export class MeshNode implements mesh.Mesh {
  readonly peerId: string
  readonly options: MeshOptions
  readonly inbox: MeshInbox
  readonly outbox: MeshOutbox
  readonly invites: InviteService
  readonly agents: mesh.Agents
  readonly upkeep: NodeUpkeep
  readonly contacts: mesh.Contacts
  readonly groups: mesh.Groups
  readonly #config: MeshNodeOptions
  readonly #parts: NodeParts
  #cancelPrune: () => void = () => undefined
  #stopping: Promise<void> | undefined

  /** Recovers what an earlier process left, and starts serving. */
  static async start(config: MeshNodeOptions): Promise<MeshNode> {
    const { deliveryStore, peerStore, trustStore, threadStore, agentStore } = config.platform
    const parts = new NodeParts(config, {
      recovery: await deliveryStore.recoverOutbox(),
      pairs: await peerStore.pairs(),
      agents: await agentStore.agents(),
      blocked: await trustStore.blocked(),
      threads: await threadStore.load()
    })
    const node = new MeshNode(config, parts)
    await node.#start()
    return node
  }

  private constructor(config: MeshNodeOptions, parts: NodeParts) {
    this.#config = config
    this.#parts = parts
    this.options = shownOptions(config.options)
    this.peerId = parts.peerId
    this.inbox = parts.inbox
    this.outbox = parts.outbox
    this.invites = parts.neighbourhood.invites
    this.agents = parts.agents
    this.upkeep = parts.upkeep
    this.contacts = parts.contacts
    this.groups = parts.groups
  }

  addresses(): readonly string[] {
    return this.#parts.status.addresses()
  }

  async send(destination: string, content: string | Uint8Array, options: mesh.SendOptions = {}): Promise<mesh.SendReport> {
    const known = this.#knownRecipient(destination)
    if (known !== undefined) return this.#send(known, content, options)
    const { groups } = this.#parts
    const group = groups.destination(destination)
    if (group !== undefined) return groups.send(group, content, { options })
    return this.#parts.recipient(destination, this.outbox.routeOf(options)).then((recipient) => this.#send(recipient, content, options))
  }

  async request(destination: string, content: string | Uint8Array, options: mesh.SendOptions = {}): Promise<mesh.ReceivedMessage> {
    if (this.#knownRecipient(destination) === undefined && this.#parts.groups.destination(destination) !== undefined)
      throw new MeshError('USAGE', { problem: `${destination} is a group, and an answer is awaited from one peer` })
    const recipient = this.#knownRecipient(destination) ?? (await this.#parts.recipient(destination, this.outbox.routeOf(options)))
    const { peerId } = recipient
    const isHidden = this.outbox.routeOf(options) === 'onion'
    const own = isHidden ? ownCopy(content) : content
    if (isHidden) await this.outbox.checkRoute(recipient, options)
    const id = options.id ?? this.outbox.nextId()
    const full: mesh.SendOptions = { ...options, id, type: options.type ?? 'Command', expectsReply: true }
    const send = async (): Promise<void> => {
      const report = await this.#send(recipient, own, full)
      if (report.error !== undefined)
        throw new MeshError(report.error.code, { id, what: `Message ${id}`, peer: peerId, reason: report.error.message })
    }
    const response = await this.#parts.requests.ask({ id, peerId }, send, options)
    if (response.delivery === 'durable') await this.inbox.take(response)
    return response
  }

  async reply(message: mesh.Answered, content: string | Uint8Array, { all = false, ...options }: mesh.ReplyOptions = {}): Promise<mesh.SendReport> {
    const { peerId } = message.source
    const cause = message.thread === undefined ? undefined : this.#parts.threads.answerTo({ id: message.id, thread: message.thread })
    if (all) return this.#replyToAll(message, content, { options, cause })
    const own = ownCopy(content)
    const answer: mesh.SendOptions = { delivery: message.delivery, ...options, type: 'Response', inReplyTo: message.id }
    return Promise.resolve(this.#knownRecipient(peerId) ?? this.#parts.recipient(peerId, this.outbox.routeOf(options))).then((recipient) =>
      this.#send({ ...this.#asMember(recipient, message), cause }, own, answer)
    )
  }

  /** A member that is not paired is answered as a member: otherwise it would hold the answer like any stranger's. */
  #asMember(recipient: Recipient, { group }: mesh.Answered): Recipient {
    const mark = group === undefined ? undefined : this.#parts.groups.memberOf(group.id, recipient.publicKey)
    return mark === undefined ? recipient : { ...recipient, group: mark }
  }

  #replyToAll(
    { id, group }: mesh.Answered,
    content: string | Uint8Array,
    { options, cause }: { readonly options: mesh.SendOptions; readonly cause: Cause | undefined }
  ): Promise<mesh.SendReport> {
    if (group === undefined) throw new MeshError('USAGE', { problem: `The message ${id} was sent to this node alone, not to a group` })
    const { groups } = this.#parts
    return groups.send(groups.book.require(`@${group.id}`), content, { options: { ...options, type: 'Response', inReplyTo: group.message }, cause })
  }

  discover(
    options: mesh.CallOptions & { readonly method?: mesh.DiscoveryMethod | 'all'; readonly count?: number } = {}
  ): Promise<mesh.DiscoverReport> {
    return this.#parts.neighbourhood.discover(options)
  }

  invite(options: Parameters<mesh.Mesh['invite']>[0] = {}): ReturnType<mesh.Mesh['invite']> {
    return this.invites.create(options)
  }

  async join(invite: string, options: Parameters<mesh.Mesh['join']>[1] = {}): ReturnType<mesh.Mesh['join']> {
    const { pair, words } = await this.#parts.neighbourhood.join(invite, options)
    return { ...pairedPeerOf(pair), words }
  }

  peers(): Promise<readonly mesh.PeerInfo[]> {
    return Promise.resolve(this.#parts.book.list())
  }

  async peer(name: string): Promise<mesh.PeerInfo> {
    return this.#parts.book.info((await this.#parts.neighbourhood.find(name)).peerId)
  }

  quantum(name: string, options?: mesh.SessionCall): Promise<mesh.QuantumReport> {
    return this.#parts.diagnostics.quantum(name, options)
  }

  nat(name: string, options?: Parameters<mesh.Mesh['nat']>[1]): ReturnType<mesh.Mesh['nat']> {
    return this.#parts.diagnostics.nat(name, options)
  }

  netcheck(options?: mesh.CallOptions): ReturnType<mesh.Mesh['netcheck']> {
    return this.#parts.diagnostics.netcheck(options)
  }

  trust(name: string): ReturnType<mesh.Mesh['trust']> {
    return this.#parts.diagnostics.trust(name)
  }

  ping(name: string, options?: Parameters<mesh.Mesh['ping']>[1]): ReturnType<mesh.Mesh['ping']> {
    return this.#parts.diagnostics.ping(name, options)
  }

  async circuit(name: string, options: CircuitCall = {}): Promise<CircuitReport> {
    const { peerId } = await this.#parts.recipient(name, 'onion')
    return this.#parts.onion.circuit(peerId, options)
  }

  circuits(options: { readonly showPath?: boolean } = {}): Promise<readonly CircuitInfo[]> {
    return Promise.resolve(this.#parts.onion.list(options.showPath === true))
  }

  async closeCircuit(id: string): Promise<string> {
    return this.#parts.onion.close(id)
  }

  status(): Promise<mesh.MeshStatus> {
    return this.#parts.status.status()
  }

  detailedStatus(): Promise<mesh.DetailedStatus> {
    return this.#parts.status.detailed()
  }

  async metrics(): Promise<string> {
    const { bytes: inboxBytes } = await this.inbox.counts()
    return this.#parts.metrics.text(await this.#parts.status.status(), {
      outbox: this.#parts.delivery.counts,
      inboxBytes,
      groups: (await this.groups.list()).map(({ state }) => state),
      onionRelay: this.#parts.onion.relay.counters
    })
  }

  on<Name extends keyof mesh.MeshEvents>(event: Name, handler: (value: mesh.MeshEvents[Name]) => void): () => void {
    return this.#parts.events.on(event, handler)
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
    this.#parts.peers.start()
    await this.#parts.groups.load()
    await this.#parts.delivery.start()
    await this.#parts.onion.start()
    await this.#parts.reach.start()
    await this.#parts.neighbourhood.start()
    this.#parts.contacts.start()
    await this.#parts.groups.start()
    this.#parts.peers.announce()
    this.#schedulePrune()
    await this.inbox.consumers()
    this.#parts.log('info', 'node.started', { peer: this.peerId, addresses: this.addresses() })
  }

  async #stop(): Promise<void> {
    this.#cancelPrune()
    this.#parts.groups.stop()
    this.#parts.neighbourhood.stop()
    await this.#parts.reach.stop()
    this.#parts.delivery.stop()
    await this.#parts.onion.stop()
    this.#parts.threads.flush()
    this.#parts.host.closeAll(new MeshError('SHUTTING_DOWN'))
    await this.#parts.tracker.settle()
    await this.#config.release()
    this.#parts.log('info', 'node.stopped', {})
  }

  #send(recipient: Recipient, content: string | Uint8Array, options: mesh.SendOptions): Promise<mesh.SendReport> {
    if (options.delivery !== 'volatile') return this.outbox.send(recipient, content, options)
    this.#parts.metrics.volatileSent(options.type ?? 'Thought')
    return this.outbox.sendVolatile(recipient, content, options)
  }

  /** The fast way for a whole peer id, which says all by itself. */
  #knownRecipient(destination: string): Recipient | undefined {
    if (!isKnownPeerId(destination) || destination === this.peerId || this.#parts.book.isBlocked(destination)) return undefined
    return { peerId: destination, publicKey: keyOf(destination), label: '' }
  }

  #schedulePrune(): void {
    const { timers, deliveryStore } = this.#config.platform
    this.#cancelPrune = timers.schedule(pruneEveryMs, () => {
      this.#parts.tracker.track('pruning the store', deliveryStore.prune(this.#parts.delivery.now()))
      this.#parts.tracker.track('settling what readers of the inbox left', this.inbox.settle())
      this.#schedulePrune()
    })
  }
}
