import assert from 'node:assert/strict'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { catalogue } from '../../src/api/index.ts'
import { z } from 'zod'
import { bin, initNode, json, startNode } from './real-nodes.ts'
import { Home } from './support.ts'

interface Doctor {
  readonly ok: boolean
  readonly daemon: boolean
  readonly checks: readonly { readonly id: string; readonly state: string; readonly message: string; readonly hint?: string }[]
}

const idsOf = ({ checks }: Doctor): ReadonlySet<string> => new Set(checks.map(({ id }) => id))

test('a doctor looks at the machine and the profile, with a daemon and without one', async (t) => {
  const { home } = await startNode(t, 'one')
  const running = await json<Doctor>(home, 'doctor', '--deep')
  assert.deepEqual([running.ok, running.daemon], [true, true])
  for (const id of ['node', 'self-test', 'clock', 'disk', 'files', 'config', 'identity', 'daemon', 'health', 'network', 'inbox', 'outbox', 'store'])
    assert.ok(idsOf(running).has(id), id)
  catalogue.doctor.output(z).parse(running)
  for (const { state, hint } of running.checks) assert.equal(hint === undefined, state === 'ok' || state === 'skipped')
  await home.p2p('stop')
  const stopped = await json<Doctor>(home, 'doctor', '--deep')
  assert.deepEqual([stopped.ok, stopped.daemon], [true, false])
  for (const id of ['ports', 'store']) assert.ok(idsOf(stopped).has(id), id)
  assert.equal(home.pid(), undefined, 'no daemon was started for it')
})

test('a doctor in an empty home says what to do first, and ends with 1', async (t) => {
  const home = new Home(t, bin)
  const { code, stdout, stderr } = await home.p2p('doctor')
  assert.equal(code, 1)
  assert.match(stdout, /✗ config: .*\n.*p2p init/)
  assert.match(stderr, /DOCTOR_FAILED/)
})

test('what is open to others fails, and is mended when asked to', async (t) => {
  const { home } = await initNode(t, 'one', ['--no-start'])
  chmodSync(home.paths.identityFile, 0o644)
  const found = await home.p2p('doctor', '--json')
  assert.equal(found.code, 1)
  assert.match(found.stderr, /DOCTOR_FAILED/)
  assert.match(found.stdout, /"fixable":true/)
  assert.deepEqual(JSON.parse(found.stderr).error.next, ['synaptic-mesh p2p doctor --fix'])
  const fixed = await home.p2p('doctor', '--fix')
  assert.equal(fixed.code, 0, fixed.stdout)
  assert.match(fixed.stdout, /✓ files: .*identity\.key was open to others \(mode 0644\), and has mode 0600 now/)
  assert.equal(statSync(home.paths.identityFile).mode & 0o777, 0o600)
})

test('a wrong configuration and a damaged identity each fail by their own name, and the rest is looked at all the same', async (t) => {
  const { home } = await initNode(t, 'one', ['--no-start'])
  writeFileSync(home.paths.configFile, 'max_pears = 3\n')
  writeFileSync(home.paths.identityFile, 'nonsense')
  const { code, stdout, stderr } = await home.p2p('doctor', '--json')
  assert.equal(code, 1)
  assert.deepEqual(JSON.parse(stderr).error.next, [], 'nothing of it is mended by --fix')
  const report: Doctor = JSON.parse(stdout)
  assert.deepEqual(
    report.checks.filter(({ state }) => state === 'fail').map(({ id }) => id),
    ['config', 'identity']
  )
  assert.ok(idsOf(report).has('disk'))
})

test('a bug report is a private file without names, addresses, ids and secrets', async (t) => {
  const one = await initNode(t, 'agent-secret-name', [])
  const friend = await startNode(t, 'friendly-name', one.address)
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(friend.home, 'join', invite, '--as', 'my-alias')
  await json(one.home, 'message', 'friendly-name', '--content', 'a body that is private')
  await json(friend.home, 'config', 'set', 'turn_password', 'hush-hush-47')
  await json(
    friend.home,
    'config',
    'set',
    'bootstrap_peers',
    `/ip4/198.51.100.7/tcp/9000/p2p/${one.peerId}`,
    `/dns4/secret.example.org/tcp/9000/p2p/${one.peerId}`
  )
  for (const [home, name] of [
    [one.home, 'one.json'],
    [friend.home, 'friend.json']
  ] as const) {
    const file = join(home.folder, name)
    const { bytes } = await json<{ readonly bytes: number }>(home, 'bugreport', '--output', file)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(statSync(file).size, bytes)
    const text = readFileSync(file, 'utf8')
    const report = JSON.parse(text)
    for (const section of ['versions', 'options', 'status', 'netcheck', 'checks', 'log']) assert.ok(section in report, section)
    assert.ok(report.log.length > 0)
    const secrets = [one.peerId, friend.peerId, 'agent-secret-name', 'friendly-name', 'my-alias', 'a body that is private', invite, home.folder]
    for (const secret of [...secrets, 'hush-hush-47', '198.51.100.7', 'secret.example.org', one.peerId.slice(-8), friend.peerId.slice(-8)])
      assert.ok(!text.includes(secret), `${name}: ${secret}`)
    assert.match(text, /\[peer-1\]/)
    const again = await home.p2p('bugreport', '--output', file, '--json')
    assert.equal(again.code, 4, 'nothing is replaced')
  }
})

test('a bug report is written without a daemon and without a profile', async (t) => {
  const home = new Home(t, bin)
  const file = join(home.folder, 'report.json')
  const { code, stderr } = await home.p2p('bugreport', '--output', file)
  assert.equal(code, 0, stderr)
  assert.match(stderr, /read it before you send it/)
  assert.ok('checks' in JSON.parse(readFileSync(file, 'utf8')))
})
