/**
 * Runs the tests: `npm test`, `npm test -- test/core test/net/link-writer.test.ts`, `npm test -- --verbose test/core`.
 * Pure areas share a process; each other file has a process of its own, two at a time.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { inRoot, root } from './lib/paths.ts'
import { runTests, type TestRun } from './lib/run-tests.ts'
import { runAgain } from './lib/second-runs.ts'
import { addCounts, summarize, type Counts, type Failure } from './lib/test-summary.ts'

/** Their tests touch no process-wide state: each line shares a process, the longest first. */
const pureGroups: readonly (readonly string[])[] = [['sim'], ['core', 'fuzz', 'api', 'docs']]
const processesAtOnce = 2
/** They hold the product to seconds, or use both cores themselves: nothing runs beside them. */
const aloneFiles: ReadonlySet<string> = new Set(['test/net/discovery.test.ts', 'test/natlab/matrix.test.ts', 'test/mutants/mutants.test.ts'])
/** Their tests hold real sockets, processes and devices to deadlines: a file of theirs that failed runs once more, alone (docs/decisions/0026). */
const clockAreas: ReadonlySet<string> = new Set(['cli', 'crash', 'hostile', 'mutants', 'natlab', 'net', 'node', 'tooling'])
const timeoutMs = 480_000
/** The laboratory of real NATs takes minutes and wants root: CI runs it with all others, a developer when he asks for it. */
const labArea = 'natlab'
const targetMs = (isCi: boolean): number => (isCi ? 1_800_000 : 1_500_000)
const timesFile = inRoot('.cache', 'test-times.json')

const write = (text: string): void => void process.stdout.write(text)
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
const areaOf = (file: string): string => relative(root, file).split('/')[1] ?? ''

async function findTests(filters: readonly string[]): Promise<readonly string[]> {
  const names = (await readdir(inRoot('test'), { recursive: true })).filter((name) => name.endsWith('.test.ts'))
  const files = names.map((name) => join('test', name)).sort()
  const wanted = filters.map((filter) => relative(root, join(root, relative(root, filter))))
  const matches = (file: string): boolean =>
    wanted.length === 0 || wanted.some((each) => file === each || file.startsWith(`${each.replace(/\/$/, '')}/`))
  return files.filter(matches).map((file) => inRoot(file))
}

async function readTimes(): Promise<Record<string, number>> {
  try {
    return JSON.parse(await readFile(timesFile, 'utf8'))
  } catch {
    return {}
  }
}

async function rememberTimes(runs: readonly TestRun[]): Promise<void> {
  const times = await readTimes()
  for (const run of runs) if (run.files.length === 1) times[relative(root, run.files[0] ?? '')] = Math.round(run.durationMs)
  await mkdir(inRoot('.cache'), { recursive: true })
  await writeFile(timesFile, JSON.stringify(times, null, 1))
}

interface Settings {
  readonly isVerbose: boolean
  readonly isCi: boolean
}

function announce(run: TestRun, settings: Settings): void {
  const { counts, failures } = summarize(run, settings.isCi)
  const title =
    run.files.length === 1 ? relative(root, run.files[0] ?? '') : `${run.files.length} files of ${[...new Set(run.files.map(areaOf))].join(', ')}`
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  write(
    `${failures.length === 0 ? '✓' : '✗'} ${title}  ${counts.pass} passed${skipped}${counts.fail > 0 ? `, ${counts.fail} FAILED` : ''}  ${seconds(run.durationMs)}\n`
  )
  if (settings.isVerbose)
    for (const result of run.results)
      write(`${'  '.repeat(result.nesting + 1)}${result.outcome} ${result.name}  ${Math.round(result.durationMs)} ms\n`)
  if (settings.isVerbose || failures.length > 0) write(indent(run.output))
  for (const failure of failures) write(`\n  ✗ ${failure.title}\n${indent(failure.text)}\n`)
}

const indent = (text: string): string => (text.trim() === '' ? '' : `${text.trimEnd().replaceAll(/^/gm, '    ')}\n`)

interface Plan {
  readonly groups: readonly (readonly string[])[]
  readonly atOnce: number
}

