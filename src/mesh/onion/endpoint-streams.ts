import { type Clock, MeshError } from '../../core/base/index.ts'
import type { StreamOutput } from '../../core/onion/index.ts'
import { nobodysKey } from '../onion-streams.ts'
import type { Timers } from '../ports.ts'
import { TokenBuckets } from '../token-buckets.ts'
import type { Tracker } from '../tracker.ts'
import { CircuitStream } from './circuit-stream.ts'
import type { InboundCircuitHandler, InboundCircuitStream } from './relay-service.ts'

/** What is unread of all streams together, in bytes; beyond it the fullest one is broken off. */
const maxHeldBytes = 67_108_864
/** So many bytes more may come before it is seen. */
const shedEveryBytes = 262_144
/** Streams of circuits that end here, at one time. Who opens them is known to nobody before the session inside has proved it. */
const maxStreams = 1_024
/** Of them, of circuits of one neighbour; and what may be opened over these: who floods shall leave others their part of what a node does for strangers. */
const maxStreamsOfNeighbour = maxStreams / 4
const neighbourBegins = { perSecond: 10, burst: 64 } as const
const nobody = 'somebody over a circuit'

export interface EndpointStreamsOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly tracker: Tracker
}

/** The streams that others open to this node over circuits. */
export class EndpointStreams {
  readonly #options: EndpointStreamsOptions
  /** Each with the neighbour over which it came. */
  readonly #streams = new Map<CircuitStream, string>()
  readonly #begins: TokenBuckets
  /** Since what is unread was summed up. */
  #cameBytes = 0
  #handler: ((stream: CircuitStream) => Promise<void>) | undefined

  constructor(options: EndpointStreamsOptions) {
    this.#options = options
    this.#begins = new TokenBuckets({ clock: options.clock, ...neighbourBegins })
  }

  get count(): number {
    return this.#streams.size
  }

  /** Hands over streams from now on. */
  serve(handler: (stream: CircuitStream) => Promise<void>): void {
    this.#handler = handler
  }

  /** Takes a stream that somebody opened over a circuit that came from this neighbour. */
  take(port: InboundCircuitStream, neighbour: string): InboundCircuitHandler {
    const handler = this.#handler
    if (handler === undefined || !this.#hasRoom(neighbour)) {
      port.end('refused')
      return { event: () => undefined, gone: () => undefined }
    }
    const stream: CircuitStream = new CircuitStream({
      port,
      peerId: nobody,
      publicKey: nobodysKey,
      timers: this.#options.timers,
      onClosed: () => this.#streams.delete(stream)
    })
    this.#streams.set(stream, neighbour)
    // What came with BEGIN is handed over first: the machine goes on in this turn.
    queueMicrotask(() => this.#run(stream, handler))
    return { event: (event) => this.#event(stream, event), gone: () => stream.lost(undefined) }
  }

  #hasRoom(neighbour: string): boolean {
    if (this.#streams.size >= maxStreams || !this.#begins.take(neighbour)) return false
    let ofNeighbour = 0
    for (const each of this.#streams.values()) if (each === neighbour) ofNeighbour += 1
    return ofNeighbour < maxStreamsOfNeighbour
  }

  #run(stream: CircuitStream, handler: (stream: CircuitStream) => Promise<void>): void {
    const work = handler(stream).then(
      () => stream.close(),
      (error: unknown) => stream.abort(error instanceof MeshError ? error : new MeshError('INTERNAL', { reason: String(error) }, { cause: error }))
    )
    this.#options.tracker.track('a stream over a circuit', work)
  }

  #event(stream: CircuitStream, event: StreamOutput): void {
    switch (event.type) {
      case 'data':
        stream.receive(event.bytes)
        return this.#came(event.bytes.length)
      case 'end':
        return stream.peerEnded(event.reason)
      case 'full':
      case 'drained':
        return stream.setFull(event.type === 'full')
      case 'begin':
      case 'connected':
        return
      default:
        event satisfies never
    }
  }

  /** Looking at all streams costs more than taking what came for one: it is done now and then. */
  #came(bytes: number): void {
    this.#cameBytes += bytes
    if (this.#cameBytes < shedEveryBytes) return
    this.#cameBytes = 0
    this.#shed()
  }

  #shed(): void {
    let held = 0
    let fullest: CircuitStream | undefined
    for (const stream of this.#streams.keys()) {
      held += stream.heldBytes
      if (fullest === undefined || stream.heldBytes > fullest.heldBytes) fullest = stream
    }
    if (held > maxHeldBytes) fullest?.abort(new MeshError('PROTOCOL_LIMIT', { protocol: 'onion', reason: 'too much is unread on this node' }))
  }
}
