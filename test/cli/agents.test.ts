import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { until } from '../net/support.ts'
import { bin, json, type RealNode, startNode } from './real-nodes.ts'
import { finished, isAlive } from './support.ts'

const patienceMs = 30_000

async function pairOf(t: TestContext): Promise<readonly [RealNode, RealNode]> {
  const one = await startNode(t, 'one')
  const two = await startNode(t, 'two', one.address)
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(two.home, 'join', invite)
  return [one, two]
}

function program({ home }: RealNode, source: string): string {
  const file = join(home.folder, `handler-${Math.random().toString(36).slice(2)}.cjs`)
  writeFileSync(file, source)
  return `'${process.execPath}' '${file}'`
}

const idsOf = async ({ home }: RealNode, ...args: readonly string[]): Promise<readonly string[]> =>
  (await json<{ readonly messages: readonly { readonly id: string }[] }>(home, 'inbox', 'list', ...args)).messages.map(({ id }) => id)

test('an agent is addressed by its label, and its program answers a Command that was asked over real nodes', async (t) => {
  const [one, two] = await pairOf(t)
  assert.deepEqual(await json(two.home, 'agent', 'add', 'planner'), { label: 'planner', added: true })
  assert.deepEqual(await json(two.home, 'agent', 'add', 'planner'), { label: 'planner', added: false })
  await until(
    async () => {
      const { peers } = await json<{ readonly peers: readonly { readonly labels: readonly string[] }[] }>(one.home, 'peers', two.peerId)
      return peers[0]?.labels.includes('planner') === true
    },
    'the label is known to the peer',
    patienceMs
  )
  const source = `const { body, toLabel, sender } = JSON.parse(require('node:fs').readFileSync(0, 'utf8')); process.stdout.write([body, toLabel, sender.name, sender.verified, sender.paired].join(' '))`
  const listener = two.home.spawn([
    'p2p',
    'listen',
    '--exec',
    program(two, source),
    '--reply',
    '--type',
    'command',
    '--label',
    'planner',
    '--once',
    '--json'
  ])
  const listened = finished(listener)
  const asked = await json<{ readonly response: { readonly body: string } }>(one.home, 'message', 'planner', 'count', '--request', '--timeout', '60')
  assert.equal(asked.response.body, 'count planner one true true')
  const { code, stdout } = await listened
  assert.equal(code, 0)
  assert.equal(JSON.parse(stdout).outcome, 'acknowledged')
  assert.deepEqual(await json(two.home, 'agent', 'remove', 'planner'), { label: 'planner' })
  const unknown = await two.home.p2p('agent', 'remove', 'planner', '--json')
  assert.deepEqual([unknown.code, JSON.parse(unknown.stderr).error.code], [5, 'AGENT_UNKNOWN'])
})

test('what a named reader acknowledged it gets never again, and what it did not it gets again, over kill -9 of the node', async (t) => {
  const [one, two] = await pairOf(t)
  for (const name of ['alpha', 'beta']) await json(two.home, 'inbox', 'consumers', 'add', name)
  const sent: string[] = []
  for (let index = 0; index < 6; index++) sent.push((await json<{ readonly id: string }>(one.home, 'message', two.peerId, `text ${index}`)).id)
  await json(two.home, 'inbox', 'ack', sent[0] ?? '', sent[1] ?? '', sent[2] ?? '', '--consumer', 'alpha')
  await json(two.home, 'inbox', 'ack', sent[1] ?? '', '--consumer', 'beta')
  assert.equal(
    (await json<{ readonly messages: readonly { readonly status: string }[] }>(one.home, 'outbox', 'list', '--id', sent[0] ?? '')).messages[0]
      ?.status,
    'stored'
  )
  const pid = two.home.pid() ?? 0
  process.kill(pid, 'SIGKILL')
  await until(() => !isAlive(pid), 'the daemon is gone', patienceMs)
  assert.deepEqual(await idsOf(two, '--consumer', 'alpha'), sent.slice(3))
  assert.deepEqual(await idsOf(two, '--consumer', 'beta'), [sent[0], ...sent.slice(2)])
  await until(
    async () => {
      const { messages } = await json<{ readonly messages: readonly { readonly id: string; readonly status: string }[] }>(one.home, 'outbox')
      return messages.find(({ id }) => id === sent[1])?.status === 'read'
    },
    'the sender learns that all have read it',
    patienceMs
  )
})

