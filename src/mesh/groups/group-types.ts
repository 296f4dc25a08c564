import type { GroupState, SignedGroup } from '../../core/group/types.ts'
import type { Envelope, MessageDraft } from '../../core/message/index.ts'
import type { Submitted } from '../delivery-calls.ts'

/** A group as this node knows it. */
export interface KnownGroup {
  readonly signed: SignedGroup
  readonly state: GroupState
  /** The sequence of the record that has this node no more, as an admin told it: older records that still have it change nothing. */
  readonly gone?: number
  /** The record before, as far as it is known. */
  readonly before: SignedGroup | undefined
  /** The records that this node made one upon the other, newest last, and before them the one from which it began: what another admin's record did not know is done again. */
  readonly own?: readonly SignedGroup[]
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

/** How a message to a group of more than 32 members goes out. */
export interface GroupCarrier {
  /**
   * Puts one message into the outbox, a row for each draft, and gives it to all members at once by gossip where that can be. Rows wait 3 s for that; whoever has not said by then, with
   * a signed receipt as for any message, that it has its own, gets it sealed like any other. What became of a member is the state of its row, as always. The drafts differ in id (see
   * `memberMessageId`) and destination only, and all have the group's mark. One outcome for each draft, after its commit.
   */
  submit(group: KnownGroup, drafts: readonly MessageDraft[]): Promise<readonly PromiseSettledResult<Submitted>[]>
}
