import { after, type Millis } from '../base/index.ts'
import { handshakeCells, joinHandshake } from './cell.ts'
import { CircuitEnd, type EndLayers } from './circuit-end.ts'
import { CreateQueue, type WaitingCreate } from './create-queue.ts'
import { solutionIn } from './puzzle-cells.ts'
import { PuzzleDesk } from './puzzle-desk.ts'
import type { RelayCircuit, RelayLayers, RelayLink, RelayTable } from './relay-table.ts'
import { type Cell, cellCommands, type LayerKeys, type OnionCrypto } from './types.ts'

export const intakeTimes = {
  /** A handshake costs the processor about a millisecond: so many are done in one turn, and turns are so far apart. */
  perTurn: 3,
  turnMs: 10,
  /** Clients work for their circuits while one of theirs would wait longer than that. */
  busyMs: 50
} as const

/** Totals since the start. */
export interface IntakeCounters {
  readonly handshakes: number
  /** CREATEs that were not answered with CREATED: over a limit, or a handshake that failed. */
  readonly refused: number
  readonly puzzles: number
}

/** Takes CREATEs: each goes through the limits, waits for its turn in a fair queue, and may have to be worked for. */
export class RelayIntake {
  readonly #table: RelayTable
  readonly #crypto: OnionCrypto
  readonly #queue = new CreateQueue()
  readonly #desk: PuzzleDesk
  readonly #protocols: readonly string[]
  readonly #counters = { handshakes: 0, refused: 0, puzzles: 0 }
  #nextTurnAt: Millis | undefined

  /** @param options - `protocols`: those whose streams are served where circuits end here. */
  constructor(options: {
    readonly table: RelayTable
    readonly crypto: OnionCrypto
    readonly publicKey: Uint8Array
    readonly protocols: readonly string[]
  }) {
    this.#table = options.table
    this.#crypto = options.crypto
    this.#protocols = options.protocols
    this.#desk = new PuzzleDesk(options.table.random, options.publicKey)
  }

