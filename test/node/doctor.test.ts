import assert from 'node:assert/strict'
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import type { ProfilePaths } from '../../src/core/options/index.ts'
import type { Check } from '../../src/node/doctor/check.ts'
import { checkFiles } from '../../src/node/doctor/file-check.ts'
import { checkClock, checkDisk, checkNode, checkPorts, diskVerdict } from '../../src/node/doctor/machine-check.ts'
import { knownAnswers, selfTest } from '../../src/node/doctor/self-test.ts'
import { checkIdentity, checkStore, lastWords } from '../../src/node/doctor/state-check.ts'
import { ensureIdentity } from '../../src/node/identity.ts'
import { profilePaths } from '../../src/node/paths.ts'
import { openStores } from '../../src/node/sqlite/stores.ts'
import { generous, inbound, outboxRow } from './messages.ts'
import { temporaryFolder } from './temp.ts'

const nowMs = Date.now()

/** A profile with an identity and a store, closed. */
async function profile(t: TestContext): Promise<ProfilePaths> {
  const dataDir = join(temporaryFolder(t), 'data')
  mkdirSync(dataDir, { mode: 0o700 })
  const paths = profilePaths({ profile: 'default', dataDir, environment: {} })
  await ensureIdentity(paths.identityFile)
  writeFileSync(paths.configFile, '', { mode: 0o600 })
  const stores = await openStores(paths.stateFolder)
  await stores.deliveryStore.enqueue(outboxRow('out'))
  await stores.deliveryStore.admit([inbound('in', 1)], 0, generous)
  await stores.close()
  return paths
}

const states = (checks: readonly Check[]): readonly string[] => checks.map(({ state }) => state)

test('the published answers come out, and a wrong one is named with its source', async () => {
  const check = await selfTest()
  assert.equal(check.state, 'ok', check.message)
  const names = knownAnswers.map(({ name }) => name)
  for (const name of ['Ed25519', 'ML-KEM-768', 'ML-DSA-65', 'HKDF-SHA-256', 'ChaCha20-Poly1305', 'XChaCha20-Poly1305', 'Argon2id', 'SHA-256'])
    assert.ok(names.includes(name), name)
  const broken = await selfTest([
    { name: 'Good', source: 'a page', run: () => true },
    { name: 'Bad', source: 'RFC 1', run: () => false },
    { name: 'Worse', source: 'RFC 2', run: () => Promise.reject(new Error('it threw')) }
  ])
  assert.equal(broken.state, 'fail')
  assert.match(broken.message, /Bad \(RFC 1\), Worse \(RFC 2\)/)
})

test('a profile as it was made has nothing wrong with its files', async (t) => {
  assert.deepEqual(states(checkFiles(await profile(t), { fix: false, nowMs })), ['ok'])
})

test('files and folders that are open to others are told, and closed when asked to', async (t) => {
  const paths = await profile(t)
  chmodSync(paths.identityFile, 0o644)
  chmodSync(paths.stateFolder, 0o755)
  chmodSync(paths.configFile, 0o666)
  const found = checkFiles(paths, { fix: false, nowMs })
  assert.deepEqual(states(found), ['fail', 'fail', 'fail'])
  assert.ok(found.every(({ fixable }) => fixable))
  assert.ok(found.some(({ message }) => message.includes('identity.key is open to others (mode 0644, wanted 0600)')))
  const mended = checkFiles(paths, { fix: true, nowMs })
  assert.ok(
    mended.length === 3 && mended.every(({ state, fixed, message }) => state === 'ok' && fixed === true && message.includes('was open to others'))
  )
  assert.equal(statSync(paths.identityFile).mode & 0o777, 0o600)
  assert.equal(statSync(paths.stateFolder).mode & 0o777, 0o700)
  assert.deepEqual(states(checkFiles(paths, { fix: true, nowMs })), ['ok'])
})

test('links, pipes and second names are told and never touched, whatever is asked', async (t) => {
  const paths = await profile(t)
  const outside = join(temporaryFolder(t), 'outside')
  writeFileSync(outside, 'mine', { mode: 0o644 })
  symlinkSync(outside, join(paths.stateFolder, 'link'))
  linkSync(paths.identityFile, join(paths.stateFolder, 'second'))
  const fifo = spawnSync('mkfifo', [join(paths.stateFolder, 'pipe')]).status === 0
  const found = checkFiles(paths, { fix: true, nowMs })
  assert.ok(found.every(({ state, fixed }) => state === 'fail' && fixed !== true))
  assert.equal(found.length, fifo ? 4 : 3)
  assert.equal(statSync(outside).mode & 0o777, 0o644)
  assert.ok(existsSync(join(paths.stateFolder, 'second')))
})

