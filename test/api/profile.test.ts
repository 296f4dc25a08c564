import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { type ErrorCode, isMeshError, MeshError } from '../../src/core/base/index.ts'
import type { OptionValue } from '../../src/core/options/index.ts'
import { Daemon } from '../../src/daemon/daemon.ts'
import { inspectProfile, prepareProfile, setOption } from '../../src/daemon/profile.ts'
import { FakeMesh } from './fake-mesh.ts'
import { freePort, identity, pathsIn, raw, startRig, temporaryFolder } from './harness.ts'

const parts = {
  version: '0',
  ensureIdentity: identity,
  createMesh: async (_paths: unknown, options: ConstructorParameters<typeof FakeMesh>[0]) => new FakeMesh(options)
}
const has = (code: ErrorCode) => (error: unknown) => isMeshError(error, code)
const prepare = (paths: ReturnType<typeof pathsIn>, settings: Readonly<Record<string, OptionValue>> = {}) =>
  prepareProfile(parts, { paths, settings, environment: {} })

test('preparing twice changes nothing, and tells what the first time changed', async (t) => {
  const paths = pathsIn(temporaryFolder(t))
  assert.deepEqual((await prepare(paths, { max_peers: 9 })).changed, [{ option: 'max_peers', value: 9 }])
  const text = readFileSync(paths.configFile, 'utf8')
  assert.deepEqual((await prepare(paths, { max_peers: 9 })).changed, [])
  assert.equal(readFileSync(paths.configFile, 'utf8'), text)
  assert.equal(statSync(paths.configFile).mode & 0o777, 0o600)
  assert.equal(statSync(paths.stateFolder).mode & 0o777, 0o700)
})

test('a change keeps comments and the other options', async (t) => {
  const paths = pathsIn(temporaryFolder(t))
  await prepare(paths)
  writeFileSync(paths.configFile, '# mine\nmax_peers = 3 # few\nname = "a"\nlisten_addrs = [\n  "/ip4/127.0.0.1/tcp/0"\n]\n')
  assert.equal(setOption(paths, { key: 'max_peers', value: 8 }, {}).changed, true)
  assert.match(readFileSync(paths.configFile, 'utf8'), /# mine\nmax_peers = 8\nname = "a"\n/)
  setOption(paths, { key: 'listen_addrs', value: ['/ip4/127.0.0.1/tcp/1'] }, {})
  const { options } = inspectProfile(paths, {})
  assert.deepEqual([options.maxPeers, options.name, options.listenAddrs], [8, 'a', ['/ip4/127.0.0.1/tcp/1']])
})

test('a configuration that is not right is an error with its place, and nothing is changed', async (t) => {
  const paths = pathsIn(temporaryFolder(t))
  await prepare(paths)
  const wrong: readonly (readonly [string, ErrorCode])[] = [
    ['max_peers = ', 'CONFIG_MALFORMED'],
    ['max_peers = 1\nmax_peers = 2', 'CONFIG_MALFORMED'],
    ['x = "\u0000"', 'CONFIG_MALFORMED'],
    ['max_pears = 1', 'OPTION_UNKNOWN'],
    ['[max_peers]\nx = 1', 'OPTION_INVALID'],
    ['__proto__ = 1', 'OPTION_UNKNOWN'],
    ['constructor = { a = 1 }', 'OPTION_UNKNOWN'],
    ['max_peers = 0', 'OPTION_INVALID'],
    ['max_peers = 1979-05-27', 'OPTION_INVALID'],
    ['max_peers = 9007199254740993', 'CONFIG_MALFORMED'],
    ['mlkem_security_level = 2', 'OPTION_INVALID'],
    ['shadow_addresses = true', 'NOT_AVAILABLE'],
    ['bootstrap_peers = ["/ip4/bootstrap.node/tcp/9000"]', 'ADDRESS_INVALID']
  ]
  for (const [text, code] of wrong) {
    writeFileSync(paths.configFile, text)
    await assert.rejects(Daemon.start(parts, paths, {}), has(code), text)
    await assert.rejects(prepare(paths, { name: 'b' }), has(code), text)
    assert.throws(() => setOption(paths, { key: 'name', value: 'b' }, {}), has(code), text)
    assert.equal(readFileSync(paths.configFile, 'utf8'), text)
  }
  writeFileSync(paths.configFile, Uint8Array.of(0x80, 0x81))
  assert.throws(() => inspectProfile(paths, {}), has('CONFIG_MALFORMED'))
})

test('what others could read, or put there, is refused', async (t) => {
  const folder = temporaryFolder(t)
  const paths = pathsIn(folder)
  await assert.rejects(Daemon.start(parts, paths, {}), has('NOT_INITIALIZED'))
  await prepare(paths)
  chmodSync(paths.configFile, 0o644)
  await assert.rejects(Daemon.start(parts, paths, {}), has('PERMISSIONS_UNSAFE'))
  chmodSync(paths.configFile, 0o600)
  chmodSync(paths.stateFolder, 0o755)
  await assert.rejects(Daemon.start(parts, paths, {}), has('PERMISSIONS_UNSAFE'))
  chmodSync(paths.stateFolder, 0o700)
  symlinkSync('/etc/passwd', paths.logFile)
  await assert.rejects(Daemon.start(parts, paths, {}), has('PATH_UNSAFE'))
  const linked = pathsIn(folder, 'linked')
  symlinkSync('/etc/passwd', linked.configFile)
  assert.throws(() => inspectProfile(linked, {}), has('PATH_UNSAFE'))
})

test('a second daemon is told the pid of the first, and does not disturb it', async (t) => {
  const rig = await startRig(t)
  const settings = rig.paths
  await assert.rejects(Daemon.start(parts, settings, {}), (error) => isMeshError(error, 'DAEMON_RUNNING') && error.details['pid'] === process.pid)
  assert.equal((await rig.client.call('daemon', {})).pid, process.pid)
})

test('two starts at once: exactly one gets the profile', async (t) => {
  const paths = pathsIn(temporaryFolder(t))
  await prepare(paths)
  const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => Daemon.start(parts, paths, {})))
  const started = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  t.after(() => Promise.all(started.map((daemon) => daemon.stop())))
  assert.equal(started.length, 1)
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.ok(isMeshError(outcome.reason, 'DAEMON_RUNNING'), String(outcome.reason))
})

