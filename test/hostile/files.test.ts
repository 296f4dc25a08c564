import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { test, type TestContext } from 'node:test'
import { toMeshError } from '../../src/core/base/index.ts'
import { type ProfilePaths, profilePaths } from '../../src/core/options/index.ts'
import { prepareProfile, startDaemon, webhookSecret } from '../../src/daemon/main.ts'

/** Reliability: whatever stands where this node wants to put a file, it is refused or mended; nothing is followed, and nothing of others is changed. */

const settings = {
  network: 'test-files',
  listen_addrs: ['/ip4/127.0.0.1/tcp/0'],
  mdns: false,
  name: 'files',
  gateway: true,
  gateway_port: 0
} as const

interface Place {
  readonly base: string
  readonly paths: ProfilePaths
}

/** A data folder in a folder of its own, with victims beside it. */
function newPlace(t: TestContext): Place {
  const base = mkdtempSync(join(tmpdir(), 'sm-files-'))
  t.after(() => rmSync(base, { recursive: true, force: true, maxRetries: 3 }))
  const dataDir = join(base, 'd')
  mkdirSync(dataDir, { mode: 0o700 })
  return { base, paths: profilePaths({ environment: {}, home: base, platform: process.platform, profile: 'default', dataDir }) }
}

/** A life of a node: everything that it makes at its start. */
async function live({ paths }: Place): Promise<void> {
  const environment = {}
  await prepareProfile(paths, settings, environment)
  webhookSecret(paths)
  const daemon = await startDaemon(paths, environment)
  await daemon.stop()
}

const modeOf = (path: string): number => lstatSync(path).mode & 0o777

/** Every file and folder below `folder`, itself included. */
function walk(folder: string): readonly string[] {
  return [
    folder,
    ...readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? walk(path) : [path]
    })
  ]
}

/** What is wrong with the files of a node. */
const wrongIn = (folder: string): readonly string[] =>
  walk(folder).flatMap((path) => {
    const stats = lstatSync(path)
    const wanted = stats.isDirectory() ? 0o700 : 0o600
    const isKnown = stats.isDirectory() || stats.isSocket() || (stats.isFile() && stats.nlink === 1)
    const isRight = isKnown && (stats.mode & 0o777) === wanted && stats.uid === process.geteuid?.()
    return isRight ? [] : [`${relative(folder, path)} ${(stats.mode & 0o777777).toString(8)}`]
  })

/** Everything that a node makes, while it runs and after, from its data folder. */
async function madePaths(t: TestContext): Promise<readonly string[]> {
  const place = newPlace(t)
  const folder = join(place.base, 'd')
  await prepareProfile(place.paths, settings, {})
  webhookSecret(place.paths)
  const daemon = await startDaemon(place.paths, {})
  const running = walk(folder)
  assert.deepEqual(wrongIn(folder), [])
  await daemon.stop()
  assert.deepEqual(wrongIn(folder), [])
  const { stateFolder, runtimeFolder } = place.paths
  // Those that come and go, or come later.
  const passing = [
    join(runtimeFolder, 'bind.lock'),
    join(stateFolder, 'mesh.db.new'),
    join(stateFolder, 'mesh.db-wal'),
    join(stateFolder, 'daemon.log.1')
  ]
  return [...new Set([...running, ...walk(folder), ...passing])].map((path) => relative(folder, path)).filter((path) => path !== '')
}

const secretText = 'of somebody else'

interface Plant {
  /** At a path where a file is made; `victim` is a private file of ours outside. */
  readonly make: (path: string, place: Place) => void
}

const nowhere = ({ base }: Place): string => join(base, 'nowhere')
const victimOf = ({ base }: Place): string => join(base, 'victim')

const plants: Readonly<Record<string, Plant>> = {
  'a symbolic link': { make: (path, place) => symlinkSync(victimOf(place), path) },
  'a dangling link': { make: (path, place) => symlinkSync(nowhere(place), path) },
  'a link to a folder': { make: (path, place) => symlinkSync(join(place.base, 'others'), path) },
  'a hard link': { make: (path, place) => linkSync(victimOf(place), path) },
  'a pipe': { make: (path) => assert.equal(spawnSync('mkfifo', ['-m', '600', path]).status, 0) },
  'a folder': { make: (path) => mkdirSync(path, 0o700) },
  'an old file that others can read': {
    make: (path) => {
      writeFileSync(path, 'old')
      chmodSync(path, 0o644)
    }
  }
}

