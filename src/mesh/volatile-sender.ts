import { MeshError } from '../core/base/index.ts'
import { encodeVolatile, messageLimits, type VolatileMessage, volatileOverheadBytes } from '../core/message/index.ts'
import type { FrameStream } from './frame-stream.ts'
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
      queueMicrotask(() => this.#drain(key))
    }
    if (queue.bytes > maxWaitingBytes)
      return Promise.reject(new MeshError('PROTOCOL_LIMIT', { protocol: 'volatile messages', reason: '32 MiB wait for the peer' }))
    queue.bytes += weightOf(message)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    queue.waiting.push({ message, resolve, reject })
    return promise
  }

  #drain(key: string): void {
    const queue = this.#queues.get(key)
    if (queue === undefined) return
    const open = this.#links.outbound(queue.publicKey)
    if (open === undefined || queue.bytes > frameBytes || queue.waiting.length > frameMessages) void this.#drainAll(queue, key)
    else {
      this.#queues.delete(key)
      void this.#write(queue, open.stream)
    }
  }

  async #drainAll(queue: Queue, key: string): Promise<void> {
    try {
      const { stream } = await this.#links.open(queue.publicKey)
      while (queue.waiting.length > 0) await this.#write(queue, stream)
      this.#queues.delete(key)
    } catch (error) {
      this.#queues.delete(key)
      for (const { reject } of queue.waiting) reject(error)
    }
  }

  /** Writes one frame; resolves when the stream takes more, whatever became of it. */
  #write(queue: Queue, stream: FrameStream): Promise<void> {
    const batch = takeBatch(queue)
    return send(stream, batch).then(
      () => {
        for (const { resolve } of batch) resolve()
      },
      (error: unknown) => {
        for (const { reject } of batch) reject(error)
      }
    )
  }
}

async function send(stream: FrameStream, batch: readonly Waiting[]): Promise<void> {
  await stream.send(encodeVolatile(batch.map(({ message }) => message)))
}

const weightOf = ({ body }: VolatileMessage): number => body.length + volatileOverheadBytes

/** The messages of the next frame, out of the queue. */
function takeBatch(queue: Queue): readonly Waiting[] {
  let bytes = 0
  let count = 0
  for (const { message } of queue.waiting) {
    const more = weightOf(message)
    if (count > 0 && (bytes + more > frameBytes || count === frameMessages)) break
    bytes += more
    count += 1
  }
  queue.bytes -= bytes
  return queue.waiting.splice(0, count)
}
