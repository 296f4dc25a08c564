import { after, type Clock, type Millis } from '../core/base/index.ts'

/** After a day whoever wants to compare opens a session and compares its words (`quantum`). */
const keptMs = 86_400_000
const maxKept = 1_024

/** The words of the last pairing with each peer, for a day, in memory: they are no secret, and of no use in any other session. */
export class PairingWords {
  readonly #clock: Clock
  readonly #words = new Map<string, { readonly words: readonly string[]; readonly until: Millis }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(peerId: string, words: readonly string[]): void {
    this.#words.delete(peerId)
    if (this.#words.size >= maxKept) this.#words.delete(this.#words.keys().next().value ?? '')
    this.#words.set(peerId, { words, until: after(this.#clock.monotonic(), keptMs) })
  }

  /** undefined when the pairing was longer than a day ago, or before the start of this process. */
  of(peerId: string): readonly string[] | undefined {
    const found = this.#words.get(peerId)
    return found === undefined || found.until <= this.#clock.monotonic() ? undefined : found.words
  }
}
