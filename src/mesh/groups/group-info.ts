import type { ErrorReport, WallMillis } from '../../core/base/index.ts'
import type { GroupState } from '../../core/group/index.ts'
import type { OutboxState } from '../../core/message/index.ts'
import type { PeerReference } from '../mesh.ts'

/** One member of a group, as this node sees it. */
export interface GroupMemberInfo extends PeerReference {
  /** Its name in the record, by the word of the admin who added it; empty when there is none. */
  readonly recordName: string
  readonly admin: boolean
  /** This node itself. */
  readonly self: boolean
  readonly paired: boolean
  readonly connected: boolean
}

export interface GroupInfo {
  /** 32 hexadecimal digits. */
  readonly id: string
  readonly name: string
  readonly state: GroupState
  readonly role: 'creator' | 'admin' | 'member' | 'none'
  readonly creator: PeerReference
  /** Counts on whenever the members change. */
  readonly epoch: number
  readonly sequence: number
  /** By the clock of the admin who made the record. */
  readonly changedAt: WallMillis
  readonly members: readonly GroupMemberInfo[]
}

/** The group that a message was sent to. */
export interface ReceivedGroup {
  /** 32 hexadecimal digits. */
  readonly id: string
  /** Empty when this node does not know the group. */
  readonly name: string
  readonly epoch: number
  /** The id that the message has for all members. */
  readonly message: string
  /** Whether it was sent to this node alone, by a member to a member. */
  readonly alone: boolean
  /** Whether its sender is a member, as far as this node knows. */
  readonly member: boolean
}

/** What became of a message for one member of the group. */
export interface MemberReport {
  readonly peer: PeerReference
  /** The id that the message has for this member. */
  readonly id: string
  readonly status: OutboxState
  readonly path: string | undefined
  readonly ms: number
  readonly attempts: number
  readonly error: ErrorReport | undefined
}

/** The groups of a node. Peers are named as elsewhere: alias, name, peer id or a prefix of it; groups by name, with or without an @, or by @ and 6 digits or more of the id. */
export interface Groups {
  /**
   * Makes a group with this node as its creator and admin. Paired peers are in it at once, others when they approve.
   * @throws GROUP_EXISTS, GROUP_FULL, PEER_UNKNOWN, NAME_AMBIGUOUS, OPTION_INVALID
   */
  create(name: string, options?: { readonly members?: readonly string[] }): Promise<GroupInfo>
  /** Adds members; `admin`: they may change the group as well. @throws GROUP_UNKNOWN, GROUP_NOT_ADMIN, GROUP_CREATOR_ONLY, GROUP_FULL, PEER_UNKNOWN, NAME_AMBIGUOUS */
  add(group: string, members: readonly string[], options?: { readonly admin?: boolean }): Promise<GroupInfo>
  /** Removes members: what is sent to the group from then on does not reach them. @throws GROUP_UNKNOWN, GROUP_NOT_ADMIN, GROUP_CREATOR_ONLY, GROUP_LAST_ADMIN, GROUP_NOT_MEMBER, PEER_UNKNOWN */
  remove(group: string, members: readonly string[]): Promise<GroupInfo>
  list(): Promise<readonly GroupInfo[]>
  get(group: string): Promise<GroupInfo>
  /** @throws GROUP_UNKNOWN, GROUP_LAST_ADMIN */
  leave(group: string): Promise<GroupInfo>
  /** Ends a group for all its members. @throws GROUP_UNKNOWN, GROUP_NOT_ADMIN */
  end(group: string): Promise<GroupInfo>
}
