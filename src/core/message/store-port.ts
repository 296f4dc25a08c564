import type { Millis, WallMillis } from '../base/index.ts'
import type { InboxState, MessageType, OutboxState, RefusalCode, Via } from './types.ts'

/** When something happened, with enough evidence to judge later how long ago that is: see `elapsedMs` in age.ts. */
export interface Instant {
  readonly bootId: string
  readonly monotonic: Millis
  readonly wall: WallMillis
}

/** One durable message of the outbox. Its identity is (own key, id, digest). */
export interface OutboxRow {
  readonly id: string
  /** The recipient's raw public key. */
  readonly destination: Uint8Array
  /** Its route, which never changes. */
  readonly via: Via
  readonly sequence: number
  readonly type: MessageType
  readonly priority: number
  readonly ttlMs: number
  readonly accepted: Instant
  /** The encoded envelope (signed when it is sent, in a batch). */
  readonly envelope: Uint8Array
  /** SHA-256 of what the caller gave: type, destination, labels, in-reply-to, content type and body. */
  readonly digest: Uint8Array
  readonly state: OutboxState
  readonly attempts: number
  /** How it went out the last time, such as 'direct'; empty before. */
  readonly path: string
  /** Why it failed; empty unless `state` is 'failed'. An error code. */
  readonly failure: string
  /** Milliseconds from acceptance to the last change of state. */
  readonly settledMs: number
  /** The group that it was sent to, and the id that it has for all members. */
  readonly group?: { readonly id: Uint8Array; readonly message: string } | undefined
  /** This software's own word, which nobody is shown: see base/control-type.ts. */
  readonly control?: boolean | undefined
}

/** A row without its envelope: what the machine keeps of a message that waits. */
export type OutboxEntry = Omit<OutboxRow, 'envelope'> & { readonly bytes: number }

/** The retry state of one destination and route, persisted so that a restart does not reset the backoff. */
export interface DestinationRetry {
  readonly destination: Uint8Array
  readonly via: Via
  readonly attempts: number
  readonly lastAttempt: Instant
}

export interface OutboxRecovery {
  /** 16 random bytes, made with the store. */
  readonly epoch: Uint8Array
  /** The rows whose sending has not ended (`accepted`, `sent`), and the `held` ones, by sequence. */
  readonly pending: readonly OutboxEntry[]
  /** The highest sequence ever used for each destination. */
  readonly sequences: readonly { readonly destination: Uint8Array; readonly sequence: number }[]
  readonly retries: readonly DestinationRetry[]
}

export type EnqueueOutcome =
  | { readonly outcome: 'accepted' }
  /** The same id and digest: nothing was written; `row` is the one that stands. */
  | { readonly outcome: 'duplicate'; readonly row: OutboxEntry }
  | { readonly outcome: 'conflict' }

export interface OutboxChange {
  readonly id: string
  readonly state: OutboxState
  readonly attempts: number
  readonly path: string
  readonly failure: string
  readonly settledMs: number
}

/** One verified message that a peer sent. */
export interface InboundMessage {
  readonly source: Uint8Array
  /** The route over which it came; what is told of it later takes that one. */
  readonly via: Via
  readonly epoch: Uint8Array
  readonly sequence: number
  readonly id: string
  readonly type: MessageType
  readonly priority: number
  /** SHA-256 of the envelope's bytes. */
  readonly digest: Uint8Array
  readonly envelope: Uint8Array
  /** Salt, index, size, path, root's signature: proves the envelope to a third party. See docs/wire/envelope.md. */
  readonly proof: Uint8Array
  readonly received: Instant
  /** What was left of its life at `received`, judged by the sender's own clock; 0 or less: it expired (see admission.ts). */
  readonly ttlMs: number
  /** How its source stands to the group that it names; undefined when it names none. */
  readonly standing?: GroupStanding | undefined
  /** This software's own word, which nobody is shown: see base/control-type.ts. */
  readonly control?: boolean | undefined
}

/** How a sender stands to the group that its message names. `unknown`: this node does not know the group, or not that epoch yet. */
export type GroupStanding = 'member' | 'outside' | 'unknown'

/** What the recipient allows the source at this moment. */
export interface AdmissionLimits {
  readonly paired: boolean
  /** Whether Commands are taken. */
  readonly commands: boolean
  /** Nothing is taken. */
  readonly blocked: boolean
  readonly maxMessages: number
  readonly maxBytes: number
  readonly maxMessagesOfSource: number
  readonly maxBytesOfSource: number
  /** What holds instead for what a member of a group sends to the group. */
  readonly asMember?: SourceLimits
}

/** How much may wait in the inbox: messages, and bytes of their envelopes, in all and of one source. */
export type SourceLimits = Pick<AdmissionLimits, 'maxMessages' | 'maxBytes' | 'maxMessagesOfSource' | 'maxBytesOfSource'>

