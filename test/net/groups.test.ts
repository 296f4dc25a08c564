import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { Mesh, ReceivedMessage, SendReport } from '../../src/mesh/mesh.ts'
import { createTestnet, type Testnet } from '../../src/testing/testnet.ts'
import { until } from './support.ts'

const patience = 30_000
const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

/** Nodes of which the first is paired with all others, and these with nobody else. */
async function star(count: number): Promise<Testnet> {
  const net = await createTestnet(count)
  for (const node of net.nodes.slice(1)) await net.pair(net.node(0), node)
  return net
}

const memberNames = async (node: Mesh, group: string): Promise<readonly string[]> =>
  (await node.groups.get(group)).members.map(({ recordName }) => recordName).toSorted()

/** Waits until a node knows a group with so many members. */
const untilMembers = (node: Mesh, group: string, count: number): Promise<void> =>
  until(
    async () => (await node.groups.list()).some(({ name, members, state }) => name === group && members.length === count && state === 'joined'),
    `${count} members`,
    patience
  )

async function untilText(node: Mesh, text: string): Promise<ReceivedMessage> {
  let found: ReceivedMessage | undefined
  await until(
    async () => {
      const { messages } = await node.inbox.list({ limit: 1_000 })
      found = messages.find(({ body }) => new TextDecoder().decode(body) === text)
      return found !== undefined
    },
    text,
    patience
  )
  assert.ok(found)
  return found
}

const texts = async (node: Mesh): Promise<readonly string[]> =>
  (await node.inbox.list({ limit: 1_000 })).messages.map(({ body }) => new TextDecoder().decode(body))
const statuses = ({ members }: SendReport): readonly string[] => (members ?? []).map(({ status }) => status)

test('a message to a group is stored at all its members, who need not be paired with each other, and answers go to its sender or to all', async () => {
  await using net = await star(4)
  const [ada, ben, cyd, dan] = net.nodes
  assert.ok(ada && ben && cyd && dan)
  const made = await ada.groups.create('swarm-alpha', { members: [ben.peerId, cyd.peerId, dan.peerId] })
  assert.deepEqual([made.name, made.role, made.epoch, made.members.length], ['swarm-alpha', 'creator', 1, 4])
  for (const node of [ben, cyd, dan]) await untilMembers(node, 'swarm-alpha', 4)
  assert.deepEqual(await memberNames(cyd, 'swarm-alpha'), ['node-0', 'node-1', 'node-2', 'node-3'])
  const report = await ben.send('swarm-alpha', 'Sync neural patterns', { type: 'AgentCoordination', timeoutMs: patience })
  assert.deepEqual([report.status, report.error, statuses(report)], ['stored', undefined, ['stored', 'stored', 'stored']])
  assert.equal(report.group?.id, made.id)
  const got = await untilText(dan, 'Sync neural patterns')
  assert.deepEqual([got.paired, got.state, got.source.peerId], [false, 'unread', ben.peerId])
  assert.deepEqual(got.group, { id: made.id, name: 'swarm-alpha', epoch: 1, message: report.id, alone: false, member: true })
  await dan.reply(got, 'to all', { all: true, timeoutMs: patience })
  for (const node of [ada, ben, cyd]) assert.equal((await untilText(node, 'to all')).inReplyTo, report.id)
  const own = (await ada.inbox.list()).messages.find(({ type }) => type === 'AgentCoordination')
  assert.ok(own)
  await ada.reply(own, 'to ben alone', { timeoutMs: patience })
  await untilText(ben, 'to ben alone')
  assert.ok(!(await texts(cyd)).includes('to ben alone'))
  const listed = await ben.outbox.list()
  assert.deepEqual(
    listed.map(({ id, members }) => [id, members?.length]),
    [[report.id, 3]]
  )
  assert.deepEqual(statuses(await ben.outbox.get(report.id)), ['stored', 'stored', 'stored'])
  for (const node of net.nodes)
    assert.ok((await node.inbox.list({ states: ['unread', 'read', 'held'], limit: 1_000 })).messages.every(({ type }) => type !== 'SwarmSync'))
})

