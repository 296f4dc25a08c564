import type { KemLevel, MeshError, Pieces, Random } from '../base/index.ts'
import type { StreamEndReason, StreamOutput } from './stream-mux.ts'
import type { Cell, HopTarget, OnionCrypto } from './types.ts'

/** What happens to a client's circuit. */
export type CircuitInput =
  /** Makes it one hop longer: the first with CREATE, others with EXTEND. One at a time, and before any stream is opened. */
  | { readonly type: 'extend'; readonly target: HopTarget; readonly level: KemLevel; readonly timeoutMs: number }
  /** A cell of this circuit came in. Its body is the machine's from now on. */
  | { readonly type: 'cell'; readonly cell: Cell }
  /** Opens a stream to the last hop. Streams are numbered upwards from 1, to 65,535 at most. Bytes may be written at once. */
  | { readonly type: 'open'; readonly stream: number; readonly protocol: string }
  /** The bytes must stay as they are. */
  | { readonly type: 'write'; readonly stream: number; readonly bytes: Pieces }
  /** `done`: nothing more is written; otherwise the stream is broken off. */
  | { readonly type: 'end'; readonly stream: number; readonly reason: StreamEndReason }
  /** So many bytes of what `data` gave are used up. */
  | { readonly type: 'consumed'; readonly stream: number; readonly bytes: number }
  /** Measures the way to a hop and back; by default to the last. */
  | { readonly type: 'ping'; readonly hop?: number }
  /** Ends the circuit. */
  | { readonly type: 'close' }
  /** The link to the first hop ended. */
  | { readonly type: 'lost' }
  | { readonly type: 'wake' }

export type CircuitOutput =
  /** Goes to the first hop, after all that were given out before. */
  | { readonly type: 'cell'; readonly cell: Cell }
  /** The hop of this number (from 1) was added, so long after its `extend`. */
  | { readonly type: 'extended'; readonly hop: number; readonly tookMs: number }
  | { readonly type: 'pong'; readonly hop: number; readonly rttMs: number }
  /** Over. `error`: undefined when we closed it. `hop`: who is to blame, as far as can be told. All streams are gone; nothing comes afterwards. */
  | { readonly type: 'ended'; readonly error: MeshError | undefined; readonly hop: number | undefined }
  | StreamOutput

export interface ClientCircuitOptions {
  /** Its number on the link to the first hop. */
  readonly circuit: number
  readonly crypto: OnionCrypto
  readonly random: Random
  /** How many members it may get in all, the destination counted: 1 to 9, which is the default. What of the RELAY_EARLY cells its EXTENDs do not need, others use. */
  readonly members?: number
  /** With nothing heard of the last hop it is asked after `idleMs`, and the circuit ends after `deadMs`. By default 20 s and 30 s. */
  readonly probe?: { readonly idleMs: number; readonly deadMs: number }
}
