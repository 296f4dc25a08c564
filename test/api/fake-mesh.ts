import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { TraversalMethod } from '../../src/core/nat/index.ts'
import type { MeshOptions } from '../../src/core/options/index.ts'
import type { OutboxState } from '../../src/core/message/types.ts'
import type {
  Contacts,
  DetailedStatus,
  Groups,
  Mesh,
  MeshEvents,
  MeshStatus,
  QuantumReport,
  Outbox,
  PeerInfo,
  ReceivedMessage,
  SendOptions,
  SendReport
} from '../../src/mesh/mesh.ts'
import type { Invites } from '../../src/mesh/invite-info.ts'
import type { NatReport } from '../../src/mesh/nat-report.ts'
import type { NetcheckReport } from '../../src/mesh/netcheck-report.ts'
import type { CircuitCall, CircuitInfo, CircuitReport } from '../../src/mesh/onion/circuit-report.ts'
import { fakeContacts } from './fake-contacts.ts'
import { fakeGroupReport, fakeGroups } from './fake-groups.ts'
import { FakeAgents, FakeInbox } from './fake-inbox.ts'
import { fakeLinks } from './fake-links.ts'
import { fakeNat, fakeNetcheck } from './fake-nat.ts'
import { closeFakeCircuit, fakeCircuit, fakeCircuits, fakeOnionStatus } from './fake-onion.ts'

/** The peer id of the fake node, and of its peers by their names. */
export const ownPeerId = '12D3KooWSelfSe1fSe1fSe1fSe1fSe1fSe1fSe1fSe1fSe1fSe1f'
const idOf = (name: string): string =>
  `12D3KooW${name
    .replace(/[^a-zA-Z1-9]/g, '')
    .padEnd(44, 'x')
    .slice(0, 44)}`
const relayFra = { peerId: idOf('relay-fra'), name: 'relay-fra' }
const epoch = Date.UTC(2026, 10, 23, 12)
const fakeInviteId = '1f2e3d4c5b6a7988'
const fakeWords = ['abandon', 'ability', 'able'] as const

/**
 * A node in memory whose peers are named after what they do with a message: `agent-001` and `agent-002` store, `offline` never answers,
 * `stranger` holds, `refuser` refuses, `echo` stores and answers a request; anything else is unknown. Times are fixed, so that output can be compared.
 */
export class FakeMesh implements Mesh {
  readonly peerId = ownPeerId
  readonly options: MeshOptions
  readonly received: ReceivedMessage[] = []
  readonly sent = new Map<string, SendReport>()
  readonly calls: string[] = []
  /** What the last call of `send` was given. */
  lastSend: SendOptions | undefined
  readonly pairs: { readonly invite: string; readonly alias: string | undefined }[] = []
  /** The next call of `send` throws this. */
  nextError: MeshError | undefined
  /** How often a caller gave up before its answer. */
  aborted = 0
  #handlers = new Map<string, Set<(value: never) => void>>()
  #count = 0
  stopped = false

  constructor(options: MeshOptions) {
    this.options = options
  }

  /** What a control call could change; two equal texts: nothing was changed. */
  stateHash(): string {
    const messages = this.received.map(({ id, state, redelivered }) => [id, state, redelivered])
    return JSON.stringify([messages, [...this.sent], this.pairs, this.stopped, [...this.agents.labels], [...this.inbox.readers.keys()]])
  }

  /** A message arrives. */
  receive(fields: Partial<ReceivedMessage> & { readonly id: string }): ReceivedMessage {
    const message: ReceivedMessage = {
      type: 'Thought',
      source: { peerId: idOf('agent-001'), name: 'agent-001' },
      label: '',
      toLabel: '',
      paired: true,
      priority: 5,
      timestamp: wallMillis(epoch),
      receivedAt: wallMillis(epoch + 10),
      inReplyTo: undefined,
      expectsReply: false,
      contentType: 'text/plain; charset=utf-8',
      body: new TextEncoder().encode('hello'),
      state: 'unread',
      redelivered: false,
      delivery: 'durable',
      position: this.received.length + 1,
      thread: { root: fields.id, hop: 0, automatic: false },
      group: undefined,
      ...fields
    }
    if (message.delivery === 'durable') this.received.push(message)
    this.emit('message', message)
    return message
  }

