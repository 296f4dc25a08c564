import type { Mesh, ReceivedMessage } from '../../mesh/mesh.ts'
import { messageType, wireMessage } from '../convert.ts'
import { present, type StreamHandler } from './context.ts'

/** Messages that are taken from the inbox at once. */
const batchMessages = 32
/** Volatile messages that wait for a slow reader at most, and bytes of their bodies; older ones go first, as their kind allows. */
const maxVolatile = 1_000
const maxVolatileBytes = 8_388_608

/** A named reader that waits for messages says now and then that it is there: what waits for it goes on waiting. */
const useEveryMs = 3_600_000

/** Messages as they arrive: first the unread ones of the inbox, by position, then what comes. Ends with the caller. */
export const listen: StreamHandler<'listen'> = async function* (input, { mesh, signal, claims }) {
  const { once, consumer, label } = input
  const types = input.type?.map(messageType)
  const from = input.from === undefined ? undefined : (await mesh.peer(input.from)).peerId
  const reader = { ...present({ consumer }) }
  if (consumer !== undefined) await mesh.inbox.useConsumer(consumer)
  const isFor = (message: ReceivedMessage): boolean => label === undefined || message.toLabel === label
  const isWanted = (message: ReceivedMessage): boolean =>
    isFor(message) && (types?.includes(message.type) ?? true) && (from === undefined || message.source.peerId === from)
  const arrivals = new Arrivals(mesh, signal, isWanted)
  const holder = {}
  const mayHave = (message: ReceivedMessage): boolean => !input.claim || claims.claim(holder, consumer ?? '', message)
  let after = 0
  const off = claims.onReleased((position) => {
    after = Math.min(after, position - 1)
    arrivals.wake()
  })
  const use = consumer === undefined ? undefined : setInterval(() => void mesh.inbox.useConsumer(consumer).catch(() => undefined), useEveryMs).unref()
  /** What came next, as far as it is for this caller; undefined when nothing came. */
  const nextMessages = async (): Promise<readonly ReceivedMessage[] | undefined> => {
    const volatile = arrivals.takeVolatile(once ? 1 : maxVolatile)
    if (volatile.length > 0) return volatile.filter(mayHave)
    const limit = once ? 1 : batchMessages
    const { messages, cursor } = await mesh.inbox.list({ after, limit, states: ['unread'], ...present({ types, from }), ...reader }, { signal })
    if (messages.length === 0) return undefined
    after = Math.max(after, cursor)
    const own = messages.filter((message) => isFor(message) && mayHave(message))
    if (own.length > 0) await mesh.inbox.handOut(own, reader)
    return own
  }
  try {
    while (!signal.aborted) {
      const arrived = arrivals.arm()
      const messages = await nextMessages()
      for (const message of messages ?? []) {
        yield wireMessage(message)
        if (once) return
      }
      if (messages === undefined) await arrived
    }
  } finally {
    clearInterval(use)
    off()
    claims.release(holder)
    arrivals.close()
  }
}

/** Remembers that something arrived, and keeps volatile messages until they are taken. */
export class Arrivals {
  readonly #volatile: ReceivedMessage[] = []
  #volatileBytes = 0
  readonly #off: () => void
  readonly #signal: AbortSignal
  #wake: () => void = () => undefined

  constructor(mesh: Pick<Mesh, 'on'>, signal: AbortSignal, isWanted: (message: ReceivedMessage) => boolean) {
    this.#signal = signal
    this.#off = mesh.on('message', (message) => {
      if (message.delivery === 'volatile' && isWanted(message)) {
        this.#keep(message)
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
    const taken = this.#volatile.splice(0, count)
    for (const { body } of taken) this.#volatileBytes -= body.length
    return taken
  }

  #keep(message: ReceivedMessage): void {
    this.#volatile.push(withOwnBody(message))
    this.#volatileBytes += message.body.length
    while (this.#volatile.length > maxVolatile || this.#volatileBytes > maxVolatileBytes)
      this.#volatileBytes -= this.#volatile.shift()?.body.length ?? 0
  }

  close(): void {
    this.#off()
    this.#signal.removeEventListener('abort', this.wake)
  }
}

/** A body is a part of the frame that it came in: kept for itself, it does not keep the whole frame. */
const withOwnBody = (message: ReceivedMessage): ReceivedMessage =>
  message.body.buffer.byteLength > 2 * message.body.length ? { ...message, body: message.body.slice() } : message