test('what a crash left behind is removed when it is old, and only then', async (t) => {
  const paths = await profile(t)
  const old = join(paths.stateFolder, '.0123456789abcdef.new')
  const young = join(paths.stateFolder, '.fedcba9876543210.new')
  const draft = `${paths.stateFolder}.restore-0123456789ab`
  for (const file of [old, young]) writeFileSync(file, 'half', { mode: 0o600 })
  mkdirSync(draft, { mode: 0o700 })
  const hourAgo = new Date(nowMs - 3_600_000)
  for (const path of [old, draft]) utimesSync(path, hourAgo, hourAgo)
  assert.equal(checkFiles(paths, { fix: false, nowMs }).filter(({ fixable }) => fixable).length, 2)
  const mended = checkFiles(paths, { fix: true, nowMs })
  assert.ok(mended.length === 2 && mended.every(({ state, message }) => state === 'ok' && message.endsWith('was removed')))
  assert.deepEqual([existsSync(old), existsSync(young), existsSync(draft)], [false, true, false])
})

test('little space is told before there is none', () => {
  const mebibyte = 1_048_576
  assert.deepEqual(
    [10 * mebibyte, 100 * mebibyte, 10_000 * mebibyte].map((bytes) => diskVerdict(bytes, '/x').state),
    ['fail', 'warn', 'ok']
  )
})

test('this machine has a Node.js and a disk, before there is any profile', (t) => {
  const paths = profilePaths({ profile: 'default', dataDir: join(temporaryFolder(t), 'not', 'made'), environment: {} })
  assert.equal(checkNode().state, 'ok')
  assert.notEqual(checkDisk(paths).state, 'skipped')
})

test('a clock before this software, or before what the profile wrote, is told', async (t) => {
  const paths = await profile(t)
  assert.equal(checkClock(paths, nowMs).state, 'ok')
  assert.equal(checkClock(paths, 0).state, 'fail')
  assert.equal(checkClock(paths, nowMs - 3_600_000).state, 'warn')
})

test('a port that another program has, and an address of another machine, are told', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  assert.deepEqual(states(await checkPorts(['/ip4/127.0.0.1/tcp/0', `/ip4/127.0.0.1/tcp/${port}`])), ['warn'])
  assert.deepEqual(states(await checkPorts(['/ip4/192.0.2.1/tcp/9999'])), ['fail'])
  assert.deepEqual(states(await checkPorts(['/ip4/127.0.0.1/tcp/0'])), ['ok'])
})

test('an identity is told, with what keeps it from being used', async (t) => {
  const paths = await profile(t)
  assert.match(checkIdentity(paths, '')[0]?.message ?? '', /^12D3KooW.*not encrypted$/)
  writeFileSync(paths.identityFile, 'damaged')
  assert.deepEqual(states(checkIdentity(paths, '')), ['fail'])
  const pass = join(paths.stateFolder, 'pass')
  writeFileSync(pass, 'correct horse battery', { mode: 0o600 })
  const locked = { ...paths, identityFile: join(paths.stateFolder, 'locked.key') }
  await ensureIdentity(locked.identityFile, pass)
  assert.deepEqual(states(checkIdentity(locked, '')), ['ok', 'warn'])
  assert.deepEqual(states(checkIdentity(locked, pass)), ['ok', 'ok'])
  assert.deepEqual(states(checkIdentity(locked, `${pass}-gone`)), ['ok', 'fail'])
  assert.deepEqual(states(checkIdentity({ ...paths, identityFile: `${pass}-no` }, '')), ['fail'])
})

test('a store is read as a whole when asked to, and is the same afterwards', async (t) => {
  const paths = await profile(t)
  const file = join(paths.stateFolder, 'mesh.db')
  const before = readFileSync(file)
  assert.equal(checkStore(paths, false).state, 'ok')
  const deep = checkStore(paths, true)
  assert.deepEqual([deep.state, deep.message], ['ok', 'The store is whole, 2 messages have their seals'])
  assert.deepEqual(readFileSync(file), before)
  assert.deepEqual(
    readdirSync(paths.stateFolder).filter((name) => name.startsWith('.')),
    []
  )
})

test('a message that decayed is found by its seal, and a damaged page by SQLite', async (t) => {
  const paths = await profile(t)
  const file = join(paths.stateFolder, 'mesh.db')
  const database = new DatabaseSync(file)
  database.exec(`UPDATE inbox SET envelope = x'00'`)
  database.close()
  assert.match(checkStore(paths, true).message, /1 of 2 messages are not what was written/)
  assert.equal(checkStore(paths, false).state, 'ok')
  const bytes = readFileSync(file)
  bytes.fill(0xff, 8_192, 20_000)
  writeFileSync(file, bytes)
  assert.equal(checkStore(paths, true).state, 'fail')
  writeFileSync(file, 'no database')
  assert.equal(checkStore(paths, false).state, 'fail')
})

test('what a daemon said when it died is told again', async (t) => {
  const paths = await profile(t)
  assert.equal(lastWords(paths), undefined)
  writeFileSync(join(paths.stateFolder, 'daemon.crash.log'), '\nError: out of memory\n  at x\n')
  assert.equal(lastWords(paths), 'Error: out of memory')
})
