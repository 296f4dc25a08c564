const slots = 1_024

/** Counters that were seen of one sender under one key: each is taken once, and none that is 1,024 or more behind the highest. */
export class ReplayWindow {
  readonly #seen = new Uint8Array(slots)
  #highest = -1

  /** Whether `counter` is new, and not too old to tell. */
  isNew(counter: number): boolean {
    if (counter > this.#highest) return true
    return counter > this.#highest - slots && this.#seen[counter % slots] === 0
  }

  /** Remembers a counter that is new. */
  add(counter: number): void {
    if (counter > this.#highest) {
      const passed = Math.min(slots, counter - this.#highest)
      for (let step = 1; step <= passed; step++) this.#seen[(counter - passed + step) % slots] = 0
      this.#highest = counter
    }
    this.#seen[counter % slots] = 1
  }
}
