import type { DhKey, KemKey } from '../base/index.ts'
import type { Suite } from './suites.ts'

/** Who opened the session: 'initiator' sends messages A and C, 'responder' message B. */
export type SessionRole = 'initiator' | 'responder'

/** A handshake message that was read. */
export interface SessionMessage {
  readonly payload: Uint8Array
  /** The handshake hash h after the tokens of the message and before its payload: what the payload's signatures are over. */
  readonly hash: Uint8Array
}

/**
 * One XXhfs handshake (Noise revision 34 with the HFS extension), as a session needs it. A twin of core/noise's, because siblings of core
 * meet in mesh. Any failure throws; the session then wipes it.
 */
export interface SessionHandshake {
  /** The next message. `payload` is called with the handshake hash after the tokens and before the payload. */
  writeMessage(payload: (hash: Uint8Array) => Uint8Array): Uint8Array
  /** @throws {MeshError} when a length, a key or a tag is wrong */
  readMessage(message: Uint8Array): SessionMessage
  /** The handshake hash h; after message C the same on both sides. */
  readonly hash: Uint8Array
  /** The chaining key ck: secret, the caller wipes it. */
  readonly chainingKey: Uint8Array
  wipe(): void
}

/** Our half of message A, made before the handshake: the prologue covers the frame that carries it (rule Q1). */
export interface Ephemeral {
  readonly dh: DhKey
  readonly kem: KemKey
}

export interface HandshakeRequest {
  readonly suite: Suite
  readonly role: SessionRole
  readonly prologue: Uint8Array
  /** The initiator's `e` and `e1`; message A is their public keys, and an empty payload. The responder has none: it makes its own in message B. */
  readonly ephemeral: Ephemeral | undefined
}

export type CreateHandshake = (request: HandshakeRequest) => SessionHandshake
