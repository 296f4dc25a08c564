import { relative } from 'node:path'
import { root } from './paths.ts'
import type { TestResult } from './reporter.ts'
import type { TestRun } from './run-tests.ts'

/** A skip with such a reason says that the machine lacks something; a machine that is set up for CI may lack nothing. */
const needsSomething = /^(?:skipped: )?needs\b/

export interface Counts {
  readonly tests: number
  readonly pass: number
  readonly fail: number
  readonly skipped: number
}

/** One thing that makes the run fail, with all that is known about it. */
export interface Failure {
  readonly title: string
  readonly text: string
}

export interface Summary {
  readonly counts: Counts
  readonly failures: readonly Failure[]
  readonly skips: readonly string[]
}

const placeOf = (result: TestResult): string => (result.file === '' ? '' : `${relative(root, result.file)}:${result.line}`)

const isForbiddenSkip = (result: TestResult, isCi: boolean): boolean => isCi && result.outcome === 'skip' && needsSomething.test(result.reason)

function failuresOf(run: TestRun, isCi: boolean): readonly Failure[] {
  const failed = run.results.filter((result) => result.outcome === 'fail' && !result.inherited)
  const forbidden = run.results.filter((result) => isForbiddenSkip(result, isCi))
  return [
    ...failed.map((result) => ({ title: `${placeOf(result)} ${result.name}`, text: result.reason })),
    ...forbidden.map((result) => ({ title: `${placeOf(result)} ${result.name}`, text: `${result.reason} (CI may not skip this)` })),
    ...(run.crash === undefined
      ? []
      : [{ title: run.files.map((file) => relative(root, file)).join(' '), text: `the test process failed: ${run.crash}` }])
  ]
}

/** Counts as node:test does: suites are not tests, a parent of a failed test has failed, a broken process is one failed test. */
function countsOf(run: TestRun, isCi: boolean): Counts {
  const tests = run.results.filter((result) => result.kind === 'test')
  const brokenSuites = run.results.filter((result) => result.kind === 'suite' && result.outcome === 'fail' && !result.inherited).length
  const extra = brokenSuites + (run.crash === undefined ? 0 : 1)
  const forbidden = tests.filter((result) => isForbiddenSkip(result, isCi)).length
  const count = (outcome: TestResult['outcome']): number => tests.filter((result) => result.outcome === outcome).length
  return {
    tests: tests.length + extra,
    pass: count('pass') + count('todo'),
    fail: count('fail') + extra + forbidden,
    skipped: count('skip') - forbidden
  }
}

export function addCounts(all: readonly Counts[]): Counts {
  const sum = (key: keyof Counts): number => all.reduce((total, each) => total + each[key], 0)
  return { tests: sum('tests'), pass: sum('pass'), fail: sum('fail'), skipped: sum('skipped') }
}

/** What a run says, once it has ended. `isCi`: a skip for want of a tool is a failure. */
export function summarize(run: TestRun, isCi: boolean): Summary {
  const skips = run.results
    .filter((result) => result.outcome === 'skip' && !isForbiddenSkip(result, isCi))
    .map((result) => `${placeOf(result)} ${result.name}: ${result.reason || 'no reason given'}`)
  return { counts: countsOf(run, isCi), failures: failuresOf(run, isCi), skips }
}
