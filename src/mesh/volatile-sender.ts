import { type Bytes, type Clock, MeshError, type Millis } from '../core/base/index.ts'
import { type Via, VolatileFrame, type VolatileMessage, volatileOverheadBytes } from '../core/message/index.ts'
import { maxPlaintextBytes } from '../core/session/index.ts'
import type { ConnectionPath } from '../core/nat/index.ts'
import type { MessageLink, MessageLinks } from './message-links.ts'

/** Whom a volatile message goes to. */
export interface VolatileRecipient {
  readonly peerId: string
  readonly publicKey: Uint8Array
  /** The route that it takes. */
  readonly via: Via
}

/** What leaves in one frame: its messages share the moment at which it was begun and a promise, as what leaves together is done together. */
export interface VolatileBatch {
  /** When its first message was sent. */
  readonly begun: Millis
  /** Resolves when the frame was handed to the stream, with the way that it took. @throws {MeshError} PEER_UNREACHABLE */
  readonly sent: Promise<ConnectionPath>
}

interface Batch extends VolatileBatch {
  /** Where the frame is written, unless it grows beyond. */
  readonly memory: Bytes
  readonly frame: VolatileFrame
  readonly settle: PromiseWithResolvers<ConnectionPath>
}

interface Queue {
  readonly publicKey: Uint8Array
  readonly via: Via
  readonly batches: Batch[]
  bytes: number
}

const frameMessages = 256
/** With its length, a full frame fills one record of the session: neither side puts it together from several. */
const frameBytes = maxPlaintextBytes - 4
/** Frames whose memory is kept: a megabyte. */
const keptFrames = 16
/** What may wait for one peer; a caller that awaits its sends never gets there. */
const maxWaitingBytes = 33_554_432

/** Sends volatile messages: those of one turn of the event loop share frames, and a caller waits while the stream is behind. */
export class VolatileSender {
  readonly #links: MessageLinks
  readonly #clock: Clock
  readonly #queues = new Map<string, Queue>()
  /** Memory of frames that were sealed. New memory would be cleared for each frame, and collected as garbage: dearer than all else that is done with it. */
  readonly #free: Bytes[] = []

  constructor(links: MessageLinks, clock: Clock) {
    this.#links = links
    this.#clock = clock
  }

  /** Puts a message into the frame that leaves next. @throws {MeshError} BODY_TOO_LARGE, OPTION_INVALID, PROTOCOL_LIMIT when 32 MiB wait */
  send({ peerId, publicKey, via }: VolatileRecipient, message: VolatileMessage): VolatileBatch {
    // Each route has a queue of its own: what waits for a circuit never leaves with what goes directly.
    const key = via === 'direct' ? peerId : `${via} ${peerId}`
    let queue = this.#queues.get(key)
    if (queue === undefined) {
      queue = { publicKey, via, batches: [], bytes: 0 }
      this.#queues.set(key, queue)
      queueMicrotask(() => this.#drain(key))
    }
    if (queue.bytes > maxWaitingBytes) throw new MeshError('PROTOCOL_LIMIT', { protocol: 'volatile messages', reason: '32 MiB wait for the peer' })
    const bytes = message.body.length + volatileOverheadBytes
    const last = queue.batches.at(-1)
    const fits = last !== undefined && last.frame.count < frameMessages && last.frame.bytes + bytes <= frameBytes
    const batch = fits ? last : this.#begin(bytes)
    const before = batch.frame.bytes
    batch.frame.add(message)
    queue.bytes += batch.frame.bytes - before
    if (!fits) queue.batches.push(batch)
    return batch
  }

  #begin(bytes: number): Batch {
    const settle = Promise.withResolvers<ConnectionPath>()
    const memory = bytes > frameBytes ? new Uint8Array(bytes) : (this.#free.pop() ?? new Uint8Array(frameBytes))
    return { begun: this.#clock.monotonic(), sent: settle.promise, memory, frame: new VolatileFrame(memory), settle }
  }

  #drain(key: string): void {
    const queue = this.#queues.get(key)
    const [batch] = queue?.batches ?? []
    if (queue === undefined || batch === undefined) {
      this.#queues.delete(key)
      return
    }
    const open = this.#links.ready(queue.publicKey, queue.via)
    if (open === undefined || queue.batches.length > 1) {
      void this.#drainAll(queue, key)
      return
    }
    this.#queues.delete(key)
    void this.#write(batch, open)
  }

  async #drainAll(queue: Queue, key: string): Promise<void> {
    const { publicKey, via } = queue
    try {
      const link = this.#links.ready(publicKey, via) ?? (await this.#links.open(publicKey, via))
      for (let batch = queue.batches.shift(); batch !== undefined; batch = queue.batches.shift()) {
        queue.bytes -= batch.frame.bytes
        await this.#write(batch, link)
      }
    } catch (error) {
      for (const { settle } of queue.batches) settle.reject(error)
    } finally {
      this.#queues.delete(key)
    }
  }

  /** Writes one frame; resolves when the stream takes more, whatever became of it. */
  async #write({ memory, frame, settle }: Batch, link: MessageLink): Promise<void> {
    const { stream } = link
    this.#links.used(link)
    try {
      await stream.send(frame.take(), () => this.#recycle(memory))
      settle.resolve(stream.path)
    } catch (error) {
      settle.reject(error)
    }
  }

  #recycle(memory: Bytes): void {
    if (memory.length === frameBytes && this.#free.length < keptFrames) this.#free.push(memory)
  }
}
