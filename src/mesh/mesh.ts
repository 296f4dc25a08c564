import type { ErrorReport, Millis, WallMillis } from '../core/base/index.ts'
import type { InboxState, MessageType, OutboxState, ThreadMark, Via } from '../core/message/index.ts'
import type { TraversalMethod } from '../core/nat/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import type { Contacts } from './contacts-types.ts'
import type { Groups, MemberReport, ReceivedGroup } from './groups/group-info.ts'
import type { Agents, Inbox } from './inbox.ts'
import type { InviteCall, Invites, NewInvite, PairedPeer } from './invite-info.ts'
import type { NatRates, NatReport } from './nat-report.ts'
import type { NetcheckReport } from './netcheck-report.ts'
import type { CircuitCall, CircuitInfo, CircuitReport, OnionStatus } from './onion/circuit-report.ts'
import type { Upkeep } from './upkeep.ts'

/** Every call takes a signal; one that can wait also has a deadline. */
export interface CallOptions {
  readonly signal?: AbortSignal
  /** Milliseconds; the default is named at each call. */
  readonly timeoutMs?: number
}

/** What a call that goes to a peer may say of its way. */
export interface RouteOptions {
  /**
   * `direct`: over a connection with the peer; `onion`: over a circuit. By default onion when `onion_routing` is on, else direct; what was chosen for a message
   * stays so until it ends.
   */
  readonly via?: Via
}

export interface SendOptions extends CallOptions, RouteOptions {
  readonly type?: MessageType // default 'Thought'
  readonly priority?: number // 0–10, default 5
  readonly ttlS?: number // default 86,400
  /** The caller's idempotency key; a fresh ULID by default. */
  readonly id?: string
  readonly label?: string
  readonly toLabel?: string
  readonly inReplyTo?: string
  readonly expectsReply?: boolean
  readonly contentType?: string // default text/plain; charset=utf-8 for a string, application/octet-stream for bytes
  /** `volatile`: no store, no receipt, no signature beyond the connection's. */
  readonly delivery?: 'durable' | 'volatile'
  /** Returns as soon as the state is at least this (default 'stored'); never later than `timeoutMs` (default 10,000). */
  readonly waitFor?: 'accepted' | 'stored'
  /** An agent sends it, with no person in between. Such messages are counted in their thread, and end it at 30: LOOP_GUARD. Default false. */
  readonly automatic?: boolean
  /** The id of the message because of which this one is sent, whose thread it belongs to; by default the one that it answers (`inReplyTo`). */
  readonly cause?: string
  /** Sent though the guard against loops says no; what was counted in the thread is forgotten. Default false. */
  readonly allow?: boolean
}

/** What is known of a message that was sent. Also one row of the outbox. */
export interface SendReport {
  readonly id: string
  readonly to: readonly PeerReference[]
  readonly type: MessageType
  readonly priority: number
  readonly status: OutboxState
  /** The way that was chosen when it was accepted; it never takes the other. */
  readonly via: Via
  /** How the last transmission went out: a ConnectionPath such as direct-lan, punched, relayed or onion; undefined when there was none. */
  readonly path: string | undefined
  /** From acceptance to the state that is reported. */
  readonly ms: number
  readonly attempts: number
  readonly acceptedAt: WallMillis
  readonly expiresAt: WallMillis
  readonly error: ErrorReport | undefined
  /** The group that it was sent to. */
  readonly group?: { readonly id: string; readonly name: string } | undefined
  /** What became of it for each member of the group; `to` names the same peers. */
  readonly members?: readonly MemberReport[]
}

/** What is needed of a message to answer it. */
export type Answered = Pick<ReceivedMessage, 'id' | 'source' | 'delivery'> & Partial<Pick<ReceivedMessage, 'thread' | 'group'>>

/** `all`: the answer to a message that was sent to a group goes to the whole group, not to its sender alone. */
export type ReplyOptions = SendOptions & { readonly all?: boolean }

export interface PeerReference {
  readonly peerId: string
  /** Own alias, else the paired peer's name, else its short id. */
  readonly name: string
}