/** What `admit` did with one message; a repeat gets what was said the first time (or `read`, when it was read since). */
export type AdmitOutcome =
  | { readonly outcome: 'stored' | 'held' | 'read'; readonly repeat: boolean; readonly position: number }
  | { readonly outcome: 'refused'; readonly code: RefusalCode; readonly repeat: boolean }

export interface InboxRow extends InboundMessage {
  /** Order of arrival, from 1, never reused. */
  readonly position: number
  readonly state: InboxState
  /** How often it was handed out. */
  readonly handedOut: number
}

export interface InboxFilter {
  readonly after: number
  readonly limit: number
  readonly types: readonly MessageType[] | undefined
  readonly source: Uint8Array | undefined
  readonly states: readonly InboxState[]
  readonly handOut: boolean
  /** This software's own words, instead of messages. */
  readonly control?: boolean | undefined
  /** Who reads: what it acknowledged is left out. Unless told, the reader without a name. */
  readonly reader?: InboxReader | undefined
}

/** Who reads the inbox, and when. */
export interface InboxReader {
  /** The name of a registered reader; '' is the one without a name. */
  readonly name: string
  readonly at: Instant
}

/** A named reader of the inbox: it gets each message until it acknowledged it itself. */
export interface InboxConsumer {
  readonly name: string
  readonly createdAt: WallMillis
  readonly usedAt: WallMillis
  /** It was not there for 7 days, and no message waits for it any more. */
  readonly isIdle: boolean
  /** Messages that it acknowledged and others have not. */
  readonly acknowledged: number
}

export interface AckOutcome {
  readonly source: Uint8Array
  /** The route over which it came; 'direct' when it is not known. */
  readonly via: Via
  readonly id: string
  /** `false`: it was acknowledged before, or is not known. */
  readonly changed: boolean
  readonly known: boolean
  /** For the receipt `read`; undefined when the message is not known. */
  readonly epoch: Uint8Array | undefined
  readonly sequence: number
  readonly digest: Uint8Array | undefined
}

/**
 * Durable state of delivery. Every promise of a change resolves after COMMIT with synchronous=FULL, never before; changes that
 * wait together share one commit. Errors: DISK_FULL (nothing changed, try again later), STORE_FAILED (poisoned: the process must end).
 */
export interface DeliveryStore {
  recoverOutbox(): Promise<OutboxRecovery>
  enqueue(row: OutboxRow): Promise<EnqueueOutcome>
  /** The rows of `ids` that still exist, with their envelopes. */
  loadOutbox(ids: readonly string[]): Promise<readonly OutboxRow[]>
  listOutbox(filter: {
    readonly states: readonly OutboxState[] | undefined
    readonly destination: Uint8Array | undefined
    /** Only what was sent to a group with this id for all. */
    readonly groupMessage?: string | undefined
    readonly limit: number
  }): Promise<readonly OutboxEntry[]>
  settle(changes: readonly OutboxChange[]): Promise<void>
  saveRetry(retry: DestinationRetry): Promise<void>
  /** Admits messages of one source in order, in one transaction. `floor`: the source's signed statement that all below it has ended. */
  admit(messages: readonly InboundMessage[], floor: number, limits: AdmissionLimits): Promise<readonly AdmitOutcome[]>
  listInbox(filter: InboxFilter): Promise<readonly InboxRow[]>
  getInbox(id: string, source: Uint8Array | undefined): Promise<readonly InboxRow[]>
  /** Acknowledges for `reader`, or for everybody. `changed` tells that the message is read by now: all whom it waited for acknowledged it. */
  ack(messages: readonly { readonly source: Uint8Array; readonly id: string }[], reader?: InboxReader): Promise<readonly AckOutcome[]>
  /** Turns the held messages of a peer that was paired into unread ones and returns them. */
  release(source: Uint8Array): Promise<readonly InboxRow[]>
  /** The same for what it sent to one group only. */
  releaseGroup(source: Uint8Array, group: Uint8Array): Promise<readonly InboxRow[]>
  inboxCounts(): Promise<{ readonly unread: number; readonly held: number; readonly bytes: number }>
  /** Deletes outbox rows that ended over a week ago, beyond the newest 10,000, and repeats that no sender can send any more. */
  prune(now: Instant): Promise<void>
  close(): Promise<void>
}

/** The named readers of an inbox. Every promise of a change resolves after COMMIT, as those of the DeliveryStore. */
export interface ReaderStore {
  /** Counts messages as given to a reader. */
  handOut(positions: readonly number[], reader: InboxReader): Promise<void>
  consumers(at: Instant): Promise<readonly InboxConsumer[]>
  /** Registers a named reader, or notes that it is there; whether it is new. */
  useConsumer(reader: InboxReader): Promise<boolean>
  /** What is read by now, since nobody else waits for it. */
  removeConsumer(reader: InboxReader): Promise<{ readonly known: boolean; readonly outcomes: readonly AckOutcome[] }>
  /** What is read by now, as readers that it waited for have been away for too long. */
  settleConsumers(at: Instant): Promise<readonly AckOutcome[]>
}
