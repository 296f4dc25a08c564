import type { WallMillis } from '../core/base/index.ts'
import { isControlType } from '../core/base/control-type.ts'
import { type ArrivedMessage, decodeEnvelope, type InboxRow, type VolatileMessage } from '../core/message/index.ts'
import type { Delivery } from './delivery.ts'
import type { ReceivedMessage } from './mesh.ts'
import type { MeshInbox } from './mesh-inbox.ts'
import type { NodeMetrics } from './node-metrics.ts'
import type { PeerBook } from './peer-book.ts'
import type { PendingRequests } from './pending-requests.ts'
import type { Threads } from './threads.ts'
import { receivedFromEnvelope, receivedFromVolatile } from './received.ts'

export interface ArrivalsOptions {
  readonly book: PeerBook
  readonly metrics: NodeMetrics
  readonly requests: PendingRequests
  readonly threads: Threads
  readonly wall: () => WallMillis
  readonly onMessage: (message: ReceivedMessage) => void
}

/** Gives what arrives to whoever waits for it: a request that it answers, or the handlers of `message`. */
export class Arrivals {
  readonly #options: ArrivalsOptions

  constructor(options: ArrivalsOptions) {
    this.#options = options
  }

  durable(publicKey: Uint8Array, messages: readonly ArrivedMessage[]): void {
    const { book, metrics, threads } = this.#options
    const sender = book.sender(publicKey)
    metrics.arrived(
      messages.flatMap(({ envelope, message }) => (message.control === true ? [] : [envelope.type])),
      'durable'
    )
    const readable = messages.filter(({ state, message }) => state !== 'held' && message.control !== true)
    threads.arrived(readable.map(({ envelope }) => envelope))
    for (const { envelope, position, state, message } of readable)
      this.#deliver(receivedFromEnvelope(envelope, sender, { position, state, receivedAt: message.received.wall, handedOut: 0 }))
  }

  volatile(publicKey: Uint8Array, messages: readonly VolatileMessage[]): void {
    const { book, metrics, threads, wall } = this.#options
    const sender = book.sender(publicKey)
    const receivedAt = wall()
    metrics.arrived(
      messages.map(({ type }) => type),
      'volatile'
    )
    for (const message of messages) {
      if (message.inReplyTo !== undefined) threads.arrivedVolatile(message.id, message.inReplyTo)
      this.#deliver(receivedFromVolatile(message, sender, receivedAt))
    }
  }

  /** Delivers what was held of a peer that is paired now; resolves with how many messages that were. */
  async release(publicKey: Uint8Array, parts: { readonly delivery: Delivery; readonly inbox: MeshInbox }): Promise<number> {
    return this.#deliverRows(await parts.delivery.release(publicKey), parts.inbox)
  }

  /** Delivers what was held of a peer that is a member of this group now. */
  async releaseGroup(
    { publicKey, group }: { readonly publicKey: Uint8Array; readonly group: Uint8Array },
    parts: { readonly delivery: Delivery; readonly inbox: MeshInbox }
  ): Promise<void> {
    this.#deliverRows(await parts.delivery.releaseGroup(publicKey, group), parts.inbox)
  }

  /** How many of the rows are messages for whoever reads here, and not words between nodes. */
  #deliverRows(rows: readonly InboxRow[], inbox: MeshInbox): number {
    const messages = inbox.received(rows.filter(({ envelope }) => !isControlType(decodeEnvelope(envelope).contentType)))
    this.#options.threads.arrived(messages)
    for (const message of messages) this.#deliver(message)
    return messages.length
  }

  #deliver(message: ReceivedMessage): void {
    if (!this.#options.requests.take(message)) this.#options.onMessage(message)
  }
}
