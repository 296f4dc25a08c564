import type { GroupState, SignedGroup } from '../../core/group/types.ts'
import type { Envelope } from '../../core/message/index.ts'

/** A group as this node knows it. */
export interface KnownGroup {
  readonly signed: SignedGroup
  readonly state: GroupState
  /** The record before, as far as it is known: what a change that lost against another one is made again from. */
  readonly before: SignedGroup | undefined
}

/** What those who depend on the members are told: after the commit of the new record, and once for each group at the start (`before` undefined). */
export interface GroupChange {
  readonly group: KnownGroup
  readonly before: SignedGroup | undefined
  /** Whether this node signed the record: then it is the one that makes the epoch's key. */
  readonly isOwn: boolean
}

/**
 * Handles one control message of its media type, from an authenticated peer. The message is acknowledged when the promise resolves, so it resolves after the commit; handling the
 * same message twice changes nothing. A MeshError means that the message is wrong: it is acknowledged, counted and forgotten.
 */
export type ControlHandler = (message: { readonly source: Uint8Array; readonly envelope: Envelope }) => Promise<void>

/** What else a group needs of the node that it is in. */
export interface GroupDirectory {
  /** Groups that this node is in. */
  readonly groups: readonly KnownGroup[]
  /** By id, in hex. */
  find(id: string): KnownGroup | undefined
  isMember(id: string, publicKey: Uint8Array): boolean
}

/** How a message to a group of more than 32 members goes out; the rows of the outbox, one for each member, exist before. */
export interface GroupCarrier {
  /**
   * Publishes one message for all. Members that said within about 3 s that they stored it need no sealed one: for these `settled` is called after their signed word; the rows of the
   * others are released to go the ordinary way.
   */
  publish(message: GroupBroadcast): void
}

export interface GroupBroadcast {
  readonly group: KnownGroup
  /** Envelopes as the members get them sealed: the same but for destination, sequence and id. */
  readonly envelope: Envelope
  readonly settled: (member: Uint8Array) => void
  readonly fallBack: (members: readonly Uint8Array[]) => void
}
