import type { MeshError } from '../core/base/index.ts'
import type { ArrivedMessage, InboxOutput, InboxPeer, OutboxEntry, OutboxRecovery, VolatileMessage } from '../core/message/index.ts'
import type { Platform } from './ports.ts'
import type { Sessions } from './sessions.ts'
import type { Tracker } from './tracker.ts'

/** Everything that a Delivery is made with, and whom it tells. */
export interface DeliveryOptions {
  readonly platform: Platform
  readonly sessions: Sessions
  readonly tracker: Tracker
  readonly recovery: OutboxRecovery
  readonly outboxLimits: { readonly maxMessages: number; readonly maxBytes: number }
  /** With `onion_routing` on, no direct session is opened but for messages that were accepted for the direct way: what a peer is told beside its own streams is left out. */
  readonly onionRouting: boolean
  /** What an authenticated peer is allowed at this moment. */
  readonly limitsOf: (publicKey: Uint8Array) => InboxPeer
  readonly onArrived: (publicKey: Uint8Array, messages: readonly ArrivedMessage[]) => void
  readonly onVolatile: (publicKey: Uint8Array, messages: readonly VolatileMessage[]) => void
  /** A message was accepted: it is committed. */
  readonly onAccepted: (entry: OutboxEntry) => void
  /** A message of the outbox has a new state, committed. */
  readonly onState: (entry: OutboxEntry) => void
  readonly onRefused: (refusal: Extract<InboxOutput, { type: 'refused' }>) => void
  readonly onMisbehaved: (publicKey: Uint8Array, error: MeshError) => void
  /** The store is poisoned: the process must end. */
  readonly onFatal: (error: MeshError) => void
}
