import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import { MeshError } from '../core/base/index.ts'
import type { Timers } from '../mesh/ports.ts'
import type { RelayRates } from './relay-rates.ts'

/** Why a circuit was cut: it had carried all its bytes, lived its time, one end did not take what came for it, or the relay stopped. */
export type CutReason = 'bytes' | 'time' | 'stalled' | 'stopping'

/** One end of a circuit: the stream to a peer. */
export interface CircuitEnd {
  readonly peerId: string
  readonly stream: Stream
}

export interface CircuitOptions {
  readonly ends: readonly [CircuitEnd, CircuitEnd]
  /** In each direction. */
  readonly maxBytes: number
  readonly maxSeconds: number
  /** How long an end may take nothing of what waits for it. */
  readonly stallMs: number
  readonly rates: Pick<RelayRates, 'reserveMs'>
  readonly timers: Timers
  readonly onBytes: (bytes: number) => void
  /** One direction waits for its reader (true) or goes on (false). */
  readonly onStall: (isStalled: boolean) => void
  /** Once, when both streams are closed. */
  readonly onEnded: (reason: CutReason | undefined) => void
}

/**
 * Joins two streams into a circuit, with back-pressure instead of buffers: while the reader's stream wants to drain, or the sender is over its rate, nothing is
 * read from the sender, so that at most its window (256 KiB, see relayWindow) waits here. A reader that takes nothing for `stallMs` loses the circuit.
 */
export class Circuit {
  readonly #options: CircuitOptions
  readonly #lanes: readonly [Lane, Lane]
  #cancelEnd: () => void = () => undefined
  #open = 2
  #reason: CutReason | undefined

  constructor(options: CircuitOptions) {
    this.#options = options
    const [a, b] = options.ends
    const lane = (from: CircuitEnd, to: CircuitEnd): Lane => new Lane({ ...options, from, to, cut: (reason) => this.cut(reason) })
    this.#lanes = [lane(a, b), lane(b, a)]
  }

