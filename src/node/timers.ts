import type { Timers } from '../mesh/ports.ts'

/** The longest delay of setTimeout (2^31 - 1 ms); more would fire at once. */
const longestDelayMs = 2_147_483_647

/** Timers that never keep the process alive. A delay over 24 days fires after 24 days: whoever waits looks again. */
export const systemTimers: Timers = {
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, Math.min(Math.max(0, delayMs), longestDelayMs))
    timer.unref()
    return () => clearTimeout(timer)
  }
}