test('members come and go: who was removed gets nothing of the next epoch, and what it sends to the group is refused', async () => {
  await using net = await star(4)
  const [ada, ben, cyd, dan] = net.nodes
  assert.ok(ada && ben && cyd && dan)
  await ada.groups.create('crew', { members: [ben.peerId, cyd.peerId] })
  for (const node of [ben, cyd]) await untilMembers(node, 'crew', 3)
  await assert.rejects(ben.groups.add('crew', [ada.peerId]), failure('GROUP_NOT_ADMIN'))
  await ada.send('crew', 'while cyd was in it', { timeoutMs: patience })
  const changed = await ada.groups.add('crew', [dan.peerId])
  assert.deepEqual([changed.epoch, changed.members.length], [2, 4])
  for (const node of [ben, cyd, dan]) await untilMembers(node, 'crew', 4)
  const cydsGroup = await cyd.groups.get('crew')
  const without = await ada.groups.remove('crew', [cyd.peerId])
  assert.deepEqual([without.epoch, without.members.length], [3, 3])
  for (const node of [ben, dan]) await untilMembers(node, 'crew', 3)
  await until(async () => (await cyd.groups.list())[0]?.state === 'removed', 'cyd is told', patience)
  const report = await ben.send('crew', 'without cyd', { timeoutMs: patience })
  assert.deepEqual(statuses(report), ['stored', 'stored'])
  await untilText(dan, 'without cyd')
  await untilText(ada, 'without cyd')
  assert.deepEqual(
    (await texts(cyd)).filter((text) => text === 'without cyd'),
    []
  )
  const [kept] = (await cyd.inbox.list()).messages
  assert.deepEqual([kept?.group?.name, kept?.group?.member], ['crew', true], 'who sent what is kept was a member')
  for (const name of ['crew', '@crew']) await assert.rejects(cyd.send(name, 'let me in'), failure('GROUP_NOT_MEMBER'))
  assert.equal(cydsGroup.members.length, 4)
})

test('names of groups stand for one thing only, and a group of a name that a peer has too is asked for with an @', async () => {
  await using net = await star(3)
  const [ada, ben, cyd] = net.nodes
  assert.ok(ada && ben && cyd)
  await assert.rejects(ada.groups.create('node-1'), failure('GROUP_EXISTS'))
  await ada.groups.create('team', { members: [ben.peerId] })
  await assert.rejects(ada.groups.create('team'), failure('GROUP_EXISTS'))
  await assert.rejects(ada.groups.create('two words'), failure('OPTION_INVALID'))
  await assert.rejects(ada.groups.get('nobody'), failure('GROUP_UNKNOWN'))
  await assert.rejects(ada.send('@nobody', 'x'), failure('GROUP_UNKNOWN'))
  await assert.rejects(ada.groups.remove('team', [cyd.peerId]), failure('GROUP_NOT_MEMBER'))
  await assert.rejects(ada.groups.leave('team'), failure('GROUP_LAST_ADMIN'))
  // Not paired with cyd, ben may call a group as ada knows cyd.
  await ben.groups.create('node-2', { members: [ada.peerId] })
  await untilMembers(ada, 'node-2', 2)
  await assert.rejects(ada.send('node-2', 'x'), failure('NAME_AMBIGUOUS'))
  const [toGroup] = (await ada.send('@node-2', 'to the group', { timeoutMs: patience })).to
  assert.equal(toGroup?.peerId, ben.peerId)
  assert.equal((await ada.send(cyd.peerId, 'to the peer', { timeoutMs: patience })).status, 'stored')
  const { id } = await ada.groups.get('team')
  for (const bare of [id, id.slice(0, 8)]) await assert.rejects(ada.groups.get(bare), failure('GROUP_UNKNOWN'), 'an id is one behind an @ only')
  assert.equal((await ada.groups.get(`@${id}`)).name, 'team')
  assert.equal((await ada.send(`@${id.slice(0, 8)}`, 'by its id', { id: 'once', timeoutMs: patience })).group?.name, 'team')
  // The same again is no second message for anybody, and other content under that id is none either.
  await ada.send('team', 'by its id', { id: 'once', timeoutMs: patience })
  await assert.rejects(ada.send('team', 'something else', { id: 'once' }), failure('ID_CONFLICT'))
  assert.equal((await texts(ben)).filter((text) => text === 'by its id').length, 1)
  await assert.rejects(ada.send('team', 'x', { id: 'two words' }), failure('OPTION_INVALID'))
  await assert.rejects(ada.request('team', 'x'), failure('USAGE'))
  await assert.rejects(ada.send('team', 'x', { delivery: 'volatile' }), failure('USAGE'))
  await assert.rejects(ada.send('team', 'x', { contentType: 'application/vnd.synaptic-mesh.group+cbor' }), failure('OPTION_INVALID'))
})

