/** Bundles the package into dist/. `--if-stale`: only when a source changed. `--types`: declarations as well. `--clean`: leaves no older chunk. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { spawnSync } from 'node:child_process'
import { build, type BuildOptions, type Metafile } from 'esbuild'
import { inRoot, root } from './lib/paths.ts'
import { thirdPartyNotices } from './lib/notices.ts'

const dist = inRoot('dist')
const stampFile = join(dist, 'build.json')
/** A running process may still load an older chunk lazily, so that these stay for a while. */
const staleChunkMs = 3_600_000

/** Programs hold all their dependencies: a CLI that resolves hundreds of modules starts ten times slower. */
const programs = { cli: 'src/cli/main.ts', daemon: 'src/daemon/main.ts', 'store-worker': 'src/node/sqlite/store-worker.ts' }
/** Libraries leave dependencies to the package manager of whoever imports them. */
const libraries = { index: 'src/node/index.ts', testing: 'src/testing/index.ts', crypto: 'src/crypto/public.ts', noise: 'src/node/noise.ts' }

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  splitting: true,
  metafile: true,
  minifySyntax: true,
  minifyWhitespace: true,
  // Node prints the whole line that an uncaught error was thrown on.
  lineLimit: 200,
  legalComments: 'none',
  chunkNames: 'chunk-[hash]',
  logLevel: 'warning'
}

/** Optional peer dependencies with native parts: looked for when they are wanted. */
const optionalPeers = ['node-datachannel', 'sodium-native']

/** What bundled CommonJS dependencies need to load Node's own modules. */
const requireBanner = { js: "import{createRequire as nodeCreateRequire}from'node:module';const require=nodeCreateRequire(import.meta.url);" }

function present(entries: Readonly<Record<string, string>>): Record<string, string> {
  const found = Object.entries(entries).filter(([name, file]) => {
    if (existsSync(inRoot(file))) return true
    process.stderr.write(`build: ${file} does not exist, dist/${name}.js is left out\n`)
    return false
  })
  return Object.fromEntries(found)
}

async function bundle(outdir: string): Promise<readonly Metafile[]> {
  const [programEntries, libraryEntries] = [present(programs), present(libraries)]
  const results = await Promise.all([
    Object.keys(programEntries).length > 0 &&
      build({ ...common, metafile: true, entryPoints: programEntries, outdir, banner: requireBanner, external: optionalPeers }),
    Object.keys(libraryEntries).length > 0 && build({ ...common, metafile: true, entryPoints: libraryEntries, outdir, packages: 'external' })
  ])
  return results.flatMap((result) => (result === false ? [] : [result.metafile]))
}

/** Moves each file into place; entries come last, so that at no time an entry names a chunk that is not there. */
async function publish(from: string): Promise<readonly string[]> {
  const files = await readdir(from)
  const isChunk = (name: string): boolean => name.startsWith('chunk-')
  const ordered = [...files.filter(isChunk), ...files.filter((name) => !isChunk(name))]
  await mkdir(dist, { recursive: true })
  for (const name of ordered) await rename(join(from, name), join(dist, name))
  return files
}

async function removeOldChunks(current: readonly string[], olderThanMs: number): Promise<void> {
  for (const name of await readdir(dist)) {
    if (!name.startsWith('chunk-') || current.includes(name)) continue
    const file = join(dist, name)
    const info = await stat(file).catch(() => undefined)
    if (info !== undefined && Date.now() - info.mtimeMs >= olderThanMs) await rm(file, { force: true })
  }
}

/** A hash of name, size and modification time of everything that the bundles are made of. */
async function sourceState(): Promise<string> {
  const hash = createHash('sha256')
  const sources = await readdir(inRoot('src'), { recursive: true })
  const files = sources.filter((name) => name.endsWith('.ts')).map((name) => join('src', name))
  for (const file of [...files, 'package-lock.json', 'scripts/build.ts', 'scripts/lib/notices.ts'].sort()) {
    const info = await stat(inRoot(file)).catch(() => undefined)
    hash.update(`${file}\0${info?.size}\0${info?.mtimeMs}\n`)
  }
  return hash.digest('hex')
}

async function isFresh(state: string): Promise<boolean> {
  try {
    const stamp: unknown = JSON.parse(await readFile(stampFile, 'utf8'))
    if (typeof stamp !== 'object' || stamp === null || !('state' in stamp) || !('files' in stamp)) return false
    return stamp.state === state && Array.isArray(stamp.files) && stamp.files.every((name) => existsSync(join(dist, String(name))))
  } catch {
    return false
  }
}

async function buildBundles(state: string, clean: boolean): Promise<void> {
  const started = performance.now()
  const temporary = await mkdtemp(inRoot('.dist-'))
  try {
    const metafiles = await bundle(temporary)
    await writeFile(join(temporary, 'THIRD-PARTY-LICENSES.txt'), await thirdPartyNotices(root, metafiles))
    const files = await publish(temporary)
    await removeOldChunks(files, clean ? 0 : staleChunkMs)
    await writeFile(`${stampFile}.${process.pid}`, JSON.stringify({ state, files }))
    await rename(`${stampFile}.${process.pid}`, stampFile)
    process.stderr.write(`build: ${files.length} files in ${relative(root, dist)}/ in ${((performance.now() - started) / 1000).toFixed(1)} s\n`)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** Declarations of the whole library, into dist/types. */
function buildTypes(): number {
  const layers = ['src/node', 'src/testing'].filter((layer) => existsSync(inRoot(layer, 'index.ts')))
  if (layers.length === 0) return 0
  return (
    spawnSync(process.execPath, [inRoot('node_modules/typescript/bin/tsc'), '-b', '--force', ...layers], { cwd: root, stdio: 'inherit' }).status ?? 1
  )
}

const flags = new Set(process.argv.slice(2))
const state = await sourceState()
const skip = flags.has('--if-stale') && (await isFresh(state))
try {
  if (!skip) await buildBundles(state, flags.has('--clean'))
  if (flags.has('--types')) process.exitCode = buildTypes()
} catch (error) {
  // esbuild has told each problem with its place already.
  process.stderr.write(`build: failed${error instanceof Error && !('errors' in error) ? `: ${error.message}` : ''}\n`)
  process.exitCode = 1
}
