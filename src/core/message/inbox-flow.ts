import type { Millis } from '../base/index.ts'
import type { InboxOutput, InboxPeer } from './inbox-types.ts'
import { mapKey } from './outbox-destination.ts'
import { RateBucket } from './rate-bucket.ts'

/** Bytes of frames that wait for the store: beyond these a stream is paused; below half of them it goes on. */
export const inboxFlowLimits = { streamBytes: 4_194_304, allBytes: 67_108_864, idleBuckets: 4_096 } as const

interface Stream {
  readonly id: number
  readonly key: string
  perSecond: number
  bytes: number
  /** Frames at the store, oldest first. */
  readonly frames: number[]
  isPaused: boolean
  isClosed: boolean
}

/** Keeps what waits for the store, and the rate of each peer, within bounds: by pausing streams, which costs the peer and nobody else. */
export class InboxFlow {
  readonly #streams = new Map<number, Stream>()
  readonly #buckets = new Map<string, RateBucket>()
  readonly #paused = new Set<Stream>()
  #allBytes = 0
  #wakeAt: Millis | undefined
  #changed: Stream | undefined

  get wakeAt(): Millis | undefined {
    return this.#wakeAt
  }

  /** Counts the messages of a frame. */
  count(frame: { readonly stream: number; readonly peer: InboxPeer; readonly messages: number }, now: Millis): void {
    const stream = this.#streams.get(frame.stream) ?? this.#add(frame.stream, frame.peer)
    stream.perSecond = frame.peer.messagesPerSecond
    this.#bucket(stream.key, stream.perSecond, now).take(frame.messages, stream.perSecond, now)
    this.#changed = stream
  }

  /** Counts the bytes of a frame that goes to the store. */
  open(id: number, bytes: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    stream.bytes += bytes
    stream.frames.push(bytes)
    this.#allBytes += bytes
  }

  /** The store answered the oldest frame of a stream. */
  done(id: number): void {
    const stream = this.#streams.get(id)
    const bytes = stream?.frames.shift()
    if (stream === undefined || bytes === undefined) return
    stream.bytes -= bytes
    this.#allBytes -= bytes
    if (stream.isClosed && stream.frames.length === 0) this.#streams.delete(id)
  }

  close(id: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return
    stream.isClosed = true
    this.#paused.delete(stream)
    if (stream.frames.length === 0) this.#streams.delete(id)
  }

  /** Whether so many volatile messages are within the peer's rate; they are counted then. */
  takeVolatile(peer: InboxPeer, messages: number, now: Millis): boolean {
    return this.#bucket(mapKey(peer.publicKey), peer.messagesPerSecond, now).tryTake(messages, peer.messagesPerSecond, now)
  }

  /** Pauses what just went over a bound, and resumes what may go on. */
  advance(now: Millis): readonly InboxOutput[] {
    const out: InboxOutput[] = []
    const stream = this.#changed
    this.#changed = undefined
    if (stream !== undefined && !stream.isPaused && !stream.isClosed && this.#isOver(stream, now)) {
      stream.isPaused = true
      this.#paused.add(stream)
      out.push({ type: 'pause', stream: stream.id })
    }
    this.#wakeAt = undefined
    if (this.#paused.size > 0) this.#resume(out, now)
    return out
  }

  #resume(out: InboxOutput[], now: Millis): void {
    for (const stream of this.#paused) {
      const paidAt = this.#buckets.get(stream.key)?.paidAt(stream.perSecond, now)
      const isLow = stream.bytes <= inboxFlowLimits.streamBytes / 2 && (this.#allBytes <= inboxFlowLimits.allBytes / 2 || stream.bytes === 0)
      if (isLow && paidAt === undefined) {
        stream.isPaused = false
        this.#paused.delete(stream)
        out.push({ type: 'resume', stream: stream.id })
      } else if (paidAt !== undefined && (this.#wakeAt === undefined || paidAt < this.#wakeAt)) this.#wakeAt = paidAt
    }
  }

  #isOver(stream: Stream, now: Millis): boolean {
    if (stream.bytes > inboxFlowLimits.streamBytes || this.#allBytes > inboxFlowLimits.allBytes) return true
    return this.#buckets.get(stream.key)?.paidAt(stream.perSecond, now) !== undefined
  }

  #add(id: number, peer: InboxPeer): Stream {
    const stream: Stream = {
      id,
      key: mapKey(peer.publicKey),
      perSecond: peer.messagesPerSecond,
      bytes: 0,
      frames: [],
      isPaused: false,
      isClosed: false
    }
    this.#streams.set(id, stream)
    return stream
  }

  /** The peer's bucket. The oldest is forgotten beyond the bound: more peers than that are never connected at a time. */
  #bucket(key: string, perSecond: number, now: Millis): RateBucket {
    const known = this.#buckets.get(key)
    if (known !== undefined) return known
    const [oldest] = this.#buckets.keys()
    if (oldest !== undefined && this.#buckets.size >= inboxFlowLimits.idleBuckets) this.#buckets.delete(oldest)
    const bucket = new RateBucket(perSecond, now)
    this.#buckets.set(key, bucket)
    return bucket
  }
}