async function runAll({ groups, atOnce }: Plan, settings: Settings): Promise<readonly TestRun[]> {
  const waiting = [...groups]
  const runs: TestRun[] = []
  const worker = async (): Promise<void> => {
    for (let files = waiting.shift(); files !== undefined; files = waiting.shift()) {
      const run = await runTests({ files, timeoutMs })
      runs.push(run)
      announce(run, settings)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return runs
}

/** In CI alone: whoever runs a file by hand wants to see it fail. */
async function secondRuns(runs: readonly TestRun[], settings: Settings): Promise<readonly TestRun[]> {
  if (!settings.isCi) return runs
  const second = await runAgain(runs, {
    hasFailed: (run) => summarize(run, settings.isCi).failures.length > 0,
    livesByTheClock: (file) => clockAreas.has(areaOf(file)),
    runAlone: async (file) => {
      write(`\nOnce more, alone: ${relative(root, file)}\n`)
      const run = await runTests({ files: [file], timeoutMs })
      announce(run, settings)
      return run
    }
  })
  for (const file of second.unsteady) write(`\n!!! UNSTEADY: ${relative(root, file)} failed beside others (see above) and passed alone\n`)
  return second.runs
}

/** The time of an area: of its processes, or of its tests where it shares a process with others. */
function areaTimes(runs: readonly TestRun[]): ReadonlyMap<string, { readonly ms: number; readonly tests: number }> {
  const areas = new Map<string, { ms: number; tests: number }>()
  const add = (area: string, ms: number, tests: number): void => {
    const known = areas.get(area) ?? { ms: 0, tests: 0 }
    areas.set(area, { ms: known.ms + ms, tests: known.tests + tests })
  }
  for (const run of runs) {
    const isShared = new Set(run.files.map(areaOf)).size > 1
    if (!isShared) add(areaOf(run.files[0] ?? ''), run.durationMs, 0)
    for (const result of run.results) {
      const area = isShared ? areaOf(result.file) : areaOf(run.files[0] ?? '')
      add(area, isShared && result.nesting === 0 ? result.durationMs : 0, result.kind === 'test' ? 1 : 0)
    }
  }
  return areas
}

function printEnd(runs: readonly TestRun[], settings: Settings, elapsedMs: number): Counts {
  const summaries = runs.map((run) => summarize(run, settings.isCi))
  const counts = addCounts(summaries.map((each) => each.counts))
  const failures: readonly Failure[] = summaries.flatMap((each) => each.failures)
  const skips = summaries.flatMap((each) => each.skips)
  write('\nTime by suite (of its processes; two ran at a time):\n')
  for (const [area, { ms, tests }] of areaTimes(runs)) write(`  ${area.padEnd(10)} ${String(tests).padStart(5)} tests  ${seconds(ms)}\n`)
  const target = targetMs(settings.isCi)
  if (elapsedMs > target) write(`\nWARNING: the suite took ${seconds(elapsedMs)}; at most ${seconds(target)} is wanted\n`)
  if (skips.length > 0)
    write(`\n!!! ${skips.length} SKIPPED: what they show was NOT shown in this run\n${skips.map((skip) => `!!!   ${skip}\n`).join('')}`)
  if (failures.length > 0) write(`\nFailed:\n${failures.map((failure) => `  ✗ ${failure.title}\n`).join('')}`)
  write(
    `\n# tests ${counts.tests}\n# pass ${counts.pass}\n# fail ${counts.fail}\n# skipped ${counts.skipped}\n# duration_ms ${Math.round(elapsedMs)}\n`
  )
  write(`${counts.pass} passed, ${counts.fail} failed, ${counts.skipped} skipped\n`)
  return counts
}

function buildFirst(): boolean {
  return spawnSync(process.execPath, [inRoot('scripts/build.ts'), '--if-stale'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
}

/** What runs beside something else, the longest first, and then what runs alone. */
async function plan(files: readonly string[]): Promise<readonly Plan[]> {
  const pure = pureGroups.map((areas) => files.filter((file) => areas.includes(areaOf(file)))).filter((group) => group.length > 0)
  const shared = new Set(pure.flat())
  const times = await readTimes()
  const expected = (file: string): number => times[relative(root, file)] ?? 10_000
  const isolated = files.filter((file) => !shared.has(file)).sort((one, other) => expected(other) - expected(one))
  const isAlone = (file: string): boolean => aloneFiles.has(relative(root, file))
  const single = (wanted: boolean): readonly (readonly string[])[] => isolated.filter((file) => isAlone(file) === wanted).map((file) => [file])
  return [
    { groups: [...pure, ...single(false)], atOnce: processesAtOnce },
    { groups: single(true), atOnce: 1 }
  ]
}

const args = process.argv.slice(2)
const filters = args.filter((arg) => !arg.startsWith('--'))
const settings: Settings = { isVerbose: args.includes('--verbose'), isCi: process.env['CI'] === 'true' }
const started = performance.now()
const missing = filters.filter((filter) => !existsSync(filter))
const found = await findTests(filters)
const leavesLabOut = filters.length === 0 && !settings.isCi
const files = found.filter((file) => !leavesLabOut || areaOf(file) !== labArea)
if (missing.length > 0 || files.length === 0) {
  process.stderr.write(`No test matches ${missing.length > 0 ? missing.join(', ') : 'test/'}\n`)
  process.exitCode = 2
} else {
  const isBuilt = args.includes('--no-build') || buildFirst()
  const runs: TestRun[] = []
  for (const each of await plan(files)) runs.push(...(await runAll(each, settings)))
  await rememberTimes(runs)
  if (leavesLabOut)
    write('\n!!! LEFT OUT: the laboratory of real NATs. npm run test:natlab runs it, and so does CI; it wants root and npm run setup:system\n')
  const counts = printEnd(await secondRuns(runs, settings), settings, performance.now() - started)
  if (!isBuilt) process.stderr.write('The build failed: see above\n')
  process.exitCode = counts.fail > 0 || !isBuilt ? 1 : 0
}
