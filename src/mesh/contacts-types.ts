import type { WallMillis } from '../core/base/index.ts'
import type { MessageType } from '../core/message/index.ts'
import type { PeerReference, ReceivedMessage } from './mesh.ts'

/** A peer that its owner decided about. */
export interface Contact extends PeerReference {
  readonly alias: string | undefined
  /** The name on its card when it was paired; empty when it had none. */
  readonly pinnedName: string
  readonly paired: boolean
  /** Whether Commands are taken from it. */
  readonly commands: boolean
  readonly blocked: boolean
  readonly connected: boolean
  /** When it was paired; undefined when it is not. */
  readonly since: WallMillis | undefined
}

/** A peer that is not paired and whose messages are held until somebody decides. */
export interface PendingPeer extends PeerReference {
  /** What it calls itself: nobody has checked that. */
  readonly claimedName: string | undefined
  readonly connected: boolean
  /** It was blocked, and what was held of it was kept. */
  readonly blocked: boolean
  readonly messages: number
  readonly bytes: number
  /** What is held of it at most. */
  readonly maxMessages: number
  readonly maxBytes: number
  /** When the oldest of them came. */
  readonly since: WallMillis
  readonly types: readonly MessageType[]
  /** The messages themselves; empty unless they were asked for. */
  readonly held: readonly ReceivedMessage[]
}

/** What was done about a peer, and what it meant for messages. */
export interface ContactChange extends Contact {
  /** Messages that were held of it and are unread now. */
  readonly released: number
  /** Messages of it that are held still. */
  readonly held: number
  /** Held messages that were deleted. */
  readonly deleted: number
  /** Unread messages of it, which stay. */
  readonly unread: number
  /** Messages to it that wait in the outbox, and stay there. */
  readonly queued: number
}

/**
 * Who is trusted, and what waits for a decision. A peer is named by alias, name or prefix when it is paired, else by its whole peer id or, where it is known here,
 * by its short one (`…gu8UwZdi`); a name that a stranger claims means nobody.
 */
export interface Contacts {
  /** Peers that are paired or blocked. */
  list(): Promise<readonly Contact[]>
  /** Who waits, the longest first. `limit` 1–1,000, default 100. `show`: with the messages, of as many as have 8 MiB together. */
  pending(options?: { readonly show?: boolean; readonly limit?: number }): Promise<readonly PendingPeer[]>
  /**
   * Pairs with a peer from this side alone: what was held of it is released, and its sender told. Lifts a block. Of one that is paired, alias and rights change when
   * they are given. @throws PEER_UNKNOWN, NAME_AMBIGUOUS, OPTION_INVALID (the alias is taken)
   */
  approve(name: string, options?: { readonly alias?: string; readonly commands?: boolean }): Promise<ContactChange>
  /** Our own name for a paired peer; '' takes it away. @throws PEER_NOT_PAIRED, OPTION_INVALID */
  rename(name: string, alias: string): Promise<ContactChange>
  /** Lifts a block, and says whether Commands are taken from a paired peer. @throws PEER_NOT_PAIRED when a right is given to a stranger */
  trust(name: string, options?: { readonly commands?: boolean }): Promise<ContactChange>
  /** Takes nothing from a peer any more. `deleteHeld`: what is held of it is deleted. Idempotent. */
  block(name: string, options?: { readonly deleteHeld?: boolean }): Promise<ContactChange>
  /** Makes a paired peer a stranger again; what it sent and is unread stays to be read. @throws PEER_NOT_PAIRED */
  remove(name: string): Promise<ContactChange>
}
