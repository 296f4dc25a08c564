import { type Clock, equalBytes, type MeshError, type Pieces, type Random, toMeshError } from '../../core/base/index.ts'
import {
  type Cell,
  type OnionCrypto,
  type RelayCounters,
  type RelayInput,
  type RelayLimitValues,
  RelayMachine,
  type RelayNeighbour,
  type RelayOutput,
  type StreamEndReason,
  type StreamOutput
} from '../../core/onion/index.ts'
import { Driver } from '../drive.ts'
import type { Timers } from '../ports.ts'
import type { Tracker } from '../tracker.ts'
import type { CellLink, CellLinkPort, LinkHandler, LinkPeer } from './cell-link.ts'
import { DialPlaces } from './dial-places.ts'

/** A stream that somebody opened to this node over a circuit; who it is only the session inside can say. */
export interface InboundCircuitStream {
  /** Queues bytes, which must stay as they are. `full` says that it is enough for now. */
  write(bytes: Pieces): void
  /** Nothing more is written (`done`), or the stream is broken off. */
  end(reason: StreamEndReason): void
  /** So many bytes of what `data` gave are used up. */
  consumed(bytes: number): void
}

/** What becomes of a stream. Nothing follows an `end` that is not `done`, nor `gone`. */
export interface InboundCircuitHandler {
  event(event: StreamOutput): void
  /** Its circuit ended. */
  gone(): void
}

export interface RelayServiceOptions {
  readonly links: CellLinkPort
  readonly crypto: OnionCrypto
  readonly random: Random
  readonly clock: Clock
  readonly timers: Timers
  readonly tracker: Tracker
  /** This node's identity key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** Whether circuits are carried on to others (`onion_relay`), and whether they may end here. */
  readonly relay: boolean
  readonly endpoint: boolean
  /** Where a member of the verified directory is dialled; undefined for everybody else. */
  readonly lookup: (publicKey: Uint8Array) => { readonly addresses: readonly string[] } | undefined
  /** Whether the directory has a relay with this key: its links have the limits of relays, all others those of clients. */
  readonly isRelay: (publicKey: Uint8Array) => boolean
  /** Takes streams of circuits that end here; `from` is the neighbour whose circuit it is. */
  readonly onStream: (stream: InboundCircuitStream, from: string) => InboundCircuitHandler
  readonly limits?: Partial<RelayLimitValues>
  /** Links to next hops at one time, default 512: strangers choose who is called. */
  readonly maxLinks?: number
}

const defaultMaxLinks = 512

interface OpenStream {
  readonly handler: InboundCircuitHandler
  /** Who has nothing more to send; with both it is over. */
  readonly done: Set<'us' | 'peer'>
}

interface LinkState {
  readonly link: CellLink
  neighbour: RelayNeighbour
  /** How long to read nothing more, and why the link is to end: what the last cells led to. */
  pauseMs: number
  offence: MeshError | undefined
}

/** The relaying side of a node: runs the machine over links, finds the next hop by the directory, and hands over the streams that end here. */
export class RelayService {
  readonly #options: RelayServiceOptions
  readonly #machine: RelayMachine
  readonly #driver: Driver<RelayInput, RelayOutput>
  readonly #links = new Map<number, LinkState>()
  readonly #streams = new Map<number, Map<number, OpenStream>>()
  readonly #places = new DialPlaces()
  readonly #stopping = new AbortController()

  constructor(options: RelayServiceOptions) {
    const { crypto, random, publicKey, relay, endpoint, limits = {}, clock, timers } = options
    this.#options = options
    this.#machine = new RelayMachine({ crypto, random, publicKey, relay, endpoint, limits })
    this.#driver = new Driver<RelayInput, RelayOutput>(this.#machine, { clock, timers, perform: (output) => this.#perform(output) })
  }

  get counters(): RelayCounters {
    return this.#machine.counters
  }

  /** Takes links of others from now on. Once. */
  async start(): Promise<void> {
    await this.#options.links.serve((link) => this.#handler(link))
  }

  /** Ends all circuits; their neighbours are told as far as their links still send. */
  stop(): void {
    this.#stopping.abort()
    this.#driver.input({ type: 'stop' })
    this.#driver.stop()
  }

  #handler(link: CellLink): LinkHandler {
    const { id } = link
    const state: LinkState = { link, neighbour: this.#neighbour(link.peer), pauseMs: 0, offence: undefined }
    const machine = this.#machine
    this.#links.set(id, state)
    this.#driver.input({ type: 'link', link: id, opener: link.opener, neighbour: state.neighbour })
    return {
      take: (max) => this.#take(id, max),
      receive: (cells, ignored = 0) => this.#receive(state, cells, ignored),
      ended: () => {
        this.#links.delete(id)
        this.#driver.input({ type: 'unlink', link: id })
      },
      get circuits() {
        return machine.circuitsOf(id)
      }
    }
  }

  /** Any key proves itself: only those of the directory's relays count as relays. */
  #neighbour(peer: LinkPeer): RelayNeighbour {
    if (peer.kind === 'relay' && this.#options.isRelay(peer.publicKey)) return peer
    return { kind: 'client', prefix: peer.prefix }
  }

  #take(link: number, max: number): readonly Cell[] {
    const wakeAt = this.#machine.wakeAt
    const cells = this.#machine.take(link, max, this.#options.clock.monotonic())
    // The rest comes when the neighbour may get more.
    if (this.#machine.wakeAt !== wakeAt) this.#driver.input({ type: 'wake' })
    return cells
  }

