import type { Catalogue, OutputOf } from '../../api/index.ts'

/** A message as `listen --json` prints it, and as a handler gets it. */
export type HeardMessage = OutputOf<Catalogue['inboxRead']>['messages'][number]

/** What came of one try to handle a message. */
export interface Handled {
  /** `interrupted`: ended from outside, so that nothing is known of it. */
  readonly outcome: 'done' | 'failed' | 'interrupted'
  /** Another try would come to the same. */
  readonly isFinal?: boolean
  readonly reason?: string
  readonly exitCode?: number
  readonly signal?: string
  readonly httpStatus?: number
  /** The other side asks for this much patience, in milliseconds. */
  readonly retryAfterMs?: number
  /** What may be sent as the Response. */
  readonly answer: Buffer
  readonly stdout: string
  readonly stderr: string
  readonly dropped: { readonly stdout: number; readonly stderr: number }
}

/** Handles one message; never throws. `interrupted` ends it before its time. */
export type Handle = (message: HeardMessage, interrupted: AbortSignal) => Promise<Handled>

/** The beginning of what a handler says; the rest is counted and dropped. */
export class KeptOutput {
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #kept = 0
  dropped = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  add(chunk: Buffer): void {
    const part = chunk.subarray(0, this.#maxBytes - this.#kept)
    if (part.length > 0) this.#chunks.push(part)
    this.#kept += part.length
    this.dropped += chunk.length - part.length
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

/** Kept of what a handler writes; where it is an answer, as much as a message may have. */
export const keptBytes = 65_536
