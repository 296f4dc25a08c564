import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue, checkInput, type Command, type Field, inputSchema, type OperationName, operations } from '../../src/api/index.ts'
import { MeshError } from '../../src/core/base/index.ts'
import { startRig } from './harness.ts'

/** An input of each operation that the node in memory answers. */
const inputs: { readonly [Name in OperationName]: object } = {
  agentAdd: { label: 'planner' },
  agentList: {},
  agentRemove: { label: 'planner' },
  circuitClose: { circuit: '3f9a' },
  circuitList: {},
  circuitOpen: { peer: 'agent-001', hops: 3 },
  daemon: {},
  discover: { method: 'kademlia', count: 2 },
  events: { after: '0', count: 1 },
  gateway: { port: 0, print: true },
  gatewayStop: {},
  groupCreate: { name: 'swarm-beta', member: ['agent-001'] },
  groupAdd: { group: 'swarm-alpha', member: ['echo'], admin: true },
  groupRemove: { group: 'swarm-alpha', member: ['agent-002'] },
  groupList: { group: 'swarm-alpha' },
  groupLeave: { group: 'swarm-alpha' },
  groupDelete: { group: 'swarm-alpha' },
  inboxAck: { id: ['m1'] },
  inboxConsumers: { action: 'add', name: 'planner' },
  inboxList: {},
  inboxRead: { limit: 1 },
  inboxReply: { id: 'm1', content: 'yes' },
  invite: {},
  inviteList: {},
  inviteRevoke: { id: '1f2e3d4c' },
  inviteWait: { id: '1f2e3d4c5b6a7988', timeoutMs: 1_000 },
  join: { invite: 'synaptic-invite-1-x', as: 'bob' },
  listen: { once: true },
  message: { destination: 'echo', content: 'do it', request: true },
  metrics: {},
  outboxCancel: { id: 'waiting' },
  outboxList: {},
  outboxRetry: {},
  peers: {},
  pending: { show: true },
  approve: { peer: 'stranger', as: 'guest', command: false },
  peerList: {},
  peerRename: { peer: 'agent-001', alias: 'planner' },
  peerTrust: { peer: 'agent-001', command: true },
  peerBlock: { peer: 'stranger', delete: true },
  peerRemove: { peer: 'agent-002' },
  nat: { peer: 'agent-001' },
  netcheck: {},
  ping: { peer: 'agent-001' },
  quantum: { peer: 'agent-001', level: 3 },
  snapshot: {},
  status: { detailed: true },
  stop: {},
  tokenCreate: { name: 'reporter' },
  tokenList: {},
  tokenRevoke: { name: 'reporter' },
  trace: { peer: 'agent-001' },
  trust: { peer: 'agent-001' },
  upkeep: { deep: true },
  wait: { peers: 1 }
}

test('each operation answers in the shape that its schema tells, and nothing beside it', async (t) => {
  const { client, mesh } = await startRig(t)
  mesh.receive({ id: 'm1', body: Uint8Array.of(0xff, 0xfe) })
  mesh.receive({ id: 'm2' })
  mesh.receive({ id: 'm3', state: 'held', paired: false })
  await client.call('message', { destination: 'offline', content: 'x', id: 'waiting' })
  const names = (Object.keys(operations) as OperationName[]).filter((name) => name !== 'stop' && name !== 'inboxAck')
  for (const name of [...names, 'inboxAck', 'stop'] as const) {
    const schema = operations[name].output(z)
    const answers: unknown[] = []
    if (operations[name].route?.stream === true) for await (const item of client.stream(name, inputs[name])) answers.push(item)
    else answers.push(await client.call(name, inputs[name]))
    assert.ok(answers.length > 0)
    for (const answer of answers) assert.doesNotThrow(() => schema.parse(answer), name)
  }
})

test('the schema of an input and its check agree on every field', () => {
  const commands: readonly Command[] = [...Object.values(catalogue), operations.daemon]
  let compared = 0
  for (const { fields } of commands) {
    const schema = inputSchema(fields, z)
    const required = Object.fromEntries(
      Object.entries(fields).flatMap(([name, field]) => (field.required === true && field.local !== true ? [[name, validOf(field)]] : []))
    )
    for (const [name, field] of Object.entries(fields)) {
      for (const value of probesOf(field)) {
        const input = { ...required, [name]: value }
        assert.equal(
          accepts(() => checkInput(fields, input)),
          schema.safeParse(input).success,
          `${name} = ${JSON.stringify(value)?.slice(0, 60)}`
        )
        compared++
      }
    }
    assert.deepEqual({ ...checkInput(fields, required) }, schema.parse(required))
    assert.equal(
      accepts(() => checkInput(fields, { ...required, strange: 1 })),
      false
    )
    assert.equal(schema.safeParse({ ...required, strange: 1 }).success, false)
  }
  assert.ok(compared > 500)
})

