import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { Mesh, ReceivedMessage, SendReport } from '../../src/mesh/mesh.ts'
import { createTestnet, type Testnet } from '../../src/testing/index.ts'
import { nextEvent } from './event-support.ts'
import { until } from './support.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code
const text = ({ body }: Pick<ReceivedMessage, 'body'>): string => new TextDecoder().decode(body)
const shortId = ({ peerId }: Pick<Mesh, 'peerId'>): string => `…${peerId.slice(-8)}`
const addressOf = (mesh: Mesh): string => mesh.addresses()[0] ?? assert.fail('it listens nowhere')
const sendTo = (from: Mesh, to: Mesh, content: string | (Parameters<Mesh['send']>[2] & { readonly body: string })): Promise<SendReport> => {
  const { body, ...options } = typeof content === 'string' ? { body: content } : content
  return from.send(addressOf(to), body, { timeoutMs: 20_000, ...options })
}

/** Two nodes that are connected and not paired: whoever decides, and a stranger to it. */
async function strangers(
  config: Parameters<typeof createTestnet>[1] = {}
): Promise<{ readonly net: Testnet; readonly me: Mesh; readonly stranger: Mesh }> {
  const net = await createTestnet(2, config)
  return { net, me: net.node(0), stranger: net.node(1) }
}

test("a stranger's message is held, approved and delivered, and its sender is told each time", async () => {
  const { net, me, stranger } = await strangers()
  await using _ = net
  assert.deepEqual(await me.contacts.pending(), [])
  const report = await sendTo(stranger, me, 'let me in')
  assert.equal(report.status, 'held')
  await sendTo(stranger, me, { body: 'me again', type: 'HealthCheck' })
  const [waiting, ...others] = await me.contacts.pending()
  assert.ok(waiting !== undefined && others.length === 0)
  assert.deepEqual(
    [waiting.peerId, waiting.name, waiting.messages, waiting.maxMessages, waiting.maxBytes, waiting.types, waiting.held],
    [stranger.peerId, shortId(stranger), 2, 100, 1_048_576, ['Thought', 'HealthCheck'], []]
  )
  assert.ok(waiting.bytes > 20 && waiting.since <= Date.now())
  assert.deepEqual((await me.status()).inbox, { unread: 0, held: 2, strangers: 1 })
  const [shown] = await me.contacts.pending({ show: true })
  assert.deepEqual(shown?.held.map(text), ['let me in', 'me again'])

  const told = nextEvent(stranger, 'outbox', ({ id, status }) => id === report.id && status === 'stored')
  const arrived = nextEvent(me, 'message', ({ id }) => id === report.id)
  const change = await me.contacts.approve(shortId(stranger), { alias: 'guest' })
  assert.deepEqual([change.name, change.paired, change.commands, change.released, change.held], ['guest', true, false, 2, 0])
  assert.equal(text(await arrived), 'let me in')
  await told
  assert.deepEqual(await me.contacts.pending(), [])
  const { messages } = await me.inbox.list()
  assert.deepEqual(
    messages.map(({ paired, source }) => [paired, source.name]),
    [
      [true, 'guest'],
      [true, 'guest']
    ]
  )
  assert.equal((await sendTo(stranger, me, 'thank you')).status, 'stored')
})

test('a Command needs a right of its own: a stranger has none, an approved peer only when that is said, and it can be taken back', async () => {
  const { net, me, stranger } = await strangers()
  await using _ = net
  const command = async (): Promise<string> => {
    const { status, error } = await sendTo(stranger, me, { body: 'obey', type: 'Command' })
    return error?.code ?? status
  }
  assert.equal(await command(), 'COMMAND_NOT_ALLOWED')
  await me.contacts.approve(stranger.peerId)
  assert.equal(await command(), 'COMMAND_NOT_ALLOWED')
  assert.equal((await sendTo(stranger, me, 'a thought')).status, 'stored')
  assert.equal((await me.contacts.trust(stranger.peerId, { commands: true })).commands, true)
  assert.equal(await command(), 'stored')
  assert.equal((await me.contacts.trust(stranger.peerId, { commands: false })).commands, false)
  assert.equal(await command(), 'COMMAND_NOT_ALLOWED')
  assert.deepEqual(
    (await me.inbox.list()).messages.map(({ type }) => type),
    ['Thought', 'Command']
  )
})

