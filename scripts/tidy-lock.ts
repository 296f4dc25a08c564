/**
 * Takes platform packages that the lock has no entry for out of the lists that name them. A registry that does not carry them makes npm write
 * such a lock, and `npm ci` then refuses it. Run after `npm install` when test/tooling/lockfile.test.ts says so.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { inRoot } from './lib/paths.ts'
import { readLock } from './lib/lock.ts'

const file = inRoot('package-lock.json')
const lock = readLock(await readFile(file, 'utf8'))
const names = new Set(Object.keys(lock.packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)))
let removed = 0
for (const entry of Object.values(lock.packages)) {
  const optional = entry.optionalDependencies ?? {}
  for (const name of Object.keys(optional).filter((each) => !names.has(each))) {
    delete optional[name]
    removed += 1
  }
}
await writeFile(file, `${JSON.stringify(lock, null, 2)}\n`)
process.stderr.write(`tidy-lock: ${removed} entries removed\n`)
