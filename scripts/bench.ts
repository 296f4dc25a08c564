/** Runs a bench: `npm run bench` lists them, `npm run bench NAME -- ARGUMENTS` runs bench/NAME.ts and ends with its exit code. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { inRoot, root, toolEnvironment } from './lib/paths.ts'

const helpers: ReadonlySet<string> = new Set(['verdict.ts'])

/** The first sentence of the doc comment that a bench begins with. */
async function describe(name: string): Promise<string> {
  const text = await readFile(inRoot('bench', name), 'utf8')
  return /^\/\*\*\s*\*?\s*([^\n]*?)\s*(?:\*\/)?\n/.exec(text)?.[1] ?? ''
}

async function list(): Promise<void> {
  const names = (await readdir(inRoot('bench'))).filter((name) => name.endsWith('.ts') && !helpers.has(name)).sort()
  process.stdout.write('npm run bench NAME\n\n')
  for (const name of names) process.stdout.write(`  ${name.slice(0, -3).padEnd(14)} ${await describe(name)}\n`)
}

const [name, ...rest] = process.argv.slice(2)
if (name === undefined) {
  await list()
} else if (!/^[a-z0-9-]+$/.test(name) || helpers.has(`${name}.ts`) || !existsSync(inRoot('bench', `${name}.ts`))) {
  process.stderr.write(`There is no bench ${name}; npm run bench lists them\n`)
  process.exitCode = 2
} else {
  spawnSync(process.execPath, [inRoot('scripts/build.ts'), '--if-stale'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  process.exitCode =
    spawnSync(process.execPath, [inRoot('bench', `${name}.ts`), ...rest], { cwd: root, stdio: 'inherit', env: toolEnvironment() }).status ?? 1
}
