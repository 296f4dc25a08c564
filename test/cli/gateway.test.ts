import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { inRoot } from '../../scripts/lib/paths.ts'
import { EventReader, patienceMs, Talk, type Told } from '../api/gateway-support.ts'
import { raw } from '../api/harness.ts'
import { json, startNode } from './real-nodes.ts'
import type { Home } from './support.ts'

/** The gateway of real nodes: bundles, sockets, stores. */

interface Place {
  readonly port: number
  readonly url: string
}

const idOf = ({ data }: Told): unknown => (typeof data === 'object' && data !== null && 'id' in data ? data.id : undefined)

/** Events until the message `id` is told. */
async function untilMessage(reader: EventReader, id: string): Promise<readonly Told[]> {
  const seen: Told[] = []
  for (;;) {
    const told = await reader.next()
    seen.push(told)
    if (told.event === 'message' && idOf(told) === id) return seen
  }
}

async function pair(t: TestContext): Promise<readonly [Awaited<ReturnType<typeof startNode>>, Awaited<ReturnType<typeof startNode>>]> {
  const alice = await startNode(t, 'alice')
  const bob = await startNode(t, 'bob', alice.address)
  const { invite } = await json<{ readonly invite: string }>(alice.home, 'invite')
  await json(bob.home, 'join', invite)
  return [alice, bob]
}

const open = (home: Home): Promise<Place> => json<Place>(home, 'gateway', '--port', '0', '--print')
const tokenOf = async (home: Home, scope: string): Promise<string> =>
  (await json<{ readonly token: string }>(home, 'gateway', 'token', 'create', '--name', scope, '--scope', scope)).token

test('events of a real node go on behind their cursor over a restart of its daemon, and a lasting token opens the new one', async (t) => {
  const [alice, bob] = await pair(t)
  const token = await tokenOf(alice.home, 'agent')
  const { port } = await open(alice.home)
  const reader = new EventReader(t, port, { token })
  await reader.until('live')
  await json(bob.home, 'message', 'alice', 'one', '--id', 'm1')
  const seen = await untilMessage(reader, 'm1')
  const cursor = seen.at(-1)?.id ?? ''
  await json(bob.home, 'message', 'alice', 'two', '--id', 'm2')
  await untilMessage(reader, 'm2')
  await json(alice.home, 'restart')
  await reader.closed()
  const again = await open(alice.home)
  const back = new EventReader(t, again.port, { token, lastEventId: cursor })
  const caught = await back.until('live')
  assert.deepEqual(
    caught.map((told) => [told.event, idOf(told)]),
    [
      ['missed', undefined],
      ['message', 'm2'],
      ['live', undefined]
    ]
  )
  await json(bob.home, 'message', 'alice', 'three', '--id', 'm3')
  await untilMessage(back, 'm3')
})

test('a message that is sent over a WebSocket is stored at the peer, and its states are told as events', async (t) => {
  const [alice, bob] = await pair(t)
  const token = await tokenOf(bob.home, 'agent')
  const { port } = await open(bob.home)
  const talk = await new Talk(t, { port }, { token }).opened()
  talk.say({ id: 'events', operation: 'events', input: { event: ['outbox'] } })
  await talk.hear(({ id }) => id === 'events')
  talk.say({ id: 'send', operation: 'message', input: { destination: 'alice', content: 'hello', id: 'over-ws' } })
  const { result } = await talk.hear(({ id }) => id === 'send')
  assert.equal((result as { readonly status: string }).status, 'stored')
  await talk.hear((frame) => JSON.stringify(frame).includes('"status":"stored"') && frame['id'] === 'events')
  const { messages } = await json<{ readonly messages: readonly { readonly id: string }[] }>(alice.home, 'inbox')
  assert.deepEqual(
    messages.map(({ id }) => id),
    ['over-ws']
  )
})

test('the command that started the gateway ends it when it is interrupted, and leaves no token anywhere but where tokens are', async (t) => {
  const { home } = await startNode(t, 'alone')
  const token = await tokenOf(home, 'admin')
  const child = home.spawn(['p2p', 'gateway', '--port', '0', '--json'])
  const [first] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(patienceMs) })) as [Buffer]
  const { port } = JSON.parse(first.toString()) as Place
  const ask = (): Promise<{ readonly status: number; readonly text: string }> =>
    raw({ port }, `GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  const { status, text } = await ask()
  assert.equal(status, 200)
  assert.match(text, /synaptic_mesh_api_tokens 1/)
  assert.ok(!text.includes(token) && !text.includes('12D3KooW'))
  child.kill('SIGINT')
  assert.equal((await once(child, 'close', { signal: AbortSignal.timeout(patienceMs) }))[0], 0)
  while ((await ask()).status !== 0) await new Promise((resolve) => setImmediate(resolve))
  const files = readdirSync(home.folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  assert.ok(files.length > 5)
  for (const each of files) assert.ok(!readFileSync(join(each.parentPath, each.name)).includes(token), each.name)
})

test(
  'the example in Python talks to a real node',
  { skip: spawnSync('python3', ['--version']).status === 0 ? false : 'python3 is not installed' },
  async (t) => {
    const [alice, bob] = await pair(t)
    const { port } = await open(bob.home)
    const file = join(bob.home.folder, 'token')
    writeFileSync(file, `${await tokenOf(bob.home, 'agent')}\n`, { mode: 0o600 })
    const python = (...words: readonly string[]) => {
      const child = spawn('python3', [inRoot('examples/python/client.py'), '--token-file', file, '--port', String(port), ...words])
      t.after(() => child.kill('SIGKILL'))
      return child
    }
    const sent = python('send', 'alice', 'from Python', '--type', 'coordination')
    assert.equal((await once(sent, 'close', { signal: AbortSignal.timeout(patienceMs) }))[0], 0)
    const poll = python('poll')
    await json(alice.home, 'message', 'bob', 'to Python', '--id', 'to-python')
    const [line] = (await once(poll.stdout, 'data', { signal: AbortSignal.timeout(patienceMs) })) as [Buffer]
    assert.equal((JSON.parse(line.toString()) as { readonly body: string }).body, 'to Python')
    assert.equal((await once(poll, 'close', { signal: AbortSignal.timeout(patienceMs) }))[0], 0)
    const { messages } = await json<{ readonly messages: readonly { readonly status: string }[] }>(alice.home, 'outbox', 'list', '--id', 'to-python')
    assert.ok(['stored', 'read'].includes(messages[0]?.status ?? ''))
  }
)
