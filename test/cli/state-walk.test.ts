import assert from 'node:assert/strict'
import { lstatSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { bin, json, startNode } from './real-nodes.ts'
import { Home, isAlive } from './support.ts'

/** Every file and folder below `folder`, itself included. */
const walk = (folder: string): readonly string[] => [
  folder,
  ...readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]
  )
]

/** What others could open, what is no plain file, and what belongs to somebody else. */
const wrongIn = (folder: string): readonly string[] =>
  walk(folder).flatMap((path) => {
    const stats = lstatSync(path)
    const isKnown = stats.isDirectory() || stats.isSocket() || (stats.isFile() && stats.nlink === 1)
    const isRight = isKnown && (stats.mode & 0o777) === (stats.isDirectory() ? 0o700 : 0o600) && stats.uid === process.geteuid?.()
    return isRight ? [] : [`${relative(folder, path)} ${stats.mode.toString(8)}`]
  })

async function ok(home: Home, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await home.p2p(...args)
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
}

test(
  'after a life with everything that a profile can hold, started with a umask of 000, each file has mode 0600 and each folder 0700',
  { timeout: 300_000 },
  async (t) => {
    const before = process.umask(0o000)
    t.after(() => process.umask(before))
    const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => startNode(t, name)))
    assert.ok(alice && bob)
    const { home } = alice
    const data = join(home.folder, 'd')
    const passphrase = join(data, 'passphrase')
    writeFileSync(passphrase, 'correct horse battery staple', { mode: 0o600 })
    const { invite } = await json<{ readonly invite: string }>(home, 'invite')
    await ok(bob.home, 'join', invite)
    await ok(bob.home, 'message', 'alice', 'hello')
    await ok(home, 'message', 'bob', 'hello back')
    await ok(home, 'group', 'create', 'swarm-alpha', '--member', 'bob')
    await ok(home, 'agent', 'add', 'planner')
    await ok(home, 'inbox', 'consumers', 'add', 'reader')
    await ok(home, 'gateway', 'token', 'create', '--name', 'reporter', '--scope', 'read')
    await ok(home, 'config', 'set', 'gateway', 'true')
    await ok(home, 'config', 'set', 'gateway_port', '0')
    await ok(home, 'restart')
    await ok(home, 'inbox', 'read', '--ack')
    await ok(home, 'keys', 'backup', join(data, 'profile.backup'), '--passphrase-file', passphrase)
    await ok(home, 'bugreport', '--output', join(data, 'report.json'))
    const running = walk(data).map((path) => relative(data, path))
    assert.deepEqual(wrongIn(data), [])
    const made = ['default.toml', 'default/identity.key', 'default/mesh.db', 'default/daemon.log', 'default/daemon.crash.log']
    const kept = ['default/gateway-tokens.json', 'run/default/daemon.pid', 'run/default/control.sock', 'profile.backup', 'report.json']
    for (const name of [...made, ...kept]) assert.ok(running.includes(name), `${name} is not among ${running.join(' ')}`)
    const pid = home.pid() ?? 0
    // Node's own door to a debugger is shut: the signal that opens it does nothing.
    process.kill(pid, 'SIGUSR1')
    await ok(home, 'status')
    assert.doesNotMatch(readFileSync(join(data, 'default', 'daemon.crash.log'), 'utf8'), /[Dd]ebugger/)
    const second = new Home(t, bin)
    await ok(second, 'keys', 'restore', join(data, 'profile.backup'), '--passphrase-file', passphrase)
    assert.deepEqual(wrongIn(join(second.folder, 'd')), [])
    await ok(home, 'stop')
    assert.ok(!isAlive(pid))
    assert.deepEqual(wrongIn(data), [])
  }
)
