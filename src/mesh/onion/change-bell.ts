import type { Timers } from '../ports.ts'

/** What listeners do may cost time when there are thousands of members. */
const quietMs = 250

/** Tells listeners that something changed: at once, then at most once in a quarter of a second, and always after the last change. */
export class ChangeBell {
  readonly #timers: Timers
  readonly #listeners = new Set<() => void>()
  #cancel: (() => void) | undefined
  #isDue = false

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** The returned function ends it. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  ring(): void {
    this.#isDue = true
    if (this.#cancel === undefined) this.#sound()
  }

  stop(): void {
    this.#listeners.clear()
    this.#cancel?.()
  }

  #sound(): void {
    this.#isDue = false
    this.#cancel = this.#timers.schedule(quietMs, () => {
      this.#cancel = undefined
      if (this.#isDue) this.#sound()
    })
    for (const listener of this.#listeners) listener()
  }
}
