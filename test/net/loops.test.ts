import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMeshError, type MeshError } from '../../src/core/base/index.ts'
import { loopLimits } from '../../src/core/message/index.ts'
import type { Mesh, ReceivedMessage } from '../../src/mesh/mesh.ts'
import { createTestnet } from '../../src/testing/index.ts'
import { nextEvent } from './event-support.ts'
import { until } from './support.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

/** An agent: what it sends because of a message, and why it stopped. */
interface Agent {
  readonly sent: string[]
  readonly refused: MeshError[]
}

/** Has a node act on each message that comes to it, as an agent does. */
function agentOn(mesh: Mesh, act: (message: ReceivedMessage, send: (to: string) => void) => void): Agent {
  const agent: Agent = { sent: [], refused: [] }
  mesh.on('message', (message) => {
    act(message, (to) => {
      const sending =
        to === message.source.peerId
          ? mesh.reply(message, 'and you?', { automatic: true, timeoutMs: 20_000 })
          : mesh.send(to, 'pass it on', { automatic: true, cause: message.id, timeoutMs: 20_000 })
      sending.then(
        ({ id }) => agent.sent.push(id),
        (error: unknown) => agent.refused.push(error as MeshError)
      )
    })
  })
  return agent
}

const answers = (mesh: Mesh): Agent => agentOn(mesh, (message, send) => send(message.source.peerId))

test('two agents that answer each other stop after 30 messages, go on when a person writes, and stop again', async () => {
  await using net = await createTestnet(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  const agents = [answers(alice), answers(bob)] as const
  const all = (): number => agents[0].sent.length + agents[1].sent.length
  const stopped = (): boolean => agents.some(({ refused }) => refused.length > 0)
  const { id } = await alice.send(bob.peerId, 'how do you do?', { timeoutMs: 20_000 })
  await until(stopped, 'the guard ends it', 30_000)
  await until(() => all() === loopLimits.automatic, 'all that was sent is told', 20_000)
  const [error] = agents.flatMap(({ refused }) => refused)
  assert.deepEqual([error?.code, error?.exitCode, error?.details['root']], ['LOOP_GUARD', 9, id])
  const { messages } = await bob.inbox.list({ limit: 100 })
  assert.deepEqual(
    messages.map(({ thread }) => thread.root).filter((root) => root !== id),
    []
  )
  assert.deepEqual(
    messages.map(({ thread }) => thread.automatic),
    messages.map((_, index) => index > 0)
  )
  const metrics = `${await alice.metrics()}\n${await bob.metrics()}`
  assert.match(metrics, /^synaptic_mesh_loop_refusals_total\{code="LOOP_GUARD"\} [1-9]/m)

  for (const { refused } of agents) refused.length = 0
  await alice.send(bob.peerId, 'go on', { cause: messages.at(-1)?.id ?? id, timeoutMs: 20_000 })
  await until(stopped, 'the guard ends it again', 30_000)
  await until(() => all() === 2 * loopLimits.automatic, 'another 30', 20_000)
})

test('the guard outlives a restart, and somebody may allow what it refuses', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'synaptic-test-'))
  t.after(() => rm(folder, { recursive: true }))
  await using net = await createTestnet(2, { setup: (index) => (index === 0 ? { stateFolder: folder } : {}) })
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  const { id } = await alice.send(bob.peerId, 'begin', { timeoutMs: 20_000 })
  const speak = (mesh: Mesh, more: Parameters<Mesh['send']>[2] = {}) =>
    mesh.send(bob.peerId, 'on', { automatic: true, cause: id, waitFor: 'accepted', ...more })
  for (let count = 0; count < loopLimits.automatic; count++) await speak(alice)
  await assert.rejects(speak(alice), failure('LOOP_GUARD'))
  await alice.stop()
  const again = await net.add({}, { stateFolder: folder })
  await assert.rejects(speak(again), failure('LOOP_GUARD'))
  assert.equal((await speak(again, { allow: true })).error, undefined)
  assert.equal((await speak(again)).error, undefined)
})

