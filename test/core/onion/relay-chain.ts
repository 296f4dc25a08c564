import { after, type KemLevel, type Millis, millis, type Random } from '../../../src/core/base/index.ts'
import type { CircuitInput, CircuitOutput } from '../../../src/core/onion/client-circuit-types.ts'
import { ClientCircuit } from '../../../src/core/onion/client-circuit.ts'
import { type Cell, decodeCells, type HopTarget, type OnionCrypto, RelayMachine, type RelayOutput } from '../../../src/core/onion/index.ts'

export type Way = 'forward' | 'backward'

/** Where a cell is: link k leads to member k, and link 0 is the client's. */
export interface Place {
  readonly link: number
  readonly way: Way
}

/** What becomes of a cell on a link: it, others, none; bytes are read as a frame. */
export type Meddle = (cell: Cell, place: Place) => readonly (Cell | Uint8Array)[]

/** The member of a chain as its maker gives it. */
export interface ChainMember {
  readonly target: HopTarget
  readonly crypto: OnionCrypto
}

export interface RelayChainOptions {
  /** The relays in the order of the path, then the destination. */
  readonly members: readonly ChainMember[]
  readonly client: OnionCrypto
  readonly random: Random
}

/** The links of each relay: over the first circuits come, over the second they go on. */
const inward = 1
const outward = 2
const wide = { bytesPerSecond: 1_000_000_000 } as const

interface Flight extends Place {
  readonly what: Cell | Uint8Array
}

/** A client's circuit over real relay machines, one after the other, without sockets; whoever likes meddles with the cells of the links. */
export class RelayChain {
  readonly client: ClientCircuit
  readonly nodes: readonly RelayMachine[]
  readonly outputs: Exclude<CircuitOutput, { readonly type: 'cell' }>[] = []
  /** What came out of streams at the destination. */
  readonly arrived: Uint8Array[] = []
  meddle: Meddle = (cell) => [cell]
  now: Millis = millis(1_000)
  readonly #targets: readonly HopTarget[]
  readonly #flying: Flight[] = []
  readonly #broken = new Set<number>()
  #served: { readonly circuit: number; readonly stream: number } | undefined

  constructor({ members, client, random }: RelayChainOptions) {
    this.#targets = members.map(({ target }) => target)
    this.client = new ClientCircuit({ circuit: 7, crypto: client, random, members: members.length })
    this.nodes = members.map(({ target, crypto }) => {
      const { publicKey } = target
      return new RelayMachine({ crypto, random, publicKey, relay: true, endpoint: true, limits: wide })
    })
    for (const [index] of this.nodes.entries()) {
      const before = this.#targets[index - 1]
      const neighbour = before === undefined ? ({ kind: 'client', prefix: '198.51.100.0/24' } as const) : ({ kind: 'relay', ...before } as const)
      this.#node(index, { type: 'link', link: inward, opener: 'peer', neighbour })
      const behind = this.#targets[index + 1]
      if (behind !== undefined) this.#node(index, { type: 'link', link: outward, opener: 'us', neighbour: { kind: 'relay', ...behind } })
    }
  }

  /** The relays, the destination not counted. */
  get relays(): number {
    return this.nodes.length - 1
  }

  /** Circuits that are left at any member. */
  get circuits(): number {
    return this.nodes.reduce((all, { counters }) => all + counters.circuits, 0)
  }

  input(input: CircuitInput): void {
    for (const output of this.client.handle(input, this.now)) {
      if (output.type === 'cell') this.#send(output.cell, { link: 0, way: 'forward' })
      else this.outputs.push(output)
      if (output.type === 'data') this.input({ type: 'consumed', stream: output.stream, bytes: output.bytes.length })
    }
  }

  /** Adds all hops, and opens a stream at the destination; whether it came to that. */
  build(level: KemLevel = 3): boolean {
    for (const [index, target] of this.#targets.entries()) {
      if (this.client.hasEnded || this.client.hops < index) return false
      this.input({ type: 'extend', target, level, timeoutMs: 60_000 })
      this.settle()
    }
    if (!this.client.isReady) return false
    this.input({ type: 'open', stream: 1, protocol: 'pqs' })
    this.settle()
    return this.#served !== undefined
  }

  /** Writes at one end; cells go out, and nothing is delivered yet. */
  write(way: Way, bytes: Uint8Array): void {
    const served = this.#served
    if (way === 'forward') this.input({ type: 'write', stream: 1, bytes })
    else if (served !== undefined) this.#node(this.relays, { type: 'write', ...served, bytes })
  }

  /** Delivers what is under way, and what follows from it. */
  settle(): void {
    for (let flight = this.#flying.shift(); flight !== undefined; flight = this.#flying.shift()) this.#deliver(flight)
  }

  /** Lets time go by, and everybody look at it. */
  wait(ms: number): void {
    this.now = after(this.now, ms)
    this.input({ type: 'wake' })
    for (const index of this.nodes.keys()) this.#node(index, { type: 'wake' })
    this.settle()
  }

  #send(cell: Cell, place: Place): void {
    if (this.#broken.has(place.link)) return
    for (const what of this.meddle(cell, place)) this.#flying.push({ ...place, what })
  }

  #deliver({ link, way, what }: Flight): void {
    if (this.#broken.has(link)) return
    const cells = what instanceof Uint8Array ? this.#decode(what, link) : [what]
    if (cells.length === 0) return
    if (way === 'forward') this.#node(link, { type: 'cells', link: inward, cells })
    else if (link > 0) this.#node(link - 1, { type: 'cells', link: outward, cells })
    else for (const cell of cells) this.input({ type: 'cell', cell })
  }

  /** A frame that is none ends its link; PADDING never gets as far as a machine, nor do cells of other circuits to this client. */
  #decode(frame: Uint8Array, link: number): readonly Cell[] {
    try {
      return decodeCells(frame).filter(({ circuit, command }) => command !== 0 && command !== 6 && (link > 0 || circuit === 7))
    } catch {
      this.#break(link)
      return []
    }
  }

  #break(link: number): void {
    if (this.#broken.has(link)) return
    this.#broken.add(link)
    this.#node(link, { type: 'unlink', link: inward })
    if (link > 0) this.#node(link - 1, { type: 'unlink', link: outward })
    else this.input({ type: 'lost' })
  }

  #node(index: number, input: Parameters<RelayMachine['handle']>[0]): void {
    const node = this.nodes[index]
    if (node === undefined) return
    for (const output of node.handle(input, this.now)) this.#perform(index, node, output)
  }

  #perform(index: number, node: RelayMachine, output: RelayOutput): void {
    if (output.type === 'ready') {
      const place: Place = output.link === inward ? { link: index, way: 'backward' } : { link: index + 1, way: 'forward' }
      for (const cell of node.take(output.link, 63, this.now)) this.#send(cell, place)
    } else if (output.type === 'connect') this.#node(index, { type: 'connected', token: output.token, link: outward })
    else if (output.type === 'close-link') this.#break(output.link === inward ? index : index + 1)
    else if (output.type === 'stream') {
      const { circuit, event } = output
      if (event.type === 'begin') this.#served = { circuit, stream: event.stream }
      if (event.type === 'data') {
        this.arrived.push(event.bytes)
        this.#node(index, { type: 'consumed', circuit, stream: event.stream, bytes: event.bytes.length })
      }
    }
  }
}
