import type { MeshError, Pieces } from '../base/index.ts'
import type { RelayNeighbour } from './relay-limits.ts'
import type { StreamEndReason, StreamOutput } from './stream-mux.ts'
import type { Cell, ExtendFailure } from './types.ts'

/** What happens to the relaying side of a node. `link` is a link's number, never used twice; `circuit` is the machine's own number of a circuit. */
export type RelayInput =
  | { readonly type: 'link'; readonly link: number; readonly opener: 'us' | 'peer'; readonly neighbour: RelayNeighbour }
  /** Who is at the other end turned out later: a relay that the directory did not have before. */
  | { readonly type: 'neighbour'; readonly link: number; readonly neighbour: RelayNeighbour }
  | { readonly type: 'unlink'; readonly link: number }
  /** Their bodies are the machine's from now on. `ignored`: so many more came that mean nothing, and count for the neighbour's rate. */
  | { readonly type: 'cells'; readonly link: number; readonly cells: readonly Cell[]; readonly ignored?: number }
  /** Answers `connect`: over this link, which we opened as a relay. */
  | { readonly type: 'connected'; readonly token: number; readonly link: number }
  | { readonly type: 'connect-failed'; readonly token: number; readonly reason: ExtendFailure }
  /** Bytes to send on a stream of an endpoint, which must stay as they are. */
  | { readonly type: 'write'; readonly circuit: number; readonly stream: number; readonly bytes: Pieces }
  /** Nothing more is written to a stream, or it is broken off. */
  | { readonly type: 'end'; readonly circuit: number; readonly stream: number; readonly reason: StreamEndReason }
  /** So many bytes of a stream were used up. */
  | { readonly type: 'consumed'; readonly circuit: number; readonly stream: number; readonly bytes: number }
  /** Ends every circuit: the node stops. */
  | { readonly type: 'stop' }
  | { readonly type: 'wake' }

export type RelayOutput =
  /** The link has cells: `take` them. */
  | { readonly type: 'ready'; readonly link: number }
  /** Read nothing more of the link for so long. */
  | { readonly type: 'pause'; readonly link: number; readonly ms: number }
  /** The peer broke the rules: close the link. It is forgotten already. */
  | { readonly type: 'close-link'; readonly link: number; readonly error: MeshError }
  /** Find or open the link to this relay or endpoint, by the verified directory only, for a neighbour by the name under which it is counted. */
  | { readonly type: 'connect'; readonly token: number; readonly publicKey: Uint8Array; readonly neighbour: string }
  /** Of a circuit that ends here, at an endpoint. */
  | { readonly type: 'stream'; readonly circuit: number; readonly event: StreamOutput }
  /** A circuit ended, and its streams with it. */
  | { readonly type: 'ended'; readonly circuit: number }

/** What the relaying side of a node holds and did. */
export interface RelayCounters {
  /** Circuits that are open or being opened. */
  readonly circuits: number
  /** Bytes of cells that wait to be sent. */
  readonly queuedBytes: number
  /** CREATEs that wait for their turn or for a client's work. */
  readonly waitingCreates: number
  readonly cellsForward: number
  readonly cellsBackward: number
  /** Handshakes that were answered, CREATEs that were refused, puzzles that were solved for us. */
  readonly handshakes: number
  readonly refused: number
  readonly puzzles: number
  /** EXTENDs that were taken, and those that failed. */
  readonly extends: number
  readonly extendsFailed: number
  /** Circuits that were ended since somebody broke a rule: garbage at an end, a wrong tag, too many RELAY_EARLY. */
  readonly violations: number
  /** Circuits that were ended since nobody took their cells. */
  readonly stuck: number
}