test('a message that is repeated with its id is not counted again', async () => {
  await using net = await createTestnet(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  const say = (id: string) => alice.send(bob.peerId, 'once', { id, automatic: true, cause: 'r', waitFor: 'accepted' })
  for (let count = 0; count < 40; count++) await say('same')
  for (let count = 0; count < loopLimits.automatic - 1; count++) await say(`m${count}`)
  await assert.rejects(say('over'), failure('LOOP_GUARD'))
})

test('a matter that agents hand on in a ring goes no further than eight times', async () => {
  await using net = await createTestnet(3)
  const ring = [...net.nodes]
  for (const [index, node] of ring.entries()) await net.pair(node, ring[(index + 1) % 3] ?? node)
  const agents = ring.map((node, index) => agentOn(node, (_message, send) => send(ring[(index + 1) % 3]?.peerId ?? '')))
  await net.node(0).send(net.node(1).peerId, 'pass it on', { timeoutMs: 20_000 })
  const refused = (): readonly MeshError[] => agents.flatMap((agent) => agent.refused)
  await until(() => refused().length > 0, 'it ends', 30_000)
  await until(() => agents.flatMap(({ sent }) => sent).length === loopLimits.hops, 'eight hops', 20_000)
  assert.deepEqual(
    refused().map(({ code }) => code),
    ['HOP_LIMIT']
  )
})

test('agents that send on to everybody never send more than 30 messages each', async () => {
  await using net = await createTestnet(4)
  const nodes = [...net.nodes]
  for (const [index, node] of nodes.entries()) for (const other of nodes.slice(index + 1)) await net.pair(node, other)
  const agents = nodes.map((node) =>
    agentOn(node, (_message, send) => {
      for (const { peerId } of nodes) if (peerId !== node.peerId) send(peerId)
    })
  )
  await net.node(0).send(net.node(1).peerId, 'tell everybody', { timeoutMs: 20_000 })
  let before = -1
  const isQuiet = async (): Promise<boolean> => {
    const sent = agents.reduce((sum, agent) => sum + agent.sent.length + agent.refused.length, 0)
    const unread = await Promise.all(nodes.map(async (node) => (await node.inbox.counts()).unread + (await node.outbox.counts()).queued))
    const now = sent + unread.reduce((sum, count) => sum + count, 0)
    const isSame = now === before && agents.every(({ refused }) => refused.length > 0)
    before = now
    return isSame
  }
  await until(isQuiet, 'it ends', 60_000)
  for (const { sent, refused } of agents) {
    assert.ok(sent.length <= loopLimits.automatic, `${sent.length} messages`)
    assert.ok(refused.every(({ code }) => code === 'LOOP_GUARD' || code === 'HOP_LIMIT'))
  }
})

test('volatile answers of agents end as durable ones do', async () => {
  await using net = await createTestnet(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  const agents = [answers(alice), answers(bob)] as const
  await alice.send(bob.peerId, 'quick', { delivery: 'volatile', id: 'first' })
  await until(() => agents.some(({ refused }) => refused.length > 0), 'the guard ends it', 30_000)
  for (const { sent } of agents) assert.ok(sent.length <= loopLimits.automatic)
})

test('a message because of one that is not known here belongs to the thread that that one began', async () => {
  await using net = await createTestnet(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  const arrived = nextEvent(bob, 'message')
  await alice.send(bob.peerId, 'an answer', { inReplyTo: 'unheard-of', automatic: true, timeoutMs: 20_000 })
  assert.deepEqual((await arrived).thread, { root: 'unheard-of', hop: 1, automatic: true })
  await assert.rejects(alice.send(bob.peerId, 'x', { cause: 'no id!', automatic: true }), failure('OPTION_INVALID'))
})
