#!/usr/bin/env node
// Before any import: an old Node must say what is missing instead of failing on syntax or on a module that it lacks.
const found = process.version
const wanted = 24
if (Number(found.slice(1).split('.')[0]) < wanted) {
  process.stderr.write(
    process.argv.includes('--json')
      ? JSON.stringify({
          error: {
            code: 'NODE_TOO_OLD',
            message: `Node ${found} is too old: synaptic-mesh needs Node ${wanted} or newer`,
            hint: 'Install Node 24. In a checkout `npm ci` brings it: run `npx synaptic-mesh` there.',
            next: [],
            retryable: false,
            docs: 'docs/errors.md#node_too_old'
          }
        }) + '\n'
      : `✗ Node ${found} is too old: synaptic-mesh needs Node ${wanted} or newer (NODE_TOO_OLD)\n  Install Node ${wanted}. In a checkout \`npm ci\` brings it: run \`npx synaptic-mesh\` there.\n`
  )
  process.exitCode = 2
} else {
  await start()
}

async function start() {
  await prepareBundles()
  await useCompileCache()
  const { main } = await import('../dist/cli.js')
  await main()
}

/** In a checkout the bundles are made once, at the first call. */
async function prepareBundles() {
  const { existsSync } = await import('node:fs')
  const { fileURLToPath } = await import('node:url')
  const build = fileURLToPath(new URL('../scripts/build.ts', import.meta.url))
  if (existsSync(fileURLToPath(new URL('../dist/cli.js', import.meta.url))) || !existsSync(build)) return
  process.stderr.write('synaptic-mesh: building once …\n')
  const { spawnSync } = await import('node:child_process')
  const { status } = spawnSync(process.execPath, [build], { stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(1)
}

/** Keeps compiled code in a folder of this user: Node's own place is shared by everyone, and compiled code is trusted as it is. */
async function useCompileCache() {
  const { enableCompileCache } = await import('node:module')
  const { XDG_CACHE_HOME, HOME } = process.env
  const base = XDG_CACHE_HOME?.startsWith('/') ? XDG_CACHE_HOME : HOME?.startsWith('/') ? `${HOME}/.cache` : undefined
  if (base === undefined) return
  const { mkdirSync, statSync } = await import('node:fs')
  const folder = `${base}/synaptic-mesh/compiled`
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { mode, uid } = statSync(folder)
    const isOwn = process.platform === 'win32' || ((mode & 0o022) === 0 && uid === process.geteuid?.())
    if (isOwn) enableCompileCache(folder)
  } catch {
    // Without a cache it only starts more slowly.
  }
}
