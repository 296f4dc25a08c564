import { ByteWriter } from '../core/base/index.ts'

const none = 0
const some = 1
const maxKept = 512

/** The newest cards of connected peers as they signed them, to be shown to themselves: see twin-watch.ts. At most 512; the one that came first goes. */
export class KeptCards {
  readonly #cards = new Map<string, Uint8Array>()

  keep(peerId: string, bytes: Uint8Array): void {
    this.#cards.delete(peerId)
    if (this.#cards.size >= maxKept) this.#cards.delete(this.#cards.keys().next().value ?? '')
    this.#cards.set(peerId, bytes.slice())
  }

  forget(peerId: string): void {
    this.#cards.delete(peerId)
  }

  /** The answer to a peer that asks for its own. */
  answer(peerId: string): Uint8Array {
    const kept = this.#cards.get(peerId)
    return kept === undefined ? Uint8Array.of(none) : new ByteWriter().u8(some).raw(kept).finish()
  }
}

/** The card in an answer; undefined when the peer has none. */
export const cardInAnswer = (answer: Uint8Array): Uint8Array | undefined => (answer[0] === some ? answer.subarray(1) : undefined)
