import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeInvite } from '../../src/core/peers/index.ts'
import { json, type RealNode, startNode } from './real-nodes.ts'
import type { Home } from './support.ts'

/** Secrets by name, as bytes or as the text that they are written as. */
type Secrets = Map<string, Uint8Array | string>

/** Every form in which a secret could slip out. */
function formsOf(secret: Uint8Array | string): readonly string[] {
  const bytes = Buffer.from(secret)
  const hex = bytes.toString('hex')
  // The last two characters of base64 depend on what follows.
  const base64 = bytes.toString('base64').replace(/=+$/, '').slice(0, -2)
  return [
    bytes.toString('latin1'),
    bytes.toString('utf8'),
    hex,
    hex.toUpperCase(),
    base64,
    base64.replaceAll('+', '-').replaceAll('/', '_'),
    JSON.stringify([...bytes])
  ]
}

const leaks = (text: string, secrets: Secrets): readonly string[] =>
  [...secrets].filter(([, secret]) => formsOf(secret).some((form) => text.includes(form))).map(([name]) => name)

/** What is seen from outside of a process: its arguments and its environment. */
const seenOf = (pid: number): string => ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'latin1')).join('\n')

/** Every file that is a log. */
function logsOf({ paths }: Home): string {
  const names = readdirSync(paths.stateFolder).filter((name) => name.includes('.log'))
  return names.map((name) => readFileSync(join(paths.stateFolder, name), 'latin1')).join('\n')
}

