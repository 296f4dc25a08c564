import type {
  AckOutcome,
  AdmissionLimits,
  AdmitOutcome,
  DestinationRetry,
  EnqueueOutcome,
  InboundMessage,
  InboxConsumer,
  InboxFilter,
  InboxReader,
  InboxRow,
  Instant,
  OutboxChange,
  OutboxEntry,
  OutboxRecovery,
  OutboxRow,
  OutboxState,
  SavedThreads
} from '../../core/message/index.ts'
import type { ErrorCode, ErrorDetails } from '../../core/base/index.ts'
import type { StoredGroupKey } from '../../mesh/groups/group-keys.ts'
import type { AgentRecord, BlockedRecord, HeldSource, InviteRecord, PairRecord, StoredGroup } from '../../mesh/ports.ts'

interface Call<Arguments, Result> {
  readonly args: Arguments
  readonly result: Result
}

/** One key and value of the libp2p datastore. */
export interface Entry {
  readonly key: string
  readonly value: Uint8Array
}

export type EntryChange = { readonly type: 'put'; readonly entry: Entry } | { readonly type: 'delete'; readonly key: string }

/** Something damaged that was set aside while everything else goes on. */
export interface Finding {
  readonly where: 'inbox' | 'outbox'
  readonly id: string
  readonly reason: string
}

/** Rows of both boxes, and how many of them are not what was written. */
export interface SealReport {
  readonly messages: number
  readonly damaged: number
}

/** Everything that the storage thread does: its name, what it takes, what it gives. */
export interface StoreCalls {
  recoverOutbox: Call<undefined, OutboxRecovery>
  enqueue: Call<OutboxRow, EnqueueOutcome>
  loadOutbox: Call<readonly string[], readonly OutboxRow[]>
  listOutbox: Call<OutboxFilter, readonly OutboxEntry[]>
  settle: Call<readonly OutboxChange[], undefined>
  saveRetry: Call<DestinationRetry, undefined>
  admit: Call<{ readonly messages: readonly InboundMessage[]; readonly floor: number; readonly limits: AdmissionLimits }, readonly AdmitOutcome[]>
  listInbox: Call<InboxFilter, readonly InboxRow[]>
  getInbox: Call<{ readonly id: string; readonly source: Uint8Array | undefined }, readonly InboxRow[]>
  ack: Call<
    { readonly messages: readonly { readonly source: Uint8Array; readonly id: string }[]; readonly reader: InboxReader | undefined },
    readonly AckOutcome[]
  >
  handOut: Call<{ readonly positions: readonly number[]; readonly reader: InboxReader }, undefined>
  consumers: Call<Instant, readonly InboxConsumer[]>
  useConsumer: Call<InboxReader, boolean>
  removeConsumer: Call<InboxReader, { readonly known: boolean; readonly outcomes: readonly AckOutcome[] }>
  settleConsumers: Call<Instant, readonly AckOutcome[]>
  release: Call<Uint8Array, readonly InboxRow[]>
  releaseGroup: Call<{ readonly source: Uint8Array; readonly group: Uint8Array }, readonly InboxRow[]>
  inboxCounts: Call<undefined, { readonly unread: number; readonly held: number; readonly bytes: number }>
  prune: Call<Instant, undefined>
  pairs: Call<undefined, readonly PairRecord[]>
  savePair: Call<PairRecord, undefined>
  saveInvite: Call<InviteRecord, undefined>
  invite: Call<Uint8Array, InviteRecord | undefined>
  invites: Call<undefined, readonly InviteRecord[]>
  failInvite: Call<Uint8Array, number>
  redeem: Call<{ readonly inviteId: Uint8Array; readonly pair: PairRecord }, undefined>
  finishInvite: Call<Uint8Array, undefined>
  revokeInvite: Call<Uint8Array, boolean>
  removePair: Call<Uint8Array, undefined>
  blocked: Call<undefined, readonly BlockedRecord[]>
  block: Call<BlockedRecord, undefined>
  unblock: Call<Uint8Array, undefined>
  heldSources: Call<undefined, readonly HeldSource[]>
  dropHeld: Call<Uint8Array, number>
  loadThreads: Call<undefined, SavedThreads>
  saveThreads: Call<SavedThreads, undefined>
  agents: Call<undefined, readonly AgentRecord[]>
  saveAgent: Call<AgentRecord, undefined>
  removeAgent: Call<string, boolean>
  groups: Call<undefined, readonly StoredGroup[]>
  saveGroup: Call<StoredGroup, undefined>
  deleteGroup: Call<Uint8Array, undefined>
  groupKeys: Call<undefined, readonly StoredGroupKey[]>
  saveGroupKey: Call<StoredGroupKey, undefined>
  dropGroupKeys: Call<readonly Uint8Array[], undefined>
  getEntry: Call<string, Uint8Array | undefined>
  hasEntry: Call<string, boolean>
  changeEntries: Call<readonly EntryChange[], undefined>
  listEntries: Call<{ readonly prefix: string; readonly after: string; readonly limit: number }, readonly Entry[]>
  getMeta: Call<string, Uint8Array | undefined>
  setMeta: Call<{ readonly name: string; readonly value: Uint8Array }, undefined>
  checkIntegrity: Call<undefined, readonly string[]>
  checkSeals: Call<undefined, SealReport>
  snapshot: Call<string, undefined>
}

export interface OutboxFilter {
  readonly states: readonly OutboxState[] | undefined
  readonly destination: Uint8Array | undefined
  readonly groupMessage?: string | undefined
  readonly limit: number
}

export type StoreCallName = keyof StoreCalls
export type StoreArguments<Name extends StoreCallName> = StoreCalls[Name]['args']
export type StoreResult<Name extends StoreCallName> = StoreCalls[Name]['result']

/** How one call is done. `writes`: it runs in a transaction and is answered after COMMIT. */
export interface StoreHandler<Name extends StoreCallName> {
  readonly writes: boolean
  run(args: StoreArguments<Name>): StoreResult<Name>
}

export type StoreHandlers = { readonly [Name in StoreCallName]: StoreHandler<Name> }

/** A call on its way to the storage thread. */
export type StoreRequest = {
  readonly [Name in StoreCallName]: { readonly number: number; readonly name: Name; readonly args: StoreArguments<Name> }
}[StoreCallName]

export interface PlainError {
  readonly code: ErrorCode
  readonly details: ErrorDetails
}

export type StoreReply =
  | { readonly number: number; readonly ok: true; readonly value: StoreResult<StoreCallName> }
  | { readonly number: number; readonly ok: false; readonly error: PlainError }

/** What the storage thread tells on its own or in answer. */
export type StoreEvent =
  | { readonly type: 'opened' }
  | { readonly type: 'not-opened'; readonly error: PlainError }
  | { readonly type: 'replies'; readonly replies: readonly StoreReply[]; readonly findings: readonly Finding[] }
  | { readonly type: 'failed'; readonly error: PlainError }
  | { readonly type: 'closed' }

/** What the owner tells the storage thread. */
export type StoreOrder = { readonly type: 'calls'; readonly requests: readonly StoreRequest[] } | { readonly type: 'close' }
