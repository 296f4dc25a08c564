import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inRoot, root, toolEnvironment } from './paths.ts'
import type { TestResult } from './reporter.ts'

/** What one test process did. */
export interface TestRun {
  readonly files: readonly string[]
  readonly results: readonly TestResult[]
  /** Everything that it printed. */
  readonly output: string
  readonly durationMs: number
  /** Why the process itself failed, whatever its tests say. */
  readonly crash: string | undefined
}

export interface RunTestsOptions {
  readonly files: readonly string[]
  readonly timeoutMs: number
  /** More options for node --test. */
  readonly flags?: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

function crashOf(
  exit: { readonly code: number | null; readonly signal: string | null; readonly isLate: boolean },
  results: readonly TestResult[]
): string | undefined {
  if (exit.isLate) return 'took longer than it may; its processes were ended'
  if (exit.signal !== null) return `ended by ${exit.signal}`
  if (results.length === 0) return `no test ran (exit code ${exit.code})`
  const hasFailure = results.some((result) => result.outcome === 'fail')
  return exit.code !== 0 && !hasFailure ? `exit code ${exit.code} although no test failed` : undefined
}

/** Ends the process group that the child leads: what a test process started and left behind goes with it. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has ended already.
  }
}

interface Exit {
  readonly code: number | null
  readonly signal: string | null
  readonly isLate: boolean
  readonly output: string
}

function runNode(args: readonly string[], options: RunTestsOptions): Promise<Exit> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: options.cwd ?? root,
      env: toolEnvironment(options.env),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const chunks: Buffer[] = []
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      endGroup(child.pid)
    }, options.timeoutMs)
    const onSignal = (): void => endGroup(child.pid)
    process.once('exit', onSignal)
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('error', reject)
    // 'exit' and not 'close': a process that a test left behind may hold the pipes open for ever.
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      process.removeListener('exit', onSignal)
      endGroup(child.pid)
      setImmediate(() => resolve({ code, signal, isLate, output: Buffer.concat(chunks).toString() }))
    })
  })
}

/** Runs test files in one process of their own, without a process for each file. */
export async function runTests(options: RunTestsOptions): Promise<TestRun> {
  const started = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'synaptic-mesh-tests-'))
  const resultFile = join(folder, 'results')
  try {
    const reporters = ['--test-reporter', inRoot('scripts/lib/reporter.ts'), '--test-reporter-destination', resultFile]
    const exit = await runNode(['--test', '--test-isolation=none', ...reporters, ...(options.flags ?? []), ...options.files], options)
    const text = await readFile(resultFile, 'utf8').catch(() => '')
    // Node counts a file without a test as one that passed.
    const isEmptyFile = (result: TestResult): boolean => result.outcome === 'pass' && options.files.some((file) => file.endsWith(result.name))
    const results = text
      .split('\n')
      .flatMap((line): TestResult[] => (line.endsWith('}') ? [JSON.parse(line)] : []))
      .filter((result) => !isEmptyFile(result))
    return { files: options.files, results, output: exit.output, durationMs: performance.now() - started, crash: crashOf(exit, results) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
