import type { Millis } from './time.ts'

/**
 * A protocol without I/O: it takes an input and the time, and returns what shall happen.
 * Drivers (`mesh/drive.ts`, the simulator) own sockets, clocks and timers; a run replays from its inputs.
 */
export interface Machine<In, Out> {
  /** Takes one input at monotonic time `now`; returns the effects in the order in which they shall happen. */
  handle(input: In, now: Millis): readonly Out[]
  /** When the machine wants `{ type: 'wake' }`; undefined when it waits for input only. */
  readonly wakeAt: Millis | undefined
}
