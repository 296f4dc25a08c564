import type { Floor } from '../verdict.ts'

/** One part of `npm run bench onion`. */
export interface Section {
  readonly name: string
  /** Minutes long, or without a figure: runs when it is named only. */
  readonly isOnRequest?: boolean
  /** Prints what it measures; returns the floors. `rounds` is how often each contestant takes its turn. */
  run(rounds: number): Promise<readonly Floor[]>
}

/** The middle one of `numbers`. */
export const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

/** CPU seconds that `run` uses in this thread: what other programs do does not count. */
export function cpuSeconds(run: () => void): number {
  const before = process.threadCpuUsage()
  run()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1_000_000
}
