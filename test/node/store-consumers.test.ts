import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { InboxReader } from '../../src/core/message/index.ts'
import type { Stores } from '../../src/node/sqlite/stores.ts'
import { generous, inbound, instant, keyOf, unread } from './messages.ts'
import { testStores } from './open-stores.ts'

const day = 86_400_000
const at = (name: string, monotonic = 1_000, bootId = 'boot-1'): InboxReader => ({ name, at: instant(monotonic, bootId) })
const named = (...ids: readonly string[]) => ids.map((id) => ({ source: keyOf('source'), id }))

/** Stores with messages m1 to m`count`. */
async function filled(t: TestContext, count: number) {
  const rig = await testStores(t)
  const messages = Array.from({ length: count }, (_, index) => inbound(`m${index + 1}`, index + 1))
  await rig.stores.deliveryStore.admit(messages, 1, generous)
  return rig
}

const idsFor = async ({ deliveryStore }: Stores, reader: InboxReader): Promise<readonly string[]> =>
  (await deliveryStore.listInbox({ ...unread, reader })).map(({ id }) => id)
const readIds = async ({ deliveryStore }: Stores): Promise<readonly string[]> =>
  (await deliveryStore.listInbox({ ...unread, states: ['read'] })).map(({ id }) => id)
const changedOf = async ({ deliveryStore }: Stores, reader: InboxReader, ...ids: readonly string[]): Promise<readonly boolean[]> =>
  (await deliveryStore.ack(named(...ids), reader)).map(({ changed }) => changed)

test('each named reader gets each message until it acknowledged it itself, and it is read when all did', async (t) => {
  const { stores } = await filled(t, 2)
  await stores.readerStore.useConsumer(at('one'))
  await stores.readerStore.useConsumer(at('two'))
  assert.deepEqual(await changedOf(stores, at('one'), 'm1'), [false])
  assert.deepEqual(await idsFor(stores, at('one')), ['m2'])
  assert.deepEqual(await idsFor(stores, at('two')), ['m1', 'm2'])
  assert.deepEqual(await readIds(stores), [])
  assert.deepEqual(await changedOf(stores, at('one'), 'm1'), [false])
  assert.deepEqual(await changedOf(stores, at('two'), 'm1'), [true])
  assert.deepEqual(await readIds(stores), ['m1'])
  assert.deepEqual(await idsFor(stores, at('two')), ['m2'])
  assert.equal((await stores.deliveryStore.inboxCounts()).unread, 1)
})

test('what a reader acknowledged it never gets again, over restarts', async (t) => {
  const { stores, reopen } = await filled(t, 3)
  await stores.readerStore.useConsumer(at('one'))
  await stores.readerStore.useConsumer(at('two'))
  await stores.deliveryStore.ack(named('m2'), at('one'))
  const again = await reopen()
  assert.deepEqual(await idsFor(again, at('one')), ['m1', 'm3'])
  assert.deepEqual(await idsFor(again, at('two')), ['m1', 'm2', 'm3'])
  assert.deepEqual(
    (await again.readerStore.consumers(instant())).map(({ name, acknowledged, isIdle }) => [name, acknowledged, isIdle]),
    [
      ['one', 1, false],
      ['two', 0, false]
    ]
  )
})

test('what one reader was given is no repeat for another', async (t) => {
  const { stores } = await filled(t, 1)
  const take = async (reader: InboxReader): Promise<readonly number[]> =>
    (await stores.deliveryStore.listInbox({ ...unread, handOut: true, reader })).map(({ handedOut }) => handedOut)
  assert.deepEqual(await take(at('one')), [0])
  assert.deepEqual(await take(at('one')), [1])
  assert.deepEqual(await take(at('two')), [0])
  assert.deepEqual(await take(at('')), [0])
  await stores.readerStore.handOut([1], at('two'))
  assert.deepEqual(await take(at('two')), [2])
})

