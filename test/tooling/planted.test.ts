/** The rules of the house fail on a breach that is planted in a copy of the tree. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { copyTree, type TreeCopy } from '../../scripts/lib/copy-tree.ts'
import { toolEnvironment } from '../../scripts/lib/paths.ts'

interface Breach {
  readonly what: string
  readonly file: string
  readonly code: string
  /** What the tool's report of this file must hold. */
  readonly report: RegExp
}

const compilerBreaches: readonly Breach[] = [
  {
    what: 'a timer in core',
    file: 'src/core/base/planted-timer.ts',
    code: 'export const later = (): unknown => setTimeout(() => {}, 1)',
    report: /setTimeout/
  },
  { what: 'a file system in core', file: 'src/core/base/planted-files.ts', code: "export { readFileSync } from 'node:fs'", report: /node:fs/ },
  { what: 'a console in core', file: 'src/core/base/planted-console.ts', code: "export const say = (): void => console.log('x')", report: /console/ },
  {
    what: 'the global crypto in core',
    file: 'src/core/base/planted-crypto.ts',
    code: 'export const id = (): string => crypto.randomUUID()',
    report: /crypto/
  },
  {
    what: 'core that imports mesh',
    file: 'src/core/base/planted-upward.ts',
    code: "export type { Mesh } from '../../mesh/mesh.ts'",
    report: /mesh\.ts|rootDir|file list/
  },
  { what: 'an any that is not said', file: 'src/core/base/planted-any.ts', code: 'export const same = (value) => value', report: /TS7006/ },
  { what: 'an enum', file: 'src/core/base/planted-enum.ts', code: 'export enum Colour { red }', report: /TS1294/ }
]

const linterBreaches: readonly Breach[] = [
  {
    what: 'an import of a sibling inside core',
    file: 'src/core/message/planted-sibling.ts',
    code: "export { optionTable } from '../options/index.ts'",
    report: /house\(layers\)/
  },
  {
    what: 'a type import of a sibling inside core',
    file: 'src/core/message/planted-type.ts',
    code: "export type { OptionKey } from '../options/index.ts'",
    report: /house\(layers\)/
  },
  {
    what: 'a package in core that is not for it',
    file: 'src/core/base/planted-package.ts',
    code: "export { z } from 'zod'",
    report: /house\(layers\)/
  },
  { what: 'a shell that loads libp2p', file: 'src/cli/planted-libp2p.ts', code: "export { createLibp2p } from 'libp2p'", report: /house\(layers\)/ },
  {
    what: 'a shell that imports the daemon',
    file: 'src/cli/planted-daemon.ts',
    code: "export const load = (): Promise<unknown> => import('../daemon/main.ts')",
    report: /house\(layers\)/
  },
  {
    what: 'a cycle',
    file: 'src/core/base/planted-cycle-a.ts',
    code: "import { b } from './planted-cycle-b.ts'\nexport const a = (): unknown => b",
    report: /no-cycle/
  },
  {
    what: 'the other half of a cycle',
    file: 'src/core/base/planted-cycle-b.ts',
    code: "import { a } from './planted-cycle-a.ts'\nexport const b = (): unknown => a",
    report: /no-cycle/
  },
  {
    what: 'the wall clock in core',
    file: 'src/core/base/planted-now.ts',
    code: 'export const now = (): number => Date.now()',
    report: /house\(no-ambient-time\)/
  },
  {
    what: 'a new Date in mesh',
    file: 'src/mesh/planted-date.ts',
    code: 'export const now = (): Date => new Date()',
    report: /house\(no-ambient-time\)/
  },
  {
    what: 'chance in core',
    file: 'src/core/base/planted-random.ts',
    code: 'export const dice = (): number => Math.random()',
    report: /house\(no-ambient-time\)/
  },
  {
    what: 'a timer in mesh',
    file: 'src/mesh/planted-timer.ts',
    code: 'export const later = (): unknown => setTimeout(() => {}, 1)',
    report: /no-restricted-globals/
  },
  {
    what: 'a raw protocol handler',
    file: 'src/mesh/planted-handle.ts',
    code: 'interface Host { handle(id: string, take: () => void): void }\nexport const open = (host: Host): void => host.handle("/x/1.0.0", () => {})',
    report: /house\(no-raw-handle\)/
  },
  {
    what: 'a promise that nobody waits for',
    file: 'src/node/planted-promise.ts',
    code: 'const work = async (): Promise<void> => {}\nexport const start = (): void => {\n  work()\n}',
    report: /no-floating-promises/
  },
  { what: 'an any', file: 'src/node/planted-any.ts', code: 'export const same = (value: any): unknown => value', report: /no-explicit-any/ },
  {
    what: 'a cast through unknown',
    file: 'src/node/planted-cast.ts',
    code: 'export const cast = (value: string): number => value as unknown as number',
    report: /house\(no-double-cast\)/
  },
  {
    what: 'printing outside of the output file',
    file: 'src/node/planted-console.ts',
    code: "export const say = (): void => console.log('x')",
    report: /no-console/
  },
  {
    what: 'a commit that does not reach the disk',
    file: 'src/node/planted-pragma.ts',
    code: "export const pragma = 'PRAGMA synchronous = NORMAL'",
    report: /house\(full-synchronous\)/
  },
  {
    what: 'four parameters',
    file: 'src/node/planted-params.ts',
    code: 'export const four = (a: number, b: number, c: number, d: number): number => a + b + c + d',
    report: /max-params/
  },
  {
    what: 'a file of 401 lines',
    file: 'src/node/planted-lines.ts',
    code: Array.from({ length: 401 }, (_, line) => `export const line${line} = ${line}`).join('\n'),
    report: /max-lines/
  },
  {
    what: 'a function of 61 lines',
    file: 'src/node/planted-function.ts',
    code: `export function long(): void {\n${Array.from({ length: 61 }, (_, line) => `  Math.abs(${line})`).join('\n')}\n}`,
    report: /max-lines-per-function/
  },
  {
    what: 'a switch that forgets a case',
    file: 'src/node/planted-switch.ts',
    code: "export function size(of: 'a' | 'b'): number {\n  switch (of) {\n    case 'a':\n      return 1\n  }\n  return 0\n}",
    report: /switch-exhaustiveness-check/
  }
]

