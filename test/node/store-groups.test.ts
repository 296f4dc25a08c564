import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wallMillis } from '../../src/core/base/index.ts'
import { encodeEnvelope } from '../../src/core/message/index.ts'
import type { StoredGroup } from '../../src/mesh/ports.ts'
import { epochOf, generous, inbound, keyOf, outboxRow, sha256 } from './messages.ts'
import { testStores } from './open-stores.ts'

const id = new Uint8Array(16).fill(1)
const group = (changes: Partial<StoredGroup> = {}): StoredGroup => ({
  id,
  record: new Uint8Array([1, 2, 3]),
  before: undefined,
  own: [],
  state: 'joined',
  gone: 0,
  told: false,
  ...changes
})
const stranger = { ...generous, paired: false, commands: false }
const every = { after: 0, limit: 100, types: undefined, source: undefined, states: ['unread', 'held'], handOut: false } as const

test('groups are kept as they were saved last, over a restart, until they are deleted', async (t) => {
  const { stores, reopen } = await testStores(t)
  const other = group({ id: new Uint8Array(16).fill(2), state: 'removed', gone: 7 })
  await stores.groupStore.saveGroup(group())
  await stores.groupStore.saveGroup(other)
  const newer = group({
    record: new Uint8Array([9]),
    before: new Uint8Array([1, 2, 3]),
    own: [new Uint8Array([1, 2, 3]), new Uint8Array([9])],
    told: true
  })
  await stores.groupStore.saveGroup(newer)
  assert.deepEqual(await stores.groupStore.groups(), [newer, other])
  const reopened = await reopen()
  assert.deepEqual(await reopened.groupStore.groups(), [newer, other])
  await reopened.groupStore.deleteGroup(id)
  assert.deepEqual(await reopened.groupStore.groups(), [other])
})

test('this software’s own words are kept apart from messages, also over a restart, and their acknowledgement is like any other', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.deliveryStore.admit([inbound('own', 1, { control: true }), inbound('message', 2)], 1, generous)
  const reopened = await reopen()
  const { deliveryStore } = reopened
  assert.deepEqual(
    (await deliveryStore.listInbox(every)).map((row) => row.id),
    ['message']
  )
  assert.deepEqual(
    (await deliveryStore.listInbox({ ...every, control: true })).map((row) => row.id),
    ['own']
  )
  await deliveryStore.ack([{ source: keyOf('source'), id: 'own' }])
  assert.deepEqual(await deliveryStore.listInbox({ ...every, control: true }), [])
  assert.deepEqual((await deliveryStore.admit([inbound('own', 1, { control: true })], 1, generous))[0], {
    outcome: 'read',
    repeat: true,
    position: 1
  })
})

/** A message of ada with a real envelope, to a group or not. */
function ofAda(name: string, sequence: number, to: Uint8Array | undefined): ReturnType<typeof inbound> {
  const principal = { kind: 'peer', label: '' } as const
  const envelope = encodeEnvelope({
    version: 1,
    id: name,
    type: 'Thought',
    source: { ...principal, key: keyOf('ada') },
    destination: { ...principal, key: keyOf('me') },
    epoch: epochOf('first'),
    sequence,
    inReplyTo: undefined,
    expectsReply: false,
    priority: 5,
    ttlS: 60,
    timestamp: wallMillis(1),
    contentType: 'text/plain',
    body: new Uint8Array(),
    group: to === undefined ? undefined : { id: to, epoch: 1, message: 'm' }
  })
  return inbound(name, sequence, { source: keyOf('ada'), envelope, digest: sha256(envelope), ...(to === undefined ? {} : { standing: 'unknown' }) })
}

test('what a stranger says of groups is held without being shown, and is handled once the stranger is approved', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  await deliveryStore.admit([inbound('own', 1, { control: true }), inbound('message', 2)], 1, stranger)
  assert.deepEqual(
    (await deliveryStore.listInbox(every)).map((row) => row.id),
    ['message']
  )
  assert.deepEqual(await deliveryStore.listInbox({ ...every, states: ['unread'], control: true }), [])
  assert.equal((await deliveryStore.release(keyOf('source'))).length, 2)
  assert.deepEqual(
    (await deliveryStore.listInbox({ ...every, states: ['unread'], control: true })).map((row) => row.id),
    ['own']
  )
})

test('of what is held of a peer, what it sent to a group is released alone', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  const other = new Uint8Array(16).fill(2)
  await deliveryStore.admit([ofAda('plain', 1, undefined), ofAda('to-group', 2, id), ofAda('to-other', 3, other)], 1, stranger)
  assert.deepEqual(
    (await deliveryStore.releaseGroup(keyOf('ada'), id)).map((row) => [row.id, row.state]),
    [['to-group', 'unread']]
  )
  assert.deepEqual(await deliveryStore.releaseGroup(keyOf('ada'), id), [])
  assert.deepEqual(await deliveryStore.releaseGroup(keyOf('nobody'), id), [])
  const counts = await deliveryStore.inboxCounts()
  assert.deepEqual([counts.unread, counts.held], [1, 2])
})

test('rows of one message to a group are found together, and own words are in no list', async (t) => {
  const { stores, reopen } = await testStores(t)
  const mark = { id, message: 'for-all' }
  await stores.deliveryStore.enqueue(outboxRow('grp-1', { group: mark }))
  await stores.deliveryStore.enqueue(outboxRow('grp-2', { group: mark, destination: keyOf('other') }))
  await stores.deliveryStore.enqueue(outboxRow('grp-3', { group: { id, message: 'another' } }))
  await stores.deliveryStore.enqueue(outboxRow('own', { control: true }))
  const { deliveryStore } = await reopen()
  const list = { states: undefined, destination: undefined, limit: 10 } as const
  const rows = await deliveryStore.listOutbox({ ...list, groupMessage: 'for-all' })
  assert.deepEqual(
    rows.map((row) => [row.id, row.group]),
    [
      ['grp-1', mark],
      ['grp-2', mark]
    ]
  )
  assert.deepEqual(
    (await deliveryStore.listOutbox(list)).map((row) => row.id),
    ['grp-3', 'grp-2', 'grp-1']
  )
  assert.deepEqual(
    (await deliveryStore.listOutbox({ ...list, destination: keyOf('destination') })).map((row) => row.id),
    ['grp-3', 'grp-1']
  )
  const pending = (await deliveryStore.recoverOutbox()).pending.find((row) => row.id === 'own')
  assert.equal(pending?.control, true)
})