test('a member leaves and is taken out by an admin, a second admin changes the group as well, and the creator ends it', async () => {
  await using net = await star(4)
  const [ada, ben, cyd, dan] = net.nodes
  assert.ok(ada && ben && cyd && dan)
  await net.pair(ben, dan)
  await ada.groups.create('trio', { members: [cyd.peerId] })
  await ada.groups.add('trio', [ben.peerId], { admin: true })
  for (const node of [ben, cyd]) await untilMembers(node, 'trio', 3)
  assert.equal((await ben.groups.get('trio')).role, 'admin')
  await assert.rejects(ben.groups.add('trio', [dan.peerId], { admin: true }), failure('GROUP_CREATOR_ONLY'))
  await ben.groups.add('trio', [dan.peerId])
  for (const node of [ada, cyd, dan]) await untilMembers(node, 'trio', 4)
  assert.equal((await cyd.groups.leave('trio')).state, 'left')
  for (const node of [ada, ben, dan]) await untilMembers(node, 'trio', 3)
  assert.equal((await cyd.groups.list())[0]?.state, 'left')
  assert.equal((await ada.groups.end('trio')).state, 'ended')
  for (const node of [ben, dan]) await until(async () => (await node.groups.list())[0]?.state === 'ended', 'the end', patience)
})

test('who was removed while it was away, and has not heard of it, is refused by the others; it knows its group over the restart', async (t) => {
  const stateFolder = mkdtempSync(join(tmpdir(), 'sm-group-'))
  t.after(() => rmSync(stateFolder, { recursive: true, force: true }))
  await using net = await createTestnet(2)
  const [ada, ben] = net.nodes
  assert.ok(ada && ben)
  const cyd = await net.add({}, { stateFolder })
  await net.pair(ada, ben)
  await net.pair(ada, cyd)
  await ada.groups.create('crew', { members: [ben.peerId, cyd.peerId] })
  for (const node of [ben, cyd]) await untilMembers(node, 'crew', 3)
  await cyd.stop()
  await ada.groups.remove('crew', [cyd.peerId])
  await untilMembers(ben, 'crew', 2)
  await ada.stop()
  const back = await net.add({ bootstrapPeers: ben.addresses().slice(0, 1) }, { stateFolder })
  assert.equal((await back.groups.get('crew')).members.length, 3)
  const report = await back.send('crew', 'am I in?', { timeoutMs: 5_000 })
  const codes = new Map((report.members ?? []).map(({ peer, status, error }) => [peer.peerId, error?.code ?? status]))
  assert.equal(codes.get(ben.peerId), 'GROUP_NOT_MEMBER')
  assert.ok(['accepted', 'sent'].includes(codes.get(ada.peerId) ?? ''))
  assert.deepEqual(await texts(ben), [])
})

/** A network in which the second node holds what the third one, a stranger and a member, sent to the group that it is in as soon as the first one says so. */
async function heldByBen(): Promise<Testnet> {
  const net = await star(4)
  const [ada, ben, cyd] = net.nodes
  assert.ok(ada && ben && cyd)
  await ada.groups.create('crew', { members: [cyd.peerId] })
  await ada.groups.add('crew', [cyd.peerId], { admin: true })
  await untilMembers(cyd, 'crew', 2)
  await until(async () => (await cyd.groups.get('crew')).role === 'admin', 'cyd is an admin', patience)
  await cyd.groups.add('crew', [ben.peerId])
  await cyd.send('crew', 'let me in', { timeoutMs: patience })
  await until(async () => (await ben.inbox.counts()).held >= 2, 'both are held', patience)
  await untilMembers(ada, 'crew', 3)
  return net
}

test('what a member sent before its group was known is delivered when the group comes', async () => {
  await using net = await heldByBen()
  const [ada, ben, , dan] = net.nodes
  assert.ok(ada && ben && dan)
  await ada.groups.add('crew', [dan.peerId])
  const message = await untilText(ben, 'let me in')
  assert.deepEqual([message.paired, message.group?.member], [false, true])
})

test('what a blocked peer sent stays held, also when its group comes from somebody else', async () => {
  await using net = await heldByBen()
  const [ada, ben, cyd, dan] = net.nodes
  assert.ok(ada && ben && cyd && dan)
  await ben.contacts.block(cyd.peerId)
  await ada.groups.add('crew', [dan.peerId])
  await untilMembers(ben, 'crew', 4)
  await ada.send('crew', 'welcome', { timeoutMs: patience, waitFor: 'accepted' })
  await untilText(ben, 'welcome')
  assert.deepEqual(await texts(ben), ['welcome'])
  assert.ok((await ben.inbox.counts()).held >= 2)
})