test('the reader without a name decides only while there is no other, and never gets back what it acknowledged', async (t) => {
  const { stores } = await filled(t, 2)
  await stores.readerStore.useConsumer(at('one'))
  assert.deepEqual(await changedOf(stores, at(''), 'm1'), [false])
  assert.deepEqual(await idsFor(stores, at('')), ['m2'])
  assert.deepEqual(await idsFor(stores, at('one')), ['m1', 'm2'])
  assert.deepEqual(await changedOf(stores, at('one'), 'm2'), [true])
  const { known, outcomes } = await stores.readerStore.removeConsumer(at('one'))
  assert.deepEqual([known, outcomes.map(({ id, changed }) => [id, changed])], [true, [['m1', true]]])
  assert.deepEqual([...(await readIds(stores))].sort(), ['m1', 'm2'])
})

test('taking messages registers a reader, looking at them does not', async (t) => {
  const { stores } = await filled(t, 1)
  await assert.rejects(stores.deliveryStore.listInbox({ ...unread, reader: at('one') }), (error) => isMeshError(error, 'CONSUMER_UNKNOWN'))
  assert.deepEqual(await stores.readerStore.consumers(instant()), [])
  await stores.deliveryStore.listInbox({ ...unread, handOut: true, reader: at('one') })
  assert.equal((await stores.readerStore.consumers(instant())).length, 1)
  assert.equal(await stores.readerStore.useConsumer(at('one')), false)
  assert.deepEqual(await stores.readerStore.removeConsumer(at('nobody')), { known: false, outcomes: [] })
})

test('the thirty-third named reader is refused', async (t) => {
  const { stores } = await filled(t, 0)
  for (let index = 0; index < 32; index++) assert.equal(await stores.readerStore.useConsumer(at(`reader-${index}`)), true)
  await assert.rejects(stores.readerStore.useConsumer(at('one-more')), (error) => isMeshError(error, 'CONSUMER_LIMIT'))
  assert.equal(await stores.readerStore.useConsumer(at('reader-7')), false)
})

test('no message waits for a reader that was away for 7 days', async (t) => {
  const { stores } = await filled(t, 2)
  await stores.readerStore.useConsumer(at('slow'))
  await stores.readerStore.useConsumer(at('quick', 6 * day))
  assert.deepEqual(await changedOf(stores, at('quick', 6 * day), 'm1'), [false])
  assert.deepEqual(await stores.readerStore.settleConsumers(instant(6 * day)), [])
  const outcomes = await stores.readerStore.settleConsumers(instant(8 * day))
  assert.deepEqual(
    outcomes.map(({ id, changed }) => [id, changed]),
    [['m1', true]]
  )
  assert.deepEqual(
    (await stores.readerStore.consumers(instant(8 * day))).map(({ name, isIdle }) => [name, isIdle]),
    [
      ['quick', false],
      ['slow', true]
    ]
  )
  assert.deepEqual(await idsFor(stores, at('slow', 8 * day)), ['m2'])
})

test('after a reboot a wall clock that jumped takes no message from a reader in the first hour', async (t) => {
  const { stores, reopen } = await filled(t, 1)
  await stores.readerStore.useConsumer(at('slow'))
  await stores.readerStore.useConsumer(at('quick'))
  const again = await reopen()
  const later = (monotonic: number): InboxReader['at'] => ({ ...instant(monotonic, 'boot-2'), wall: instant(3_650 * day).wall })
  await again.readerStore.consumers(later(5_000))
  assert.deepEqual(
    (await again.deliveryStore.ack(named('m1'), { name: 'quick', at: later(10_000) })).map(({ changed }) => changed),
    [false]
  )
  assert.deepEqual(await again.readerStore.settleConsumers(later(3_000_000)), [])
  assert.equal((await again.readerStore.settleConsumers(later(3_700_000))).length, 1)
})

test('an acknowledgement for everybody ends a message for all readers', async (t) => {
  const { stores } = await filled(t, 2)
  await stores.readerStore.useConsumer(at('one'))
  await stores.readerStore.useConsumer(at('two'))
  await stores.deliveryStore.ack(named('m1'), at('one'))
  assert.deepEqual(
    (await stores.deliveryStore.ack(named('m1'))).map(({ changed }) => changed),
    [true]
  )
  assert.deepEqual(await idsFor(stores, at('two')), ['m2'])
  assert.deepEqual(
    (await stores.readerStore.consumers(instant())).map(({ acknowledged }) => acknowledged),
    [0, 0]
  )
})