  /** Its descriptor may have come after its link. */
  #identify(state: LinkState): void {
    if (state.neighbour.kind === 'relay' || state.link.peer.kind === 'client') return
    state.neighbour = this.#neighbour(state.link.peer)
    if (state.neighbour.kind === 'relay') this.#driver.input({ type: 'neighbour', link: state.link.id, neighbour: state.neighbour })
  }

  #receive(state: LinkState, cells: readonly Cell[], ignored: number): void | Promise<void> {
    this.#identify(state)
    state.pauseMs = 0
    this.#driver.input({ type: 'cells', link: state.link.id, cells, ignored })
    if (state.offence !== undefined) throw state.offence
    if (state.pauseMs === 0) return undefined
    return new Promise((resolve) => {
      this.#options.timers.schedule(state.pauseMs, resolve)
    })
  }

  #perform(output: RelayOutput): void {
    switch (output.type) {
      case 'ready':
        this.#links.get(output.link)?.link.wake()
        return
      case 'pause':
        return this.#note(output.link, { pauseMs: output.ms })
      case 'close-link':
        return this.#note(output.link, { offence: output.error })
      case 'connect':
        return this.#options.tracker.track('making a circuit longer', this.#connect(output))
      case 'stream':
        return this.#stream(output.circuit, output.event)
      case 'ended':
        return this.#ended(output.circuit)
      default:
        output satisfies never
    }
  }

  #note(link: number, change: { readonly pauseMs?: number; readonly offence?: MeshError }): void {
    const state = this.#links.get(link)
    if (state !== undefined) Object.assign(state, change)
  }

  async #connect({ token, publicKey, neighbour }: Extract<RelayOutput, { readonly type: 'connect' }>): Promise<void> {
    const located = this.#options.lookup(publicKey)
    if (located === undefined) return this.#driver.input({ type: 'connect-failed', token, reason: 'unknown' })
    const isCall = !this.#isLinked(publicKey)
    if (isCall && !this.#mayCall(publicKey, neighbour)) return this.#driver.input({ type: 'connect-failed', token, reason: 'refused' })
    try {
      const link = await this.#options.links.open({
        as: 'relay',
        publicKey,
        addresses: located.addresses,
        make: (made) => this.#handler(made),
        signal: this.#stopping.signal
      })
      this.#driver.input({ type: 'connected', token, link: link.id })
    } catch (thrown) {
      this.#driver.input({ type: 'connect-failed', token, reason: 'unreachable' })
      if (toMeshError(thrown).code === 'INTERNAL') throw thrown
    } finally {
      if (isCall) this.#places.leave(publicKey)
    }
  }

  #isLinked(publicKey: Uint8Array): boolean {
    return this.#opened().some(({ link: { peer } }) => peer.kind === 'relay' && equalBytes(peer.publicKey, publicKey))
  }

  /** Whether one more next hop may be called; a link without circuits makes room for it. */
  #mayCall(publicKey: Uint8Array, neighbour: string): boolean {
    if (!this.#places.take(neighbour, publicKey)) return false
    const opened = this.#opened()
    if (opened.length < (this.#options.maxLinks ?? defaultMaxLinks)) return true
    const unused = opened.find(({ link }) => this.#machine.circuitsOf(link.id) === 0)
    unused?.link.close()
    if (unused === undefined) this.#places.leave(publicKey)
    return unused !== undefined
  }

  /** Links that this node opened. */
  #opened(): readonly LinkState[] {
    return [...this.#links.values()].filter(({ link }) => link.opener === 'us')
  }

  #stream(circuit: number, event: StreamOutput): void {
    const { stream } = event
    if (event.type === 'begin') this.#begin(circuit, stream)
    this.#streams.get(circuit)?.get(stream)?.handler.event(event)
    if (event.type === 'end') this.#sideEnded(circuit, stream, { side: 'peer', reason: event.reason })
  }

  #begin(circuit: number, stream: number): void {
    const streams = this.#streams.get(circuit) ?? new Map<number, OpenStream>()
    const done = new Set<'us' | 'peer'>()
    let isRefused = false
    const port: InboundCircuitStream = {
      write: (bytes) => this.#driver.input({ type: 'write', circuit, stream, bytes }),
      end: (reason) => {
        isRefused = reason !== 'done'
        this.#driver.input({ type: 'end', circuit, stream, reason })
        this.#sideEnded(circuit, stream, { side: 'us', reason })
      },
      consumed: (bytes) => this.#driver.input({ type: 'consumed', circuit, stream, bytes })
    }
    const handler = this.#options.onStream(port, this.#machine.neighbourOf(circuit) ?? '')
    if (isRefused) return
    streams.set(stream, { handler, done })
    this.#streams.set(circuit, streams)
  }

  #sideEnded(circuit: number, stream: number, { side, reason }: { readonly side: 'us' | 'peer'; readonly reason: StreamEndReason }): void {
    const streams = this.#streams.get(circuit)
    const open = streams?.get(stream)
    if (streams === undefined || open === undefined) return
    open.done.add(side)
    if (reason === 'done' && open.done.size < 2) return
    streams.delete(stream)
    if (streams.size === 0) this.#streams.delete(circuit)
  }

  #ended(circuit: number): void {
    const streams = this.#streams.get(circuit)
    this.#streams.delete(circuit)
    for (const { handler } of streams?.values() ?? []) handler.gone()
  }
}
