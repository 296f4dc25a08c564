import { type MeshError, type Millis, millis, type Random, toHex } from '../../../src/core/base/index.ts'
import { decodeCells, encodeCells } from '../../../src/core/onion/cell.ts'
import type { CircuitInput, CircuitOutput } from '../../../src/core/onion/client-circuit-types.ts'
import { ClientCircuit } from '../../../src/core/onion/client-circuit.ts'
import { PuzzleSolver } from '../../../src/core/onion/puzzle.ts'
import { demandIn, solutionCell } from '../../../src/core/onion/puzzle-cells.ts'
import type { RelayNeighbour } from '../../../src/core/onion/relay-limits.ts'
import { RelayMachine, type RelayMachineOptions } from '../../../src/core/onion/relay-machine.ts'
import type { RelayInput, RelayOutput } from '../../../src/core/onion/relay-types.ts'
import { type Cell, cellCommands, type HopTarget, type OnionCrypto } from '../../../src/core/onion/types.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { cheapCrypto, digest } from './cheap-crypto.ts'

/** One end of a link in the world. */
interface LinkEnd {
  readonly id: number
  /** Gives cells to whoever is at this end. */
  readonly receive: (cells: readonly Cell[]) => void
  readonly close: () => void
}

export interface WorldNode {
  readonly name: string
  readonly target: HopTarget
  readonly machine: RelayMachine
  /** What it gave out that is no affair of the world: streams, ends of circuits, pauses, links that it closed. */
  readonly outputs: RelayOutput[]
  input(input: RelayInput): void
}

/** Somebody at the opener's end of a link to a relay who does as he likes. */
export class Outsider {
  readonly received: Cell[] = []
  /** Whether what the relay has for this link is taken. */
  reads = true
  isClosed = false
  readonly #world: RelayWorld
  readonly #to: WorldNode
  readonly #linkId: number

  constructor(world: RelayWorld, to: WorldNode, linkId: number) {
    this.#world = world
    this.#to = to
    this.#linkId = linkId
  }

  get link(): number {
    return this.#linkId
  }

  send(...cells: readonly Cell[]): void {
    for (let at = 0; at < cells.length; at += 63) this.#to.input({ type: 'cells', link: this.#linkId, cells: copied(cells.slice(at, at + 63)) })
  }

  /** Those of a command, oldest first. */
  of(command: Cell['command'], circuit?: number): readonly Cell[] {
    return this.received.filter((cell) => cell.command === command && (circuit === undefined || cell.circuit === circuit))
  }

  /** Takes what waits for it at the relay. */
  takeAll(): void {
    this.#world.pull(this.#to, this.#linkId)
  }

  close(): void {
    this.#world.cut(this.#to, this.#linkId)
  }
}

/** A client with one link, on which it has circuits. */
export class WorldClient {
  readonly outsider: Outsider
  readonly #world: RelayWorld
  readonly #crypto: OnionCrypto
  readonly #guard: WorldNode
  readonly #circuits = new Map<number, WorldCircuit>()
  #lastCircuit = 0
  /** The cells that it paid with. */
  readonly solutions: Cell[] = []

