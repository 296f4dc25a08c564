import type { MeshError, Random, Signer, Verifier } from '../base/index.ts'
import type { Sha256 } from './sha256.ts'
import type { DestinationRetry, EnqueueOutcome, Instant, OutboxChange, OutboxEntry, OutboxRecovery, OutboxRow } from './store-port.ts'
import type { GroupMark, MessageType, Principal, ThreadMark, Via } from './types.ts'

/** What a caller wants to send; the machine adds source key, epoch, sequence and timestamp. */
export interface MessageDraft {
  /** A ULID (`Ulids.next`) or the caller's idempotency key. */
  readonly id: string
  readonly type: MessageType
  readonly destination: Principal
  /** The way that it takes, for good: no message of one is ever sent the other way. A repeat of a message does not change it. */
  readonly via: Via
  /** The sender's own agent label; empty when there is none. */
  readonly label: string
  readonly inReplyTo: string | undefined
  readonly expectsReply: boolean
  readonly priority: number
  readonly ttlS: number
  readonly contentType: string
  readonly body: Uint8Array
  readonly thread?: ThreadMark | undefined
  readonly group?: GroupMark | undefined
}

/** Everything that an OutboxMachine is made with. Nothing in it changes afterwards. */
export interface OutboxOptions {
  /** What `DeliveryStore.recoverOutbox` gave. */
  readonly recovery: OutboxRecovery
  /** The time at which the machine is made: places what an earlier process accepted on this process's clock. */
  readonly at: Instant
  readonly random: Random
  readonly signer: Signer
  readonly verifier: Verifier
  /** SHA-256; `nobleSha256` by default, a platform may bring a faster one. */
  readonly sha256?: Sha256
  /** `outbox_max_messages` and `outbox_max_bytes`: messages that may wait, and the bytes of their envelopes. */
  readonly maxMessages: number
  readonly maxBytes: number
}

/**
 * What an OutboxMachine is told. `call` and `link` are numbers that the driver chooses, each used once; `token` is a number that the
 * machine chose in the output that is answered. The store must carry out `settle` calls in the order in which they were given.
 */
export type OutboxInput =
  /** Once, first: asks for the connections that recovered messages need. */
  | { readonly type: 'start' }
  /** A caller's message. Answered by `submitted` or `rejected` with the same `call`. `at.monotonic` must be `now`. */
  /** `parkMs`: it goes to a whole group at once, and to its destination alone only without a receipt for so long; see `gossiped`. */
  | { readonly type: 'submit'; readonly call: number; readonly draft: MessageDraft; readonly at: Instant; readonly parkMs?: number }
  /** Parked messages were gossiped (`isGiven`), or there was nobody to give them to: these go to their destinations now. */
  | { readonly type: 'gossiped'; readonly ids: readonly string[]; readonly isGiven: boolean }
  /** `DeliveryStore.enqueue` resolved. Give all that resolved together in ONE input: what arrives together is batched together. */
  | { readonly type: 'enqueued'; readonly results: readonly { readonly call: number; readonly outcome: EnqueueOutcome }[] }
  /** `DeliveryStore.enqueue` failed (DISK_FULL, STORE_FAILED): that submit is rejected with `error`. */
  | { readonly type: 'enqueue-failed'; readonly call: number; readonly error: MeshError }
  /**
   * An outbound message stream to the destination, over the route `via`, is open. `link` names it; a new stream has a new number. `path` such as 'direct'. `capacityBytes`: what the
   * stream can carry at most; no more is under way on it without receipts, and larger messages wait for another one.
   */
  | {
      readonly type: 'connected'
      readonly destination: Uint8Array
      readonly via: Via
      readonly link: number
      readonly path: string
      readonly capacityBytes?: number | undefined
    }
  /** That stream ended: whatever has no receipt is sent again over the next one. */
  | { readonly type: 'disconnected'; readonly destination: Uint8Array; readonly via: Via; readonly link: number }
  /** `connect` failed. The machine waits (backoff) and asks again. */
  | { readonly type: 'unreachable'; readonly destination: Uint8Array; readonly via: Via }
  /** The peer is known to be there (it connected to us, it was discovered, paired …): try now, whatever the backoff says. */
  | { readonly type: 'reachable'; readonly destination: Uint8Array; readonly via: Via }
  /** `DeliveryStore.loadOutbox` resolved. */
  | { readonly type: 'loaded'; readonly token: number; readonly rows: readonly OutboxRow[] }
  | { readonly type: 'load-failed'; readonly token: number; readonly error: MeshError }
  /** A RECEIPTS frame from the authenticated peer `source`, over any stream, whose number is given back when the frame is wrong. Verified here. */
  | { readonly type: 'receipts'; readonly source: Uint8Array; readonly stream?: number; readonly frame: Uint8Array }
  /** `DeliveryStore.settle` resolved, or failed: after DISK_FULL the machine gives the changes again later; after STORE_FAILED it stops. */
  | { readonly type: 'settled'; readonly token: number }
  | { readonly type: 'settle-failed'; readonly token: number; readonly error: MeshError }
  /** Answered by `cancelled`, or by `rejected` (MESSAGE_UNKNOWN, NOT_CANCELLABLE), with the same `call`. */
  | { readonly type: 'cancel'; readonly call: number; readonly id: string }
  /** Try now what waits for its next attempt: all of it, or the destination of one message. Answered by `retried`. The backoff is not reset. */
  | { readonly type: 'retry'; readonly call: number; readonly id: string | undefined }
  /** It is `wakeAt`. */
  | { readonly type: 'wake' }

