interface Gate {
  readonly promise: Promise<void>
  readonly open: () => void
}

/** Pauses of the reading of message streams, by the stream's number. */
export class ReadingGates {
  readonly #gates = new Map<number, Gate>()

  /** Resolves when the stream may be read; undefined when it may now. */
  wait(stream: number): Promise<void> | undefined {
    return this.#gates.get(stream)?.promise
  }

  pause(stream: number): void {
    if (this.#gates.has(stream)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gates.set(stream, { promise, open: resolve })
  }

  resume(stream: number): void {
    this.#gates.get(stream)?.open()
    this.#gates.delete(stream)
  }

  /** Lets everybody through, at the end. */
  openAll(): void {
    for (const { open } of this.#gates.values()) open()
  }
}