  constructor(world: RelayWorld, guard: WorldNode, prefix: string) {
    this.#world = world
    this.#guard = guard
    this.#crypto = cheapCrypto(new Uint8Array(32), world.random)
    this.outsider = world.outsider(guard, { kind: 'client', prefix }, (cells) => this.#receive(cells))
  }

  circuit(): WorldCircuit {
    this.#lastCircuit += 1
    const circuit = new WorldCircuit(this.#world, this.outsider, { circuit: this.#lastCircuit, crypto: this.#crypto, random: this.#world.random })
    this.#circuits.set(this.#lastCircuit, circuit)
    return circuit
  }

  #receive(cells: readonly Cell[]): void {
    for (const cell of cells) {
      if (cell.command === cellCommands.link) this.#work(cell)
      else this.#circuits.get(cell.circuit)?.input({ type: 'cell', cell })
    }
  }

  #work(cell: Cell): void {
    const demand = demandIn(cell.body)
    if (demand === undefined) return
    const nonce = new PuzzleSolver({ ...demand, relay: this.#guard.target.publicKey }).step(2 ** 24)
    if (nonce === undefined) return
    const solution = solutionCell({ seed: demand.seed, nonce }, this.#world.random)
    this.solutions.push(solution)
    this.outsider.send(solution)
  }

  get puzzles(): number {
    return this.solutions.length
  }
}

export class WorldCircuit {
  readonly outputs: CircuitOutput[] = []
  readonly machine: ClientCircuit
  readonly id: number
  readonly #world: RelayWorld
  readonly #outsider: Outsider

  constructor(world: RelayWorld, outsider: Outsider, options: ConstructorParameters<typeof ClientCircuit>[0]) {
    this.#world = world
    this.#outsider = outsider
    this.id = options.circuit
    this.machine = new ClientCircuit(options)
  }

  input(input: CircuitInput): void {
    const outputs = this.machine.handle(input, this.#world.now)
    this.outputs.push(...outputs.filter(({ type }) => type !== 'cell'))
    const cells = outputs.flatMap((output) => (output.type === 'cell' ? [output.cell] : []))
    if (cells.length > 0) this.#world.later(() => this.#outsider.send(...cells))
  }

  extend(to: WorldNode): this {
    this.input({ type: 'extend', target: to.target, level: 3, timeoutMs: 10_000 })
    return this
  }

  /** Builds over these hops, one after the other; whether it came to the end. */
  build(...hops: readonly WorldNode[]): boolean {
    for (const hop of hops) {
      if (this.machine.hasEnded) return false
      this.extend(hop)
      this.#world.settle()
    }
    return !this.machine.hasEnded && this.machine.hops === hops.length
  }

  get error(): MeshError | undefined {
    return this.outputs.find((output) => output.type === 'ended')?.error
  }

  /** The bytes that came on a stream. */
  data(stream: number): Uint8Array {
    return Buffer.concat(this.outputs.flatMap((output) => (output.type === 'data' && output.stream === stream ? [output.bytes] : [])))
  }
}

/** Relays and their neighbours without sockets, on a clock of their own. */
export class RelayWorld {
  readonly random: Random
  now: Millis = millis(1_000)
  readonly nodes = new Map<string, WorldNode>()
  readonly #tasks: (() => void)[] = []
  /** The other end of each end of a link. */
  readonly #peers = new Map<string, LinkEnd>()
  /** Ends from which nothing is taken. */
  readonly #isStalled: ((node: WorldNode, link: number) => boolean)[] = []
  /** Links between relays, by `opener acceptor`. */
  readonly #between = new Map<string, { readonly opener: number }>()
  readonly #silent = new Set<string>()
  #lastLink = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  relay(name: string, options: Partial<RelayMachineOptions> = {}): WorldNode {
    const publicKey = digest('identity', name)
    const crypto = cheapCrypto(publicKey, this.random)
    const machine = new RelayMachine({ crypto, random: this.random, publicKey, relay: true, endpoint: true, ...options })
    const node: WorldNode = {
      name,
      target: { publicKey, onionKey: digest('onion', name) },
      machine,
      outputs: [],
      input: (input) => this.#perform(node, machine.handle(input, this.now))
    }
    this.nodes.set(toHex(publicKey), node)
    return node
  }

  outsider(to: WorldNode, neighbour: RelayNeighbour, onCells?: (cells: readonly Cell[]) => void): Outsider {
    this.#lastLink += 1
    const outsider = new Outsider(this, to, this.#lastLink)
    this.#isStalled.push((node, link) => node === to && link === outsider.link && !outsider.reads)
    this.#peers.set(endOf(to, this.#lastLink), {
      id: 0,
      receive: (cells) => {
        outsider.received.push(...cells)
        onCells?.(cells)
      },
      close: () => {
        outsider.isClosed = true
      }
    })
    to.input({ type: 'link', link: this.#lastLink, opener: 'peer', neighbour })
    return outsider
  }

  /** A link that `from` opens to somebody who does as he likes; answers the `connect`s for him from then on. */
  acceptor(from: WorldNode, publicKey: Uint8Array): Outsider {
    this.#lastLink += 1
    const link = this.#lastLink
    const outsider = new Outsider(this, from, link)
    this.#isStalled.push((node, id) => node === from && id === link && !outsider.reads)
    this.#peers.set(endOf(from, link), {
      id: 0,
      receive: (cells) => outsider.received.push(...cells),
      close: () => {
        outsider.isClosed = true
      }
    })
    from.input({ type: 'link', link, opener: 'us', neighbour: { kind: 'relay', publicKey } })
    this.#between.set(`${from.name} ${toHex(publicKey)}`, { opener: link })
    return outsider
  }

  /** Whoever is to be extended to this key waits for ever. */
  neverAnswers(publicKey: Uint8Array): void {
    this.#silent.add(toHex(publicKey))
  }

  later(task: () => void): void {
    this.#tasks.push(task)
  }

  /** Runs until nothing is under way; time moves on by what the handshakes wait for, at most a second. */
  settle(): void {
    const until = this.now + 1_000
    do {
      this.#run()
      const next = Math.min(...[...this.nodes.values()].map(({ machine }) => machine.wakeAt ?? Number.POSITIVE_INFINITY))
      if (next >= until) return
      this.now = millis(Math.max(this.now, next))
      for (const node of this.nodes.values()) node.input({ type: 'wake' })
    } while (this.now < until)
  }

  /** Lets time go by, with everybody woken when he wants it. */
  advance(ms: number): void {
    const until = this.now + ms
    for (;;) {
      this.settle()
      const next = Math.min(...[...this.nodes.values()].map(({ machine }) => machine.wakeAt ?? Number.POSITIVE_INFINITY))
      if (next > until) break
      this.now = millis(Math.max(this.now, next))
      for (const node of this.nodes.values()) node.input({ type: 'wake' })
    }
    this.now = millis(Math.max(this.now, until))
    for (const node of this.nodes.values()) node.input({ type: 'wake' })
    this.#run()
  }

  pull(node: WorldNode, link: number): void {
    const peer = this.#peers.get(endOf(node, link))
    for (let cells = node.machine.take(link, 63, this.now); cells.length > 0; cells = node.machine.take(link, 63, this.now))
      peer?.receive(copied(cells))
  }

  /** Ends a link at both ends. */
  cut(node: WorldNode, link: number): void {
    const peer = this.#peers.get(endOf(node, link))
    this.#peers.delete(endOf(node, link))
    node.input({ type: 'unlink', link })
    peer?.close()
  }

  #run(): void {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) task()
  }

  #perform(node: WorldNode, outputs: readonly RelayOutput[]): void {
    for (const output of outputs) {
      if (output.type === 'ready') this.#ready(node, output.link)
      else if (output.type === 'connect') this.later(() => this.#connect(node, output.token, output.publicKey))
      else node.outputs.push(output)
      if (output.type === 'close-link') this.later(() => this.cut(node, output.link))
    }
  }

  #ready(node: WorldNode, link: number): void {
    if (!this.#isStalled.some((isStalled) => isStalled(node, link))) this.later(() => this.pull(node, link))
  }

  #connect(from: WorldNode, token: number, publicKey: Uint8Array): void {
    if (this.#silent.has(toHex(publicKey))) return
    const key = `${from.name} ${toHex(publicKey)}`
    const link = this.#between.get(key) ?? this.#link(from, publicKey)
    if (link === undefined) return from.input({ type: 'connect-failed', token, reason: 'unknown' })
    this.#between.set(key, link)
    from.input({ type: 'connected', token, link: link.opener })
  }

  #link(from: WorldNode, publicKey: Uint8Array): { readonly opener: number } | undefined {
    const to = this.nodes.get(toHex(publicKey))
    if (to === undefined) return undefined
    const opener = this.#lastLink + 1
    const acceptor = this.#lastLink + 2
    this.#lastLink += 2
    const end = (node: WorldNode, id: number): LinkEnd => ({
      id,
      receive: (cells) => this.later(() => node.input({ type: 'cells', link: id, cells })),
      close: () => node.input({ type: 'unlink', link: id })
    })
    this.#peers.set(endOf(from, opener), end(to, acceptor))
    this.#peers.set(endOf(to, acceptor), end(from, opener))
    to.input({ type: 'link', link: acceptor, opener: 'peer', neighbour: { kind: 'relay', publicKey: from.target.publicKey } })
    from.input({ type: 'link', link: opener, opener: 'us', neighbour: { kind: 'relay', publicKey } })
    return { opener }
  }
}

const endOf = (node: WorldNode, link: number): string => `${node.name} ${link}`

/** As if they had gone over a wire: both ends have bytes of their own. */
const copied = (cells: readonly Cell[]): readonly Cell[] => decodeCells(encodeCells(cells).slice())
