import { type Clock, type KemLevel, MeshError, type Pieces, type Random } from '../../core/base/index.ts'
import {
  type Cell,
  type CircuitInput,
  type CircuitOutput,
  ClientCircuit,
  type HopTarget,
  type OnionCrypto,
  type StreamEndReason
} from '../../core/onion/index.ts'
import { Driver } from '../drive.ts'
import type { Timers } from '../ports.ts'
import { CircuitStream } from './circuit-stream.ts'
import type { ClientLink, LinkedCircuit } from './client-link.ts'

/** How a circuit ended. */
export interface CircuitEnding {
  /** undefined: we closed it. */
  readonly error: MeshError | undefined
  /** Who is to blame, from 1, as far as can be told. */
  readonly hop: number | undefined
}

export interface OwnCircuitOptions {
  readonly crypto: OnionCrypto
  readonly random: Random
  readonly clock: Clock
  readonly timers: Timers
  readonly link: ClientLink
  /** Members that it may get, the destination counted. */
  readonly members: number
  /** When the far end is asked whether it is there; by default as the machine does it. */
  readonly probe?: { readonly idleMs: number; readonly deadMs: number } | undefined
  readonly onStreams: (count: number) => void
  /** Once, last. */
  readonly onEnded: (ending: CircuitEnding) => void
}

interface Waiting<Value> {
  readonly resolve: (value: Value) => void
  readonly reject: (error: MeshError) => void
}

interface OpenStream {
  readonly stream: CircuitStream
  readonly opening: Waiting<CircuitStream>
  readonly done: Set<'us' | 'peer'>
}

const maxStreams = 65_535

/** A circuit of our own over a link: the machine, with promises for its answers and FrameStreams for its streams. */
export class OwnCircuit implements LinkedCircuit {
  readonly #options: OwnCircuitOptions
  readonly #machine: ClientCircuit
  readonly #driver: Driver<CircuitInput, CircuitOutput>
  readonly #number: number
  readonly #streams = new Map<number, OpenStream>()
  #extending: Waiting<number> | undefined
  #pings: Waiting<number>[] = []
  #lastStream = 0
  #sent = 0
  #received = 0
  #ending: CircuitEnding | undefined

  /** A circuit without hops over the link. */
  static over(options: OwnCircuitOptions): OwnCircuit {
    let made: OwnCircuit | undefined
    options.link.attach((number) => (made = new OwnCircuit(number, options)))
    if (made === undefined) throw new MeshError('INTERNAL', { reason: 'a link made no circuit' })
    return made
  }

  private constructor(number: number, options: OwnCircuitOptions) {
    const { crypto, random, members, clock, timers, probe } = options
    this.#options = options
    this.#number = number
    this.#machine = new ClientCircuit({ circuit: number, crypto, random, members, ...(probe === undefined ? {} : { probe }) })
    this.#driver = new Driver<CircuitInput, CircuitOutput>(this.#machine, { clock, timers, perform: (output) => this.#perform(output) })
  }

