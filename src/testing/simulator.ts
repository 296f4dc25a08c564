import { Heap } from '../core/message/index.ts'
import { SeededRandom } from './seeded-random.ts'

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/**
 * A discrete-event simulator over a virtual clock: a day takes milliseconds, and a run replays from its seed.
 * Code under test may use promises that resolve within the run; timers and sockets do not exist.
 */
export class Simulator {
  readonly seed: number
  readonly random: SeededRandom
  readonly #events = new Heap<Event>((a, b) => (a.at === b.at ? a.order < b.order : a.at < b.at))
  #now = 0
  #order = 0

  constructor(seed: number) {
    this.seed = seed
    this.random = new SeededRandom(seed)
  }

  /** Virtual milliseconds since the start. */
  get now(): number {
    return this.#now
  }

  /** Runs `run` after `delayMs`; events of one time run in the order in which they were made. The returned function cancels. */
  schedule(delayMs: number, run: () => void): () => void {
    let isCancelled = false
    const guarded = (): void => {
      if (!isCancelled) run()
    }
    this.#events.push({ at: this.#now + Math.max(0, delayMs), order: this.#order++, run: guarded })
    return () => {
      isCancelled = true
    }
  }

  /** Runs the events up to `time`, with all promises that they resolve. */
  async runUntil(time: number): Promise<void> {
    for (let event = this.#events.peek(); event !== undefined && event.at <= time; event = this.#events.peek()) {
      this.#events.pop()
      this.#now = event.at
      event.run()
      // A few turns of the microtask queue: what one event resolved is handled before the next one.
      for (let turn = 0; turn < 4; turn++) await Promise.resolve()
    }
    this.#now = Math.max(this.#now, time)
  }
}

/** What the network does to each message. */
export interface NetworkConditions {
  readonly minDelayMs: number
  readonly maxDelayMs: number
  /** Probabilities, 0–1, for each message. Different delays reorder. */
  readonly loss: number
  readonly duplication: number
}

/** Carries messages between numbered nodes, badly. */
export class SimulatedNetwork {
  readonly #simulator: Simulator
  readonly #cut = new Set<string>()
  conditions: NetworkConditions

  constructor(simulator: Simulator, conditions: NetworkConditions) {
    this.#simulator = simulator
    this.conditions = conditions
  }

  /** Whether messages from one node reach the other. */
  canReach(from: number, to: number): boolean {
    return !this.#cut.has(`${from}>${to}`)
  }

  /** Cuts both directions between two nodes. */
  partition(a: number, b: number): void {
    this.#cut.add(`${a}>${b}`).add(`${b}>${a}`)
  }

  /** Cuts one direction. */
  partitionOneWay(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`)
  }

  /** Mends everything. */
  heal(): void {
    this.#cut.clear()
  }

  /** Delivers a message never, once or twice, each time after a delay of its own, unless the way is cut when it is sent or arrives. */
  send(from: number, to: number, deliver: () => void): void {
    const { random } = this.#simulator
    const { minDelayMs, maxDelayMs, loss, duplication } = this.conditions
    const copies = random.chance(loss) ? 0 : random.chance(duplication) ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      this.#simulator.schedule(random.integer(minDelayMs, maxDelayMs), () => {
        if (this.canReach(from, to)) deliver()
      })
    }
  }
}
