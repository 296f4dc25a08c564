import type { Clock, HandshakeCrypto, Random, Signer, Verifier, WallMillis } from '../core/base/index.ts'
import type { GroupState } from '../core/group/index.ts'
import type { DeliveryStore, MessageType, ReaderStore, SavedThreads } from '../core/message/index.ts'
import type { PqTools } from '../core/session/index.ts'
import type { GroupKeyStore } from './groups/group-keys.ts'

/** A peer that both sides agreed to trust, pinned to its key. */
export interface PairRecord {
  readonly publicKey: Uint8Array
  readonly peerId: string
  /** The name on the card that it showed when it was paired. */
  readonly name: string
  /** Our own name for it; empty when there is none. */
  readonly alias: string
  /** Addresses as last seen, at most 16, with /p2p. */
  readonly addresses: readonly string[]
  readonly pairedAt: WallMillis
  /** Whether it may send Commands to this node. */
  readonly commands: boolean
}

/** An invite that was given out. The secret is kept until it is used, revoked or burnt: the proof needs it. */
export interface InviteRecord {
  /** The first 8 bytes of SHA-256(secret). */
  readonly inviteId: Uint8Array
  readonly secret: Uint8Array
  readonly expiresAt: WallMillis
  readonly failures: number
  /** The peer that used it; empty before. */
  readonly usedBy: string
  /** Whether that peer said that it has committed, too: then even it is refused. */
  readonly done: boolean
  /** Whether it was taken back before it was used. */
  readonly revoked: boolean
  /** Whether who uses it may send Commands to this node. */
  readonly commands: boolean
}

/** Paired peers and invites. Changes resolve after COMMIT with synchronous=FULL. */
export interface PeerStore {
  pairs(): Promise<readonly PairRecord[]>
  savePair(pair: PairRecord): Promise<void>
  saveInvite(invite: InviteRecord): Promise<void>
  invite(inviteId: Uint8Array): Promise<InviteRecord | undefined>
  /** Every invite that is remembered, the one that expires last first. */
  invites(): Promise<readonly InviteRecord[]>
  /** Counts a failed proof; returns how many there were. The fifth burns the invite. */
  failInvite(inviteId: Uint8Array): Promise<number>
  /** Burns the invite and adds the peer in one transaction, or changes nothing. @throws {MeshError} INVITE_INVALID, INVITE_USED, INVITE_REVOKED, PEER_BLOCKED */
  redeem(inviteId: Uint8Array, pair: PairRecord): Promise<void>
  /** The peer that used the invite has committed. */
  finishInvite(inviteId: Uint8Array): Promise<void>
  /** Takes an invite back that nobody used; whether there was one. */
  revokeInvite(inviteId: Uint8Array): Promise<boolean>
  close(): Promise<void>
}

/** A peer of which nothing is taken. What else is known of it (a pairing, an alias) stays beside this. */
export interface BlockedRecord {
  readonly publicKey: Uint8Array
  readonly peerId: string
  /** The name by which it was known when it was blocked; empty when there was none. */
  readonly name: string
  readonly blockedAt: WallMillis
}

/** What is held of one peer that is not paired. */
export interface HeldSource {
  readonly source: Uint8Array
  readonly messages: number
  /** Of their envelopes. */
  readonly bytes: number
  /** When the oldest of them came. */
  readonly since: WallMillis
  readonly types: readonly MessageType[]
}

/** Who is blocked, who is no longer paired, and what waits for a decision. Changes resolve after COMMIT with synchronous=FULL. */
export interface TrustStore {
  removePair(publicKey: Uint8Array): Promise<void>
  blocked(): Promise<readonly BlockedRecord[]>
  block(peer: BlockedRecord): Promise<void>
  unblock(publicKey: Uint8Array): Promise<void>
  /** Peers of which messages are held, the one that has waited longest first. */
  heldSources(): Promise<readonly HeldSource[]>
  /** Deletes the held messages of a peer; returns how many there were. */
  dropHeld(source: Uint8Array): Promise<number>
}

/** What the guard against loops remembers over restarts. `save` resolves after COMMIT; what was used longest ago is forgotten beyond the bounds. */
export interface ThreadStore {
  load(): Promise<SavedThreads>
  save(changes: SavedThreads): Promise<void>
}

/** An agent behind this node: a label on its card, by which peers can address it. */
export interface AgentRecord {
  readonly label: string
  readonly createdAt: WallMillis
}

/** The agents of this node. Changes resolve after COMMIT. */
export interface AgentStore {
  agents(): Promise<readonly AgentRecord[]>
  saveAgent(agent: AgentRecord): Promise<void>
  /** Whether there was one. */
  removeAgent(label: string): Promise<boolean>
}

/** The newest record of a group that this node is or was in. */
export interface StoredGroup {
  readonly id: Uint8Array
  readonly record: Uint8Array
  /** The record before it, as far as it is known. */
  readonly before: Uint8Array | undefined
  /** The records of `KnownGroup.own`. */
  readonly own: readonly Uint8Array[]
  readonly state: GroupState
  /** See `KnownGroup.gone`; 0 when there is none. */
  readonly gone: number
  /** Whether all members were told of a record that this node signed: it is in the outbox for each. */
  readonly told: boolean
}

/** Groups. Changes resolve after COMMIT with synchronous=FULL. */
export interface GroupStore {
  groups(): Promise<readonly StoredGroup[]>
  saveGroup(group: StoredGroup): Promise<void>
  deleteGroup(id: Uint8Array): Promise<void>
}

/** Everything outside that a mesh node needs besides its libp2p node; a platform makes it. */
export interface Platform {
  readonly clock: Clock
  readonly random: Random
  readonly signer: Signer
  readonly verifier: Verifier
  readonly deliveryStore: DeliveryStore
  readonly readerStore: ReaderStore
  readonly agentStore: AgentStore
  readonly peerStore: PeerStore
  readonly groupStore: GroupStore
  readonly groupKeyStore: GroupKeyStore
  readonly trustStore: TrustStore
  readonly threadStore: ThreadStore
  readonly timers: Timers
  /** What handshakes and sessions compute with. */
  readonly crypto: HandshakeCrypto
  /** ML-DSA-65 for sessions. */
  readonly pq: PqTools
  /** SHA-256, 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array
  /** HMAC-SHA-256. */
  hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array
}

/** The only timers of a node. */
export interface Timers {
  /** Calls `run` once after `delayMs`; the returned function cancels. Never keeps the process alive. */
  schedule(delayMs: number, run: () => void): () => void
}
