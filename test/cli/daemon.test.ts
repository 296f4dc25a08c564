import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { finished, Home, isAlive } from './support.ts'

const errorOf = (stderr: string): { readonly code: string; readonly message: string; readonly hint: string } => JSON.parse(stderr).error

test('init starts a daemon that outlives it, and says nothing changed the second time', async (t) => {
  const home = new Home(t)
  const first = JSON.parse((await home.p2p('init', '--json')).stdout)
  assert.equal(first.created, true)
  assert.ok(isAlive(first.daemon.pid))
  const second = JSON.parse((await home.p2p('init', '--json')).stdout)
  assert.deepEqual([second.created, second.changed, second.daemon.pid], [false, [], first.daemon.pid])
})

test('init with another value changes that option only, and the daemon runs with it', async (t) => {
  const home = new Home(t)
  const first = JSON.parse((await home.p2p('init', '--name', 'a', '--json')).stdout)
  const second = JSON.parse((await home.p2p('init', '--max-peers', '100', '--json')).stdout)
  assert.deepEqual(second.changed, [{ option: 'max_peers', value: 100 }])
  assert.deepEqual([second.name, second.maxPeers], ['a', 100])
  assert.notEqual(second.daemon.pid, first.daemon.pid)
})

test('--no-start makes the profile and no process; later commands refuse with it and start the daemon without', async (t) => {
  const home = new Home(t)
  assert.equal(JSON.parse((await home.p2p('init', '--no-start', '--json')).stdout).daemon, undefined)
  assert.equal(home.pid(), undefined)
  const refused = await home.p2p('status', '--no-start', '--json')
  assert.deepEqual([refused.code, errorOf(refused.stderr).code], [3, 'DAEMON_UNREACHABLE'])
  assert.equal((await home.p2p('status')).code, 0)
  assert.ok(isAlive(home.pid() ?? 0))
})

test('two commands that both need a daemon start one', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  const results = await Promise.all([home.p2p('status', '--json'), home.p2p('status', '--json'), home.p2p('status', '--json')])
  assert.deepEqual(
    results.map(({ code }) => code),
    [0, 0, 0],
    results.map(({ stderr }) => stderr).join('')
  )
  assert.equal(new Set(results.map(({ stdout }) => JSON.parse(stdout).daemon.pid)).size, 1)
})

test('after kill -9 the socket that is left is replaced', async (t) => {
  const home = new Home(t)
  const { daemon } = JSON.parse((await home.p2p('init', '--json')).stdout)
  process.kill(daemon.pid, 'SIGKILL')
  while (isAlive(daemon.pid)) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.ok(existsSync(home.paths.socketPath))
  const { code, stdout } = await home.p2p('status', '--json')
  assert.equal(code, 0)
  assert.notEqual(JSON.parse(stdout).daemon.pid, daemon.pid)
})

test('stop ends the process, takes the socket away, and is no error when nothing runs', async (t) => {
  const home = new Home(t)
  const { daemon } = JSON.parse((await home.p2p('init', '--json')).stdout)
  assert.equal((await home.p2p('stop')).code, 0)
  assert.ok(!isAlive(daemon.pid) && !existsSync(home.paths.socketPath))
  assert.equal(JSON.parse((await home.p2p('stop', '--json')).stdout).stopped, false)
})

test('SIGTERM ends the daemon cleanly; SIGUSR1 opens no inspector', async (t) => {
  const home = new Home(t)
  const { daemon } = JSON.parse((await home.p2p('init', '--json')).stdout)
  process.kill(daemon.pid, 'SIGUSR1')
  assert.equal((await home.p2p('status')).code, 0)
  assert.doesNotMatch(readFileSync(join(home.paths.stateFolder, 'daemon.crash.log'), 'utf8'), /[Dd]ebugger/)
  assert.ok(readFileSync(`/proc/${daemon.pid}/cmdline`, 'utf8').includes('--disable-sigusr1'))
  await home.stop()
  assert.ok(readFileSync(home.paths.logFile, 'utf8').includes('daemon.stopped'))
})