/** Lives with something planted; what the victims and the node's own files are like afterwards. */
async function liveWith(
  t: TestContext,
  { at, plant }: { readonly at: string; readonly plant: Plant }
): Promise<{ readonly code: string; readonly problems: readonly string[] }> {
  const place = newPlace(t)
  const path = join(place.base, 'd', at)
  writeFileSync(victimOf(place), secretText, { mode: 0o600 })
  mkdirSync(join(place.base, 'others'), { mode: 0o700 })
  for (let folder = dirname(path), missing: string[] = []; ; folder = dirname(folder)) {
    if (!existsSync(folder)) missing = [folder, ...missing]
    else {
      for (const each of missing) mkdirSync(each, { mode: 0o700 })
      break
    }
  }
  plant.make(path, place)
  const code = await live(place).then(
    () => 'lived',
    (error: unknown) => toMeshError(error).code
  )
  const problems: string[] = []
  if (readFileSync(victimOf(place), 'utf8') !== secretText || modeOf(victimOf(place)) !== 0o600) problems.push('the victim was changed')
  if (existsSync(nowhere(place))) problems.push('a dangling link was followed')
  if (readdirSync(join(place.base, 'others')).length > 0) problems.push('a link to a folder was followed')
  if (code === 'lived') problems.push(...wrongIn(join(place.base, 'd')))
  rmSync(place.base, { recursive: true, force: true })
  return { code, problems }
}

/** How a start may be refused: by a name that tells the path or the mode. */
const refusals = new Set(['PATH_UNSAFE', 'PERMISSIONS_UNSAFE', 'KEY_CORRUPT', 'STATE_CORRUPT', 'CONFIG_MALFORMED', 'LISTEN_FAILED', 'OPTION_INVALID'])

test('everything that a node makes is closed to others with a umask of 000, while it runs and afterwards', async (t) => {
  const before = process.umask(0o000)
  t.after(() => process.umask(before))
  const paths = await madePaths(t)
  for (const name of [
    'default.toml',
    'default/identity.key',
    'default/mesh.db',
    'default/daemon.log',
    'run/default/daemon.pid',
    'run/default/tokens/admin'
  ])
    assert.ok(paths.includes(name), `${name} is not among ${paths.join(' ')}`)
})

test(
  'links, pipes, second names, folders and old open files at every path that a node makes are refused by name or mended',
  { timeout: 600_000 },
  async (t) => {
    const paths = await madePaths(t)
    const found: string[] = []
    let lived = 0
    for (const at of paths) {
      for (const [name, plant] of Object.entries(plants)) {
        // What is above the folders of a profile may be a link of their owner's: where it leads is judged as if it had been named.
        if (at === 'run' && name === 'a link to a folder') continue
        const { code, problems } = await liveWith(t, { at, plant })
        if (code === 'lived') lived++
        else if (!refusals.has(code)) found.push(`${at}: ${name} ends in ${code}`)
        for (const problem of problems) found.push(`${at}: ${name}: ${problem}`)
      }
    }
    t.diagnostic(`${paths.length} paths, ${Object.keys(plants).length} plants each, ${lived} mended`)
    assert.deepEqual(found, [])
  }
)

const isRoot = process.geteuid?.() === 0

/** What a process of user 65534 says and how it ends, running `script` with `args`. */
const asNobody = (script: string, ...args: readonly string[]) =>
  spawnSync('setpriv', ['--reuid', '65534', '--clear-groups', process.execPath, '-e', script, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env['PATH'] }
  })

test(
  'another user can list, read, write, link, connect to and debug nothing of a node, though its folder stands in an open one',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    const place = newPlace(t)
    chmodSync(place.base, 0o777)
    chmodSync(place.base, 0o1777)
    await prepareProfile(place.paths, settings, {})
    const daemon = await startDaemon(place.paths, {})
    try {
      const paths = walk(join(place.base, 'd'))
      const script = `
      const fs = require('node:fs'), net = require('node:net'), paths = process.argv.slice(1), done = []
      const attempt = (what, work) => { try { work(); done.push(what) } catch {} }
      for (const path of paths) {
        attempt('read ' + path, () => fs.readFileSync(path))
        attempt('list ' + path, () => fs.readdirSync(path))
        if (path !== paths[0]) attempt('stat ' + path, () => fs.lstatSync(path))
        attempt('write ' + path, () => fs.appendFileSync(path, 'x'))
        attempt('mode ' + path, () => fs.chmodSync(path, 0o777))
        attempt('link ' + path, () => fs.linkSync(path, '/tmp/sm-stolen-' + process.pid))
        attempt('rename ' + path, () => fs.renameSync(path, path + '.moved'))
        attempt('make in ' + path, () => fs.writeFileSync(path + '/planted', 'x'))
      }
      attempt('debug', () => process.kill(${daemon.pid}, 'SIGUSR1'))
      attempt('environment', () => fs.readFileSync('/proc/${daemon.pid}/environ'))
      const socket = net.connect(${JSON.stringify(place.paths.socketPath)})
      socket.on('connect', () => { done.push('connect'); end() }).on('error', () => end())
      const end = () => { process.stdout.write(JSON.stringify({ uid: process.geteuid(), done })); process.exit(0) }
    `
      const { status, stdout, stderr } = asNobody(script, ...paths)
      assert.equal(status, 0, stderr)
      assert.deepEqual(JSON.parse(stdout), { uid: 65_534, done: [] })
      assert.ok(paths.length > 10)
    } finally {
      await daemon.stop()
    }
  }
)
