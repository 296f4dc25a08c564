import type { TestRun } from './run-tests.ts'

/** What runs again after a failure: at most so many files, or the machine is not what is wrong. */
export const secondRunsAtMost = 4

export interface SecondRuns {
  /** The runs that count: of a file that ran again, the second one. */
  readonly runs: readonly TestRun[]
  /** Files that failed beside others and passed alone. */
  readonly unsteady: readonly string[]
}

interface Options {
  readonly hasFailed: (run: TestRun) => boolean
  /** Whether the file lives by the clock of a real machine: sockets, processes, devices. */
  readonly livesByTheClock: (file: string) => boolean
  readonly runAlone: (file: string) => Promise<TestRun>
}

/**
 * Runs each failed file that lives by the clock once more, when nothing else runs; its second run counts, and whoever passes there is named.
 * More than `secondRunsAtMost` failures, or one of anything else, stand as they are.
 */
export async function runAgain(runs: readonly TestRun[], { hasFailed, livesByTheClock, runAlone }: Options): Promise<SecondRuns> {
  const failed = runs.filter(hasFailed)
  const mayRunAgain = failed.every(({ files: [file], files }) => files.length === 1 && file !== undefined && livesByTheClock(file))
  if (failed.length === 0 || failed.length > secondRunsAtMost || !mayRunAgain) return { runs, unsteady: [] }
  const again = new Map<TestRun, TestRun>()
  for (const run of failed) again.set(run, await runAlone(run.files[0] ?? ''))
  const counted = runs.map((run) => again.get(run) ?? run)
  return { runs: counted, unsteady: [...again.values()].filter((run) => !hasFailed(run)).map(({ files }) => files[0] ?? '') }
}