  /** Joins the streams. One of them may be closed already: then `onEnded` is called before this returns. */
  start(): void {
    const { timers, maxSeconds, ends } = this.#options
    this.#cancelEnd = timers.schedule(maxSeconds * 1_000, () => this.cut('time'))
    for (const { stream } of ends) {
      if (stream.status === 'open' || stream.status === 'closing') stream.addEventListener('close', () => this.#closed(stream), { once: true })
      else this.#closed(stream)
    }
    if (this.#open === 0) return
    for (const each of this.#lanes) each.open()
  }

  /** Since when (ms of `performance.now`) one direction has waited for its reader; undefined when none does. */
  get stalledSince(): number | undefined {
    const since = this.#lanes.flatMap((lane) => (lane.stalledSince === undefined ? [] : [lane.stalledSince]))
    return since.length === 0 ? undefined : Math.min(...since)
  }

  /** Ends the circuit now; what is on its way is lost. */
  cut(reason: CutReason): void {
    this.#reason ??= reason
    const error = new MeshError('PROTOCOL_LIMIT', { protocol: 'circuit', reason })
    for (const { stream } of this.#options.ends) stream.abort(error)
  }

  #closed(stream: Stream): void {
    this.#open -= 1
    if (this.#open === 0) {
      this.#cancelEnd()
      for (const lane of this.#lanes) lane.close()
      this.#options.onEnded(this.#reason)
      return
    }
    const [[first, second], [there, back]] = [this.#options.ends, this.#lanes]
    const [other, toHere] = stream === first.stream ? [second, back] : [first, there]
    // It has got all there was for it: the other end still gets what is on its way. Otherwise there is nobody to talk to.
    if (stream.status === 'closed' && toHere.isOver) return
    other.stream.abort(new MeshError('PEER_UNREACHABLE', { peer: 'the other end of the circuit', reason: 'it is gone' }))
  }
}

interface LaneOptions extends CircuitOptions {
  readonly from: CircuitEnd
  readonly to: CircuitEnd
  readonly cut: (reason: CutReason) => void
}

/** The most that one write has: a chunk over the rate is passed on bit by bit. */
const writeBytes = 65_536

type Chunk = StreamMessageEvent['data']

/** One direction of a circuit. */
class Lane {
  readonly #options: LaneOptions
  /** Read already, and not passed on: what the sender's window held when reading began again. */
  readonly #queue: Chunk[] = []
  #offset = 0
  #left: number
  #hasEnded = false
  #isOver = false
  #stalledSince: number | undefined
  #isOverRate = false
  #isResuming = false
  #cancelStall: () => void = () => undefined
  #cancelRate: () => void = () => undefined

  constructor(options: LaneOptions) {
    this.#options = options
    this.#left = options.maxBytes
  }

  /** Whether the sender has said all, and all was given to the reader's stream. */
  get isOver(): boolean {
    return this.#isOver
  }

  get stalledSince(): number | undefined {
    return this.#stalledSince
  }

  open(): void {
    const { from, to } = this.#options
    to.stream.addEventListener('drain', this.#onDrain)
    to.stream.addEventListener('idle', this.#onDrain)
    from.stream.addEventListener('end', this.#onEnd)
    from.stream.addEventListener('message', this.#onMessage)
    if (from.stream.readableEnded) this.#onEnd()
    this.#read()
  }

  close(): void {
    const { from, to } = this.#options
    this.#cancelRate()
    this.#flows()
    this.#queue.length = 0
    to.stream.removeEventListener('drain', this.#onDrain)
    to.stream.removeEventListener('idle', this.#onDrain)
    from.stream.removeEventListener('end', this.#onEnd)
    from.stream.removeEventListener('message', this.#onMessage)
  }

  readonly #onMessage = ({ data }: StreamMessageEvent): void => {
    const { onBytes, cut } = this.#options
    this.#left -= data.byteLength
    if (this.#left < 0) return cut('bytes')
    onBytes(data.byteLength)
    this.#queue.push(data)
    this.#goOn()
  }

  /** After libp2p has tried to send what it had kept. */
  readonly #onDrain = (): void =>
    queueMicrotask(() => {
      if (this.#stalledSince === undefined || this.#options.to.stream.writableNeedsDrain) return
      this.#flows()
      this.#goOn()
    })

  readonly #onEnd = (): void => {
    this.#hasEnded = true
    this.#finish()
  }

  /** Passes on what may be passed on, and reads more only when nothing is left. */
  #goOn(): void {
    const { to, rates, from } = this.#options
    while (!this.#hasToWait && to.stream.writeStatus === 'writable') {
      const chunk = this.#next()
      if (chunk === undefined) break
      this.#waitForRate(rates.reserveMs(from.peerId, chunk.byteLength))
      if (!to.stream.send(chunk)) this.#stalls()
    }
    this.#read()
    this.#finish()
  }

  #next(): Chunk | undefined {
    const [first] = this.#queue
    if (first === undefined) return undefined
    const end = Math.min(first.byteLength, this.#offset + writeBytes)
    const chunk = this.#offset === 0 && end === first.byteLength ? first : first.subarray(this.#offset, end)
    this.#offset = end === first.byteLength ? 0 : end
    if (this.#offset === 0) this.#queue.shift()
    return chunk
  }

  #waitForRate(ms: number): void {
    if (ms <= 0) return
    this.#isOverRate = true
    this.#cancelRate = this.#options.timers.schedule(ms, () => {
      this.#isOverRate = false
      this.#goOn()
    })
  }

  #finish(): void {
    if (!this.#hasEnded || this.#queue.length > 0 || this.#isOver) return
    this.#isOver = true
    const { to, stallMs, cut } = this.#options
    void to.stream.close({ signal: AbortSignal.timeout(stallMs) }).catch(() => {
      if (to.stream.status === 'open' || to.stream.status === 'closing') cut('stalled')
    })
  }

  #stalls(): void {
    if (this.#stalledSince !== undefined) return
    const { timers, stallMs, cut, onStall } = this.#options
    this.#stalledSince = performance.now()
    this.#cancelStall = timers.schedule(stallMs, () => cut('stalled'))
    onStall(true)
  }

  #flows(): void {
    this.#cancelStall()
    if (this.#stalledSince === undefined) return
    this.#stalledSince = undefined
    this.#options.onStall(false)
  }

  get #hasToWait(): boolean {
    return this.#isOverRate || this.#stalledSince !== undefined
  }

  get #mayRead(): boolean {
    return !this.#hasToWait && this.#queue.length === 0
  }

  /** Reads, or does not. A pause within `resume()` would be undone by its end: yamux would go on granting window. */
  #read(): void {
    const { stream } = this.#options.from
    if (this.#isResuming) return
    if (!this.#mayRead) return pauseReading(stream)
    if (stream.readStatus !== 'paused') return
    this.#isResuming = true
    try {
      stream.resume()
    } finally {
      this.#isResuming = false
    }
    if (!this.#mayRead) pauseReading(stream)
  }
}

function pauseReading(stream: Stream): void {
  if (stream.readStatus === 'readable') stream.pause()
}