/** A message as it is given to an agent: everything in `body`, `contentType`, `label` and `id` is the peer's word. */
export interface ReceivedMessage {
  readonly id: string
  readonly type: MessageType
  readonly source: PeerReference
  readonly label: string
  readonly toLabel: string
  readonly paired: boolean
  readonly priority: number
  readonly timestamp: WallMillis
  readonly receivedAt: WallMillis
  readonly inReplyTo: string | undefined
  readonly expectsReply: boolean
  readonly contentType: string
  readonly body: Uint8Array
  readonly state: InboxState
  /** Given out before and not acknowledged. */
  readonly redelivered: boolean
  readonly delivery: 'durable' | 'volatile'
  /** The order of arrival, which positions a cursor; 0 for a volatile message. */
  readonly position: number
  /** The conversation that it belongs to, by its sender's word. */
  readonly thread: ThreadMark
  /** The group that it was sent to. */
  readonly group: ReceivedGroup | undefined
}

export type { GroupInfo, GroupMemberInfo, Groups, MemberReport, ReceivedGroup } from './groups/group-info.ts'

export type { Contact, ContactChange, Contacts, PendingPeer } from './contacts-types.ts'
export type { AgentInfo, Agents, ConsumerInfo, ConsumerOptions, Inbox, InboxQuery } from './inbox.ts'

export interface Outbox {
  list(query?: { readonly states?: readonly OutboxState[]; readonly limit?: number; readonly to?: string }): Promise<readonly SendReport[]>
  get(id: string): Promise<SendReport>
  /** Tries now what waits for its next attempt. */
  retry(id?: string): Promise<number>
  cancel(id: string): Promise<SendReport>
  counts(): Promise<{ readonly queued: number; readonly bytes: number }>
}

export interface PeerInfo extends PeerReference {
  readonly alias: string | undefined
  /** The name on the peer's own signed card: a claim unless paired. */
  readonly claimedName: string | undefined
  readonly paired: boolean
  /** Whether Commands are taken from it. */
  readonly commands: boolean
  /** Nothing is taken from it. */
  readonly blocked: boolean
  readonly connected: boolean
  readonly path: string | undefined
  readonly addresses: readonly string[]
  readonly features: readonly string[]
  readonly labels: readonly string[]
  readonly rttMs: number | undefined
  readonly lastSeen: WallMillis | undefined
  readonly foundBy: readonly DiscoveryMethod[]
  /** The three comparison words of its pairing, for a day and while this process runs; `quantum` shows fresh ones at any time. */
  readonly words: readonly string[] | undefined
}

export const discoveryMethods = ['kademlia', 'mdns', 'bootstrap'] as const
export type DiscoveryMethod = (typeof discoveryMethods)[number]

export interface DiscoverReport {
  readonly method: DiscoveryMethod | 'all'
  readonly wanted: number
  readonly found: number
  readonly elapsedMs: number
  readonly peers: readonly PeerInfo[]
}

export interface HealthFinding {
  readonly code: string
  readonly message: string
  readonly hint: string
}

export interface MeshStatus {
  readonly peerId: string
  readonly name: string
  readonly network: string
  readonly uptimeS: number
  readonly addresses: readonly string[]
  /** 'direct' once a peer connected to us; 'relay' once one did over a relay, or while relays are all that we listen at; 'unknown' before; 'none' while we listen on no address. */
  readonly reachability: 'direct' | 'relay' | 'unknown' | 'none'
  /** `quantum`: connected peers of which every connection has a hybrid post-quantum key agreement. */
  readonly peers: { readonly connected: number; readonly quantum: number; readonly paired: number; readonly known: number; readonly blocked: number }
  readonly quantum: {
    readonly policy: 'prefer' | 'require'
    /** The level of our own sessions. */
    readonly level: number
    /** Sessions for messages that are open. */
    readonly sessions: number
    /** Handshakes of connections and sessions that failed since the start: of connections by reason, of sessions by error code. */
    readonly failures: { readonly connections: Readonly<Record<string, number>>; readonly sessions: Readonly<Record<string, number>> }
  }
  /** `strangers`: peers of which messages are held. */
  readonly inbox: { readonly unread: number; readonly held: number; readonly strangers: number }
  readonly outbox: { readonly queued: number }
  readonly bytes: { readonly sent: number; readonly received: number }
  /** Circuit relays at which this node has a place, and those that its options name. */
  readonly relays: readonly RelayInfo[]
  /** What this node does as a relay for others; undefined when it is none. */
  readonly serving: RelayServing | undefined
  /** From acceptance to the recipient's receipt, over the last 1,024 messages; undefined before the first. */
  readonly latencyMs: { readonly p50: number | undefined; readonly p95: number | undefined; readonly p99: number | undefined }
  /** Onion circuits: our own, and those that we carry. */
  readonly onion: OnionStatus
  /** The peers that this node connected to: over its life, and the last 100. */
  readonly nat: NatRates & { readonly last100: NatRates }
  readonly health: readonly HealthFinding[]
}

