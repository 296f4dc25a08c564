import type { Clock, HandshakeCrypto, Random, Signer, Verifier, WallMillis } from '../core/base/index.ts'
import type { DeliveryStore } from '../core/message/index.ts'
import type { PqTools } from '../core/session/index.ts'

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
}

/** An invite that was given out and neither used nor expired. The secret is kept until then: the proof needs it. */
export interface InviteRecord {
  /** The first 8 bytes of SHA-256(secret). */
  readonly inviteId: Uint8Array
  readonly secret: Uint8Array
  readonly expiresAt: WallMillis
  readonly failures: number
  /** The peer that used it; empty before. */
  readonly usedBy: string
}

/** Paired peers and invites. Changes resolve after COMMIT with synchronous=FULL. */
export interface PeerStore {
  pairs(): Promise<readonly PairRecord[]>
  savePair(pair: PairRecord): Promise<void>
  saveInvite(invite: InviteRecord): Promise<void>
  invite(inviteId: Uint8Array): Promise<InviteRecord | undefined>
  /** Counts a failed proof; returns how many there were. */
  failInvite(inviteId: Uint8Array): Promise<number>
  /** Burns the invite and adds the peer in one transaction. */
  redeem(inviteId: Uint8Array, pair: PairRecord): Promise<void>
  close(): Promise<void>
}

/** Everything outside that a mesh node needs besides its libp2p node; a platform makes it. */
export interface Platform {
  readonly clock: Clock
  readonly random: Random
  readonly signer: Signer
  readonly verifier: Verifier
  readonly deliveryStore: DeliveryStore
  readonly peerStore: PeerStore
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
