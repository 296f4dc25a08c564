import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startMember, type Member } from './onion-directory-support.ts'
import { until } from './support.ts'

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
