import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bin, initNode, json, local, type RealNode, startNode } from './real-nodes.ts'
import { Home, type Result } from './support.ts'

interface Report {
  readonly status: string
}

interface Listed {
  readonly messages: readonly { readonly body: string; readonly id: string }[]
}

const secret = 'correct horse battery staple'

function passIn(home: Home, name = 'pass', text = secret): string {
  const file = join(home.folder, name)
  writeFileSync(file, `${text}\n`, { mode: 0o600 })
  return file
}

async function pair(one: RealNode, other: RealNode): Promise<void> {
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(other.home, 'join', invite)
}

async function until(what: string, holds: () => Promise<boolean>, deadlineMs = 60_000): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `${what}: not within ${deadlineMs} ms`)
    await delay(250)
  }
}

const errorOf = ({ stderr }: Result): string => JSON.parse(stderr.trim().split('\n').at(-1) ?? '').error.code

test('a node goes on on another machine from its backup: same identity, same pairs, nothing sent twice', async (t) => {
  const one = await startNode(t, 'one')
  const friend = await startNode(t, 'friend', one.address)
  await pair(one, friend)
  assert.equal((await json<Report>(one.home, 'message', 'friend', '--content', 'before')).status, 'stored')
  // Where it is found again after a restart.
  await json(friend.home, 'config', 'set', 'listen_addrs', friend.address.split('/p2p/')[0] ?? '')
  // Under way when the backup is made: the old machine delivers it later, the new one must not.
  await friend.home.p2p('stop')
  await one.home.p2p('message', 'friend', '--content', 'under way', '--wait', 'accepted', '--json')
  const file = join(one.home.folder, 'backup')
  const pass = passIn(one.home)
  const made = await json<{ readonly peerId: string; readonly files: readonly { readonly name: string }[] }>(
    one.home,
    'keys',
    'backup',
    file,
    '--passphrase-file',
    pass
  )
  assert.equal(made.peerId, one.peerId)
  assert.ok(made.files.some(({ name }) => name === 'mesh.db'))
  await friend.home.p2p('start')
  await until('the old machine delivers', async () => (await json<Listed>(friend.home, 'inbox')).messages.length === 2)
  await one.home.p2p('stop')

  const two = new Home(t, bin)
  const restored = await json<{ readonly peerId: string; readonly expiredUnknown: number }>(two, 'keys', 'restore', file, '--passphrase-file', pass)
  assert.deepEqual([restored.peerId, restored.expiredUnknown], [one.peerId, 1])
  const outbox = await json<{ readonly messages: readonly { readonly status: string }[] }>(two, 'outbox')
  assert.deepEqual(outbox.messages.map(({ status }) => status).toSorted(), ['expired-unknown', 'stored'])
  assert.equal((await json<Report>(two, 'message', 'friend', '--content', 'after', '--timeout', '60')).status, 'stored')
  const { messages } = await json<Listed>(friend.home, 'inbox')
  assert.deepEqual(
    messages.map(({ body }) => body),
    ['before', 'under way', 'after']
  )
  assert.equal((await json<Report>(friend.home, 'message', 'one', '--content', 'to the new machine')).status, 'stored')
})

test('wrong passphrases, damaged and cut backups, and profiles that are not empty have names, and change nothing', async (t) => {
  const one = await startNode(t, 'one')
  const [pass, wrong] = [passIn(one.home), passIn(one.home, 'wrong', 'another passphrase')]
  const file = join(one.home.folder, 'backup')
  await json(one.home, 'keys', 'backup', file, '--passphrase-file', pass)
  const again = await one.home.p2p('keys', 'backup', file, '--passphrase-file', pass, '--json')
  assert.deepEqual([again.code, errorOf(again)], [4, 'PATH_UNSAFE'])
  const here = await one.home.p2p('keys', 'restore', file, '--passphrase-file', pass, '--json')
  assert.deepEqual([here.code, errorOf(here)], [3, 'DAEMON_RUNNING'])
  await one.home.p2p('stop')
  const full = await one.home.p2p('keys', 'restore', file, '--passphrase-file', pass, '--json')
  assert.deepEqual([full.code, errorOf(full)], [3, 'PROFILE_NOT_EMPTY'])
  const two = new Home(t, bin)
  const damaged = join(two.folder, 'damaged')
  const fails = async (bytes: Uint8Array, passphrase: string, code: string): Promise<void> => {
    writeFileSync(damaged, bytes)
    assert.equal(errorOf(await two.p2p('keys', 'restore', damaged, '--passphrase-file', passphrase, '--json')), code)
    assert.deepEqual(readdirSync(join(two.folder, 'd')), [])
  }
  const whole = readFileSync(file)
  await fails(whole, wrong, 'PASSPHRASE_WRONG')
  await fails(whole.subarray(0, -1_000), pass, 'BACKUP_TRUNCATED')
  await fails(Buffer.concat([whole.subarray(0, 300), Buffer.from('x'), whole.subarray(301)]), pass, 'BACKUP_DAMAGED')
  chmodSync(pass, 0o644)
  await fails(whole, pass, 'PERMISSIONS_UNSAFE')
})