test('a peer that was invited without the right may not command, and on the other side the joiner says it', async () => {
  await using net = await createTestnet(2, { bootstrap: false })
  const [me, other] = [net.node(0), net.node(1)]
  const { invite } = await me.invite({ commands: false })
  await other.join(invite, { commands: true })
  assert.equal((await other.send(me.peerId, 'obey', { type: 'Command', timeoutMs: 20_000 })).error?.code, 'COMMAND_NOT_ALLOWED')
  assert.equal((await me.send(other.peerId, 'obey', { type: 'Command', timeoutMs: 20_000 })).status, 'stored')
  assert.deepEqual([(await me.peer(other.peerId)).commands, (await other.peer(me.peerId)).commands], [false, true])
})

test('of many strangers those are shown who have waited longest', async () => {
  await using net = await createTestnet(4)
  const [me, ...others] = net.nodes
  assert.ok(me)
  for (const other of others) await sendTo(other, me, 'hello')
  const shown = await me.contacts.pending({ limit: 2, show: true })
  assert.deepEqual(
    shown.map(({ peerId, held }) => [peerId, held.length]),
    others.slice(0, 2).map(({ peerId }) => [peerId, 1])
  )
})

test('a volatile Command without the right is dropped, and what came with it is not', async () => {
  const { net, me, stranger } = await strangers()
  await using _ = net
  await net.pair(me, stranger)
  await me.contacts.trust(stranger.peerId, { commands: false })
  const seen: string[] = []
  me.on('message', (message) => seen.push(text(message)))
  const arrived = nextEvent(me, 'message', (message) => text(message) === 'news')
  await Promise.all([
    stranger.send(me.peerId, 'obey', { type: 'Command', delivery: 'volatile' }),
    stranger.send(me.peerId, 'news', { delivery: 'volatile' })
  ])
  await arrived
  assert.deepEqual(seen, ['news'])
})

test('a name that a stranger claims means nobody, and two names for one peer are one peer', async () => {
  await using net = await createTestnet(3, { config: (index) => ({ name: index === 2 ? 'node-1' : `node-${index}` }) })
  const [me, friend, impostor] = [net.node(0), net.node(1), net.node(2)]
  await net.pair(me, friend)
  await sendTo(impostor, me, 'I am node-1')
  await until(async () => (await me.peer(impostor.peerId)).claimedName === 'node-1', 'its card is known')
  const [waiting] = await me.contacts.pending()
  assert.deepEqual([waiting?.peerId, waiting?.name, waiting?.claimedName], [impostor.peerId, shortId(impostor), 'node-1'])
  assert.equal((await me.contacts.trust('node-1', {})).peerId, friend.peerId)
  await me.contacts.remove('node-1')
  await assert.rejects(me.contacts.approve('node-1'), (error) => failure('NAME_AMBIGUOUS')(error) || failure('PEER_UNKNOWN')(error))
  await assert.rejects(me.contacts.approve(`…${'z'.repeat(8)}`), failure('PEER_UNKNOWN'))
  await assert.rejects(me.send(shortId(impostor), 'x'), failure('PEER_UNKNOWN'))
  await assert.rejects(me.contacts.block(me.peerId), failure('USAGE'))
})

