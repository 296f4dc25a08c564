import type { WallMillis } from '../base/index.ts'

/** The nine neural message types, spelt as on the wire; the order is their wire number, from 1. */
export const messageTypes = [
  'Thought',
  'AgentCoordination',
  'SwarmSync',
  'ConsensusProposal',
  'ConsensusVote',
  'HealthCheck',
  'MetricsUpdate',
  'Command',
  'Response'
] as const

export type MessageType = (typeof messageTypes)[number]

/** Who sends or receives: a key and a label. The key decides; the label (0–64 characters) only says which agent behind it. */
export interface Principal {
  readonly kind: 'peer'
  /** A raw Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array
  readonly label: string
}

/** The conversation that a message belongs to, as its sender states it: what a guard against loops of agents counts by. */
export interface ThreadMark {
  /** The id of the message that began it. */
  readonly root: string
  /** How often the matter was handed on by agents with no person in between: an answer to whoever sent the cause keeps the hop, any other message made because of it has one more; 0–255. */
  readonly hop: number
  /** Made by an agent, with no person in between. */
  readonly automatic: boolean
}

/** The group that a message was sent to; each member gets one of its own. */
export interface GroupMark {
  /** 16 bytes, see docs/wire/group.md. */
  readonly id: Uint8Array
  /** The epoch of the group's record by which it was sent. */
  readonly epoch: number
  /** The id that the message has for all members; its own id where it was sent to one member alone. */
  readonly message: string
}

/** One message, as it is signed. See docs/wire/envelope.md. */
export interface Envelope {
  readonly version: 1
  /** A ULID, or the caller's idempotency key: 1–64 of A-Z a-z 0-9 . _ - */
  readonly id: string
  readonly type: MessageType
  readonly source: Principal
  readonly destination: Principal
  /** 16 random bytes that name the sender's outbox; a new outbox has a new epoch. */
  readonly epoch: Uint8Array
  /** Counts from 1 for each (source, epoch, destination); 0 in a volatile message. */
  readonly sequence: number
  readonly inReplyTo: string | undefined
  readonly expectsReply: boolean
  /** 0–10. Orders queues; never a permission. */
  readonly priority: number
  /** Seconds, 1–2,592,000 (30 days). */
  readonly ttlS: number
  /** The sender's wall clock when it accepted the message. */
  readonly timestamp: WallMillis
  /** A media type, at most 127 characters. */
  readonly contentType: string
  /** At most 1 MiB. */
  readonly body: Uint8Array
  readonly thread?: ThreadMark | undefined
  readonly group?: GroupMark | undefined
}

/** What a recipient's signed receipt says of one message. */
export const receiptStates = ['stored', 'read', 'held', 'refused'] as const
export type ReceiptState = (typeof receiptStates)[number]

/** Why a receipt refuses; each is also a code of the error table. */
export const refusalCodes = [
  'QUOTA',
  'COMMAND_NOT_ALLOWED',
  'EXPIRED',
  'ID_CONFLICT',
  'UNSUPPORTED_VERSION',
  'MESSAGE_MALFORMED',
  'DISK_FULL',
  'PROTOCOL_LIMIT',
  'NOT_ALLOWED',
  'HOP_LIMIT',
  'GROUP_NOT_MEMBER'
] as const
export type RefusalCode = (typeof refusalCodes)[number]

/** Where a message of the outbox stands. `stored`, `read`, `held`, `failed` and `expired-unknown` end the sending. */
export const outboxStates = ['accepted', 'sent', 'stored', 'read', 'held', 'failed', 'expired-unknown'] as const
export type OutboxState = (typeof outboxStates)[number]

/** Where a message of the inbox stands. `held` comes from a peer that is not paired; `read` was acknowledged and has no body any more. */
export const inboxStates = ['unread', 'read', 'held'] as const
export type InboxState = (typeof inboxStates)[number]

/** The ways that a message can take: over connections with the peer, or over onion circuits. One that was accepted for the one never takes the other. */
export const routes = ['direct', 'onion'] as const
export type Via = (typeof routes)[number]

/** The limits of docs/wire/envelope.md. */
export const messageLimits = {
  idCharacters: 64,
  labelCharacters: 64,
  contentTypeCharacters: 127,
  bodyBytes: 1_048_576,
  /** An encoded envelope, body included. */
  envelopeBytes: 1_048_576 + 2_048,
  /** Messages in one signed batch. */
  batchMessages: 256,
  /** One frame of /synaptic-mesh/message/1.0.0; a batch whose first message is large carries that one alone. */
  frameBytes: 1_048_576 + 65_536,
  /** A batch takes no further message once it has this many bytes. */
  batchBytes: 262_144,
  /** ThreadMark.hop on the wire. */
  hop: 255,
  groupIdBytes: 16,
  ttlS: 2_592_000,
  defaultTtlS: 86_400,
  priority: 10,
  /** How far a sequence may run ahead of the sender's signed floor. */
  sequenceWindow: 65_536
} as const
