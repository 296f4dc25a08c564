import type { WallMillis } from '../base/index.ts'

/** One member, as the admin who added it knows it. The key decides; name and addresses only help to show and to reach it. */
export interface GroupMember {
  /** Raw Ed25519, 32 bytes. */
  readonly key: Uint8Array
  /** '' or 1–63 of A-Z a-z 0-9 . _ -, the first a letter or digit. */
  readonly name: string
  /** At most 2 multiaddrs, each at most 128 printable ASCII characters: hints, often none. */
  readonly addresses: readonly string[]
}

/** Who may change a group, signed by its creator alone, so that each record can be judged by itself. */
export interface GroupMandate {
  /** From 1, one higher with each change of admins. */
  readonly version: number
  /** Raw Ed25519 keys, 1–16, ascending. */
  readonly admins: readonly Uint8Array[]
  /** The creator's, 64 bytes, over the group's id, the version and the admins. */
  readonly signature: Uint8Array
}

/** A group as one admin signed it. See docs/wire/group.md. */
export interface GroupRecord {
  /** The first 16 bytes of SHA-256 over creator, name and salt; not on the wire. */
  readonly id: Uint8Array
  /** Raw Ed25519, 32 bytes. Stays, also when the creator has left. */
  readonly creator: Uint8Array
  /** 1–63 of A-Z a-z 0-9 . _ -, the first a letter or digit. Stays. */
  readonly name: string
  /** 16 random bytes. Stays. */
  readonly salt: Uint8Array
  readonly mandate: GroupMandate
  /** From 1, one higher with each record. */
  readonly sequence: number
  /** From 1, one higher whenever the members change: what a message names, and what a key of a large group is made for. */
  readonly epoch: number
  /** SHA-256 of the whole record before; 32 zero bytes in the first. */
  readonly previous: Uint8Array
  /** The beginnings, 8 bytes each, of the hashes of the records before that one, the newest first, at most 16: who knows one of them knows that this record was made knowing it. */
  readonly ancestors: readonly Uint8Array[]
  /** The author's clock. */
  readonly issuedAt: WallMillis
  /** Ascending by key; none twice. A record that ends the group has none. */
  readonly members: readonly GroupMember[]
  /** The admin, or the creator, who signed it: raw Ed25519. */
  readonly author: Uint8Array
}

/** A record together with the bytes that were signed. */
export interface SignedGroup {
  readonly record: GroupRecord
  readonly bytes: Uint8Array
  /** SHA-256 of `bytes`: names one record of one epoch, also where two admins made one at the same time. */
  readonly hash: Uint8Array
}

/** Where this node stands: in the group, or out of it by its own word, by an admin's, or because the group ended. */
export const groupStates = ['joined', 'left', 'removed', 'ended'] as const
export type GroupState = (typeof groupStates)[number]

/** What became different from one record to the next. Keys are hex. */
export interface MemberChange {
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

export const groupLimits = {
  members: 1_024,
  /** Up to here each member gets a sealed message of its own; beyond it one goes to all by gossip. */
  directMembers: 32,
  admins: 16,
  nameCharacters: 63,
  addressesOfMember: 2,
  addressCharacters: 128,
  ancestors: 16,
  ancestorBytes: 8,
  /** One signed record. */
  recordBytes: 262_144,
  idBytes: 16,
  saltBytes: 16,
  /** Groups that one node is in. */
  groups: 64
} as const

/** The media types of groups; all are control types, see base/control-type.ts. */
export const groupContentTypes = {
  /** Records, and what members and admins tell each other about them. */
  record: 'application/vnd.synaptic-mesh.group+cbor',
  /** The key of an epoch. */
  key: 'application/vnd.synaptic-mesh.group-key+cbor'
} as const
