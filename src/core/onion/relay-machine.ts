import { after, earliest, type Machine, MeshError, type Millis, type Random } from '../base/index.ts'
import { CellQueues } from './cell-queues.ts'
import type { EndOutput, RelayCellCommand } from './circuit-end.ts'
import { isRecognised } from './recognised.ts'
import { RelayExtender } from './relay-extender.ts'
import { RelayIntake } from './relay-intake.ts'
import { RelayLimits, type RelayLimitValues } from './relay-limits.ts'
import { type RelayCircuit, type RelayLink, RelayTable } from './relay-table.ts'
import type { RelayCounters, RelayInput, RelayOutput } from './relay-types.ts'
import { type Cell, type CellCommand, cellCommands, maxRelayEarly, type OnionCrypto } from './types.ts'

export interface RelayMachineOptions {
  readonly crypto: OnionCrypto
  readonly random: Random
  /** This node's identity key: nobody is extended to it. */
  readonly publicKey: Uint8Array
  /** Whether it carries circuits on to others; otherwise every EXTEND is refused. */
  readonly relay: boolean
  /** Whether circuits may end here: then streams of `pqs` are served. */
  readonly endpoint: boolean
  readonly limits?: Partial<RelayLimitValues>
  /** Bounds of what waits to be sent; see `cellQueueLimits`. */
  readonly queues?: { readonly circuitCells?: number; readonly bytes?: number }
}

/** How long a link waits whose neighbour got as much as it may. */
const throttleMs = 10

/**
 * The relaying side of a node: circuits of others, of which it knows the two neighbours and nothing more. It answers CREATE, carries RELAY cells both ways
 * through its one layer, extends circuits, and serves streams where it is the endpoint. Cells to send are fetched with `take`.
 */
export class RelayMachine implements Machine<RelayInput, RelayOutput> {
  readonly #limits: RelayLimits
  readonly #table: RelayTable
  readonly #intake: RelayIntake
  readonly #extender: RelayExtender
  readonly #counters = { cellsForward: 0, cellsBackward: 0, violations: 0 }
  /** Links whose neighbours got as much as they may for now. */
  readonly #throttled = new Set<number>()
  #throttledUntil: Millis | undefined