test('a socket that nobody holds is replaced', async (t) => {
  const paths = pathsIn(temporaryFolder(t))
  await prepare(paths)
  makeRuntimeFolder(paths.runtimeFolder)
  writeFileSync(paths.socketPath, '')
  const daemon = await Daemon.start(parts, paths, {})
  assert.equal(statSync(paths.socketPath).mode & 0o777, 0o600)
  await daemon.stop()
  assert.equal(existsSync(paths.socketPath), false)
})

test('a socket that somebody holds is left alone, even when nobody answers on it', async (t) => {
  const paths = pathsIn(temporaryFolder(t))
  await prepare(paths)
  makeRuntimeFolder(paths.runtimeFolder)
  const silent = createServer().listen(paths.socketPath)
  await once(silent, 'listening')
  t.after(() => silent.close())
  await assert.rejects(Daemon.start(parts, paths, {}), has('DAEMON_RUNNING'))
  assert.ok(existsSync(paths.socketPath))
})

test('the port of the control API being taken is LISTEN_FAILED, and the profile is free again', async (t) => {
  const paths = pathsIn(temporaryFolder(t))
  const port = await freePort()
  const taken = createServer().listen(port, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  await prepare(paths, { http_port: port })
  await assert.rejects(Daemon.start(parts, paths, {}), has('LISTEN_FAILED'))
  assert.equal(existsSync(paths.socketPath), false)
})

test('a fatal error of the node stops the daemon, which tells it', async (t) => {
  const rig = await startRig(t)
  rig.mesh.emit('fatal', new MeshError('STORE_FAILED', { reason: 'EIO' }).report())
  const failure = await rig.daemon.ended
  assert.equal(failure?.code, 'STORE_FAILED')
  assert.notEqual(failure.exitCode, 0)
  assert.ok(rig.mesh.stopped)
  assert.ok(rig.log().some(({ event }) => event === 'STORE_FAILED'))
})

test('a daemon that stops answers new calls with SHUTTING_DOWN or not at all, and lets the running ones end', async (t) => {
  const rig = await startRig(t)
  const stopped = await rig.client.call('stop', {})
  assert.equal(stopped.stopped, true)
  await rig.daemon.ended
  assert.equal((await raw({ port: rig.port }, 'GET / HTTP/1.1\r\n\r\n', 500)).status, 0)
})

function makeRuntimeFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  chmodSync(folder, 0o700)
}
