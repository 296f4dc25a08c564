import type { KemLevel } from '../core/base/index.ts'
import type { RekeyPolicy } from '../core/session/index.ts'

/** What protects a session; nothing of it is secret but what `exportSecret` returns. */
export interface SessionInfo {
  readonly level: KemLevel
  /** The Noise protocol name. */
  readonly suite: string
  /** Frames of the handshake in both directions. */
  readonly handshakeBytes: number
  readonly handshakeMs: number
  readonly authentication: 'ed25519' | 'ed25519+mldsa65'
  /** How often the keys were renewed. */
  readonly epoch: number
  readonly rekey: RekeyPolicy
  /** The levels that the peer says it carries. */
  readonly peerLevels: readonly KemLevel[]
}
