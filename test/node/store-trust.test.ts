import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wallMillis } from '../../src/core/base/index.ts'
import { loopLimits } from '../../src/core/message/index.ts'
import { generous, inbound, keyOf } from './messages.ts'
import { testStores } from './open-stores.ts'

const stranger = { ...generous, paired: false, commands: false }
const from = (name: string) => ({ source: keyOf(name) })

test('what is held is told of each stranger, the longest waiting first, and is deleted with all its counts', async (t) => {
  const { stores, reopen } = await testStores(t)
  const { deliveryStore, trustStore } = stores
  await deliveryStore.admit([inbound('a1', 1, from('ada')), inbound('a2', 2, { ...from('ada'), type: 'HealthCheck' })], 1, stranger)
  await deliveryStore.admit([inbound('b1', 1, from('bob'))], 1, stranger)
  await deliveryStore.admit([inbound('c1', 1, from('eve'))], 1, generous)
  const held = await trustStore.heldSources()
  assert.deepEqual(
    held.map(({ source, messages, types }) => [source, messages, types]),
    [
      [keyOf('ada'), 2, ['Thought', 'HealthCheck']],
      [keyOf('bob'), 1, ['Thought']]
    ]
  )
  assert.equal(held[0]?.bytes, inbound('a1', 1).envelope.length + inbound('a2', 2).envelope.length)
  assert.equal(await trustStore.dropHeld(keyOf('ada')), 2)
  assert.equal(await trustStore.dropHeld(keyOf('ada')), 0)
  assert.equal(await trustStore.dropHeld(keyOf('nobody')), 0)
  assert.equal(await trustStore.dropHeld(keyOf('eve')), 0)
  const reopened = await reopen()
  assert.equal((await reopened.trustStore.heldSources()).length, 1)
  assert.deepEqual(await reopened.deliveryStore.inboxCounts(), {
    unread: 1,
    held: 1,
    bytes: inbound('b1', 1).envelope.length + inbound('c1', 1).envelope.length
  })
  // The quota of the source is free again, and the same message is a new one.
  const small = { ...stranger, maxMessagesOfSource: 1 }
  assert.deepEqual(await reopened.deliveryStore.admit([inbound('a1', 1, from('ada'))], 1, small), [{ outcome: 'held', repeat: false, position: 5 }])
})

test('blocks and removals are there again after a restart', async (t) => {
  const { stores, reopen } = await testStores(t)
  const { trustStore, peerStore } = stores
  const record = (name: string) => ({ publicKey: keyOf(name), peerId: `id-${name}`, name, blockedAt: wallMillis(7) })
  const pair = (name: string) => ({
    ...{ publicKey: keyOf(name), peerId: `id-${name}`, name },
    alias: '',
    addresses: [],
    pairedAt: wallMillis(5),
    commands: false
  })
  await trustStore.block(record('ada'))
  await trustStore.block({ ...record('ada'), name: 'another name' })
  await trustStore.block(record('bob'))
  await trustStore.unblock(keyOf('bob'))
  await peerStore.savePair(pair('eve'))
  await peerStore.savePair(pair('joe'))
  await trustStore.removePair(keyOf('eve'))
  const again = await reopen()
  assert.deepEqual(await again.trustStore.blocked(), [record('ada')])
  assert.deepEqual(await again.peerStore.pairs(), [pair('joe')])
})

test('threads are there again after a restart, the first place of each message, and no more than the bounds', async (t) => {
  const { stores, reopen } = await testStores(t)
  const { threadStore } = stores
  assert.deepEqual(await threadStore.load(), { places: [], counts: [] })
  await threadStore.save({
    places: [{ id: 'm', root: 'r', hop: 2 }],
    counts: [
      { root: 'r', automatic: 3 },
      { root: 'x', automatic: 1 }
    ]
  })
  await threadStore.save({
    places: [{ id: 'm', root: 'other', hop: 0 }],
    counts: [
      { root: 'r', automatic: 4 },
      { root: 'x', automatic: 0 }
    ]
  })
  const again = await reopen()
  assert.deepEqual(await again.threadStore.load(), { places: [{ id: 'm', root: 'r', hop: 2 }], counts: [{ root: 'r', automatic: 4 }] })
  const many = Array.from({ length: loopLimits.places + 10 }, (_, index) => ({ id: `p${index}`, root: 'r', hop: 0 }))
  await again.threadStore.save({ places: many, counts: many.slice(0, loopLimits.threads + 5).map(({ id }) => ({ root: id, automatic: 1 })) })
  const { places, counts } = await again.threadStore.load()
  assert.deepEqual([places.length, places[0]?.id, places.at(-1)?.id], [loopLimits.places, 'p10', many.at(-1)?.id])
  assert.deepEqual([counts.length, counts[0]?.root], [loopLimits.threads, 'p5'])
})