async function plant(tree: TreeCopy, breaches: readonly Breach[]): Promise<void> {
  for (const { file, code } of breaches) {
    await mkdir(dirname(join(tree.root, file)), { recursive: true })
    await writeFile(join(tree.root, file), `${code}\n`)
  }
}

/** What a report says of a file. */
function linesOf(report: string, file: string): string {
  const lines = report.split('\n').filter((line) => line.includes(file))
  assert.ok(lines.length > 0, `nothing of ${file} in: ${report.slice(0, 2_000)}`)
  return lines.map((line) => line.replaceAll(file, '')).join('\n')
}

function run(tree: TreeCopy, command: readonly string[]): string {
  const [program = '', ...args] = command
  const result = spawnSync(program, args, { cwd: tree.root, encoding: 'utf8', env: toolEnvironment({ NO_COLOR: '1' }) })
  assert.notEqual(result.status, 0, `${command.join(' ')} must fail`)
  return `${result.stdout}${result.stderr}`
}

const parts = ['src', 'scripts/lint', '.oxlintrc.json', 'tsconfig.base.json', 'tsconfig.json', 'package.json']

describe('the compiler refuses', () => {
  let tree: TreeCopy
  let report = ''
  before(async () => {
    tree = await copyTree(parts)
    await plant(tree, compilerBreaches)
    report = run(tree, ['tsc', '-b', '--pretty', 'false', 'src/core'])
  })
  after(() => tree[Symbol.asyncDispose]())
  for (const breach of compilerBreaches) test(breach.what, () => assert.match(linesOf(report, breach.file), breach.report))
})

describe('the linter refuses', () => {
  let tree: TreeCopy
  let report = ''
  before(async () => {
    tree = await copyTree(parts)
    await plant(tree, linterBreaches)
    report = run(tree, ['oxlint', '--type-aware', '--format=unix', 'src'])
  })
  after(() => tree[Symbol.asyncDispose]())
  for (const breach of linterBreaches) test(breach.what, () => assert.match(linesOf(report, breach.file), breach.report))
})