  constructor(options: RelayMachineOptions) {
    const { crypto, random, relay, publicKey } = options
    this.#limits = new RelayLimits(options.limits)
    this.#table = new RelayTable({
      queues: new CellQueues(options.queues),
      limits: this.#limits,
      random,
      on: { ended: (circuit) => this.#ended(circuit), nextGone: (circuit, now) => this.#nextGone(circuit, now) }
    })
    this.#intake = new RelayIntake({ table: this.#table, crypto, publicKey, protocols: options.endpoint ? ['pqs'] : [] })
    this.#extender = new RelayExtender({ table: this.#table, isRelay: relay, publicKey })
  }

  get wakeAt(): Millis | undefined {
    return earliest(this.#table.dueAt, this.#intake.wakeAt, this.#throttledUntil)
  }

  get counters(): RelayCounters {
    const { circuits, queues, stuck } = this.#table
    const waiting = { circuits: circuits.size, queuedBytes: queues.bytes, waitingCreates: this.#intake.waiting, stuck }
    return { ...waiting, ...this.#counters, ...this.#intake.counters, ...this.#extender.counters }
  }

  /** Circuits that run over a link. */
  circuitsOf(link: number): number {
    return this.#table.links.get(link)?.circuits.size ?? 0
  }

  /** The neighbour that a circuit came over, by the name under which it is counted. */
  neighbourOf(circuit: number): string | undefined {
    return this.#table.circuits.get(circuit)?.source.key
  }

  /** The next cells for a link, at most `max`, and no more than its neighbour may get; the rest is announced by a `ready` later. */
  take(link: number, max: number, now: Millis): readonly Cell[] {
    const of = this.#table.links.get(link)
    if (of === undefined) return []
    const most = this.#limits.sendable({ link, key: of.key }, max, now)
    const cells = this.#table.queues.take(link, most)
    this.#limits.sent({ link, key: of.key }, cells.length, now)
    if (most < max && this.#table.queues.circuitsWaiting(link) > 0) {
      this.#throttled.add(link)
      this.#throttledUntil ??= after(now, throttleMs)
    }
    return cells
  }

  handle(input: RelayInput, now: Millis): readonly RelayOutput[] {
    this.#handle(input, now)
    this.#intake.turn(now)
    this.#wake(now)
    return this.#table.takeEffects()
  }

  #handle(input: RelayInput, now: Millis): void {
    switch (input.type) {
      case 'link':
        return this.#table.openLink(input.link, input.opener, input.neighbour)
      case 'neighbour':
        return this.#table.identify(input.link, input.neighbour)
      case 'unlink':
        this.#intake.forgetLink(input.link)
        return this.#table.closeLink(input.link, now)
      case 'cells':
        return this.#cells(input, now)
      case 'connected':
        return this.#extender.connected(input.token, input.link, now)
      case 'connect-failed':
        return this.#extender.connectFailed(input.token, input.reason, now)
      case 'write':
      case 'end':
      case 'consumed':
        return this.#stream(input, now)
      case 'stop':
        for (const circuit of [...this.#table.circuits.values()]) this.#table.end(circuit, 'here', now)
        return
      case 'wake':
        return
      default:
        input satisfies never
    }
  }

  #cells({ link, cells, ignored = 0 }: Extract<RelayInput, { readonly type: 'cells' }>, now: Millis): void {
    const of = this.#table.links.get(link)
    if (of === undefined) return
    const ms = this.#limits.receivedMs({ link, key: of.key }, cells.length + ignored, now)
    for (const cell of cells) {
      this.#cell(of, cell, now)
      // A cell before it may have ended the link.
      if (!this.#table.links.has(link)) return
    }
    if (ms > 0) this.#table.effect({ type: 'pause', link, ms })
  }

  #cell(link: RelayLink, cell: Cell, now: Millis): void {
    switch (cell.command) {
      case cellCommands.relay:
      case cellCommands.relayEarly:
        return this.#relay(link, cell, now)
      case cellCommands.create:
        // Circuits are opened by the link's opener only.
        return link.opener === 'peer' ? this.#intake.cell(link, cell, now) : this.#break(link, 'CREATE on a link that this node opened', now)
      case cellCommands.created:
        return this.#created(link, cell, now)
      case cellCommands.destroy:
        return this.#destroyed(link, cell, now)
      case cellCommands.link:
        return this.#intake.linkCell(link, cell, now)
      case cellCommands.padding:
        return
      default:
        cell.command satisfies never
    }
  }

  #relay(link: RelayLink, cell: Cell, now: Millis): void {
    const circuit = link.circuits.get(cell.circuit)
    // What was under way when the circuit ended.
    if (circuit === undefined) return
    circuit.usedAt = now
    if (link.opener === 'peer') this.#forward(circuit, cell, now)
    else this.#backward(circuit, cell, now)
  }

  #forward(circuit: RelayCircuit, { command, body, hasRoom }: Cell, now: Millis): void {
    const { layers, stage } = circuit
    if (command === cellCommands.relayEarly) circuit.early += 1
    if (layers === undefined || circuit.early > maxRelayEarly) return this.#violated(circuit, now)
    layers.forward.encrypt(command, body)
    this.#counters.cellsForward += 1
    if (isRecognised(body)) return this.#own(circuit, { command: relayCommandOf(command), body }, now)
    // Garbage at an end: whatever made it, nothing that follows could be told from it.
    if (stage.is !== 'joined') return this.#violated(circuit, now)
    const { link, circuit: number } = stage.next
    this.#table.send(circuit, { link, cell: { circuit: number, command, body, hasRoom } }, now)
  }

  #backward(circuit: RelayCircuit, { command, body, hasRoom }: Cell, now: Millis): void {
    const { layers, stage } = circuit
    if (layers === undefined || stage.is !== 'joined' || command === cellCommands.relayEarly) return this.#violated(circuit, now)
    layers.backward.encrypt(command, body)
    this.#counters.cellsBackward += 1
    const { link, circuit: number } = circuit.back
    this.#table.send(circuit, { link, cell: { circuit: number, command, body, hasRoom } }, now)
  }

  #own(circuit: RelayCircuit, { command, body }: { readonly command: RelayCellCommand; readonly body: Uint8Array }, now: Millis): void {
    let outputs: readonly EndOutput[]
    try {
      outputs = circuit.layers?.end.receive(command, body) ?? []
    } catch {
      return this.#violated(circuit, now)
    }
    this.#perform(circuit, outputs, now)
  }

  #perform(circuit: RelayCircuit, outputs: readonly EndOutput[], now: Millis): void {
    // Streams are served where the circuit ends, and it goes on from there only, and not once there are any.
    const isEnd = circuit.stage.is === 'open'
    if (!isEnd && outputs.some(({ type }) => type === 'begin')) return this.#violated(circuit, now)
    this.#table.perform(circuit, outputs, now)
    for (const output of outputs) {
      if (output.type !== 'message' || output.message.type !== 'extend' || circuit.layers === undefined) continue
      if (isEnd && circuit.stage.is === 'open' && circuit.layers.end.streams === 0) this.#extender.extend(circuit, output.message, now)
      else this.#violated(circuit, now)
    }
  }

  #stream(input: Extract<RelayInput, { readonly stream: number }>, now: Millis): void {
    const circuit = this.#table.circuits.get(input.circuit)
    const end = circuit?.layers?.end
    if (circuit === undefined || end === undefined) return
    circuit.usedAt = now
    if (input.type === 'write') this.#perform(circuit, end.write(input.stream, input.bytes), now)
    else if (input.type === 'end') this.#perform(circuit, end.end(input.stream, input.reason), now)
    else this.#perform(circuit, end.consumed(input.stream, input.bytes), now)
  }

  #created(link: RelayLink, cell: Cell, now: Millis): void {
    if (link.opener === 'peer') return this.#break(link, 'CREATED from the opener of a link', now)
    const circuit = link.circuits.get(cell.circuit)
    if (circuit !== undefined) this.#extender.created(circuit, cell, now)
  }

  #destroyed(link: RelayLink, cell: Cell, now: Millis): void {
    const circuit = link.circuits.get(cell.circuit)
    if (circuit === undefined) return
    if (link.opener === 'peer') this.#table.end(circuit, 'back', now)
    else if (circuit.stage.is === 'extending') this.#refused(circuit, now)
    else this.#table.end(circuit, 'next', now)
  }

  #refused(circuit: RelayCircuit, now: Millis): void {
    if (circuit.stage.is !== 'extending') return
    const { next } = circuit.stage
    if (next !== undefined) this.#table.detach(next)
    circuit.stage = { ...circuit.stage, next: undefined }
    this.#extender.fail(circuit, 'refused', now)
  }

  #nextGone(circuit: RelayCircuit, now: Millis): void {
    if (circuit.stage.is === 'extending') this.#extender.fail(circuit, 'unreachable', now)
    else this.#table.end(circuit, 'next', now)
  }

  #violated(circuit: RelayCircuit, now: Millis): void {
    this.#counters.violations += 1
    this.#table.end(circuit, 'here', now)
  }

  #break(link: RelayLink, reason: string, now: Millis): void {
    this.#counters.violations += 1
    this.#intake.forgetLink(link.id)
    this.#table.breakLink(link, new MeshError('CIRCUIT_VIOLATION', { reason }), now)
  }

  #ended(circuit: RelayCircuit): void {
    this.#intake.forget(circuit)
    this.#extender.forget(circuit)
    this.#table.effect({ type: 'ended', circuit: circuit.id })
  }

  /** Wakes links that were throttled, and ends circuits that are over their time. */
  #wake(now: Millis): void {
    if (this.#throttledUntil !== undefined && now >= this.#throttledUntil) {
      this.#throttledUntil = undefined
      for (const link of this.#throttled) this.#table.ready(link)
      this.#throttled.clear()
    }
    for (const circuit of this.#table.overdue(now)) {
      if (circuit.stage.is === 'extending') this.#extender.fail(circuit, 'timeout', now)
      else this.#table.end(circuit, 'here', now)
    }
  }
}

const relayCommandOf = (command: CellCommand): RelayCellCommand => (command === cellCommands.relayEarly ? command : cellCommands.relay)
