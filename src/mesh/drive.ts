import { type Clock, earliest, type Machine, type Millis } from '../core/base/index.ts'
import type { Timers } from './ports.ts'

/** What a driver needs of the platform. */
export interface DriveOptions<Out> {
  readonly clock: Clock
  readonly timers: Timers
  /** Carries out one effect. It may feed the machine again: such inputs are taken after the current effects. */
  readonly perform: (output: Out) => void
}

/** Any machine's reminder that `wakeAt` was reached. */
export interface Wake {
  readonly type: 'wake'
}

/** The longest that a timer sleeps, so that a suspended machine notices the time soon after it woke up. */
const maxSleepMs = 30_000

/** Runs a machine over a clock: the only code with timers. */
export class Driver<In, Out> {
  readonly #machine: Machine<In | Wake, Out>
  readonly #options: DriveOptions<Out>
  readonly #inputs: (In | Wake)[] = []
  #running = false
  #stopped = false
  #wakeAt: Millis | undefined
  #cancelTimer: (() => void) | undefined

  constructor(machine: Machine<In | Wake, Out>, options: DriveOptions<Out>) {
    this.#machine = machine
    this.#options = options
  }

  /** Feeds one input and carries out what follows from it. Does nothing once stopped. */
  input(input: In | Wake): void {
    if (this.#stopped) return
    this.#inputs.push(input)
    if (!this.#running) this.#run()
  }

  stop(): void {
    this.#stopped = true
    this.#inputs.length = 0
    this.#cancelTimer?.()
  }

  #run(): void {
    this.#running = true
    try {
      for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
        for (const output of this.#machine.handle(input, this.#options.clock.monotonic())) this.#options.perform(output)
      }
    } finally {
      this.#running = false
    }
    this.#sleep()
  }

  #sleep(): void {
    const { wakeAt } = this.#machine
    if (wakeAt === this.#wakeAt && this.#cancelTimer !== undefined) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#wakeAt = earliest(wakeAt)
    if (wakeAt === undefined || this.#stopped) return
    const delayMs = Math.min(maxSleepMs, Math.max(0, wakeAt - this.#options.clock.monotonic()))
    this.#cancelTimer = this.#options.timers.schedule(delayMs, () => {
      this.#cancelTimer = undefined
      this.#wakeAt = undefined
      this.input({ type: 'wake' })
    })
  }
}
