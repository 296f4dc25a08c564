/** Checks everything but the tests: `npm run check`, or some steps of it: `npm run check -- types lint`. */
import { spawn } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { checkPackage } from './lib/check-package.ts'
import { inRoot, root, toolEnvironment } from './lib/paths.ts'

/** What one step found: nothing when it is content. */
export interface Finding {
  readonly isMet: boolean
  readonly output: string
}

function run(command: string, args: readonly string[]): Promise<Finding> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: toolEnvironment({ NO_COLOR: '1' }), stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.once('error', reject)
    child.once('close', (code) => resolve({ isMet: code === 0, output: Buffer.concat(chunks).toString().trim() }))
  })
}

/** The projects that tsconfig.json refers to and that have a file: an empty one is an error to the compiler. */
async function projects(): Promise<readonly string[]> {
  const config: { readonly references: readonly { readonly path: string }[] } = JSON.parse(await readFile(inRoot('tsconfig.json'), 'utf8'))
  return config.references.map(({ path }) => path).filter((path) => existsSync(inRoot(path)) && globSync(`${path}/**/*.ts`, { cwd: root }).length > 0)
}

const steps: Readonly<Record<string, () => Promise<Finding>>> = {
  types: async () => run('tsc', ['-b', '--force', ...(await projects())]),
  lint: () => run('oxlint', ['--type-aware', '--deny-warnings']),
  format: () => run('oxfmt', ['--check', '.']),
  unused: () => run('knip', ['--no-progress']),
  docs: () => run('node', ['scripts/docs.ts']),
  package: checkPackage
}

const chosen = process.argv.slice(2)
const unknown = chosen.filter((name) => !Object.hasOwn(steps, name))
if (unknown.length > 0) {
  process.stderr.write(`There is no step ${unknown.join(', ')}: ${Object.keys(steps).join(', ')}\n`)
  process.exit(2)
}
const failed: string[] = []
for (const [name, step] of Object.entries(steps)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const started = performance.now()
  const { isMet, output } = await step()
  process.stdout.write(`${isMet ? '✓' : '✗'} ${name}  ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  if (!isMet) {
    failed.push(name)
    process.stdout.write(`${output.replaceAll(/^/gm, '  ')}\n`)
  }
}
process.stdout.write(failed.length === 0 ? 'check: pass\n' : `check: fail (${failed.join(', ')})\n`)
if (failed.length > 0) process.exitCode = 1
