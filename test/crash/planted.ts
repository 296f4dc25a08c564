import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** A fault for a copy of the source. */
export interface Fault {
  readonly file: string
  readonly search: string
  readonly replace: string
}

/** Replies go out at once, and a timer commits: acknowledged before it is durable, as other systems do by default. */
export const ackBeforeCommit: readonly Fault[] = [
  {
    file: 'src/node/sqlite/engine.ts',
    search: `      const result = work()
      this.#database.exec('COMMIT')`,
    replace: `      const result = work()
      setTimeout(() => this.#database.isTransaction && this.#database.exec('COMMIT'), 60)`
  },
  {
    file: 'src/node/sqlite/engine.ts',
    search: `    this.#database.exec('BEGIN IMMEDIATE')`,
    replace: `    if (!this.#database.isTransaction) this.#database.exec('BEGIN IMMEDIATE')`
  }
]

/** A copy of the source and the crash tests with `faults` in it. `remove` deletes it. */
export function plant(faults: readonly Fault[]): { readonly root: string; remove(): void } {
  const copy = mkdtempSync(join(tmpdir(), 'synaptic-mesh-planted-'))
  for (const part of ['src', 'test/crash', 'test/node', 'package.json']) cpSync(join(root, part), join(copy, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const { file, search, replace } of faults) {
    const text = readFileSync(join(copy, file), 'utf8')
    assert.equal(text.split(search).length, 2, `the place for the fault stands once in ${file}`)
    writeFileSync(
      join(copy, file),
      text.replace(search, () => replace)
    )
  }
  return { root: copy, remove: () => rmSync(copy, { recursive: true, force: true }) }
}