test('who names this node itself is told so, by each of its names', async () => {
  const { net, me } = await strangers()
  await using _ = net
  const isItself = (error: unknown): boolean => isMeshError(error, 'USAGE') && /is this node itself/.test(error.message)
  await me.groups.create('alone')
  for (const own of [me.options.name, me.peerId, shortId(me), me.peerId.slice(8, 20)]) {
    await assert.rejects(me.contacts.block(own), isItself, own)
    await assert.rejects(me.send(own, 'x'), isItself, own)
    await assert.rejects(me.ping(own), isItself, own)
    await assert.rejects(me.groups.add('alone', [own]), isItself, own)
  }
})

test('a short id as it is shown means the paired peer everywhere, also with three dots', async () => {
  const { net, me, stranger } = await strangers()
  await using _ = net
  await net.pair(me, stranger)
  assert.equal((await me.send(shortId(stranger), 'hello')).to[0]?.peerId, stranger.peerId)
  assert.equal((await me.peer(`...${stranger.peerId.slice(-8)}`)).peerId, stranger.peerId)
})

test('an alias is taken once, is no peer id, and can be taken away', async () => {
  await using net = await createTestnet(3)
  const [me, one, two] = [net.node(0), net.node(1), net.node(2)]
  await net.pair(me, one)
  await net.pair(me, two)
  assert.equal((await me.contacts.rename('node-1', 'planner')).name, 'planner')
  for (const taken of ['planner', 'node-1']) await assert.rejects(me.contacts.rename('node-2', taken), failure('OPTION_INVALID'), taken)
  for (const wrong of [one.peerId, '/ip4/1', 'a\u0000b', '\u202ea', ' a', 'x'.repeat(64), shortId(one)])
    await assert.rejects(me.contacts.rename('node-2', wrong), failure('OPTION_INVALID'), wrong)
  assert.equal((await me.contacts.rename('planner', '')).name, 'node-1')
  await assert.rejects(me.contacts.rename(`12D3KooW${'1'.repeat(44)}`, 'x'), (error) => isMeshError(error))
})

test('of a peer that is removed what is unread stays, and what follows is held', async () => {
  const { net, me, stranger } = await strangers()
  await using _ = net
  await net.pair(me, stranger)
  await sendTo(stranger, me, 'before')
  const change = await me.contacts.remove('node-1')
  assert.deepEqual([change.paired, change.unread, change.since], [false, 1, undefined])
  await assert.rejects(me.contacts.remove(stranger.peerId), failure('PEER_NOT_PAIRED'))
  await assert.rejects(me.contacts.trust(stranger.peerId, { commands: true }), failure('PEER_NOT_PAIRED'))
  assert.equal((await sendTo(stranger, me, 'after')).status, 'held')
  assert.equal((await sendTo(stranger, me, { body: 'obey', type: 'Command' })).error?.code, 'COMMAND_NOT_ALLOWED')
  const { messages } = await me.inbox.list()
  assert.deepEqual(
    messages.map((message) => [text(message), message.paired]),
    [['before', false]]
  )
})

test('approving a peer again gives out what was held since, and nothing for a second time', async () => {
  const { net, me, stranger } = await strangers()
  await using _ = net
  await sendTo(stranger, me, 'first')
  await me.contacts.approve(stranger.peerId)
  await me.contacts.remove(stranger.peerId)
  await sendTo(stranger, me, 'second')
  const seen: string[] = []
  me.on('message', (message) => seen.push(text(message)))
  assert.equal((await me.contacts.approve(stranger.peerId)).released, 1)
  assert.deepEqual(seen, ['second'])
  assert.equal((await me.contacts.approve(stranger.peerId, { alias: 'guest', commands: true })).released, 0)
  assert.deepEqual(seen, ['second'])
  assert.deepEqual((await me.inbox.list()).messages.map(text), ['first', 'second'])
})