async function webhookFor(t: TestContext): Promise<{ readonly url: string; readonly called: Promise<unknown> }> {
  const called = Promise.withResolvers<undefined>()
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(204).end()
      called.resolve(undefined)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  return { url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/hook`, called: called.promise }
}

/** Everything that commands print, whatever they are asked. */
class Printed {
  readonly #texts: string[] = []
  readonly #home: Home

  constructor(home: Home) {
    this.#home = home
  }

  async run(...args: readonly string[]): Promise<void> {
    const { stdout, stderr } = await this.#home.p2p(...args)
    this.#texts.push(stdout, stderr)
  }

  get text(): string {
    return this.#texts.join('\n')
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** A node with everything that is secret in its life. */
async function prepare(t: TestContext): Promise<{ readonly one: RealNode; readonly secrets: Secrets; readonly pass: string }> {
  const one = await startNode(t, 'one')
  const { home } = one
  const secrets: Secrets = new Map()
  const secretOf = (name: string, bytes = 18): string => {
    const text = `canary-${name}-${randomBytes(bytes).toString('hex')}`
    secrets.set(name, text)
    return text
  }
  const seed = /ed25519-seed ([0-9a-f]{64})/.exec(readFileSync(home.paths.identityFile, 'utf8'))?.[1] ?? ''
  assert.equal(seed.length, 64)
  secrets.set('identity seed', Buffer.from(seed, 'hex'))
  const pass = join(home.folder, 'pass')
  writeFileSync(pass, `${secretOf('passphrase')}\n`, { mode: 0o600 })
  writeFileSync(join(home.folder, 'wrong'), `${secretOf('wrong passphrase')}\n`, { mode: 0o600 })
  await json(home, 'config', 'set', 'turn_secret', secretOf('turn secret'))
  await json(home, 'config', 'set', 'turn_password', secretOf('turn password'))
  await json(home, 'config', 'set', 'turn_servers', 'turn:127.0.0.1:9')
  await json(home, 'config', 'set', 'log_level', 'trace')
  await json(home, 'config', 'set', 'http_port', String(await freePort()))
  secrets.set('body', `canary-body-${randomBytes(18).toString('hex')}`)
  return { one, secrets, pass }
}

test(
  'no secret of a profile is in a log, an argument, an environment, a metric, a status, an error or a bug report',
  { timeout: 240_000 },
  async (t) => {
    const { one, secrets, pass } = await prepare(t)
    const { home } = one
    const printed = new Printed(home)
    await printed.run('keys', 'passwd', '--new-passphrase-file', pass)
    await printed.run('restart')
    for (const scope of ['read', 'agent', 'admin'])
      secrets.set(`token ${scope}`, readFileSync(join(home.paths.runtimeFolder, 'tokens', scope), 'utf8').trim())
    const { token } = await json<{ readonly token: string }>(home, 'gateway', 'token', 'create', '--name', 'canary')
    secrets.set('gateway token', token)
    const address = (await json<{ readonly addresses: readonly string[] }>(home, 'status')).addresses[0]
    const friend = await startNode(t, 'friend', address)
    await json(friend.home, 'config', 'set', 'log_level', 'trace')
    await friend.home.p2p('restart')
    const { invite } = await json<{ readonly invite: string }>(home, 'invite')
    secrets.set('invite secret', decodeInvite(invite).secret)
    await json(friend.home, 'join', invite)
    const body = String(secrets.get('body'))
    await json(friend.home, 'message', 'one', '--content', body)
    const { url, called } = await webhookFor(t)
    const listener = home.spawn(['p2p', 'listen', '--webhook', url])
    const listened = new Promise<string>((resolve) => {
      let text = ''
      listener.stdout.on('data', (chunk) => (text += String(chunk)))
      listener.stderr.on('data', (chunk) => (text += String(chunk)))
      listener.once('close', () => resolve(text))
    })
    await called
    const seen = [seenOf(listener.pid ?? 0), seenOf(home.pid() ?? 0), seenOf(friend.home.pid() ?? 0)]
    listener.kill('SIGINT')
    const file = readFileSync(join(home.paths.stateFolder, 'webhook.secret'), 'utf8').trim()
    secrets.set('webhook secret', Buffer.from(file.replace('whsec_', ''), 'base64'))
    const wrong = join(home.folder, 'wrong')
    const backup = join(home.folder, 'backup')
    const report = join(home.folder, 'report.json')
    for (const args of [
      ['status', '--detailed', '--json'],
      ['status', '--detailed'],
      ['metrics'],
      ['config', 'get', '--json'],
      ['config', 'check'],
      ['config', 'set', 'turn_secret', `${String(secrets.get('turn secret'))}\u0007`],
      ['keys'],
      ['keys', 'backup', backup, '--passphrase-file', pass],
      ['keys', 'backup', backup, '--passphrase-file', pass],
      ['keys', 'passwd', '--passphrase-file', wrong, '--plain'],
      ['keys', 'restore', backup, '--passphrase-file', wrong, '--profile', 'other'],
      ['join', `${invite}x`, '--json'],
      ['join', invite, '--json'],
      ['invite', 'list', '--json'],
      ['gateway', 'token', 'list', '--json'],
      ['peers', '--json'],
      ['outbox', '--json'],
      ['netcheck', '--json'],
      ['doctor', '--deep', '--json'],
      ['bugreport', '--output', report],
      ['logs', '--lines', '100000', '--json'],
      ['logs', '--lines', '100000']
    ])
      await printed.run(...args)
    await friend.home.p2p('stop')
    await printed.run('stop')
    const places: readonly (readonly [string, string])[] = [
      ['what was printed', printed.text],
      ['the listener', await listened],
      ['arguments and environments', seen.join('\n')],
      ['the log', logsOf(home)],
      ["the friend's log", logsOf(friend.home)],
      ['the bug report', readFileSync(report, 'utf8')],
      ['the backup', readFileSync(backup, 'latin1')],
      ['the key file', readFileSync(home.paths.identityFile, 'latin1')]
    ]
    assert.ok(statSync(home.paths.logFile).size > 1_000, 'the log at level trace says something')
    assert.ok(existsSync(report))
    for (const [place, text] of places) assert.deepEqual(leaks(text, secrets), [], place)
    // The search itself finds what is there.
    for (const [name, secret] of secrets) for (const form of formsOf(secret)) assert.deepEqual(leaks(`…${form}…`, new Map([[name, secret]])), [name])
  }
)
