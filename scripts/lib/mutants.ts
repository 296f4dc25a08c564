import { spawnSync } from 'node:child_process'
import { copyFile, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { copyTree, type TreeCopy } from './copy-tree.ts'
import { inRoot } from './paths.ts'
import { runTests, type TestRun } from './run-tests.ts'

/** A fault to plant: `search` stands exactly once in `file`, and `test` must fail once it is replaced. */
export interface Mutant {
  readonly name: string
  readonly file: string
  readonly search: string
  readonly replace: string
  /** The test file that must catch it. */
  readonly test: string
  /** Only tests whose name matches are run, where the whole file would take long. */
  readonly only?: string
}

export type Verdict = 'caught' | 'survived' | 'not applicable' | 'the killer fails without it'

export interface Outcome {
  readonly mutant: Mutant
  readonly verdict: Verdict
  readonly durationMs: number
  readonly detail: string
}

const parts = [
  'src',
  'test',
  'scripts',
  'bench',
  'bin',
  'examples',
  'docs',
  'README.md',
  '.oxlintrc.json',
  'package.json',
  'package-lock.json',
  'tsconfig.base.json',
  'tsconfig.json'
]
/** Their tests start the bundles, so that these are made anew with the fault inside. */
const bundledAreas = /^test\/(?:cli|crash)\//
const killerTimeoutMs = 90_000

function isMutant(value: unknown): value is Mutant {
  if (typeof value !== 'object' || value === null) return false
  return ['name', 'file', 'search', 'replace', 'test'].every((key) => typeof Reflect.get(value, key) === 'string')
}

/** Every mutant of test/mutants, in the order of its files. @throws Error for an entry that is none, or a name that stands twice. */
export async function readMutants(): Promise<readonly Mutant[]> {
  const files = (await readdir(inRoot('test/mutants'))).filter((name) => name.endsWith('.json')).sort()
  const lists = await Promise.all(files.map(async (name): Promise<unknown> => JSON.parse(await readFile(inRoot('test/mutants', name), 'utf8'))))
  const mutants = lists.flatMap((list, index) => {
    if (!Array.isArray(list) || !list.every(isMutant))
      throw new Error(`test/mutants/${files[index]} must be a list of {name, file, search, replace, test}`)
    return list
  })
  const names = mutants.map((mutant) => mutant.name)
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  if (twice.length > 0) throw new Error(`Two mutants have one name: ${twice.join(', ')}`)
  return mutants
}

/** Why a mutant cannot be planted; undefined when it can. */
export async function whyNotApplicable(mutant: Mutant): Promise<string | undefined> {
  const text = await readFile(inRoot(mutant.file), 'utf8').catch(() => undefined)
  if (text === undefined) return `${mutant.file} does not exist`
  const found = text.split(mutant.search).length - 1
  if (found !== 1) return `the pattern stands ${found} times in ${mutant.file}, not once`
  const killer = await readFile(inRoot(mutant.test), 'utf8').catch(() => undefined)
  return killer === undefined ? `${mutant.test} does not exist` : undefined
}

const only = (mutant: Mutant): readonly string[] => (mutant.only === undefined ? [] : [`--test-name-pattern=${mutant.only}`])

/** A copy of the tree in which one mutant at a time lives. */
class Laboratory {
  readonly #tree: TreeCopy

  constructor(tree: TreeCopy) {
    this.#tree = tree
  }

  #run(mutant: Mutant): Promise<TestRun> {
    const cwd = this.#tree.root
    if (bundledAreas.test(mutant.test)) spawnSync(process.execPath, ['scripts/build.ts', '--if-stale'], { cwd, stdio: 'ignore' })
    return runTests({ files: [join(cwd, mutant.test)], flags: only(mutant), timeoutMs: killerTimeoutMs, cwd })
  }

  async try(mutant: Mutant): Promise<Outcome> {
    const started = performance.now()
    const why = await whyNotApplicable(mutant)
    const outcome = (verdict: Verdict, detail: string): Outcome => ({ mutant, verdict, detail, durationMs: performance.now() - started })
    if (why !== undefined) return outcome('not applicable', why)
    const file = join(this.#tree.root, mutant.file)
    try {
      const text = await readFile(inRoot(mutant.file), 'utf8')
      await writeFile(
        file,
        text.replace(mutant.search, () => mutant.replace)
      )
      const run = await this.#run(mutant)
      const failed = run.results.find((result) => result.outcome === 'fail' && !result.inherited)
      if (failed === undefined && run.crash === undefined) return outcome('survived', `${mutant.test} passes with it`)
      return outcome('caught', failed?.name ?? run.crash ?? '')
    } finally {
      await copyFile(inRoot(mutant.file), file)
    }
  }

  /** Whether a killer passes while nothing is planted: otherwise it would "catch" anything. One that lives by the clock has a second try. */
  async isSound(mutant: Mutant): Promise<boolean> {
    return (await this.#passes(mutant)) || (await this.#passes(mutant))
  }

  async #passes(mutant: Mutant): Promise<boolean> {
    const run = await this.#run(mutant)
    return (
      run.crash === undefined && run.results.some((result) => result.outcome === 'pass') && run.results.every((result) => result.outcome !== 'fail')
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tree[Symbol.asyncDispose]()
  }
}

export interface RunMutantsOptions {
  readonly mutants: readonly Mutant[]
  /** How many run at a time, each in a copy of its own. */
  readonly atOnce: number
  readonly onOutcome?: (outcome: Outcome) => void
}

/** Plants each mutant in turn and runs its killer; a killer must also pass without any. */
export async function runMutants(options: RunMutantsOptions): Promise<readonly Outcome[]> {
  const waiting = [...options.mutants]
  const outcomes: Outcome[] = []
  const soundness = new Map<string, Promise<boolean>>()
  const worker = async (): Promise<void> => {
    await using laboratory = new Laboratory(await copyTree(parts))
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const killer = `${mutant.test}\0${mutant.only ?? ''}`
      const sound = soundness.get(killer) ?? laboratory.isSound(mutant)
      soundness.set(killer, sound)
      const isSound = await sound
      const outcome = await laboratory.try(mutant)
      const judged: Outcome = outcome.verdict === 'caught' && !isSound ? { ...outcome, verdict: 'the killer fails without it' } : outcome
      outcomes.push(judged)
      options.onOutcome?.(judged)
    }
  }
  await Promise.all(Array.from({ length: options.atOnce }, worker))
  return outcomes
}
