import type { Clock, Random } from '../../core/base/index.ts'
import { type Cell, CellQueues, cellCommands, chooseCircuit } from '../../core/onion/index.ts'
import type { Timers } from '../ports.ts'
import type { CellLink, LinkHandler } from './cell-link.ts'
import { PuzzleWorker } from './puzzle-worker.ts'

/** A circuit as its link sees it. */
export interface LinkedCircuit {
  receive(cell: Cell): void
  /** The link ended. */
  lost(): void
}

export interface ClientLinkOptions {
  readonly link: CellLink
  /** The 32-byte identity key of the guard. */
  readonly guard: Uint8Array
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/** There is one queue set for each link here, and one peer. */
const here = 1

/** Our link to a guard: the circuits of our own that begin there, and their cells. */
export class ClientLink implements LinkHandler {
  readonly #options: ClientLinkOptions
  readonly #queues = new CellQueues()
  readonly #circuits = new Map<number, LinkedCircuit>()
  readonly #worker: PuzzleWorker
  readonly #control: Cell[] = []
  #hasEnded = false

  constructor(options: ClientLinkOptions) {
    this.#options = options
    this.#queues.openLink(here, 'guard')
    const { guard, timers, random, link } = options
    const send = (cell: Cell): void => {
      this.#control.push(cell)
      link.wake()
    }
    this.#worker = new PuzzleWorker({ relay: guard, timers, random, send })
  }

  get circuits(): number {
    return this.#circuits.size
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** A number for a new circuit, which is then known by it. */
  attach(make: (circuit: number) => LinkedCircuit): void {
    const circuit = chooseCircuit(this.#options.random, (number) => this.#circuits.has(number) || this.#queues.has({ link: here, circuit: number }))
    this.#circuits.set(circuit, make(circuit))
    this.#worker.created()
  }

  /** The circuit is over; what of it still waits, its DESTROY above all, goes out. */
  detach(circuit: number): void {
    this.#circuits.delete(circuit)
  }

  /** Queues a cell; false when far too many wait. */
  send(cell: Cell): boolean {
    if (this.#hasEnded) return false
    const isQueued = this.#queues.push(here, cell, this.#options.clock.monotonic())
    this.#options.link.wake()
    return isQueued
  }

  take(max: number): readonly Cell[] {
    const control = this.#control.splice(0, max)
    return control.length === max ? control : [...control, ...this.#queues.take(here, max - control.length)]
  }

  receive(cells: readonly Cell[]): void {
    for (const cell of cells) {
      if (cell.command === cellCommands.link) this.#worker.take(cell.body)
      else this.#circuits.get(cell.circuit)?.receive(cell)
    }
  }

  ended(): void {
    this.#hasEnded = true
    this.#worker.stop()
    const circuits = [...this.#circuits.values()]
    this.#circuits.clear()
    for (const circuit of circuits) circuit.lost()
  }
}