/** What an OutboxMachine wants done, in order. */
export type OutboxOutput =
  /** Call `DeliveryStore.enqueue(row)`; answer `enqueued` or `enqueue-failed`. */
  | { readonly type: 'enqueue'; readonly call: number; readonly row: OutboxRow }
  /** The submit succeeded: the message is committed (or stood already: `duplicate`). Emitted only after the commit. */
  | { readonly type: 'submitted'; readonly call: number; readonly entry: OutboxEntry; readonly duplicate: boolean }
  /** The call failed: QUOTA, BODY_TOO_LARGE, OPTION_INVALID, ID_CONFLICT, DISK_FULL, MESSAGE_UNKNOWN, NOT_CANCELLABLE … Nothing was changed. */
  | { readonly type: 'rejected'; readonly call: number; readonly error: MeshError }
  /** Call `DeliveryStore.loadOutbox(ids)`; answer `loaded` or `load-failed`. */
  | { readonly type: 'load'; readonly token: number; readonly ids: readonly string[] }
  /** Write `frame` (a BATCH, signed) to the stream `link`. No answer: receipts, `disconnected` or 30 s decide. */
  | {
      readonly type: 'send'
      readonly destination: Uint8Array
      readonly via: Via
      readonly link: number
      readonly frame: Uint8Array
      readonly messages: number
    }
  /** No receipt came over this stream for too long: abort it (TIMEOUT). Its messages are queued again already. */
  | { readonly type: 'reset'; readonly destination: Uint8Array; readonly via: Via; readonly link: number }
  /** Call `DeliveryStore.settle(changes)`; answer `settled` or `settle-failed`. */
  | { readonly type: 'settle'; readonly token: number; readonly changes: readonly OutboxChange[] }
  /** The message's new state is committed: tell whoever waits. The only source of the event `outbox`. */
  | { readonly type: 'state'; readonly entry: OutboxEntry }
  /** Open a message stream to the destination over that route and no other (dialling or building a circuit if needed); answer `connected` or `unreachable` (no answer for 60 s counts as that). At most one at a time for each route. */
  | { readonly type: 'connect'; readonly destination: Uint8Array; readonly via: Via }
  /** Call `DeliveryStore.saveRetry(retry)`; no answer, a failure (but STORE_FAILED) may be ignored. */
  | { readonly type: 'save-retry'; readonly retry: DestinationRetry }
  /** The cancellation is committed. */
  | { readonly type: 'cancelled'; readonly call: number; readonly entry: OutboxEntry }
  /** `count` messages are tried now. */
  | { readonly type: 'retried'; readonly call: number; readonly count: number }
  /** A peer sent a frame that breaks the protocol (MESSAGE_MALFORMED, SIGNATURE_INVALID, IDENTITY_MISMATCH …): close that stream, count it. */
  | { readonly type: 'misbehaved'; readonly source: Uint8Array; readonly stream: number | undefined; readonly error: MeshError }

/** For status and metrics. */
export interface OutboxCounts {
  /** Messages whose sending has not ended. */
  readonly queued: number
  /** Of those, accepted for the direct way. */
  readonly direct: number
  readonly bytes: number
  /** Of those, sent and waiting for a receipt. */
  readonly inFlight: number
}