  get counters(): IntakeCounters {
    return { ...this.#counters }
  }

  /** CREATEs that wait for their turn, and for work. */
  get waiting(): number {
    return this.#queue.length + this.#desk.length
  }

  get wakeAt(): Millis | undefined {
    return this.#queue.length > 0 ? this.#nextTurnAt : undefined
  }

  /** Takes one of the two cells of a CREATE. */
  cell(link: RelayLink, cell: Cell, now: Millis): void {
    const circuit = link.circuits.get(cell.circuit)
    if (circuit === undefined) {
      if (this.#table.enter(link, cell.circuit, { body: cell.body.slice(), now }) === undefined)
        this.#refuse({ link: link.id, circuit: cell.circuit }, now)
    } else if (circuit.stage.is === 'half') this.#complete(circuit, joinHandshake(cellCommands.create, circuit.stage.first, cell.body), now)
    else this.#table.end(circuit, 'here', now)
  }

  /** Takes a LINK cell of a client; what is no solution means nothing. */
  linkCell(link: RelayLink, cell: Cell, now: Millis): void {
    const solution = solutionIn(cell.body)
    if (solution === undefined) return
    const paid = this.#desk.pay(link.id, solution, this.#waitMs(`link ${link.id}`))
    if (typeof paid === 'string') return
    this.#counters.puzzles += 1
    this.#sendLink(link.id, paid.cells, now)
    this.#enqueue(`link ${link.id}`, paid.create, now)
  }

  /** Does the handshakes whose turn it is. */
  turn(now: Millis): void {
    if (this.#nextTurnAt !== undefined && now < this.#nextTurnAt) return
    this.#nextTurnAt = undefined
    for (let done = 0; done < intakeTimes.perTurn; done++) {
      const create = this.#queue.next()
      if (create === undefined) return
      this.#nextTurnAt = after(now, intakeTimes.turnMs)
      this.#answer(create, now)
    }
  }

  forget({ back, stage }: RelayCircuit): void {
    if (stage.is !== 'waiting') return
    this.#queue.remove(back.link, back.circuit)
    this.#desk.remove(back.link, back.circuit)
  }

  forgetLink(link: number): void {
    this.#desk.remove(link)
  }

  #complete(circuit: RelayCircuit, request: Uint8Array, now: Millis): void {
    const create = { ...circuit.back, request: request.slice() }
    const admission = this.#table.limits.rate(circuit.source, now)
    circuit.stage = { is: 'waiting' }
    if (admission === 'refused') this.#end(circuit, now)
    else if (admission === 'pay' || (circuit.source.kind === 'client' && this.#waitMs(circuit.source.key) > intakeTimes.busyMs))
      this.#park(circuit, create, now)
    else this.#enqueue(circuit.source.key, create, now)
  }

  #park(circuit: RelayCircuit, create: WaitingCreate, now: Millis): void {
    const parked = this.#desk.park(create, this.#waitMs(`link ${create.link}`))
    if (parked === undefined) return this.#end(circuit, now)
    this.#sendLink(create.link, parked.cells, now)
    this.#drop(parked.dropped, now)
  }

  #enqueue(lane: string, create: WaitingCreate, now: Millis): void {
    this.#drop(this.#queue.push(lane, create), now)
  }

  #drop(create: WaitingCreate | undefined, now: Millis): void {
    const circuit = create === undefined ? undefined : this.#circuitOf(create)
    if (circuit !== undefined) this.#end(circuit, now)
  }

  #answer(create: WaitingCreate, now: Millis): void {
    const circuit = this.#circuitOf(create)
    if (circuit === undefined) return
    this.#counters.handshakes += 1
    try {
      const { reply, keys } = this.#crypto.answer(create.request)
      circuit.layers = this.#layers(keys)
      circuit.stage = { is: 'open' }
      const { link } = circuit.back
      for (const cell of handshakeCells(circuit.back.circuit, { command: cellCommands.created, bytes: reply }, this.#table.random))
        this.#table.send(circuit, { link, cell }, now)
    } catch {
      // A request for another key, altered, or seen before: its sender learns that it failed, nothing else.
      this.#end(circuit, now)
    }
  }

  #layers(keys: LayerKeys): RelayLayers {
    const { cipher } = this.#crypto
    const forward = cipher.layer(keys.forward)
    const backward = cipher.layer(keys.backward)
    for (const secret of [keys.forward.keys, keys.forward.chain, keys.backward.keys, keys.backward.chain]) secret.fill(0)
    const layers: EndLayers = {
      seal: (command, body) => backward.originate(command, body),
      sentTag: () => backward.tag(),
      receivedTag: () => forward.tag()
    }
    return { forward, backward, end: new CircuitEnd({ role: 'relay', layers, random: this.#table.random, protocols: this.#protocols }) }
  }

  #circuitOf({ link, circuit }: WaitingCreate): RelayCircuit | undefined {
    const found = this.#table.links.get(link)?.circuits.get(circuit)
    return found?.stage.is === 'waiting' ? found : undefined
  }

  #sendLink(link: number, cells: readonly Cell[], now: Millis): void {
    for (const cell of cells) if (this.#table.queues.push(link, cell, now)) this.#table.ready(link)
  }

  #end(circuit: RelayCircuit, now: Millis): void {
    this.#counters.refused += 1
    this.#table.end(circuit, 'here', now)
  }

  #refuse(create: { readonly link: number; readonly circuit: number }, now: Millis): void {
    this.#counters.refused += 1
    this.#table.refuse(create, now)
  }

  /** How long a CREATE would wait that comes into a lane now: lanes take turns, and who floods his own makes nobody else work. */
  #waitMs(lane: string): number {
    return (this.#queue.ahead(lane) / intakeTimes.perTurn) * intakeTimes.turnMs
  }
}