test('a listener with a program goes on when its daemon restarts, and handles each message once', async (t) => {
  const [one, two] = await pairOf(t)
  const log = join(two.home.folder, 'log')
  const exec = program(
    two,
    `require('node:fs').appendFileSync(${JSON.stringify(log)}, JSON.parse(require('node:fs').readFileSync(0, 'utf8')).body + '\\n')`
  )
  const listener = two.home.spawn(['p2p', 'listen', '--exec', exec])
  const listened = finished(listener)
  const bodies = (): readonly string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])
  await json(one.home, 'message', two.peerId, 'before')
  await until(() => bodies().includes('before'), 'the first is handled', patienceMs)
  await until(async () => (await idsOf(two)).length === 0, 'the first is acknowledged', patienceMs)
  assert.equal((await two.home.p2p('restart')).code, 0)
  await json(one.home, 'message', two.peerId, 'after', '--timeout', '60')
  await until(() => bodies().includes('after'), 'the second is handled', patienceMs)
  await until(async () => (await idsOf(two)).length === 0, 'all are acknowledged', patienceMs)
  listener.kill('SIGINT')
  assert.equal((await listened).code, 130)
  assert.deepEqual(bodies(), ['before', 'after'])
})

test('a command inside of a handler speaks to the same node, and what it sends counts as an agent’s', async (t) => {
  const [one, two] = await pairOf(t)
  const source = `const { sender } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
    require('node:child_process').execFileSync(process.execPath, [${JSON.stringify(bin)}, 'p2p', 'message', sender.peerId, 'from the handler', '--json'], { stdio: 'inherit' })`
  const listened = two.home.p2p('listen', '--exec', program(two, source), '--once', '--json')
  const { id } = await json<{ readonly id: string }>(one.home, 'message', two.peerId, 'wake up', '--timeout', '60')
  const { code, stdout, stderr } = await listened
  assert.equal(code, 0, stdout + stderr)
  const { messages } = await json<{ readonly messages: readonly { readonly body: string; readonly thread: object }[] }>(one.home, 'inbox')
  assert.deepEqual(
    messages.map(({ body, thread }) => [body, thread]),
    [['from the handler', { root: id, hop: 0, automatic: true }]]
  )
})

test('two handlers that always write back end at the guard against loops, and what stays is unread', async (t) => {
  const [one, two] = await pairOf(t)
  const source = `const { sender } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
    const { spawnSync } = require('node:child_process')
    process.exit(spawnSync(process.execPath, [${JSON.stringify(bin)}, 'p2p', 'message', sender.peerId, 'and you', '--json'], { stdio: ['ignore', 'ignore', 'inherit'] }).status)`
  const listeners = [one, two].map((node) => {
    const child = node.home.spawn(['p2p', 'listen', '--exec', program(node, source), '--attempts', '1', '--json'])
    return { child, result: finished(child) }
  })
  await json(one.home, 'message', two.peerId, 'begin')
  const { promise: stuck, resolve } = Promise.withResolvers<{ readonly exitCode: number; readonly stderr: string }>()
  for (const { child } of listeners) {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      const given = text.split('\n').find((line) => line.includes('"given-up"') && line.endsWith('}'))
      if (given !== undefined) resolve(JSON.parse(given))
    })
  }
  const { exitCode, stderr } = await stuck
  assert.equal(exitCode, 9)
  assert.match(stderr, /LOOP_GUARD/)
  const sent = await Promise.all(
    [one, two].map(({ home }) => json<{ readonly messages: readonly { readonly type: string }[] }>(home, 'outbox', 'list', '--limit', '100'))
  )
  const total = sent.reduce((sum, { messages }) => sum + messages.length, 0)
  assert.ok(total > 10 && total <= 31, `${total} messages were sent, the first by a person`)
  const unread = [...(await idsOf(one)), ...(await idsOf(two))]
  assert.equal(unread.length, 1)
  for (const { child } of listeners) child.kill('SIGINT')
  for (const { result } of listeners) assert.equal((await result).code, 130)
})
