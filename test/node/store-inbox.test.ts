import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wallMillis } from '../../src/core/base/index.ts'
import type { AdmitOutcome, InboundMessage } from '../../src/core/message/index.ts'
import { epochOf, generous, inbound, instant, keyOf, unread } from './messages.ts'
import { testStores } from './open-stores.ts'

const stored = (position: number, repeat = false): AdmitOutcome => ({ outcome: 'stored', repeat, position })
const refused = (code: 'QUOTA' | 'ID_CONFLICT' | 'EXPIRED' | 'PROTOCOL_LIMIT' | 'COMMAND_NOT_ALLOWED'): AdmitOutcome => ({
  outcome: 'refused',
  code,
  repeat: false
})
const ack = (...ids: readonly string[]): readonly { readonly source: Uint8Array; readonly id: string }[] =>
  ids.map((id) => ({ source: keyOf('source'), id }))

test('an admitted message is there again after a restart, as it was', async (t) => {
  const { stores, reopen } = await testStores(t)
  const message = inbound('m1', 1)
  assert.deepEqual(await stores.deliveryStore.admit([message], 1, generous), [stored(1)])
  const { deliveryStore } = await reopen()
  assert.deepEqual(await deliveryStore.listInbox(unread), [{ ...message, position: 1, state: 'unread', handedOut: 0 }])
  assert.deepEqual(await deliveryStore.inboxCounts(), { unread: 1, held: 0, bytes: message.envelope.length })
})

test('a repeat gets the same answer, in the same batch, later, after a restart and after it was read', async (t) => {
  const { stores, reopen } = await testStores(t)
  assert.deepEqual(await stores.deliveryStore.admit([inbound('m1', 1), inbound('m1', 1), inbound('m2', 2)], 1, generous), [
    stored(1),
    stored(1, true),
    stored(2)
  ])
  const { deliveryStore } = await reopen()
  assert.deepEqual(await deliveryStore.admit([inbound('m1', 1)], 1, generous), [stored(1, true)])
  await deliveryStore.ack(ack('m1'))
  assert.deepEqual(await deliveryStore.admit([inbound('m1', 1)], 1, generous), [{ outcome: 'read', repeat: true, position: 1 }])
  assert.deepEqual(
    (await deliveryStore.listInbox(unread)).map(({ id }) => id),
    ['m2']
  )
})

test('an id or a sequence with other content is refused', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  await deliveryStore.admit([inbound('m1', 1)], 1, generous)
  const outcomes = await deliveryStore.admit([inbound('m1', 2), inbound('m2', 1), inbound('m3', 3)], 1, generous)
  assert.deepEqual(outcomes, [refused('ID_CONFLICT'), refused('ID_CONFLICT'), stored(2)])
  assert.deepEqual(await deliveryStore.admit([inbound('m1', 1, { source: keyOf('another') })], 1, generous), [stored(3)])
})

test('an acknowledged message is never handed out again, keeps no body, and a second acknowledgement changes nothing', async (t) => {
  const { stores, reopen } = await testStores(t)
  const message = inbound('m1', 1, { via: 'onion' })
  await stores.deliveryStore.admit([message], 1, generous)
  const known = { source: message.source, via: 'onion', id: 'm1', known: true, epoch: message.epoch, sequence: 1, digest: message.digest }
  assert.deepEqual(await stores.deliveryStore.ack([...ack('m1'), ...ack('m1')]), [
    { ...known, changed: true },
    { ...known, changed: false }
  ])
  const { deliveryStore } = await reopen()
  assert.deepEqual(await deliveryStore.ack(ack('m1')), [{ ...known, changed: false }])
  assert.deepEqual(await deliveryStore.listInbox(unread), [])
  assert.deepEqual(
    (await deliveryStore.listInbox({ ...unread, states: ['read'] })).map(({ id, envelope, proof }) => [id, envelope.length, proof.length]),
    [['m1', 0, 0]]
  )
  assert.deepEqual(await deliveryStore.inboxCounts(), { unread: 0, held: 0, bytes: 0 })
  assert.deepEqual(
    (await deliveryStore.ack(ack('nothing'))).map(({ known: isKnown, changed }) => [isKnown, changed]),
    [[false, false]]
  )
})

test('handing out is counted and committed before the reader has the message', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.deliveryStore.admit([inbound('m1', 1)], 1, generous)
  assert.equal((await stores.deliveryStore.listInbox({ ...unread, handOut: true }))[0]?.handedOut, 0)
  assert.equal((await (await reopen()).deliveryStore.listInbox({ ...unread, handOut: true }))[0]?.handedOut, 1)
})

