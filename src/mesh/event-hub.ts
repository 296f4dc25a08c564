/** Typed events: handlers are called in order, and a handler's error goes to `onError`, never to the caller of `emit`. */
export class EventHub<Events extends object> {
  readonly #handlers = new Map<keyof Events, Set<(value: never) => void>>()
  readonly #onError: (event: keyof Events, error: unknown) => void

  constructor(onError: (event: keyof Events, error: unknown) => void) {
    this.#onError = onError
  }

  /** Calls `handler` for each `event` from now on; the returned function ends that. */
  on<Name extends keyof Events>(event: Name, handler: (value: Events[Name]) => void): () => void {
    const handlers = this.#handlers.get(event) ?? new Set()
    this.#handlers.set(event, handlers)
    // One wrapper for each registration, so that the same function may be registered twice.
    const wrapper = (value: never): void => handler(value)
    handlers.add(wrapper)
    return () => handlers.delete(wrapper)
  }

  has(event: keyof Events): boolean {
    return (this.#handlers.get(event)?.size ?? 0) > 0
  }

  emit<Name extends keyof Events>(event: Name, value: Events[Name]): void {
    for (const handler of this.#handlers.get(event) ?? []) {
      try {
        handler(value as never)
      } catch (error) {
        this.#onError(event, error)
      }
    }
  }
}