/** A circuit relay over which others can call this node. */
export interface RelayInfo {
  readonly peerId: string
  readonly address: string
  /** Whether this node has a place there now. */
  readonly reserved: boolean
  /** How long the relay took to answer; undefined without a place. */
  readonly latencyMs: number | undefined
}

/** What a relay does for others. */
export interface RelayServing {
  /** Peers that keep a place. */
  readonly reservations: number
  /** Circuits that are open. */
  readonly circuits: number
  /** That went over circuits since the start. */
  readonly bytes: number
  /** Requests that were refused and circuits that were cut since the start, by reason. */
  readonly refused: Readonly<Record<string, number>>
  /** Of the STUN server; 0 = none. */
  readonly stunPort: number
}

/** What protects a session or a connection. */
export interface SessionProtection {
  readonly level: 1 | 3 | 5
  readonly kem: 'ML-KEM-512' | 'ML-KEM-768' | 'ML-KEM-1024'
  /** The classical half of the key agreement. */
  readonly hybrid: 'X25519'
  /** The Noise protocol name. */
  readonly suite: string
  /** The signatures that proved who the peer is; Ed25519 does not resist a quantum computer. */
  readonly authentication: 'ed25519' | 'ed25519+mldsa65'
}

/** What kind of session `quantum` opens. */
export interface SessionCall extends CallOptions, RouteOptions {
  /** 1, 3 or 5; by default the node's own. */
  readonly level?: number
  /** Whether both sides shall sign with ML-DSA-65 as well; by default as the node does. */
  readonly mlDsa?: boolean
}

/** What `quantum` found: a session that was opened for it and confirmed by the peer. */
export interface QuantumReport extends SessionProtection {
  readonly peer: PeerReference
  readonly path: string
  /** Three words to compare by voice. */
  readonly words: readonly string[]
  /** Frames of the handshake in both directions. */
  readonly handshakeBytes: number
  readonly handshakeMs: number
  /** When the keys are renewed: at the first of the three. */
  readonly rekey: { readonly records: number; readonly bytes: number; readonly ms: number }
}

/** What is remembered of a peer: its hybrid levels on connections, its first ML-DSA-65 key in sessions. */
export type RememberedPart = 'levels' | 'ml-dsa-65'

/** A session that is open, or ended within ten minutes. */
export interface SessionStatus extends PeerReference, SessionProtection {
  readonly direction: 'inbound' | 'outbound'
  readonly path: string
  readonly openedAt: WallMillis
  readonly endedAt: WallMillis | undefined
  /** Three words to compare by voice; known a round trip after the handshake. */
  readonly words: readonly string[] | undefined
  /** How often the keys were renewed. */
  readonly epoch: number
}

export interface ConnectionInfo extends PeerReference {
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  /** direct-lan, direct-ipv6, direct-mapped, direct-public, punched, turn or relayed. */
  readonly path: string
  readonly encryption: string
  /** The level of ML-KEM in the connection's key agreement: 1, 3 or 5; 0 = classical only. */
  readonly quantumLevel: number
  readonly multiplexer: string
  readonly openedAt: WallMillis
  readonly streams: number
}

export interface DetailedStatus extends MeshStatus {
  readonly peerList: readonly PeerInfo[]
  readonly connections: readonly ConnectionInfo[]
  readonly sessions: readonly SessionStatus[]
  readonly versions: Readonly<Record<string, string>>
}

/** The events of a mesh node. A handler's error is logged and never reaches the network code. */
export interface MeshEvents {
  /** A durable message is in the inbox (not acknowledged by this), or a volatile one arrived. */
  message: ReceivedMessage
  /** A message of the outbox changed its state. */
  outbox: SendReport
  peer: { readonly type: 'connected' | 'disconnected' | 'discovered' | 'paired'; readonly peer: PeerInfo }
  log: LogRecord
  /** The node cannot go on (a poisoned store): the process should end. */
  fatal: ErrorReport
}

export interface LogRecord {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error'
  /** A stable name, such as 'peer.connected'; for an error its code. */
  readonly event: string
  readonly fields: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>
}

