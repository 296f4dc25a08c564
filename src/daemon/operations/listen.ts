import type { Mesh, ReceivedMessage } from '../../mesh/mesh.ts'
import { messageType, wireMessage } from '../convert.ts'
import { present, type StreamHandler } from './context.ts'

/** Messages that are taken from the inbox at once. */
const batchMessages = 32
/** Volatile messages that wait for a slow reader at most; older ones go first, as their kind allows. */
const maxVolatile = 1_000

/** Messages as they arrive: first the unread ones of the inbox, by position, then what comes. Ends with the caller. */
export const listen: StreamHandler<'listen'> = async function* (input, { mesh, signal }) {
  const types = input.type?.map(messageType)
  const from = input.from === undefined ? undefined : (await mesh.peer(input.from)).peerId
  const arrivals = new Arrivals(
    mesh,
    signal,
    (message) => (types?.includes(message.type) ?? true) && (from === undefined || message.source.peerId === from)
  )
  let after = 0
  const nextMessages = async (): Promise<readonly ReceivedMessage[]> => {
    const volatile = arrivals.takeVolatile(input.once ? 1 : maxVolatile)
    if (volatile.length > 0) return volatile
    const query = { after, limit: input.once ? 1 : batchMessages, states: ['unread'], handOut: true, ...present({ types, from }) } as const
    const { messages } = await mesh.inbox.list(query, { signal })
    return messages
  }
  try {
    while (!signal.aborted) {
      const arrived = arrivals.arm()
      const messages = await nextMessages()
      for (const message of messages) {
        after = Math.max(after, message.position)
        yield wireMessage(message)
        if (input.once) return
      }
      if (messages.length === 0) await arrived
    }
  } finally {
    arrivals.close()
  }
}

/** Remembers that something arrived, and keeps volatile messages until they are taken. */
class Arrivals {
  readonly #volatile: ReceivedMessage[] = []
  readonly #off: () => void
  readonly #signal: AbortSignal
  #wake: () => void = () => undefined

  constructor(mesh: Mesh, signal: AbortSignal, isWanted: (message: ReceivedMessage) => boolean) {
    this.#signal = signal
    this.#off = mesh.on('message', (message) => {
      if (message.delivery === 'volatile' && isWanted(message)) {
        this.#volatile.push(message)
        if (this.#volatile.length > maxVolatile) this.#volatile.shift()
      }
      this.#wake()
    })
    signal.addEventListener('abort', this.wake, { once: true })
  }

  readonly wake = (): void => this.#wake()

  /** Resolves when something arrives from now on, or the caller is gone. */
  arm(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    if (this.#signal.aborted || this.#volatile.length > 0) resolve()
    return promise
  }

  takeVolatile(count: number): readonly ReceivedMessage[] {
    return this.#volatile.splice(0, count)
  }

  close(): void {
    this.#off()
    this.#signal.removeEventListener('abort', this.wake)
  }
}