test('what keeps the daemon from starting is told by the command itself', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  writeFileSync(join(home.paths.stateFolder, 'fail-start'), '/ip4/127.0.0.1/tcp/9000')
  const taken = await home.p2p('start', '--json')
  assert.deepEqual([taken.code, errorOf(taken.stderr).code], [3, 'LISTEN_FAILED'])
  writeFileSync(home.paths.configFile, 'max_peers = \n')
  const malformed = await home.p2p('start', '--json')
  assert.deepEqual([malformed.code, errorOf(malformed.stderr).code], [2, 'CONFIG_MALFORMED'])
  assert.match(errorOf(malformed.stderr).message, /line 1/)
  writeFileSync(home.paths.configFile, 'max_pears = 1\n')
  assert.equal(errorOf((await home.p2p('start', '--json')).stderr).hint, 'Did you mean max_peers?')
  writeFileSync(home.paths.configFile, '')
  chmodSync(home.paths.configFile, 0o644)
  const open = await home.p2p('start', '--json')
  assert.deepEqual([open.code, errorOf(open.stderr).code], [4, 'PERMISSIONS_UNSAFE'])
  const environment = await home.run(['p2p', 'start', '--json'], { environment: { SYNAPTIC_MESH_MAX_PERS: '1' } })
  assert.equal(errorOf(environment.stderr).code, 'PERMISSIONS_UNSAFE')
})

test('a damaged key file is left as it is', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  writeFileSync(home.paths.identityFile, 'damaged')
  const { code, stderr } = await home.p2p('init', '--json')
  assert.deepEqual([code, errorOf(stderr).code], [8, 'KEY_CORRUPT'])
  assert.equal(readFileSync(home.paths.identityFile, 'utf8'), 'damaged')
})

test('files and folders are closed to others, whatever the umask', async (t) => {
  const home = new Home(t)
  const { stdout } = await home.p2p('init', '--json')
  assert.ok(JSON.parse(stdout).created)
  for (const folder of [home.paths.stateFolder, home.paths.runtimeFolder]) assert.equal(statSync(folder).mode & 0o777, 0o700)
  for (const file of [home.paths.configFile, home.paths.logFile, home.paths.socketPath]) assert.equal(statSync(file).mode & 0o777, 0o600, file)
  chmodSync(home.paths.stateFolder, 0o755)
  await home.stop()
  const open = await home.p2p('start', '--json')
  assert.deepEqual([open.code, errorOf(open.stderr).code], [4, 'PERMISSIONS_UNSAFE'])
})

test('Ctrl-C ends the command with 130, and its work in the daemon too', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  const child = home.spawn(['p2p', 'message', 'slow', 'x', '--json'])
  const done = finished(child)
  await untilQueued(home)
  child.kill('SIGINT')
  const { code, stderr } = await done
  assert.deepEqual([code, errorOf(stderr).code], [130, 'ABORTED'])
  const listening = home.spawn(['p2p', 'listen'])
  const listened = finished(listening)
  await new Promise((resolve) => setTimeout(resolve, 700))
  listening.kill('SIGINT')
  assert.equal((await listened).code, 130)
})

/** Until the command line has had the time to reach the daemon: it answers another one meanwhile. */
async function untilQueued(home: Home): Promise<void> {
  await home.p2p('status')
  await home.p2p('status')
}

test('listen --ack prints what was unread and what is acknowledged never comes again', async (t) => {
  const home = new Home(t)
  home.messages([{ id: 'a' }, { id: 'b' }, { id: 'c' }])
  await home.p2p('init')
  for (const id of ['a', 'b']) assert.equal(JSON.parse((await home.p2p('listen', '--once', '--ack', '--json')).stdout).id, id)
  const rest = JSON.parse((await home.p2p('inbox', '--json')).stdout)
  assert.deepEqual(
    rest.messages.map(({ id }: { readonly id: string }) => id),
    ['c']
  )
})