  emit<Name extends keyof MeshEvents>(event: Name, value: MeshEvents[Name]): void {
    for (const handler of this.#handlers.get(event) ?? []) (handler as (value: MeshEvents[Name]) => void)(value)
  }

  addresses(): readonly string[] {
    return [`/ip4/127.0.0.1/tcp/9000/p2p/${ownPeerId}`]
  }

  async send(destination: string, content: string | Uint8Array, options: SendOptions = {}): Promise<SendReport> {
    this.calls.push(`send ${destination}`)
    this.lastSend = options
    if (this.nextError !== undefined) {
      const error = this.nextError
      this.nextError = undefined
      throw error
    }
    const isGroup = destination === 'swarm-alpha'
    const peer = this.#peer(isGroup ? 'agent-001' : destination)
    const id = options.id ?? `01JD8X${String(++this.#count).padStart(20, '0')}`
    if (this.sent.has(id)) throw new MeshError('ID_CONFLICT', { id })
    if (destination === 'slow') await this.#waitForAbort(options.signal)
    const isEarly = options.delivery === 'volatile' || options.waitFor === 'accepted'
    const single: SendReport = {
      id,
      to: [{ peerId: peer.peerId, name: peer.name }],
      type: options.type ?? 'Thought',
      priority: options.priority ?? 5,
      status: isEarly ? (options.delivery === 'volatile' ? 'sent' : 'accepted') : statusOf(destination),
      via: options.via ?? 'direct',
      path: destination === 'offline' ? undefined : 'direct-lan',
      ms: 38,
      attempts: 1,
      acceptedAt: wallMillis(epoch),
      expiresAt: wallMillis(epoch + (options.ttlS ?? 86_400) * 1000),
      error: statusOf(destination) === 'failed' ? new MeshError('COMMAND_NOT_ALLOWED', { peer: destination }).report() : undefined
    }
    const report = isGroup ? fakeGroupReport(single, (name) => this.#peer(name)) : single
    if (options.delivery !== 'volatile') this.sent.set(id, report)
    void content
    return report
  }

  async #waitForAbort(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (signal?.aborted === true) resolve()
    signal?.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.aborted++
    throw new MeshError('ABORTED', { operation: 'send' })
  }

  async request(destination: string, content: string | Uint8Array, options: SendOptions = {}): Promise<ReceivedMessage> {
    if (destination !== 'echo') throw new MeshError('TIMEOUT', { operation: 'The request', timeoutMs: options.timeoutMs ?? 30_000 })
    const { id } = await this.send(destination, content, { ...options, type: 'Command' })
    const body = typeof content === 'string' ? new TextEncoder().encode(content) : content
    return this.receive({ id: `${id.slice(0, 20)}R`, type: 'Response', inReplyTo: id, source: { peerId: idOf('echo'), name: 'echo' }, body })
  }

  reply(message: Pick<ReceivedMessage, 'id' | 'source'>, content: string | Uint8Array, options: SendOptions = {}): Promise<SendReport> {
    return this.send(message.source.name, content, { ...options, type: 'Response', inReplyTo: message.id })
  }

  readonly inbox = new FakeInbox(this.received, (name) => this.#peer(name).peerId)
  readonly agents = new FakeAgents()
  readonly upkeep: Mesh['upkeep'] = {
    check: async ({ deep = false } = {}) => ({
      clockStepMs: 0,
      comparedClocks: 0,
      clocks: [],
      inbox: { messages: this.received.length, bytes: 0 },
      outbox: { messages: 0, bytes: 0 },
      store: deep ? { problems: [], messages: this.received.length, damaged: 0 } : undefined
    }),
    snapshot: async () => {
      this.calls.push('snapshot')
    }
  }

  readonly outbox: Outbox = {
    list: async (query = {}) => [...this.sent.values()].filter((each) => query.states?.includes(each.status) ?? true).slice(0, query.limit ?? 50),
    get: async (id) => this.#sent(id),
    retry: async (id) =>
      id === undefined ? [...this.sent.values()].filter((each) => isWaiting(each.status)).length : Number(isWaiting(this.#sent(id).status)),
    cancel: async (id) => {
      const found = this.#sent(id)
      if (!isWaiting(found.status)) throw new MeshError('NOT_CANCELLABLE', { id, state: found.status })
      const cancelled: SendReport = { ...found, status: 'failed', error: new MeshError('CANCELLED', { what: `The message ${id}` }).report() }
      this.sent.set(id, cancelled)
      return cancelled
    },
    counts: async () => ({ queued: [...this.sent.values()].filter((each) => isWaiting(each.status)).length, bytes: 0 })
  }

  #sent(id: string): SendReport {
    const found = this.sent.get(id)
    if (found === undefined) throw new MeshError('MESSAGE_UNKNOWN', { id })
    return found
  }

  async discover(options: Parameters<Mesh['discover']>[0] = {}): ReturnType<Mesh['discover']> {
    const peers = (await this.peers()).slice(0, options.count ?? 10)
    return { method: options.method ?? 'all', wanted: options.count ?? 10, found: peers.length, elapsedMs: 120, peers }
  }

  async invite(options: Parameters<Mesh['invite']>[0] = {}): ReturnType<Mesh['invite']> {
    this.pairs.push({ invite: 'made', alias: undefined })
    return { id: fakeInviteId, invite: 'synaptic-invite-1-abcdef', expiresAt: wallMillis(epoch + (options.expiresInS ?? 86_400) * 1000) }
  }

  readonly invites: Invites = {
    list: async () => {
      const common = { expiresAt: wallMillis(epoch), failures: 0, commands: true, usedBy: undefined }
      const used = { ...common, id: 'aa00bb11cc22dd33', state: 'used', failures: 2, commands: false, usedBy: this.#peer('agent-001') } as const
      return [{ ...common, id: fakeInviteId, state: 'open' }, used]
    },
    revoke: async (id) => {
      if (!fakeInviteId.startsWith(id)) throw new MeshError('INVITE_UNKNOWN', { id })
      this.pairs.push({ invite: 'revoked', alias: undefined })
      return fakeInviteId
    },
    wait: async (id) => {
      if (!fakeInviteId.startsWith(id)) throw new MeshError('INVITE_UNKNOWN', { id })
      return { peerId: idOf('agent-001'), name: 'agent-001', alias: undefined, words: fakeWords }
    }
  }

  async join(invite: string, options: Parameters<Mesh['join']>[1] = {}): ReturnType<Mesh['join']> {
    if (!invite.startsWith('synaptic-invite-1-')) throw new MeshError('INVITE_INVALID', { reason: 'it does not begin as one' })
    this.pairs.push({ invite: 'used', alias: options.alias })
    return { peerId: idOf('agent-001'), name: 'agent-001', alias: options.alias, words: fakeWords }
  }

  async peers(): Promise<readonly PeerInfo[]> {
    return ['agent-001', 'agent-002', 'stranger'].map((name) => this.#peer(name))
  }

  async peer(name: string): Promise<PeerInfo> {
    return this.#peer(name)
  }

  #peer(name: string): PeerInfo {
    const known = ['agent-001', 'agent-002', 'offline', 'stranger', 'refuser', 'echo', 'slow', 'node-beta', 'agent‮1']
    if (name === 'twin') throw new MeshError('NAME_AMBIGUOUS', { name, candidates: [idOf('twinA'), idOf('twinB')] })
    const found = known.find((each) => each === name || idOf(each) === name)
    if (found === undefined) throw new MeshError('PEER_UNKNOWN', { name, nearest: known.filter((each) => each.slice(0, 3) === name.slice(0, 3)) })
    return {
      peerId: idOf(found),
      name: found,
      alias: undefined,
      claimedName: found === 'stranger' ? 'agent-001' : undefined,
      paired: found !== 'stranger',
      commands: found !== 'stranger',
      blocked: false,
      connected: found !== 'offline',
      path: found === 'offline' ? undefined : 'direct-lan',
      addresses: [`/ip4/192.0.2.7/tcp/9000/p2p/${idOf(found)}`],
      features: ['message/1'],
      labels: [],
      rttMs: found === 'offline' ? undefined : 1.5,
      lastSeen: wallMillis(epoch),
      foundBy: ['kademlia'],
      words: undefined
    }
  }

  async ping(name: string, options: { readonly count?: number } = {}): ReturnType<Mesh['ping']> {
    const peer = this.#peer(name)
    if (!peer.connected) throw new MeshError('PEER_UNREACHABLE', { peer: name, reason: 'no address answers' })
    return { peer, rttMs: Array.from({ length: options.count ?? 3 }, (_, index) => index + 1.25) }
  }

  async quantum(name: string, { level = 3 }: { readonly level?: number } = {}): Promise<QuantumReport> {
    const peer = this.#peer(name)
    if (level === 5) throw new MeshError('LEVEL_REFUSED', { level, minimum: undefined })
    return {
      peer,
      level: 3,
      kem: 'ML-KEM-768',
      hybrid: 'X25519',
      suite: 'Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256',
      authentication: 'ed25519',
      path: 'direct-lan',
      words: ['abandon', 'ability', 'able'],
      handshakeBytes: 3_051,
      handshakeMs: 4.25,
      rekey: { records: 1_048_576, bytes: 1_073_741_824, ms: 600_000 }
    }
  }

  async nat(name: string, { method = 'auto' }: { readonly method?: TraversalMethod } = {}): Promise<NatReport> {
    return fakeNat(this.#peer(name), relayFra, method)
  }

  async netcheck(): Promise<NetcheckReport> {
    return fakeNetcheck(relayFra, this.options)
  }

  async circuit(name: string, options: CircuitCall = {}): Promise<CircuitReport> {
    return fakeCircuit(this.#peer(name), options)
  }

  async circuits({ showPath = false }: { readonly showPath?: boolean } = {}): Promise<readonly CircuitInfo[]> {
    return fakeCircuits(this.#peer('agent-001'), showPath)
  }

  async closeCircuit(id: string): Promise<string> {
    return closeFakeCircuit(id)
  }

  readonly groups: Groups = fakeGroups({ self: ownPeerId, peer: (name) => this.#peer(name), record: (change) => this.calls.push(change) })
  readonly contacts: Contacts = fakeContacts({
    peer: (name) => this.#peer(name),
    held: () => this.received.filter(({ state }) => state === 'held'),
    record: (change) => this.calls.push(change)
  })

  async trust(name: string): ReturnType<Mesh['trust']> {
    return { peer: this.#peer(name), forgotten: ['levels', 'ml-dsa-65'] }
  }

  async status(): Promise<MeshStatus> {
    const { unread, held } = await this.inbox.counts()
    const { queued } = await this.outbox.counts()
    return {
      peerId: ownPeerId,
      name: this.options.name,
      network: this.options.network,
      uptimeS: 12.5,
      addresses: this.addresses(),
      reachability: 'direct',
      peers: { connected: 2, quantum: 1, paired: 2, known: 3, blocked: 1 },
      quantum: { policy: 'prefer', level: 3, sessions: 1, failures: { connections: { decrypt: 2 }, sessions: { LEVEL_REFUSED: 1 } } },
      inbox: { unread, held, strangers: Math.min(held, 1) },
      outbox: { queued },
      bytes: { sent: 2048, received: 4096 },
      latencyMs: { p50: 3.5, p95: 12, p99: 40 },
      relays: [
        { peerId: idOf('relay-fra'), address: `/dns4/relay.example/tcp/9000/p2p/${idOf('relay-fra')}`, reserved: true, latencyMs: 21.5 },
        { peerId: idOf('relay-nyc'), address: `/ip4/192.0.2.9/tcp/443/ws/p2p/${idOf('relay-nyc')}`, reserved: false, latencyMs: undefined }
      ],
      serving: { reservations: 3, circuits: 1, bytes: 1_048_576, refused: { 'not-paired': 2 }, stunPort: 3478 },
      nat: { count: 250, reachableRate: 0.98, directRate: 0.5, last100: { count: 100, reachableRate: 1, directRate: 0.61 } },
      onion: fakeOnionStatus,
      health: []
    }
  }

  async detailedStatus(): Promise<DetailedStatus> {
    const peer = this.#peer('agent-001')
    return {
      ...(await this.status()),
      peerList: await this.peers(),
      ...fakeLinks(peer, wallMillis(epoch)),
      versions: { 'synaptic-mesh': '0.1.0' }
    }
  }

  async metrics(): Promise<string> {
    return '# HELP synaptic_mesh_peers_connected Connected peers.\n# TYPE synaptic_mesh_peers_connected gauge\nsynaptic_mesh_peers_connected 2\n'
  }

  on<Name extends keyof MeshEvents>(event: Name, handler: (value: MeshEvents[Name]) => void): () => void {
    const handlers = this.#handlers.get(event) ?? new Set()
    this.#handlers.set(event, handlers)
    handlers.add(handler as (value: never) => void)
    return () => handlers.delete(handler as (value: never) => void)
  }

  async stop(): Promise<void> {
    this.stopped = true
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

const isWaiting = (status: OutboxState): boolean => status === 'accepted' || status === 'sent'

function statusOf(destination: string): OutboxState {
  switch (destination) {
    case 'offline':
      return 'accepted'
    case 'stranger':
      return 'held'
    case 'refuser':
      return 'failed'
    default:
      return 'stored'
  }
}
