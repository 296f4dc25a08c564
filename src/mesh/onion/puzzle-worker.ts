import { MeshError, type Random, equalBytes } from '../../core/base/index.ts'
import { type Cell, type PuzzleDemand, PuzzleSolver, demandIn, solutionCell } from '../../core/onion/index.ts'
import type { Timers } from '../ports.ts'

export interface PuzzleWorkerOptions {
  /** The 32-byte identity key of the relay at the other end of the link. */
  readonly relay: Uint8Array
  readonly random: Random
  readonly timers: Timers
  /** Sends a cell over the link. */
  readonly send: (cell: Cell) => void
}

/** The most that is worked for one circuit: about a second of the processor. Relays ask for 14 to 18 bits. */
export const maxWorkDifficulty = 20
/** A slice takes about two milliseconds, and others have their turn between two of them. */
const triesOfSlice = 2_000

/** The client's side of a link under load: does the work that the relay asks for, once for each CREATE that was sent, in slices. */
export class PuzzleWorker {
  readonly #options: PuzzleWorkerOptions
  /** CREATEs that were sent and not worked for. */
  #open = 0
  #seed: Uint8Array | undefined
  #cancel: () => void = () => undefined

  constructor(options: PuzzleWorkerOptions) {
    this.#options = options
  }

  /** A CREATE goes out over the link: one demand may follow. */
  created(): void {
    this.#open += 1
  }

  /**
   * Takes the body of a LINK cell; what is no demand means nothing. A new demand takes the place of the one before.
   * @throws {MeshError} MESSAGE_MALFORMED; CIRCUIT_VIOLATION for work that belongs to no CREATE, or too much of it
   */
  take(body: Uint8Array): void {
    const demand = demandIn(body)
    if (demand === undefined || (this.#seed !== undefined && equalBytes(this.#seed, demand.seed))) return
    if (this.#open === 0) throw new MeshError('CIRCUIT_VIOLATION', { reason: 'work is asked for that belongs to no circuit' })
    if (demand.difficulty > maxWorkDifficulty) throw new MeshError('CIRCUIT_VIOLATION', { reason: `${demand.difficulty} bits of work are asked for` })
    this.#open -= 1
    this.#cancel()
    this.#seed = demand.seed
    this.#work(demand, new PuzzleSolver({ ...demand, relay: this.#options.relay }))
  }

  /** The link has ended. */
  stop(): void {
    this.#cancel()
  }

  #work(demand: PuzzleDemand, solver: PuzzleSolver): void {
    const { random, timers, send } = this.#options
    this.#cancel = timers.schedule(0, () => {
      const nonce = solver.step(triesOfSlice)
      if (nonce === undefined) this.#work(demand, solver)
      else send(solutionCell({ seed: demand.seed, nonce }, random))
    })
  }
}