test('a file or a folder that is missing is named in words, and a passphrase file that was not needed is looked at', async (t) => {
  const { home } = await initNode(t, 'one', ['--no-start'])
  const [pass, gone] = [passIn(home), join(home.folder, 'gone')]
  const says = async (code: string, words: string, ...args: readonly string[]): Promise<void> => {
    const { stderr } = await home.p2p(...args, '--json')
    const { error } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '')
    assert.equal(error.code, code, stderr)
    assert.ok(error.message.endsWith(words), error.message)
  }
  await says('PATH_UNSAFE', `gone cannot be used: there is no such file or folder`, 'keys', 'restore', gone, '--passphrase-file', pass, '--force')
  await says('PATH_UNSAFE', `: there is no folder ${gone}`, 'keys', 'backup', join(gone, 'backup'), '--passphrase-file', pass)
  await says('PATH_UNSAFE', `: there is no folder ${gone}`, 'bugreport', '--output', join(gone, 'report'))
  await says('PASSPHRASE_UNUSABLE', 'it does not exist', 'keys', 'passwd', '--passphrase-file', gone, '--new-passphrase-file', pass)
})

test('an identity with a passphrase starts with it alone, and keeps it through restarts', async (t) => {
  const home = new Home(t, bin)
  const [pass, next, wrong] = [passIn(home), passIn(home, 'next', 'the next passphrase'), passIn(home, 'wrong', 'another passphrase')]
  const { peerId } = await json<{ readonly peerId: string }>(home, 'init', ...local, '--passphrase-file', pass)
  assert.deepEqual(
    (({ encrypted, peerId: shown }) => [encrypted, shown])(await json<{ readonly encrypted: boolean; readonly peerId: string }>(home, 'keys')),
    [true, peerId]
  )
  await home.p2p('stop')
  assert.equal((await json<{ readonly peerId: string }>(home, 'status')).peerId, peerId)
  await json(home, 'config', 'set', 'passphrase_file', '')
  const kept = home.pid()
  const refused = await home.p2p('restart', '--json')
  assert.deepEqual([refused.code, errorOf(refused), home.pid()], [4, 'PASSPHRASE_NEEDED', kept], 'what could not start again is not stopped')
  await home.p2p('stop')
  const none = await home.p2p('start', '--json')
  assert.deepEqual([none.code, errorOf(none)], [4, 'PASSPHRASE_NEEDED'])
  const bad = await home.p2p('start', '--passphrase-file', wrong, '--json')
  assert.deepEqual([bad.code, errorOf(bad)], [4, 'PASSPHRASE_WRONG'])
  await json(home, 'start', '--passphrase-file', pass)
  await home.p2p('stop')
  const byEnvironment = await home.run(['p2p', 'start', '--json'], { environment: { SYNAPTIC_MESH_PASSPHRASE_FILE: pass } })
  assert.equal(byEnvironment.code, 0, byEnvironment.stderr)
  const changed = await json<{ readonly passphraseFile: string }>(home, 'keys', 'passwd', '--passphrase-file', pass, '--new-passphrase-file', next)
  assert.equal(changed.passphraseFile, next)
  assert.equal((await home.p2p('restart', '--json')).code, 0)
  assert.equal((await home.p2p('keys', 'passwd', '--json')).code, 2)
  assert.equal((await json<{ readonly encrypted: boolean }>(home, 'keys', 'passwd', '--plain')).encrypted, false)
  assert.equal((await home.p2p('restart', '--json')).code, 0)
  assert.ok(!existsSync(`${home.paths.identityFile}.new`))
})

test('two machines that run one identity say so, in status, in the log, and in what doctor finds', async (t) => {
  const one = await startNode(t, 'one')
  const friend = await startNode(t, 'friend', one.address)
  await pair(one, friend)
  const pass = passIn(one.home)
  const file = join(one.home.folder, 'backup')
  await json(one.home, 'keys', 'backup', file, '--passphrase-file', pass)
  const two = new Home(t, bin)
  await json(two, 'keys', 'restore', file, '--passphrase-file', pass)
  await json(two, 'start')
  const isWarned = async (home: Home): Promise<boolean> => {
    const { health } = await json<{ readonly health: readonly { readonly code: string }[] }>(home, 'status')
    return health.some(({ code }) => code === 'IDENTITY_TWICE')
  }
  await until('both are warned', async () => (await isWarned(one.home)) && (await isWarned(two)), 120_000)
  assert.equal(await isWarned(friend.home), false)
  const found = await one.home.p2p('doctor', '--json')
  assert.equal(found.code, 1)
  assert.match(found.stdout, /IDENTITY_TWICE/)
  assert.match(readFileSync(two.paths.logFile, 'utf8'), /"level":"error".*IDENTITY_TWICE/)
})

test('no command of keys takes a passphrase itself, or needs a file that it does not name', async (t) => {
  const { home } = await initNode(t, 'one', ['--no-start'])
  for (const args of [
    ['keys', 'backup', 'x'],
    ['keys', 'restore', 'x'],
    ['keys', 'passwd'],
    ['keys', 'passwd', '--plain', '--new-passphrase-file', 'x'],
    ['keys', 'backup', 'x', '--passphrase', 'secret']
  ]) {
    const { code, stderr } = await home.p2p(...args, '--json')
    assert.equal(code, 2, stderr)
  }
})
