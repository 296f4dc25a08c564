/** Feeds every decoder 1,000,000 inputs (--runs): only our errors, no growth. The suite runs 10,000 of them. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } } })
const folder = join(import.meta.dirname, '..', 'test', 'fuzz')
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join(folder, name))
const env = { ...process.env, FUZZ_RUNS: values.runs, SEED: values.seed }
process.stdout.write(`${values.runs} inputs for each decoder of ${files.length} files, seed ${values.seed}\n`)
process.exitCode = spawnSync(process.execPath, ['--test', '--test-reporter=spec', ...files], { stdio: 'inherit', env }).status ?? 1