test('a message that could not be printed is not acknowledged', async (t) => {
  const home = new Home(t)
  home.messages([{ id: 'printed' }, { id: 'lost', body: 'x'.repeat(200_000) }])
  await home.p2p('init')
  const child = home.spawn(['p2p', 'listen', '--ack', '--json'])
  await once(child.stdout, 'data')
  child.stdout.destroy()
  await once(child, 'close')
  const { messages } = JSON.parse((await home.p2p('inbox', '--json')).stdout)
  assert.deepEqual(
    messages.map(({ id }: { readonly id: string }) => id),
    ['lost']
  )
})

test('a reader that goes away is no error', async (t) => {
  const home = new Home(t)
  home.messages(Array.from({ length: 40 }, (_, index) => ({ id: `m${index}`, body: 'x'.repeat(50_000) })))
  await home.p2p('init')
  const child = home.spawn(['p2p', 'listen', '--json'])
  await once(child.stdout, 'data')
  child.stdout.destroy()
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
})

test('content comes from standard input, text or bytes, and not more than 1 MiB', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  const echo = ['p2p', 'message', 'echo', '-', '--request', '--json']
  const text = await home.run(echo, { input: 'from\nstdin' })
  assert.equal(JSON.parse(text.stdout).response.body, 'from\nstdin')
  const bytes = await home.run(echo, { input: Uint8Array.of(0xff, 0, 1) })
  const { response } = JSON.parse(bytes.stdout)
  assert.deepEqual([response.encoding, response.body], ['base64', '/wAB'])
  const large = await home.run(['p2p', 'message', 'agent-001', '-', '--json'], { input: new Uint8Array(1_048_577) })
  assert.deepEqual([large.code, errorOf(large.stderr).code], [2, 'BODY_TOO_LARGE'])
  const invite = await home.run(['p2p', 'join', '-'], { input: 'synaptic-invite-1-x\n' })
  assert.equal(invite.code, 0)
})

test('--ephemeral runs the node for one command only, and not beside a daemon', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  const { code, stdout } = await home.p2p('status', '--ephemeral', '--json')
  assert.equal(code, 0)
  assert.ok(!isAlive(JSON.parse(stdout).daemon.pid))
  assert.ok(!existsSync(home.paths.socketPath))
  await home.p2p('start')
  const beside = await home.p2p('status', '--ephemeral', '--json')
  assert.deepEqual([beside.code, errorOf(beside.stderr).code], [3, 'DAEMON_RUNNING'])
})

test('start --foreground stays until it is told to end, and ends cleanly', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  const child = home.spawn(['p2p', 'start', '--foreground'])
  const done = finished(child)
  while (!existsSync(home.paths.socketPath)) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal((await home.p2p('status', '--no-start')).code, 0)
  child.kill('SIGTERM')
  assert.ok([0, 130].includes((await done).code ?? -1))
  assert.ok(!existsSync(home.paths.socketPath))
})

test('logs prints the end of the log and follows it', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  const { stdout } = await home.p2p('logs', '--lines', '1')
  assert.match(stdout, /info +daemon\.started/)
  const child = home.spawn(['p2p', 'logs', '-f', '--lines', '1', '--json'])
  // The end of the log was printed: from here on it follows.
  await once(child.stdout, 'data')
  const [, chunk] = await Promise.all([home.p2p('message', 'nobody', 'x'), once(child.stdout, 'data')])
  assert.equal(JSON.parse(String(chunk[0])).event, 'PEER_UNKNOWN')
  child.kill('SIGINT')
  await once(child, 'close')
})

test('two profiles of one machine do not touch each other', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  await home.p2p('init', '--no-start', '--profile', 'other', '--max-peers', '3')
  assert.match((await home.p2p('config', 'get', 'max_peers')).stdout, /50 +default/)
  assert.match((await home.p2p('config', 'get', 'max_peers', '--profile', 'other')).stdout, /3 +file/)
})

test('without a terminal there is no colour, and --quiet leaves stderr empty', async (t) => {
  const home = new Home(t)
  mkdirSync(home.paths.stateFolder, { recursive: true, mode: 0o700 })
  const { stdout, stderr } = await home.run(['p2p', 'init', '--quiet'], { environment: { FORCE_COLOR: '1' } })
  assert.equal(stderr, '')
  assert.doesNotMatch(stdout, /\u001b/u)
})
