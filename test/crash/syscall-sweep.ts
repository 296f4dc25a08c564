import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadIdentity } from '../../src/node/identity.ts'
import { storeFile } from '../../src/node/sqlite/stores.ts'
import { bundleChild } from './bundle-child.ts'
import { Proc, within } from './proc.ts'
import { StoreLedger } from './store-ledger.ts'

/** The calls through which the delivery path reaches the disk. SQLite of Node 24 syncs with fsync, not with fdatasync (checked by the test). */
export const sweptCalls = ['fsync', 'pwrite64', 'ftruncate', 'rename'] as const
export type SweptCall = (typeof sweptCalls)[number] | 'fdatasync'

/** Why the sweep cannot run here; undefined when it can. */
export function whyNoSweep(): string | undefined {
  const strace = spawnSync('strace', ['-e', 'inject=fsync:error=EIO', 'true'], { encoding: 'utf8' })
  if (strace.error !== undefined) return 'skipped: needs strace, run npm run setup:system'
  return strace.status === 0 ? undefined : `skipped: strace may not trace here: ${strace.stderr.trim().slice(0, 200)}`
}

/** What one run came to. */
export interface SweepPoint {
  readonly call: SweptCall
  readonly at: number
  /** The process was killed at this call (or, with an error, saw it); false: it made fewer calls. */
  readonly wasHit: boolean
  readonly errors: readonly string[]
  /** What is wrong afterwards: lost, handed out again, damaged, unnamed. Empty when all is well. */
  readonly wrong: readonly string[]
}

/** Runs the delivery path under strace, with one call changed in each run. */
export class SyscallSweep {
  readonly #base = mkdtempSync(join(tmpdir(), 'synaptic-mesh-sweep-'))
  readonly #child: string
  #runs = 0

  private constructor(child: string) {
    this.#child = child
  }

  static async create(root: string): Promise<SyscallSweep> {
    const program = mkdtempSync(join(tmpdir(), 'synaptic-mesh-sweep-program-'))
    return new SyscallSweep(await bundleChild(root, program, 'sweep-child'))
  }

  remove(): void {
    rmSync(this.#base, { recursive: true, force: true })
    rmSync(join(this.#child, '..'), { recursive: true, force: true })
  }

  /** How often a whole run makes `call`, on its busiest thread (strace counts threads apart). */
  async count(call: SweptCall): Promise<number> {
    const folder = this.#folder()
    const trace = `${folder}.trace`
    await this.#run(folder, ['-o', trace, '-e', `trace=${call}`])
    const threads = new Map<string, number>()
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      const thread = /^(\d+) +\w+\(/.exec(line)?.[1]
      if (thread !== undefined) threads.set(thread, (threads.get(thread) ?? 0) + 1)
    }
    return Math.max(0, ...threads.values())
  }

  /** Kills the process at its `at`-th `call`, then starts on what is left and completes the path. */
  async kill(call: SweptCall, at: number): Promise<SweepPoint> {
    const folder = this.#folder()
    const first = await this.#run(folder, ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${at}`])
    const wasHit = !first.lines.includes('done')
    const ledger = new StoreLedger()
    ledger.take(first.lines)
    const again = await this.#run(folder, undefined)
    ledger.take(again.lines)
    const wrong = [
      ...(await this.#compare(folder, ledger)),
      ...again.lines.filter((line) => /^(?:error|unnamed)/.test(line)),
      ...(again.lines.includes('done') ? [] : ['the next start did not finish'])
    ]
    return { call, at, wasHit, errors: [], wrong }
  }

  /** Makes `call` fail with `error` from the `from`-th time on, `times` times (for ever by default); steps that find the disk full are tried again. */
  async fail(call: SweptCall, error: 'ENOSPC' | 'EIO', { from, times }: { readonly from: number; readonly times?: number }): Promise<SweepPoint> {
    const folder = this.#folder()
    const run = await this.#run(
      folder,
      ['-e', `trace=${call}`, '-e', `inject=${call}:error=${error}:when=${from}${times === undefined ? '+' : `..${from + times - 1}`}`],
      times === undefined ? 2 : 100
    )
    const ledger = new StoreLedger()
    ledger.take(run.lines)
    const errors = run.lines.filter((line) => line.startsWith('error')).map((line) => line.slice(6))
    const unnamed = run.lines.filter((line) => line.startsWith('unnamed'))
    const wrong = [...unnamed, ...(run.lines.includes('done') ? [] : [`it ended early: ${run.errors}`]), ...(await this.#compare(folder, ledger))]
    return { call, at: from, wasHit: errors.length > 0, errors, wrong }
  }

  #folder(): string {
    this.#runs += 1
    mkdirSync(join(this.#base, String(this.#runs)), { mode: 0o700 })
    return join(this.#base, String(this.#runs), 'state')
  }

  async #run(folder: string, strace: readonly string[] | undefined, tries = 1): Promise<Proc> {
    const through = strace === undefined ? [] : ['strace', '-f', '-qq', ...(strace.includes('-o') ? [] : ['-o', '/dev/null']), ...strace]
    const proc = Proc.node([this.#child, folder, String(tries)], { through })
    await within(proc.ended, 60_000)
    return proc
  }

  async #compare(folder: string, ledger: StoreLedger): Promise<readonly string[]> {
    const wrong: string[] = []
    const key = join(folder, 'identity.key')
    if (existsSync(key) && (await loadIdentity(key)) === undefined) wrong.push('the key is gone')
    if (!existsSync(join(folder, storeFile))) return ledger.isEmpty ? wrong : [...wrong, 'the store is gone']
    const verdict = ledger.compare(folder)
    for (const id of verdict.lostAccepted) wrong.push(`lost accepted ${id}`)
    for (const id of verdict.lostStored) wrong.push(`lost stored ${id}`)
    for (const id of verdict.givenAfterAck) wrong.push(`given after ack ${id}`)
    return [...wrong, ...verdict.damage]
  }
}

/** Runs `run` for every point, two at a time. */
export async function twoAtOnce(points: readonly number[], run: (at: number) => Promise<SweepPoint>): Promise<readonly SweepPoint[]> {
  const results: SweepPoint[] = []
  const queue = [...points]
  const work = async (): Promise<void> => {
    for (let at = queue.shift(); at !== undefined; at = queue.shift()) results.push(await run(at))
  }
  await Promise.all([work(), work()])
  return results
}

/** What is wrong at any of `points`. */
export const faultsOf = (points: readonly SweepPoint[]): readonly string[] =>
  points.flatMap(({ call, at, wrong }) => wrong.map((each) => `${call} ${at}: ${each}`))
