import type { MeshError, Signer, Verifier } from '../base/index.ts'
import type { Sha256 } from './sha256.ts'
import type { AckOutcome, AdmissionLimits, AdmitOutcome, GroupStanding, InboundMessage, InboxRow, Instant } from './store-port.ts'
import type { Envelope, GroupMark, RefusalCode, Via } from './types.ts'
import type { VolatileMessage } from './volatile.ts'

/** Everything that an InboxMachine is made with. */
export interface InboxOptions {
  readonly signer: Signer
  readonly verifier: Verifier
  /** SHA-256; `nobleSha256` by default, a platform may bring a faster one. */
  readonly sha256?: Sha256
}

/** The authenticated peer at the other end of a stream, and what it is allowed at this moment. */
export interface InboxPeer {
  readonly publicKey: Uint8Array
  readonly limits: AdmissionLimits
  /** How it stands to a group that its message names; unknown unless told. */
  readonly standing?: (group: GroupMark) => GroupStanding
  /** Messages taken from it in a second (with a burst of five seconds' worth); beyond it the stream is paused, volatile ones are dropped. */
  readonly messagesPerSecond: number
}

/** A message that was admitted for the first time: it is committed. */
export interface ArrivedMessage {
  readonly message: InboundMessage
  readonly envelope: Envelope
  readonly position: number
  readonly state: 'unread' | 'held'
}

/** What an InboxMachine is told. `stream` is the driver's number for one stream; `token` answers the output that carried it. */
export type InboxInput =
  /** A BATCH frame; `via` is the route of the stream. `at.monotonic` must be `now`. The machine keeps `frame`: do not reuse its memory. */
  | { readonly type: 'batch'; readonly stream: number; readonly via: Via; readonly peer: InboxPeer; readonly frame: Uint8Array; readonly at: Instant }
  /** A VOLATILE frame. */
  | { readonly type: 'volatile'; readonly stream: number; readonly peer: InboxPeer; readonly frame: Uint8Array }
  /**
   * A message to a whole group, opened and verified, that came by gossip. Like one in a batch, but that nothing is told when it is refused: its sender sends it once more, to this node
   * alone. `at.monotonic` as in `batch`.
   */
  | { readonly type: 'gossip'; readonly peer: InboxPeer; readonly message: InboundMessage; readonly envelope: Envelope }
  /** `DeliveryStore.admit` resolved: only now receipts are made. */
  | { readonly type: 'admitted'; readonly token: number; readonly outcomes: readonly AdmitOutcome[] }
  /** `DeliveryStore.admit` failed: DISK_FULL is told to the sender (it tries again); after STORE_FAILED the machine says nothing more. */
  | { readonly type: 'admit-failed'; readonly token: number; readonly error: MeshError }
  | { readonly type: 'stream-closed'; readonly stream: number }
  /** `DeliveryStore.ack` resolved: the senders get receipts `read`. */
  | { readonly type: 'acked'; readonly outcomes: readonly AckOutcome[] }
  /** `DeliveryStore.release` resolved: the sender gets receipts `stored` for what was held. */
  | { readonly type: 'released'; readonly rows: readonly InboxRow[] }
  /** Receipts can (or can no longer) be sent to this peer over some stream of this route. Receipts for an absent peer wait, bounded. */
  | { readonly type: 'peer-connected'; readonly publicKey: Uint8Array; readonly via: Via }
  | { readonly type: 'peer-disconnected'; readonly publicKey: Uint8Array; readonly via: Via }
  /** It is `wakeAt`. */
  | { readonly type: 'wake' }

/** What an InboxMachine wants done, in order. */
export type InboxOutput =
  /** Call `DeliveryStore.admit(messages, floor, limits)`; answer `admitted` or `admit-failed`. Admits of one source must run in order. */
  | {
      readonly type: 'admit'
      readonly token: number
      readonly messages: readonly InboundMessage[]
      readonly floor: number
      readonly limits: AdmissionLimits
    }
  /** Write `frame` (RECEIPTS, signed) to `stream` when it is still open, else to any message stream of the peer that has the route `via`, never to one of the other, else drop it. */
  | { readonly type: 'receipts'; readonly stream: number | undefined; readonly via: Via; readonly publicKey: Uint8Array; readonly frame: Uint8Array }
  /** New messages, committed: the source of the event `message`. Those `held` raise no event but count as pending. */
  | { readonly type: 'arrived'; readonly publicKey: Uint8Array; readonly messages: readonly ArrivedMessage[] }
  /** Volatile messages to hand to listeners. */
  | { readonly type: 'volatile'; readonly publicKey: Uint8Array; readonly messages: readonly VolatileMessage[] }
  /** Stop (go on) reading frames of this stream: too much waits for the store, or the peer is over its rate. A frame already read may still be given. */
  | { readonly type: 'pause'; readonly stream: number }
  | { readonly type: 'resume'; readonly stream: number }
  /** The peer broke the protocol (MESSAGE_MALFORMED, SIGNATURE_INVALID, IDENTITY_MISMATCH, UNSUPPORTED_VERSION …): abort that stream, count it. */
  | { readonly type: 'misbehaved'; readonly stream: number; readonly publicKey: Uint8Array; readonly error: MeshError }
  /** For metrics: refusals that were signed (durable) or silent (volatile: dropped). */
  | { readonly type: 'refused'; readonly code: RefusalCode | 'NOT_PAIRED'; readonly delivery: 'durable' | 'volatile'; readonly messages: number }