function accepts(run: () => unknown): boolean {
  try {
    run()
    return true
  } catch (error) {
    assert.ok(error instanceof MeshError)
    return false
  }
}

function validOf(field: Field): unknown {
  switch (field.type) {
    case 'text':
      return 'x'.repeat(Math.max(1, field.min ?? 0))
    case 'integer':
      return field.values?.[0] ?? field.min
    case 'seconds':
      return field.minMs
    case 'choice':
      return field.choices[0]
    case 'boolean':
      return true
    case 'list':
      return [field.choices?.[0] ?? 'x']
  }
}

function probesOf(field: Field): readonly unknown[] {
  const common = ['', 'x', 0, 1, -1, 1.5, 1e300, true, null, {}, [], ['x'], [1], validOf(field)]
  switch (field.type) {
    case 'text':
      return [...common, 'x'.repeat(Math.min(field.max, 100)), ...(field.max < 10_000 ? ['x'.repeat(field.max + 1)] : [])]
    case 'integer':
      return [...common, field.min - 1, field.max, field.max + 1]
    case 'seconds':
      return [...common, field.minMs - 0.5, field.maxMs, field.maxMs + 1]
    case 'list':
      return [...common, Array(field.maxItems + 1).fill(field.choices?.[0] ?? 'x'), ['x'.repeat(field.maxCharacters + 1)], ['']]
    default:
      return common
  }
}

test('a listener gets what is unread, then what arrives, until it goes', async (t) => {
  const { client, mesh } = await startRig(t)
  mesh.receive({ id: 'a' })
  mesh.receive({ id: 'b', type: 'Command' })
  const gone = new AbortController()
  const seen: string[] = []
  await assert.rejects(
    async () => {
      for await (const { id, redelivered } of client.stream('listen', {}, { signal: gone.signal })) {
        seen.push(`${id}${redelivered ? ' again' : ''}`)
        if (id === 'b') mesh.receive({ id: 'c' })
        if (id === 'c') mesh.receive({ id: 'd', delivery: 'volatile', position: 0 })
        if (id === 'd') gone.abort()
      }
    },
    (error) => error instanceof MeshError && error.code === 'ABORTED'
  )
  assert.deepEqual(seen, ['a', 'b', 'c', 'd'])
})

test('a message that was handed out and not acknowledged comes again and says so; an acknowledged one never does', async (t) => {
  const { client, mesh } = await startRig(t)
  mesh.receive({ id: 'a' })
  mesh.receive({ id: 'b' })
  assert.deepEqual(
    (await client.call('inboxRead', {})).messages.map(({ id, redelivered }) => [id, redelivered]),
    [
      ['a', false],
      ['b', false]
    ]
  )
  await client.call('inboxAck', { id: ['a'] })
  const again = await client.call('inboxRead', {})
  assert.deepEqual(
    again.messages.map(({ id, redelivered }) => [id, redelivered]),
    [['b', true]]
  )
})

test('an error arrives as it left: code, details and words', async (t) => {
  const { client } = await startRig(t)
  await assert.rejects(client.call('message', { destination: 'agent-007', content: 'x' }), (error) => {
    assert.ok(error instanceof MeshError)
    assert.equal(error.code, 'PEER_UNKNOWN')
    assert.match(error.hint, /Nearest names: agent-001/)
    return true
  })
})

test('content that is no base64 is an error where the caller says it is base64', async (t) => {
  const { client } = await startRig(t)
  for (const content of ['aGk', 'aGk=', 'aGk=\n'])
    assert.equal((await client.call('message', { destination: 'echo', content, encoding: 'base64' })).status, 'stored')
  for (const content of ['a*k=', 'aGk=aGk=', 'a'])
    await assert.rejects(
      async () => client.call('message', { destination: 'echo', content, encoding: 'base64' }),
      { code: 'OPTION_INVALID' },
      content
    )
})
