import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutboxChange } from '../../src/core/message/index.ts'
import { instant, keyOf, outboxRow, sha256 } from './messages.ts'
import { testStores } from './open-stores.ts'
import { utf8 } from '../../src/core/base/index.ts'

const change = (id: string, state: OutboxChange['state'], settledMs = 5): OutboxChange => ({
  id,
  state,
  attempts: 1,
  path: 'direct',
  failure: '',
  settledMs
})

test('an accepted message is there again after a restart, with its sequence, retry state and epoch', async (t) => {
  const { stores, reopen } = await testStores(t)
  const row = outboxRow('m1', { sequence: 7, via: 'onion' })
  const { epoch } = await stores.deliveryStore.recoverOutbox()
  assert.deepEqual(await stores.deliveryStore.enqueue(row), { outcome: 'accepted' })
  const retry = { destination: row.destination, via: 'onion', attempts: 3, lastAttempt: instant(9) } as const
  await stores.deliveryStore.saveRetry(retry)

  const { deliveryStore } = await reopen()
  const recovered = await deliveryStore.recoverOutbox()
  const { envelope, ...rest } = row
  assert.deepEqual(recovered, {
    epoch,
    pending: [{ ...rest, bytes: envelope.length }],
    sequences: [{ destination: row.destination, sequence: 7 }],
    retries: [retry]
  })
  assert.deepEqual(await deliveryStore.loadOutbox(['m1', 'unknown']), [row])
})

test('an epoch has 16 random bytes and differs between stores', async (t) => {
  const [one, two] = [await testStores(t), await testStores(t)]
  const epochs = await Promise.all([one, two].map(async ({ stores }) => (await stores.deliveryStore.recoverOutbox()).epoch))
  assert.equal(epochs[0]?.length, 16)
  assert.notDeepEqual(epochs[0], epochs[1])
})

test('the same id with the same content is a duplicate, with other content a conflict, also after a restart', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.deliveryStore.enqueue(outboxRow('m1'))
  await stores.deliveryStore.settle([change('m1', 'stored')])
  const { deliveryStore } = await reopen()
  const repeated = await deliveryStore.enqueue(outboxRow('m1', { sequence: 2 }))
  assert.equal(repeated.outcome, 'duplicate')
  assert.deepEqual(repeated.outcome === 'duplicate' && [repeated.row.state, repeated.row.sequence], ['stored', 1])
  assert.deepEqual(await deliveryStore.enqueue(outboxRow('m1', { digest: sha256(utf8('other')) })), { outcome: 'conflict' })
  assert.equal((await deliveryStore.listOutbox({ states: undefined, destination: undefined, limit: 10 })).length, 1)
})

test('what has ended is not recovered; what is held is', async (t) => {
  const { stores, reopen } = await testStores(t)
  const states = ['accepted', 'sent', 'stored', 'read', 'held', 'failed', 'expired-unknown'] as const
  await Promise.all(states.map((state, index) => stores.deliveryStore.enqueue(outboxRow(state, { sequence: index + 1 }))))
  await stores.deliveryStore.settle(states.map((state) => change(state, state)))
  const { deliveryStore } = await reopen()
  const { pending, sequences } = await deliveryStore.recoverOutbox()
  assert.deepEqual(
    pending.map(({ id }) => id),
    ['accepted', 'sent', 'held']
  )
  assert.deepEqual(
    sequences.map(({ sequence }) => sequence),
    [7]
  )
})

test('the outbox lists the newest first, by state and destination, up to a limit', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  for (let index = 1; index <= 6; index++)
    await deliveryStore.enqueue(outboxRow(`m${index}`, { sequence: index, destination: keyOf(index % 2 === 0 ? 'even' : 'odd') }))
  await deliveryStore.settle([change('m1', 'stored'), change('m2', 'stored')])
  const ids = async (filter: Parameters<typeof deliveryStore.listOutbox>[0]): Promise<readonly string[]> =>
    (await deliveryStore.listOutbox(filter)).map(({ id }) => id)
  assert.deepEqual(await ids({ states: undefined, destination: undefined, limit: 4 }), ['m6', 'm5', 'm4', 'm3'])
  assert.deepEqual(await ids({ states: ['stored'], destination: undefined, limit: 4 }), ['m2', 'm1'])
  assert.deepEqual(await ids({ states: ['accepted'], destination: keyOf('even'), limit: 4 }), ['m6', 'm4'])
  assert.deepEqual(await ids({ states: undefined, destination: keyOf('nobody'), limit: 4 }), [])
})

test('pruning takes what ended over a week ago and, of what ended, all but the newest 10,000', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  const week = 7 * 86_400_000
  const old = { accepted: instant(0) }
  await Promise.all(
    [outboxRow('old', old), outboxRow('waiting', old), outboxRow('late', old), outboxRow('recent', { accepted: instant(week) })].map((row) =>
      deliveryStore.enqueue(row)
    )
  )
  await deliveryStore.settle([change('old', 'stored', 10), change('late', 'stored', week), change('recent', 'failed', 0)])
  await deliveryStore.prune(instant(week + 20))
  const left = async (): Promise<number> => (await deliveryStore.listOutbox({ states: undefined, destination: undefined, limit: 100_000 })).length
  assert.deepEqual(
    (await deliveryStore.listOutbox({ states: undefined, destination: undefined, limit: 10 })).map(({ id }) => id),
    ['recent', 'late', 'waiting']
  )
  await Promise.all(
    Array.from({ length: 10_005 }, (_, index) => deliveryStore.enqueue(outboxRow(`n${index}`, { state: 'stored', accepted: instant(week) })))
  )
  await deliveryStore.prune(instant(week + 20))
  assert.equal(await left(), 10_001)
  assert.equal((await deliveryStore.loadOutbox(['waiting'])).length, 1)
})

test('a wall clock ten years ahead prunes nothing within one boot', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  await deliveryStore.enqueue(outboxRow('m1', { state: 'stored' }))
  const jumped = { ...instant(2_000), wall: instant(315_360_000_000).wall }
  await deliveryStore.prune(jumped)
  assert.equal((await deliveryStore.loadOutbox(['m1'])).length, 1)
})

test('changes that are asked for together all resolve, in the order in which they were asked', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  const done: string[] = []
  const ids = Array.from({ length: 500 }, (_, index) => `m${index}`)
  await Promise.all(ids.map((id, index) => deliveryStore.enqueue(outboxRow(id, { sequence: index + 1 })).then(() => done.push(id))))
  assert.deepEqual(done, ids)
  assert.equal((await deliveryStore.recoverOutbox()).pending.length, 500)
})