test('nothing comes from a blocked peer, not after a restart either, until the block is lifted', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'synaptic-test-'))
  t.after(() => rm(folder, { recursive: true }))
  const { net, me, stranger } = await strangers({ setup: (index) => (index === 0 ? { stateFolder: folder } : {}) })
  await using _ = net
  await net.pair(me, stranger)
  assert.equal((await sendTo(stranger, me, 'before')).status, 'stored')
  const gone = nextEvent(me, 'peer', ({ type, peer }) => type === 'disconnected' && peer.peerId === stranger.peerId)
  const blocked = await me.contacts.block('node-1')
  await gone
  assert.deepEqual([blocked.blocked, blocked.paired, blocked.commands, blocked.unread], [true, false, false, 1])
  assert.deepEqual((await me.contacts.block('node-1')).blocked, true)
  const report = await stranger.send(addressOf(me), 'let me in', { waitFor: 'accepted' })
  await assert.rejects(stranger.ping(addressOf(me), { timeoutMs: 3_000 }), (error) => isMeshError(error))
  await assert.rejects(me.send('node-1', 'hello'), failure('PEER_BLOCKED'))
  await assert.rejects(me.send(stranger.peerId, 'hello'), failure('PEER_BLOCKED'))
  assert.deepEqual((await me.inbox.list()).messages.map(text), ['before'])
  assert.deepEqual((await me.inbox.ack([{ source: stranger.peerId, id: (await me.inbox.list()).messages[0]?.id ?? '' }])).acknowledged, 1)
  assert.equal((await me.status()).peers.blocked, 1)

  await me.stop()
  const again = await net.add({ name: 'node-0' }, { stateFolder: folder })
  const [contact] = await again.contacts.list()
  assert.deepEqual([contact?.peerId, contact?.blocked], [stranger.peerId, true])
  await assert.rejects(stranger.ping(addressOf(again), { timeoutMs: 3_000 }), (error) => isMeshError(error))
  const arrived = nextEvent(again, 'message', ({ id }) => id === report.id)
  const lifted = await again.contacts.trust('node-1')
  assert.deepEqual([lifted.blocked, lifted.paired, lifted.commands], [false, true, true])
  assert.equal(text(await arrived), 'let me in')
})

test('what is held of a stranger is deleted with the block when that is asked for, and only then', async () => {
  const { net, me, stranger } = await strangers()
  await using _ = net
  const { id } = await sendTo(stranger, me, 'spam')
  assert.deepEqual((({ held, deleted }) => [held, deleted])(await me.contacts.block(shortId(stranger))), [1, 0])
  const [kept] = await me.contacts.pending({ show: true })
  assert.deepEqual([kept?.blocked, kept?.held.map(text)], [true, ['spam']])
  assert.deepEqual((({ held, deleted }) => [held, deleted])(await me.contacts.block(stranger.peerId, { deleteHeld: true })), [0, 1])
  assert.deepEqual([await me.contacts.pending(), (await me.inbox.counts()).bytes], [[], 0])
  await assert.rejects(me.inbox.get(id), failure('MESSAGE_UNKNOWN'))
  await me.contacts.trust(stranger.peerId)
  assert.equal((await sendTo(stranger, me, 'may I')).status, 'held')
  assert.equal((await me.contacts.list()).length, 0)
})

test('a stranger has a small quota, which costs paired peers nothing', async () => {
  const { net, me, stranger } = await strangers({ config: { inboxMaxHeldPerPeer: 3 } })
  await using _ = net
  for (let index = 0; index < 3; index++) assert.equal((await sendTo(stranger, me, `${index}`)).status, 'held')
  const over = await stranger.send(addressOf(me), 'too much', { timeoutMs: 2_000 })
  assert.ok(over.status === 'accepted' || over.status === 'sent', over.status)
  const [waiting] = await me.contacts.pending()
  assert.deepEqual([waiting?.messages, waiting?.maxMessages], [3, 3])
  const friend = await net.add()
  await net.pair(me, friend)
  assert.equal((await friend.send(me.peerId, 'hello', { timeoutMs: 20_000 })).status, 'stored')
})
