import type { KemLevel, Millis } from '../base/index.ts'
import type { PoolCircuit, PoolCircuitState } from './pool-types.ts'

/** A destination for which a circuit is being made. */
export interface PoolJob {
  readonly destination: string
  readonly hops: number
  readonly level: KemLevel
  readonly allowShort: boolean
  /** Whether others that want the same may join. */
  readonly isShared: boolean
  readonly startedAt: Millis
  /** The circuit in use that will expire. */
  readonly replaces: number | undefined
  /** Who waits for it. */
  readonly requests: Set<number>
  /** What is being made for it. */
  circuit: number | undefined
  attempts: number
  destinationFailures: number
  isWarm: boolean
  notBefore: Millis
}

/** A circuit, and for whom it is being made; undefined for a spare one. */
export interface JobCircuit extends PoolCircuit {
  readonly job: PoolJob | undefined
}

/** What a circuit for new work has to be. */
export interface CircuitShape {
  readonly hops: number
  readonly level: KemLevel
}

/** The circuits of the pool, in the order in which they came to their state of use. */
export class CircuitTable {
  readonly #circuits = new Map<number, JobCircuit>()

  get all(): readonly JobCircuit[] {
    return [...this.#circuits.values()]
  }

  get size(): number {
    return this.#circuits.size
  }

  get(id: number): JobCircuit | undefined {
    return this.#circuits.get(id)
  }

  put(circuit: JobCircuit): void {
    this.#circuits.set(circuit.id, circuit)
  }

  /** Like `put`, as the youngest. */
  renew(circuit: JobCircuit): void {
    this.#circuits.delete(circuit.id)
    this.#circuits.set(circuit.id, circuit)
  }

  delete(id: number): void {
    this.#circuits.delete(id)
  }

  count(state: PoolCircuitState): number {
    return this.all.filter((circuit) => circuit.state === state).length
  }

  /** The youngest circuit that leads to `destination` and takes new work. */
  readyFor(destination: string, { hops, level }: CircuitShape, now: Millis): JobCircuit | undefined {
    return this.all.findLast(
      (circuit) =>
        circuit.state === 'ready' &&
        circuit.destination === destination &&
        circuit.path.length >= hops &&
        circuit.level === level &&
        circuit.expiresAt > now
    )
  }

  /** Circuits without a destination, made for nobody, of so many relays or one more; those that have all their relays first. */
  spares({ hops, level }: CircuitShape, now: Millis): readonly JobCircuit[] {
    const fitting = this.all.filter(
      (circuit) => circuit.job === undefined && circuit.expiresAt > now && circuit.level === level && [hops, hops + 1].includes(circuit.path.length)
    )
    return [...fitting.filter(({ state }) => state === 'spare'), ...fitting.filter(({ state }) => state === 'building')]
  }

  /** How many circuits without a destination there are that will still be good at `time`. */
  youngSpares(time: Millis): number {
    return this.all.filter(({ state, job, expiresAt }) => job === undefined && (state === 'building' || (state === 'spare' && expiresAt > time)))
      .length
  }

  /** The circuit that has been ready for longest and has no work. */
  idle(): JobCircuit | undefined {
    return this.all.find(({ state, streams }) => state === 'ready' && streams === 0)
  }
}
