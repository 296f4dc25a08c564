import type { WallMillis } from '../core/base/index.ts'
import type { CallOptions, PeerReference } from './mesh.ts'
import type { PairRecord } from './ports.ts'

/** What an invite is made with. */
export interface InviteCall {
  /** 60–604,800, default 86,400. */
  readonly expiresInS?: number
  /** Whether the peer that uses it may send Commands to this node; default true. */
  readonly commands?: boolean
}

/** An invite as it is given out, once: the text holds the secret. */
export interface NewInvite {
  /** 16 hexadecimal digits: its public name, for `list`, `revoke` and `wait`. */
  readonly id: string
  readonly invite: string
  readonly expiresAt: WallMillis
}

/** What is remembered of an invite that was given out: never its secret. */
export interface InviteInfo {
  readonly id: string
  /** `burnt`: five wrong proofs. */
  readonly state: 'open' | 'used' | 'expired' | 'revoked' | 'burnt'
  readonly expiresAt: WallMillis
  /** Wrong proofs so far. */
  readonly failures: number
  /** Whether who uses it may send Commands to this node. */
  readonly commands: boolean
  readonly usedBy: PeerReference | undefined
}

/** A peer that was just paired. */
export interface PairedPeer {
  readonly peerId: string
  /** The name on its card. */
  readonly name: string
  readonly alias: string | undefined
  /** Three words that the other side shows, too, unless somebody stood between; undefined when the pairing was longer than a day ago, or before the start. */
  readonly words: readonly string[] | undefined
}

/** What is told of a pair, but for the words. */
export const pairedPeerOf = ({ peerId, name, alias }: PairRecord): Omit<PairedPeer, 'words'> => ({
  peerId,
  name,
  alias: alias === '' ? undefined : alias
})

/** The invites that this node gave out. */
export interface Invites {
  /** The one that expires last first. */
  list(): Promise<readonly InviteInfo[]>
  /** Takes an invite back, named by its id or the beginning of it; resolves with its id. @throws INVITE_UNKNOWN, INVITE_USED */
  revoke(id: string): Promise<string>
  /** Waits until a peer has used it. @throws INVITE_UNKNOWN, INVITE_REVOKED, INVITE_EXPIRED, INVITE_USED, TIMEOUT after `timeoutMs` (default 600,000) */
  wait(id: string, options?: CallOptions): Promise<PairedPeer>
}
