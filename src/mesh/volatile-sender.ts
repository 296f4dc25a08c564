import { MeshError } from '../core/base/index.ts'
import { encodeVolatile, messageLimits, type VolatileMessage, volatileOverheadBytes } from '../core/message/index.ts'
import type { FrameStream } from './frame-stream.ts'
import type { MessageLinks } from './message-links.ts'

/** Whom a volatile message goes to. */
export interface VolatileRecipient {
  readonly peerId: string
  readonly publicKey: Uint8Array
}

/** The messages of one frame. They share a promise: what leaves together is done together. */
interface Batch {
  readonly messages: VolatileMessage[]
  bytes: number
  readonly sent: PromiseWithResolvers<void>
}

interface Queue {
  readonly publicKey: Uint8Array
  readonly batches: Batch[]
  bytes: number
}

const frameMessages = 256
const frameBytes = messageLimits.batchBytes
/** What may wait for one peer; a caller that awaits its sends never gets there. */
const maxWaitingBytes = 33_554_432

/** Sends volatile messages: those of one turn of the event loop share frames, and a caller waits while the stream is behind. */
export class VolatileSender {
  readonly #links: MessageLinks
  readonly #queues = new Map<string, Queue>()

  constructor(links: MessageLinks) {
    this.#links = links
  }

  /** Resolves when the message was handed to the stream. @throws {MeshError} PEER_UNREACHABLE, PROTOCOL_LIMIT when 32 MiB wait. */
  send({ peerId, publicKey }: VolatileRecipient, message: VolatileMessage): Promise<void> {
    let queue = this.#queues.get(peerId)
    if (queue === undefined) {
      queue = { publicKey, batches: [], bytes: 0 }
      this.#queues.set(peerId, queue)
      queueMicrotask(() => this.#drain(peerId))
    }
    const bytes = message.body.length + volatileOverheadBytes
    if (queue.bytes > maxWaitingBytes)
      return Promise.reject(new MeshError('PROTOCOL_LIMIT', { protocol: 'volatile messages', reason: '32 MiB wait for the peer' }))
    const batch = batchFor(queue, bytes)
    batch.messages.push(message)
    batch.bytes += bytes
    queue.bytes += bytes
    return batch.sent.promise
  }

  #drain(peerId: string): void {
    const queue = this.#queues.get(peerId)
    const [batch] = queue?.batches ?? []
    if (queue === undefined || batch === undefined) return
    const open = this.#links.outbound(queue.publicKey)
    if (open === undefined || queue.batches.length > 1) {
      void this.#drainAll(queue, peerId)
      return
    }
    this.#queues.delete(peerId)
    void write(batch, open.stream)
  }

  async #drainAll(queue: Queue, peerId: string): Promise<void> {
    try {
      const { stream } = await this.#links.open(queue.publicKey)
      for (let batch = queue.batches.shift(); batch !== undefined; batch = queue.batches.shift()) {
        queue.bytes -= batch.bytes
        await write(batch, stream)
      }
    } catch (error) {
      for (const { sent } of queue.batches) sent.reject(error)
    } finally {
      this.#queues.delete(peerId)
    }
  }
}

/** The last batch of a queue, or a new one when that is full. */
function batchFor({ batches }: Queue, bytes: number): Batch {
  const last = batches.at(-1)
  if (last !== undefined && last.messages.length < frameMessages && last.bytes + bytes <= frameBytes) return last
  const batch = { messages: [], bytes: 0, sent: Promise.withResolvers<void>() }
  batches.push(batch)
  return batch
}

/** Writes one frame; resolves when the stream takes more, whatever became of it. */
async function write({ messages, sent }: Batch, stream: FrameStream): Promise<void> {
  try {
    await stream.send(encodeVolatile(messages))
    sent.resolve()
  } catch (error) {
    sent.reject(error)
  }
}
