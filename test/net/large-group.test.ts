import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { Mesh, SendReport } from '../../src/mesh/mesh.ts'
import { createTestnet, type Testnet } from '../../src/testing/testnet.ts'
import { temporaryFolder } from '../node/temp.ts'
import { until } from './support.ts'

const size = 40
/** Nodes that have a connection with all others: the creator of the group, and who writes to it besides. */
const hubs = 2
const patienceMs = 120_000
const name = 'swarm-alpha'

/** The value of one metric of a node; 0 when it was never counted. */
async function metric(node: Mesh, line: string): Promise<number> {
  const found = (await node.metrics()).split('\n').find((each) => each.startsWith(`${line} `))
  return Number(found?.slice(line.length + 1) ?? 0)
}

const frames = (node: Mesh, event: string): Promise<number> => metric(node, `synaptic_mesh_group_frames_total{event="${event}"}`)

/** How often each text came to a node. */
async function texts(node: Mesh): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const { body } of (await node.inbox.list({ limit: 1_000 })).messages) {
    const text = new TextDecoder().decode(body)
    counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return counts
}

const has = async (node: Mesh, text: string): Promise<boolean> => ((await texts(node)).get(text) ?? 0) > 0

const storedBy = ({ members = [] }: SendReport, path?: string): number =>
  members.filter((member) => member.status === 'stored' && (path === undefined || member.path === path)).length

/** Waits until all have the creator's newest record, and nothing of it is on its way any more. */
async function settled(creator: Mesh, members: readonly Mesh[]): Promise<void> {
  const { epoch } = await creator.groups.get(name)
  for (const member of members) {
    const isThere = async (): Promise<boolean> => (await member.groups.list()).some((group) => group.state === 'joined' && group.epoch === epoch)
    await until(isThere, `${member.options.name} has the record`, patienceMs)
  }
  await until(async () => (await creator.outbox.counts()).queued === 0, 'all have been told', patienceMs)
}

/** Pairs two nodes; on a machine that is busy with 40 of them, at the second or third try. */
async function paired(creator: Mesh, node: Mesh): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { invite } = await creator.invite()
    try {
      await node.join(invite)
      return
    } catch (error) {
      if (attempt === 5 || !isMeshError(error) || !error.retryable) throw error
    }
  }
}

/** A group of all nodes, made by the second one; those but itself are paired with nobody else. */
async function swarm(net: Testnet): Promise<Mesh> {
  const creator = net.node(1)
  const others = net.nodes.filter((node) => node !== creator)
  for (const node of others) await paired(creator, node)
  await creator.groups.create(name, { members: others.map(({ peerId }) => peerId) })
  await settled(creator, others)
  return creator
}

test(`a group of ${size} nodes: one frame for all, who was away catches up, who was removed reads nothing`, async (t) => {
  const folder = temporaryFolder(t)
  const sleeper = size - 1
  await using net = await createTestnet(size, {
    // Each of 40 nodes with each other one takes this process minutes, and shows nothing more. They meet by the record of the group.
    bootstrap: false,
    config: (index) => (index < hubs ? {} : { maxPeers: 16 }),
    setup: (index) => (index === sleeper ? { stateFolder: join(folder, 'sleeper') } : {})
  })
  const creator = await swarm(net)
  const member = net.node(0)
  const removed = net.node(2)

  await t.test('carries a message of the creator once, and tells what became of it for each', async (each) => {
    // Members that have the record and not yet its key, which follows it, get this one sealed.
    const first = await creator.send(name, 'Is everybody here?', { timeoutMs: patienceMs })
    assert.equal(storedBy(first), size - 1)
    const report = await creator.send(name, 'Sync neural patterns', { type: 'AgentCoordination', timeoutMs: patienceMs })
    assert.equal(report.status, 'stored')
    assert.equal(storedBy(report), size - 1)
    assert.equal(await frames(creator, 'published'), 2)
    each.diagnostic(`${storedBy(report, 'gossip')} of ${size - 1} members by gossip, all within ${report.ms} ms`)
    assert.ok(storedBy(report, 'gossip') > (size - 1) / 2, `${storedBy(report, 'gossip')} of ${size - 1} by gossip`)
  })

  await t.test('catches up with whoever was away', async () => {
    const away = net.node(sleeper)
    const { name: label } = away.options
    await away.stop()
    const report = await member.send(name, 'While you were away', { timeoutMs: 4_000 })
    await until(async () => storedBy(await member.outbox.get(report.id)) === size - 2, 'all others have it', patienceMs)
    assert.equal((await member.outbox.get(report.id)).error?.code, 'GROUP_INCOMPLETE')
    const back = await net.add({ name: label }, { stateFolder: join(folder, 'sleeper') })
    assert.equal(back.peerId, away.peerId)
    await until(() => has(back, 'While you were away'), 'it came after all', patienceMs)
    await until(async () => storedBy(await member.outbox.get(report.id)) === size - 1, 'its sender knows', patienceMs)
    await member.send(name, 'Welcome back', { timeoutMs: patienceMs })
    await until(() => has(back, 'Welcome back'), 'it is told again', patienceMs)
  })

  await t.test('keeps the next epoch from who was removed', async () => {
    await creator.groups.remove(name, [removed.peerId])
    const rest = net.nodes.filter((node) => node !== removed && node !== creator && node !== net.node(sleeper))
    await settled(creator, rest)
    await until(async () => (await removed.groups.get(name).catch(() => undefined))?.state !== 'joined', 'it knows', patienceMs)
    const passed = await frames(removed, 'passed')
    const report = await member.send(name, 'About who is gone', { timeoutMs: patienceMs })
    assert.equal(storedBy(report), size - 2)
    await until(async () => (await frames(removed, 'passed')) > passed, 'it passes the frame on', patienceMs)
    assert.equal(await has(removed, 'About who is gone'), false)
    for (const node of rest) if (node !== member) await until(() => has(node, 'About who is gone'), 'the others have it', patienceMs)
  })

  await t.test('has given each message to each node once', async () => {
    for (const node of net.nodes.filter((each) => each !== net.node(sleeper)))
      for (const [text, count] of await texts(node)) assert.equal(count, 1, `${node.options.name}: ${text}`)
  })
})
