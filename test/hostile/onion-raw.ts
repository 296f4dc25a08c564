import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { MeshError, type Random } from '../../src/core/base/index.ts'
import { destroyCell, handshakeCells, joinHandshake } from '../../src/core/onion/cell.ts'
import {
  type Cell,
  type CellCommand,
  cellCommands,
  type CellLayer,
  cellSizes,
  chooseCircuit,
  type HopTarget,
  MessageAssembler,
  type OnionCrypto,
  packMessages,
  type RelayMessage
} from '../../src/core/onion/index.ts'
import type { CellLink, LinkHandler } from '../../src/mesh/onion/cell-link.ts'
import type { LinkHosts } from '../../src/mesh/onion/link-host.ts'
import { AddressDialler } from '../../src/node/dial-port.ts'
import { hybridNoise } from '../../src/node/noise.ts'

/** Ephemeral hosts that call from an address of their own: 127.0.0.0/8 is all of this machine's. */
export function hostsFrom(source: string): LinkHosts {
  return {
    start: async () => {
      const dialOpts = { noDelay: true, localAddress: source }
      const libp2p = await createLibp2p({
        addresses: { listen: [], announce: [] },
        transports: [tcp({ dialOpts })],
        connectionEncrypters: hybridNoise({ policy: 'prefer' }),
        streamMuxers: [yamux()],
        connectionManager: { maxConnections: 4_096, maxParallelDials: 64, reconnectRetries: 0 },
        connectionMonitor: { enabled: false },
        services: { dialler: (components: ConstructorParameters<typeof AddressDialler>[0]) => new AddressDialler(components) }
      })
      return { libp2p, dial: { dial: (address, options) => libp2p.services.dialler.dial(address, options) }, stop: async () => libp2p.stop() }
    }
  }
}

/** What more waits than that is not sent at all: the victim does not read so fast. */
const maxQueued = 4_096

/** A link on which anything is sent, and nothing but what is wanted is read. */
export class RawLink implements LinkHandler {
  readonly circuits = 1
  /** Cells that came, by command. */
  readonly came = new Map<CellCommand, number>()
  readonly #link: CellLink
  readonly #queue: Cell[] = []
  readonly #listeners = new Map<number, (cell: Cell) => void>()
  reads = true
  hasEnded = false
  /** Of cells of circuits that nobody listens to. */
  onCell: (cell: Cell) => void = () => undefined

  constructor(link: CellLink) {
    this.#link = link
  }

  get queued(): number {
    return this.#queue.length
  }

  /** False when far too many wait: they are dropped. */
  send(...cells: readonly Cell[]): boolean {
    if (this.hasEnded || this.#queue.length + cells.length > maxQueued) return false
    this.#queue.push(...cells)
    this.#link.wake()
    return true
  }

  listen(circuit: number, listener: (cell: Cell) => void): void {
    this.#listeners.set(circuit, listener)
  }

  close(): void {
    this.#link.close(new MeshError('ABORTED', { operation: 'a link' }))
  }

  take(max: number): readonly Cell[] {
    return this.#queue.splice(0, max)
  }

  receive(cells: readonly Cell[]): void | Promise<void> {
    for (const cell of cells) {
      this.came.set(cell.command, (this.came.get(cell.command) ?? 0) + 1)
      const listener = this.#listeners.get(cell.circuit) ?? this.onCell
      listener(cell)
    }
    return this.reads ? undefined : new Promise(() => undefined)
  }

  ended(): void {
    this.hasEnded = true
  }
}

/** What a circuit of one hop is made with. */
export interface RawCircuitParts {
  readonly link: RawLink
  readonly crypto: OnionCrypto
  readonly random: Random
  readonly target: HopTarget
}

/** A circuit of one hop whose cells are made by hand. */
export class RawCircuit {
  readonly number: number
  readonly #parts: RawCircuitParts
  readonly #layers: { readonly forward: CellLayer; readonly backward: CellLayer }
  readonly #assembler = new MessageAssembler()
  isDestroyed = false
  onMessage: (message: RelayMessage) => void = () => undefined

  private constructor(number: number, parts: RawCircuitParts, layers: { readonly forward: CellLayer; readonly backward: CellLayer }) {
    this.number = number
    this.#parts = parts
    this.#layers = layers
  }

  /** undefined when it is refused, or nothing comes for `timeoutMs`. */
  static async create(parts: RawCircuitParts, timeoutMs = 5_000): Promise<RawCircuit | undefined> {
    const { link, crypto, random, target } = parts
    const number = chooseCircuit(random, () => false)
    const handshake = crypto.begin(target, 1)
    const { promise, resolve } = Promise.withResolvers<RawCircuit | undefined>()
    const timer = setTimeout(() => resolve(undefined), timeoutMs)
    let first: Uint8Array | undefined
    let made: RawCircuit | undefined
    link.listen(number, (cell) => {
      if (made !== undefined) return made.#take(cell)
      if (cell.command === cellCommands.destroy) return resolve(undefined)
      if (cell.command !== cellCommands.created) return
      if (first === undefined) {
        first = cell.body.slice()
        return
      }
      const keys = handshake.finish(joinHandshake(cellCommands.created, first, cell.body))
      made = new RawCircuit(number, parts, { forward: crypto.cipher.layer(keys.forward), backward: crypto.cipher.layer(keys.backward) })
      resolve(made)
    })
    link.send(...handshakeCells(number, { command: cellCommands.create, bytes: handshake.request }, random))
    const circuit = await promise
    clearTimeout(timer)
    return circuit
  }

  send(messages: readonly RelayMessage[], command: CellCommand = cellCommands.relay): boolean {
    return this.#parts.link.send(
      ...packMessages(messages, this.#parts.random).map((body) => {
        this.#layers.forward.decrypt(command, body)
        return { circuit: this.number, command, body }
      })
    )
  }

  /** EXTEND to somebody, with a request that he may answer or not. */
  extend(publicKey: Uint8Array): boolean {
    return this.send([{ type: 'extend', publicKey, request: this.#parts.random.bytes(cellSizes.create) }], cellCommands.relayEarly)
  }

  destroy(): void {
    this.#parts.link.send(destroyCell(this.number, 'none', this.#parts.random))
  }

  #take({ command, body }: Cell): void {
    if (command === cellCommands.destroy) this.isDestroyed = true
    if (command !== cellCommands.relay && command !== cellCommands.relayEarly) return
    this.#layers.backward.decrypt(command, body)
    for (const { message } of this.#assembler.take(body, false).messages) this.onMessage(message)
  }
}
