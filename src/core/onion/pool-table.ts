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
  /** Peer ids of relays of circuits that did not reach the destination, whichever of them is to blame: perhaps others do. Guards stay. */
  readonly avoid: Set<string>
  /** What is being made for it. */
  circuit: number | undefined
  attempts: number
  destinationFailures: number
  /** Times that all attempts failed. */
  failures: number
  isWarm: boolean
  notBefore: Millis
}

/** What somebody wants of a circuit. */
export type JobWish = Pick<PoolJob, 'destination' | 'hops' | 'level' | 'allowShort' | 'isShared'>

/** Whether one circuit does for both. */
export const isSameWish = (a: JobWish, b: JobWish): boolean =>
  a.destination === b.destination && a.hops === b.hops && a.level === b.level && a.allowShort === b.allowShort

/** A circuit, and for whom it is being made; undefined for a spare one. */
export interface JobCircuit extends PoolCircuit {
  readonly job: PoolJob | undefined
}

/** Peer ids of all its relays but the guard. */
export const behindGuard = ({ path }: PoolCircuit): readonly string[] => path.slice(1).map(({ peerId }) => peerId)

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

  /** How many there are in each state. */
  get counts(): Readonly<Record<PoolCircuitState, number>> {
    const counts = { building: 0, spare: 0, extending: 0, ready: 0, draining: 0 }
    for (const { state } of this.#circuits.values()) counts[state] += 1
    return counts
  }

  /** Circuits without a destination that have all their relays, this one among them. */
  sparesOver(peerId: string): readonly JobCircuit[] {
    return this.all.filter(({ state, path }) => state === 'spare' && path.some((relay) => relay.peerId === peerId))
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
  spares({ hops, level, avoid }: CircuitShape & Pick<PoolJob, 'avoid'>, now: Millis): readonly JobCircuit[] {
    const open = this.all.filter(({ job, expiresAt }) => job === undefined && expiresAt > now)
    const fitting = open.filter(
      (circuit) =>
        circuit.level === level && [hops, hops + 1].includes(circuit.path.length) && !behindGuard(circuit).some((peerId) => avoid.has(peerId))
    )
    return [...fitting.filter(({ state }) => state === 'spare'), ...fitting.filter(({ state }) => state === 'building')]
  }

  /** How many circuits without a destination there are that will still be good at `time`. */
  youngSpares(time: Millis): number {
    return this.all.filter(({ state, job, expiresAt }) => job === undefined && (state === 'building' || (state === 'spare' && expiresAt > time)))
      .length
  }

  /** How many more could be built for those that wait, if others that have work ended. */
  crowd(jobs: Iterable<PoolJob>, { circuits, building }: { readonly circuits: number; readonly building: number }, now: Millis): number {
    if (this.size < circuits || this.idle() !== undefined) return 0
    const waiting = [...jobs].filter(({ circuit, notBefore }) => circuit === undefined && notBefore <= now).length
    return Math.min(waiting, Math.max(0, building - this.counts.building))
  }

  /** The circuit that has been ready for longest and has no work. */
  idle(): JobCircuit | undefined {
    return this.all.find(({ state, streams }) => state === 'ready' && streams === 0)
  }
}