  /** Cells in both directions, and streams that are open. */
  get counters(): { readonly sent: number; readonly received: number; readonly streams: number } {
    return { sent: this.#sent, received: this.#received, streams: this.#streams.size }
  }

  get hasEnded(): boolean {
    return this.#ending !== undefined
  }

  /** Adds a hop; resolves with the milliseconds that it took. @throws {MeshError} CIRCUIT_EXTEND_REFUSED, CIRCUIT_BUILD_TIMEOUT, CIRCUIT_HANDSHAKE_FAILED …; the circuit is over then */
  extend(target: HopTarget, level: KemLevel, timeoutMs: number): Promise<number> {
    return this.#ask((waiting) => {
      this.#extending = waiting
      this.#driver.input({ type: 'extend', target, level, timeoutMs })
    })
  }

  /** The round trip to the last hop in milliseconds. */
  ping(): Promise<number> {
    return this.#ask((waiting) => {
      this.#pings.push(waiting)
      this.#driver.input({ type: 'ping' })
    })
  }

  /** A stream to the last hop, once that has taken it. @throws {MeshError} CIRCUIT_EXTEND_REFUSED when it serves none; PEER_UNREACHABLE, CIRCUIT_DESTROYED */
  open(protocol: string, peer: { readonly peerId: string; readonly publicKey: Uint8Array }): Promise<CircuitStream> {
    return this.#ask((opening) => {
      if (this.#lastStream === maxStreams) return opening.reject(gone({ error: undefined, hop: undefined }))
      const id = ++this.#lastStream
      const port = {
        write: (bytes: Pieces) => this.#inputOf(id, { type: 'write', stream: id, bytes }),
        end: (reason: StreamEndReason) => {
          this.#inputOf(id, { type: 'end', stream: id, reason })
          this.#sideEnded(id, 'us', reason)
        },
        consumed: (bytes: number) => this.#inputOf(id, { type: 'consumed', stream: id, bytes })
      }
      const onClosed = (): void => this.#forget(id)
      const stream = new CircuitStream({ port, ...peer, timers: this.#options.timers, onClosed })
      this.#streams.set(id, { stream, opening, done: new Set() })
      this.#options.onStreams(this.#streams.size)
      this.#driver.input({ type: 'open', stream: id, protocol })
    })
  }

  close(): void {
    this.#driver.input({ type: 'close' })
  }

  receive(cell: Cell): void {
    this.#received += 1
    this.#driver.input({ type: 'cell', cell })
  }

  lost(): void {
    this.#driver.input({ type: 'lost' })
  }

  #ask<Value>(begin: (waiting: Waiting<Value>) => void): Promise<Value> {
    if (this.#ending !== undefined) return Promise.reject(gone(this.#ending))
    const { promise, resolve, reject } = Promise.withResolvers<Value>()
    begin({ resolve, reject })
    return promise
  }

  /** Streams that the machine has forgotten take nothing more. */
  #inputOf(stream: number, input: Extract<CircuitInput, { readonly stream: number }>): void {
    if (this.#ending === undefined && this.#streams.has(stream)) this.#driver.input(input)
  }

  #perform(output: CircuitOutput): void {
    switch (output.type) {
      case 'cell':
        this.#sent += 1
        if (!this.#options.link.send(output.cell)) this.#driver.input({ type: 'lost' })
        return
      case 'extended':
        this.#extending?.resolve(output.tookMs)
        this.#extending = undefined
        return
      case 'pong':
        for (const { resolve } of this.#pings.splice(0)) resolve(output.rttMs)
        return
      case 'ended':
        return this.#ended(output)
      default:
        return this.#streamEvent(output)
    }
  }

  #streamEvent(event: Exclude<CircuitOutput, { readonly type: 'cell' | 'extended' | 'pong' | 'ended' }>): void {
    const open = this.#streams.get(event.stream)
    if (open === undefined) return
    const { stream, opening } = open
    switch (event.type) {
      case 'connected':
        return opening.resolve(stream)
      case 'data':
        return stream.receive(event.bytes)
      case 'full':
      case 'drained':
        return stream.setFull(event.type === 'full')
      case 'end':
        opening.reject(new MeshError('CIRCUIT_EXTEND_REFUSED', { hop: this.#machine.hops, reason: 'it serves no messages over circuits' }))
        this.#sideEnded(event.stream, 'peer', event.reason)
        return stream.peerEnded(event.reason)
      case 'begin':
        return
      default:
        event satisfies never
    }
  }

  #sideEnded(id: number, side: 'us' | 'peer', reason: StreamEndReason): void {
    const open = this.#streams.get(id)
    open?.done.add(side)
    if (open !== undefined && (reason !== 'done' || open.done.size === 2)) this.#forget(id)
  }

  #forget(id: number): void {
    if (this.#streams.delete(id) && this.#ending === undefined) this.#options.onStreams(this.#streams.size)
  }

  #ended({ error, hop }: CircuitEnding): void {
    this.#ending = { error, hop }
    this.#options.link.detach(this.#number)
    const reason = gone(this.#ending)
    for (const { reject } of [...this.#pings, ...(this.#extending === undefined ? [] : [this.#extending])]) reject(reason)
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    for (const { stream, opening } of streams) {
      opening.reject(reason)
      stream.lost(error)
    }
    this.#options.onEnded(this.#ending)
    this.#driver.stop()
  }
}

const gone = ({ error }: CircuitEnding): MeshError => error ?? new MeshError('CIRCUIT_DESTROYED', { reason: 'this node closed it' })
