import { MeshError } from '../core/base/index.ts'
import { encodeVolatile, messageLimits, type VolatileMessage, volatileOverheadBytes } from '../core/message/index.ts'
import type { MessageLinks } from './message-links.ts'

/** Whom a volatile message goes to. */
export interface VolatileRecipient {
  readonly peerId: string
  readonly publicKey: Uint8Array
}

interface Queue {
  readonly publicKey: Uint8Array
  readonly waiting: Waiting[]
  bytes: number
}

interface Waiting {
  readonly message: VolatileMessage
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const frameMessages = 256
const frameBytes = messageLimits.batchBytes
/** What may wait for one peer; a caller that awaits its sends never gets there. */
const maxWaitingBytes = 33_554_432

/** Sends volatile messages: those of one turn of the event loop leave in one frame, and a caller waits while the stream is behind. */
export class VolatileSender {
  readonly #links: MessageLinks
  readonly #queues = new Map<string, Queue>()

  constructor(links: MessageLinks) {
    this.#links = links
  }

  /** Resolves when the message was handed to the stream. @throws {MeshError} PEER_UNREACHABLE, PROTOCOL_LIMIT when 32 MiB wait. */
  send({ peerId: key, publicKey }: VolatileRecipient, message: VolatileMessage): Promise<void> {
    let queue = this.#queues.get(key)
    if (queue === undefined) {
      queue = { publicKey, waiting: [], bytes: 0 }
      this.#queues.set(key, queue)
      queueMicrotask(() => void this.#drain(key))
    }
    if (queue.bytes > maxWaitingBytes) return Promise.reject(new MeshError('PROTOCOL_LIMIT', { protocol: 'volatile messages', reason: '32 MiB wait for the peer' }))
    queue.bytes += message.body.length + volatileOverheadBytes
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    queue.waiting.push({ message, resolve, reject })
    return promise
  }

  async #drain(key: string): Promise<void> {
    const queue = this.#queues.get(key)
    if (queue === undefined) return
    try {
      const { stream } = await this.#links.open(queue.publicKey)
      while (queue.waiting.length > 0) {
        const batch = takeBatch(queue.waiting)
        for (const { message } of batch) queue.bytes -= message.body.length + volatileOverheadBytes
        await this.#write(batch, (frame) => stream.send(frame))
      }
      this.#queues.delete(key)
    } catch (error) {
      this.#queues.delete(key)
      for (const { reject } of queue.waiting) reject(error)
    }
  }

  async #write(batch: readonly Waiting[], send: (frame: Uint8Array) => Promise<void>): Promise<void> {
    try {
      await send(encodeVolatile(batch.map(({ message }) => message)))
      for (const { resolve } of batch) resolve()
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
}

function takeBatch(waiting: Waiting[]): readonly Waiting[] {
  let bytes = 0
  let count = 0
  for (const { message } of waiting) {
    bytes += message.body.length + volatileOverheadBytes
    if (count > 0 && (bytes > frameBytes || count === frameMessages)) break
    count += 1
  }
  return waiting.splice(0, count)
}
