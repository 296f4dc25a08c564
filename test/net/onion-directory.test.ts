import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startMember, type Member } from './onion-directory-support.ts'
import { startTestHost, until } from './support.ts'

const join = (a: Member, b: Member): Promise<unknown> => a.node.libp2p.dial(b.node.libp2p.getMultiaddrs())

test('six nodes in a row know each other by gossip, and one that joins late knows all of them within ten seconds', async () => {
  await using stack = new AsyncDisposableStack()
  const members: Member[] = []
  for (let index = 0; index < 6; index++) members.push(stack.use(await startMember()))
  for (const [index, member] of members.entries()) {
    const next = members[index + 1]
    if (next !== undefined) await join(member, next)
  }
  await until(() => members.every(({ directory }) => directory.all().length === 5), 'all know all', 15_000)
  const [first] = members
  assert.ok(first !== undefined)
  for (const { directory, publicKey, node } of members.slice(1)) {
    assert.equal(first.directory.lookup(publicKey)?.peerId, node.peerId)
    assert.deepEqual(
      first.directory.lookup(publicKey)?.addresses,
      node.libp2p.getMultiaddrs().map((address) => String(address).replace(/\/p2p\/.*/, ''))
    )
    assert.equal(directory.lookup(publicKey), undefined, 'nobody is a relay for itself')
  }
  const late = stack.use(await startMember())
  const joinedAt = performance.now()
  await join(late, first)
  await until(() => late.directory.all().length === 6, 'the late one knows all')
  const knewAfterMs = performance.now() - joinedAt
  await until(() => members.every(({ directory }) => directory.all().length === 6), 'all know the late one')
  assert.ok(knewAfterMs < 10_000, `${knewAfterMs} ms`)
  assert.ok(late.directory.counters.pulls >= 1)
})

test('a node knows that it knows what there is once it has compared views, and says so', async () => {
  await using a = await startMember()
  await using b = await startMember()
  const synced: boolean[] = []
  a.directory.onChange(() => synced.push(a.directory.isSynced))
  assert.ok(!a.directory.isSynced)
  await join(a, b)
  await until(() => synced.at(-1) === true && b.directory.isSynced, 'both are synchronised')
  assert.ok(a.directory.counters.pulls >= 1)
})

test('a peer that was identified before it served its directory is asked all the same', async () => {
  const quiet = { subscribe: () => undefined, publish: async () => 1 }
  await using a = await startMember({ gossip: quiet })
  await a.directory.publish()
  await using late = await startTestHost()
  await a.node.libp2p.dial(late.libp2p.getMultiaddrs())
  await until(async () => (await a.node.libp2p.peerStore.get(late.libp2p.peerId)).protocols.length > 0, 'it is identified')
  let asked = 0
  await late.host.serve('onionDirectory', async (stream) => {
    for await (const _frame of stream.frames()) asked += 1
  })
  await until(() => asked > 0, 'it was asked')
})

test('a node that takes no part but in its own circuits tells nobody of itself, and knows the others', async () => {
  await using quiet = await startMember({ describe: () => undefined })
  await using relay = await startMember()
  await join(quiet, relay)
  await until(() => quiet.directory.get(relay.publicKey) !== undefined && relay.directory.isSynced, 'it knows the relay')
  assert.equal(await quiet.directory.publish(), 0)
  assert.equal(quiet.directory.ownRole, undefined)
  assert.equal(relay.directory.ownRole, 'relay')
  assert.deepEqual(relay.directory.all(), [])
})