test('a list is filtered by position, type, source and state, in order of arrival', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  await deliveryStore.admit([inbound('a', 1), inbound('b', 2, { type: 'Command' }), inbound('c', 3)], 1, generous)
  await deliveryStore.admit([inbound('d', 1, { source: keyOf('other') })], 1, generous)
  await deliveryStore.admit([inbound('e', 1, { source: keyOf('stranger') })], 1, { ...generous, paired: false })
  const ids = async (filter: Partial<Parameters<typeof deliveryStore.listInbox>[0]>): Promise<string> =>
    (await deliveryStore.listInbox({ ...unread, ...filter })).map(({ id }) => id).join('')
  assert.equal(await ids({}), 'abcd')
  assert.equal(await ids({ after: 2 }), 'cd')
  assert.equal(await ids({ limit: 2 }), 'ab')
  assert.equal(await ids({ types: ['Command'] }), 'b')
  assert.equal(await ids({ types: [] }), '')
  assert.equal(await ids({ source: keyOf('other') }), 'd')
  assert.equal(await ids({ source: keyOf('nobody') }), '')
  assert.equal(await ids({ states: ['unread', 'held'], after: 3 }), 'de')
  assert.deepEqual(
    (await deliveryStore.getInbox('b', undefined)).map(({ position }) => position),
    [2]
  )
  assert.deepEqual(await deliveryStore.getInbox('b', keyOf('other')), [])
})

test('quotas count each source for itself and all together, and reading makes room', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  const limits = { ...generous, maxMessages: 5, maxMessagesOfSource: 2 }
  const of = (source: string, sequence: number): ReturnType<typeof inbound> => inbound(`${source}${sequence}`, sequence, { source: keyOf(source) })
  assert.deepEqual(await deliveryStore.admit([of('source', 1), of('source', 2), of('source', 3)], 1, limits), [
    stored(1),
    stored(2),
    refused('QUOTA')
  ])
  assert.deepEqual(await deliveryStore.admit([of('b', 1), of('b', 2)], 1, limits), [stored(3), stored(4)])
  assert.deepEqual(await deliveryStore.admit([of('c', 1), of('c', 2)], 1, limits), [stored(5), refused('QUOTA')])
  await deliveryStore.ack(ack('source1'))
  assert.deepEqual(await deliveryStore.admit([of('source', 3)], 1, limits), [stored(6)])
})

test('bytes are counted for each source and all together', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  const big = (id: string, sequence: number): ReturnType<typeof inbound> => inbound(id, sequence, { envelope: new Uint8Array(1_000).fill(sequence) })
  const limits = { ...generous, maxBytesOfSource: 2_500 }
  assert.deepEqual(await deliveryStore.admit([big('a', 1), big('b', 2), big('c', 3)], 1, limits), [stored(1), stored(2), refused('QUOTA')])
  await deliveryStore.ack(ack('a'))
  assert.deepEqual(await deliveryStore.admit([big('c', 3)], 1, limits), [stored(3)])
  assert.deepEqual(await deliveryStore.inboxCounts(), { unread: 2, held: 0, bytes: 2_000 })
})

test('what a stranger sends is held, its Command refused, and pairing releases what is held', async (t) => {
  const { stores, reopen } = await testStores(t)
  const stranger = { ...generous, paired: false, commands: false }
  assert.deepEqual(await stores.deliveryStore.admit([inbound('m1', 1), inbound('m2', 2, { type: 'Command' })], 1, stranger), [
    { outcome: 'held', repeat: false, position: 1 },
    refused('COMMAND_NOT_ALLOWED')
  ])
  assert.deepEqual(await stores.deliveryStore.inboxCounts(), { unread: 0, held: 1, bytes: inbound('m1', 1).envelope.length })
  const released = await stores.deliveryStore.release(keyOf('source'))
  assert.deepEqual(
    released.map(({ id, state }) => [id, state]),
    [['m1', 'unread']]
  )
  const { deliveryStore } = await reopen()
  assert.deepEqual(await deliveryStore.admit([inbound('m1', 1)], 1, generous), [stored(1, true)])
  assert.deepEqual(await deliveryStore.release(keyOf('source')), [])
  assert.deepEqual(await deliveryStore.inboxCounts(), { unread: 1, held: 0, bytes: inbound('m1', 1).envelope.length })
})