/** A running node. The daemon is a user of this interface, nothing more. */
export interface Mesh extends AsyncDisposable {
  readonly peerId: string
  /** As it was started; of secrets only whether they are set. */
  readonly options: MeshOptions
  addresses(): readonly string[]
  /** Sends to a name, alias, peer id (or its prefix), multiaddr or group. @throws PEER_UNKNOWN, NAME_AMBIGUOUS, QUOTA, BODY_TOO_LARGE, ID_CONFLICT … */
  send(destination: string, content: string | Uint8Array, options?: SendOptions): Promise<SendReport>
  /** A Command that expects a Response: resolves with it. @throws TIMEOUT after `timeoutMs` (default 30,000). */
  request(destination: string, content: string | Uint8Array, options?: SendOptions): Promise<ReceivedMessage>
  /** Answers `message` with a Response, in its thread. */
  reply(message: Answered, content: string | Uint8Array, options?: ReplyOptions): Promise<SendReport>
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly agents: Agents
  readonly groups: Groups
  readonly upkeep: Upkeep
  readonly contacts: Contacts
  discover(options?: CallOptions & { readonly method?: DiscoveryMethod | 'all'; readonly count?: number }): Promise<DiscoverReport>
  /** An invite of at most 300 characters, for one use. */
  invite(options?: InviteCall): Promise<NewInvite>
  /** What became of the invites that were given out. */
  readonly invites: Invites
  /** Pairs with the peer that made an invite; `commands`: whether it may send Commands to this node, default true. */
  join(invite: string, options?: CallOptions & { readonly alias?: string; readonly commands?: boolean }): Promise<PairedPeer>
  peers(): Promise<readonly PeerInfo[]>
  peer(name: string): Promise<PeerInfo>
  /** Round trip times in milliseconds over a libp2p ping stream. `count` 1–100. @throws ONION_ONLY with `onion_routing` on, unless `via` is 'direct' */
  ping(
    name: string,
    options?: CallOptions & RouteOptions & { readonly count?: number }
  ): Promise<{ readonly peer: PeerReference; readonly rttMs: readonly number[] }>
  /** Opens an end-to-end session with a peer and tells what protects it. `level` 1, 3 or 5, by default the node's own; `via` 'onion' opens it over a circuit. @throws ONION_ONLY with `onion_routing` on and no `via`, LEVEL_REFUSED, HANDSHAKE_FAILED … */
  quantum(name: string, options?: SessionCall): Promise<QuantumReport>
  /**
   * Finds the best way to a peer through NATs and firewalls, or tries one method alone, and tells both NAT classes and what was tried. A peer that is not
   * reached is a report with an error. Takes 10 s at most. @throws ONION_ONLY with `onion_routing` on, unless `via` is 'direct', PEER_UNKNOWN, NAME_AMBIGUOUS, TIMEOUT after `timeoutMs` (default 15,000)
   */
  nat(name: string, options?: CallOptions & RouteOptions & { readonly method?: TraversalMethod }): Promise<NatReport>
  /**
   * Looks at the network that this node is in: asks the STUN servers, pings the relays, and says what to do about what is wrong. Takes 3 s at most.
   * @throws TIMEOUT after `timeoutMs` (default 10,000)
   */
  netcheck(options?: CallOptions): Promise<NetcheckReport>
  /**
   * Takes a peer as it is from now on: what is remembered of its hybrid levels and of its ML-DSA-65 key is forgotten. For a peer that is known to have gone
   * back to older software, or to have a new key; otherwise DOWNGRADE_DETECTED and IDENTITY_MISMATCH are what protects.
   */
  trust(name: string): Promise<{ readonly peer: PeerReference; readonly forgotten: readonly RememberedPart[] }>
  /**
   * Builds an onion circuit to a peer, or takes a spare one there, and measures it. What is sent to the peer over circuits takes it from then on.
   * @throws CIRCUIT_TOO_FEW_RELAYS, CIRCUIT_NO_ENDPOINT, CIRCUIT_GUARDS_FAILED, CIRCUIT_BUILD_TIMEOUT, CIRCUIT_EXTEND_REFUSED, TIMEOUT after `timeoutMs` (default 30,000)
   */
  circuit(name: string, options?: CircuitCall): Promise<CircuitReport>
  /** This node's own circuits, spare ones too. */
  circuits(options?: { readonly showPath?: boolean }): Promise<readonly CircuitInfo[]>
  /** Ends a circuit, named by its id or the beginning of it; resolves with its id. @throws CIRCUIT_UNKNOWN */
  closeCircuit(id: string): Promise<string>
  status(): Promise<MeshStatus>
  detailedStatus(): Promise<DetailedStatus>
  /** Prometheus text format 0.0.4. */
  metrics(): Promise<string>
  on<Name extends keyof MeshEvents>(event: Name, handler: (value: MeshEvents[Name]) => void): () => void
  stop(): Promise<void>
}

export type { Millis }
