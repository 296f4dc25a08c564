import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { until } from './support.ts'

const patienceMs = 30_000

const labelsAt = async (node: Mesh, peerId: string): Promise<readonly string[]> => (await node.peer(peerId)).labels

test('the labels of agents reach paired peers, and a message to one says which agent it is for', async () => {
  await using net = await createTestnet(2)
  const [one, two] = [net.node(0), net.node(1)]
  await net.pair(one, two)
  assert.equal(await two.agents.add('planner'), true)
  assert.equal(await two.agents.add('planner'), false)
  await until(async () => (await labelsAt(one, two.peerId)).includes('planner'), 'the label is known', patienceMs)
  const { to, status } = await one.send('planner', 'what next', { timeoutMs: 20_000 })
  assert.deepEqual([to[0]?.peerId, status], [two.peerId, 'stored'])
  const { messages } = await two.inbox.list()
  assert.deepEqual(
    messages.map(({ toLabel }) => toLabel),
    ['planner']
  )
  await two.agents.remove('planner')
  await until(async () => !(await labelsAt(one, two.peerId)).includes('planner'), 'the label is gone', patienceMs)
  await assert.rejects(one.send('planner', 'still there'), (error) => isMeshError(error, 'PEER_UNKNOWN'))
})

test('a label that could be something else is refused', async () => {
  await using net = await createTestnet(1)
  for (const label of ['', '-x', 'a b', 'x'.repeat(65), 'é', '../x', 'a\u202eb'])
    await assert.rejects(net.node(0).agents.add(label), (error) => isMeshError(error, 'OPTION_INVALID'), label)
  for (const consumer of ['', 'a b', 'x'.repeat(65), 'é', '../x'])
    await assert.rejects(net.node(0).inbox.useConsumer(consumer), (error) => isMeshError(error, 'OPTION_INVALID'), consumer)
})

test('the sender learns that its message was read when the last named reader acknowledged it', async () => {
  await using net = await createTestnet(2)
  const [one, two] = [net.node(0), net.node(1)]
  await net.pair(one, two)
  await two.inbox.useConsumer('alpha')
  await two.inbox.useConsumer('beta')
  const { id } = await one.send(two.peerId, 'to both', { timeoutMs: 20_000 })
  const names = [{ source: one.peerId, id }]
  await two.inbox.ack(names, { consumer: 'alpha' })
  assert.deepEqual((await two.inbox.list({ consumer: 'alpha' })).messages, [])
  assert.equal((await two.inbox.list({ consumer: 'beta', handOut: true })).messages[0]?.redelivered, false)
  assert.equal((await two.inbox.list({ consumer: 'beta' })).messages[0]?.redelivered, true)
  assert.equal((await one.outbox.get(id)).status, 'stored')
  await two.inbox.ack(names, { consumer: 'beta' })
  await until(async () => (await one.outbox.get(id)).status === 'read', 'the sender knows', patienceMs)
})

test('a Response that answers a request is nobody else’s, whoever else reads', async () => {
  await using net = await createTestnet(2)
  const [one, two] = [net.node(0), net.node(1)]
  await net.pair(one, two)
  await one.inbox.useConsumer('archive')
  two.on('message', (message) => void two.reply(message, 'pong').then(() => two.inbox.ack([{ source: message.source.peerId, id: message.id }])))
  const response = await one.request(two.peerId, 'ping', { timeoutMs: 20_000 })
  assert.equal(new TextDecoder().decode(response.body), 'pong')
  assert.deepEqual((await one.inbox.list({ consumer: 'archive' })).messages, [])
})