test('tombstones go once the sender said that all below its floor has ended; what comes below it is refused', async (t) => {
  const { stores, reopen } = await testStores(t)
  const { deliveryStore } = stores
  await deliveryStore.admit([inbound('m1', 1), inbound('m2', 2), inbound('m3', 3)], 1, generous)
  await deliveryStore.ack(ack('m1', 'm3'))
  await deliveryStore.admit([inbound('m4', 4)], 3, generous)
  await deliveryStore.prune(instant())
  const again = (await reopen()).deliveryStore
  assert.deepEqual(
    (await again.listInbox({ ...unread, states: ['read', 'unread'] })).map(({ id }) => id),
    ['m2', 'm3', 'm4']
  )
  const outcomes = await again.admit([inbound('m1', 1), inbound('m2', 2), inbound('m3', 3)], 1, generous)
  assert.deepEqual(outcomes, [refused('EXPIRED'), stored(2, true), { outcome: 'read', repeat: true, position: 3 }])
})

test('a sequence far above the floor is refused', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  assert.deepEqual(await deliveryStore.admit([inbound('m1', 65_537)], 1, generous), [refused('PROTOCOL_LIMIT')])
  assert.deepEqual(await deliveryStore.admit([inbound('m1', 65_536)], 1, generous), [stored(1)])
})

test('tombstones do not pile up between prunings', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  for (let start = 1; start <= 6_000; start += 200) {
    const batch = Array.from({ length: 200 }, (_, index) => inbound(`m${start + index}`, start + index))
    await deliveryStore.admit(batch, start, generous)
    await deliveryStore.ack(batch.map(({ source, id }) => ({ source, id })))
  }
  assert.ok((await deliveryStore.listInbox({ ...unread, states: ['read'], limit: 10_000 })).length <= 1_500)
})

test('of one source at most four epochs without waiting messages are remembered', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  for (let index = 0; index < 40; index++) {
    await deliveryStore.admit([inbound(`m${index}`, 1, { epoch: epochOf(`${index}`) })], 1, generous)
    if (index > 0) await deliveryStore.ack(ack(`m${index}`))
  }
  const known = await deliveryStore.listInbox({ ...unread, states: ['read', 'unread'] })
  assert.deepEqual(
    known.map(({ id }) => id),
    ['m0', 'm36', 'm37', 'm38', 'm39']
  )
})

test('a swarm of sources makes the inbox forget strangers, never what a paired peer sent', { timeout: 60_000 }, async (t) => {
  const { deliveryStore, peerStore } = (await testStores(t)).stores
  const paired = keyOf('source')
  await peerStore.savePair({ publicKey: paired, peerId: 'id', name: 'friend', alias: '', addresses: [], pairedAt: wallMillis(1), commands: true })
  const [friend, stranger] = [inbound('m1', 1), inbound('m1', 1, { source: keyOf('stranger') })]
  for (const message of [friend, stranger]) {
    await deliveryStore.admit([message], 1, generous)
    await deliveryStore.ack([{ source: message.source, id: message.id }])
  }
  const expired = (index: number): InboundMessage => inbound('x', 1, { source: keyOf(`swarm ${index}`), ttlMs: 0 })
  await Promise.all(Array.from({ length: 10_001 }, (_, index) => deliveryStore.admit([expired(index)], 1, generous)))
  await deliveryStore.prune(instant())
  assert.deepEqual(await deliveryStore.admit([friend], 1, generous), [{ outcome: 'read', repeat: true, position: 1 }])
  assert.deepEqual(await deliveryStore.admit([stranger], 1, generous), [stored(3)])
})

test('a position is never used twice, also when its row is gone', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.deliveryStore.admit([inbound('m1', 1), inbound('m2', 2)], 1, generous)
  await stores.deliveryStore.ack(ack('m1', 'm2'))
  await stores.deliveryStore.admit([], 1, generous)
  await stores.deliveryStore.admit([inbound('gone', 1)], 100, generous)
  await stores.deliveryStore.prune(instant())
  const { deliveryStore } = await reopen()
  assert.deepEqual(await deliveryStore.listInbox({ ...unread, states: ['unread', 'read'] }), [])
  assert.deepEqual(await deliveryStore.admit([inbound('m100', 100)], 100, generous), [stored(3)])
})

test('a list of large messages ends early and goes on at its cursor', async (t) => {
  const { deliveryStore } = (await testStores(t)).stores
  const large = (sequence: number): ReturnType<typeof inbound> =>
    inbound(`m${sequence}`, sequence, { envelope: new Uint8Array(1_048_576).fill(sequence) })
  for (let sequence = 1; sequence <= 12; sequence++) await deliveryStore.admit([large(sequence)], 1, generous)
  const seen: number[] = []
  for (let after = 0; seen.length < 12; after = seen.at(-1) ?? after) {
    const page = await deliveryStore.listInbox({ ...unread, after })
    assert.ok(page.length >= 1 && page.length <= 9)
    seen.push(...page.map(({ position }) => position))
  }
  assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
})
