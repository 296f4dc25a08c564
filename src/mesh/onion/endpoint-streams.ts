import { MeshError } from '../../core/base/index.ts'
import type { StreamOutput } from '../../core/onion/index.ts'
import { nobodysKey } from '../onion-streams.ts'
import type { Timers } from '../ports.ts'
import type { Tracker } from '../tracker.ts'
import { CircuitStream } from './circuit-stream.ts'
import type { InboundCircuitHandler, InboundCircuitStream } from './relay-service.ts'

/** What is unread of all streams together, in bytes; beyond it the fullest one is broken off. */
const maxHeldBytes = 67_108_864
/** Streams of circuits that end here, at one time. Who opens them is known to nobody before the session inside has proved it. */
const maxStreams = 1_024
const nobody = 'somebody over a circuit'

export interface EndpointStreamsOptions {
  readonly timers: Timers
  readonly tracker: Tracker
}

/** The streams that others open to this node over circuits. */
export class EndpointStreams {
  readonly #options: EndpointStreamsOptions
  readonly #streams = new Set<CircuitStream>()
  #handler: ((stream: CircuitStream) => Promise<void>) | undefined

  constructor(options: EndpointStreamsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#streams.size
  }

  /** Hands over streams from now on. */
  serve(handler: (stream: CircuitStream) => Promise<void>): void {
    this.#handler = handler
  }

  /** Takes a stream that somebody opened. */
  take(port: InboundCircuitStream): InboundCircuitHandler {
    const handler = this.#handler
    if (handler === undefined || this.#streams.size >= maxStreams) {
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
    this.#streams.add(stream)
    // What came with BEGIN is handed over first: the machine goes on in this turn.
    queueMicrotask(() => this.#run(stream, handler))
    return { event: (event) => this.#event(stream, event), gone: () => stream.lost(undefined) }
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
        return this.#shed()
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

  #shed(): void {
    let held = 0
    let fullest: CircuitStream | undefined
    for (const stream of this.#streams) {
      held += stream.heldBytes
      if (fullest === undefined || stream.heldBytes > fullest.heldBytes) fullest = stream
    }
    if (held > maxHeldBytes) fullest?.abort(new MeshError('PROTOCOL_LIMIT', { protocol: 'onion', reason: 'too much is unread on this node' }))
  }
}
