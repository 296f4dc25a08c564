import { startDeadline, within } from './deadline.ts'
import type { CallOptions, ReceivedMessage } from './mesh.ts'
import type { Timers } from './ports.ts'

/** The default deadline of a request. */
export const requestTimeoutMs = 30_000

interface Pending {
  readonly peerId: string
  readonly resolve: (response: ReceivedMessage) => void
}

/** Requests of this process that wait for their Response: by id, from the peer that was asked. */
export class PendingRequests {
  readonly #timers: Timers
  readonly #pending = new Map<string, Pending>()

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Whether `message` answers a request that waits here; the one who waits gets it. */
  take(message: ReceivedMessage): boolean {
    if (message.type !== 'Response' || message.inReplyTo === undefined) return false
    const pending = this.#pending.get(message.inReplyTo)
    if (pending === undefined || pending.peerId !== message.source.peerId) return false
    this.#pending.delete(message.inReplyTo)
    pending.resolve(message)
    return true
  }

  /** Sends by `send` and waits for the Response. @throws {MeshError} TIMEOUT, ABORTED, and what `send` throws */
  async ask(request: { readonly id: string; readonly peerId: string }, send: () => Promise<unknown>, call: CallOptions): Promise<ReceivedMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<ReceivedMessage>()
    this.#pending.set(request.id, { peerId: request.peerId, resolve })
    const operation = `The answer to ${request.id}, which may still come,`
    using deadline = startDeadline(this.#timers, { operation, timeoutMs: call.timeoutMs ?? requestTimeoutMs, signal: call.signal })
    try {
      send().catch(reject)
      return await within(deadline, promise)
    } finally {
      this.#pending.delete(request.id)
    }
  }
}
