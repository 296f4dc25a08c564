import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Key } from 'interface-datastore'
import { utf8, wallMillis } from '../../src/core/base/index.ts'
import type { InviteRecord, PairRecord } from '../../src/mesh/ports.ts'
import { openMemoryStores } from '../../src/node/sqlite/stores.ts'
import { keptEntries } from '../../src/node/sqlite/entry-table.ts'
import { keyOf, outboxRow } from './messages.ts'
import { testStores } from './open-stores.ts'

const pair = (name: string): PairRecord => ({
  publicKey: keyOf(name),
  peerId: `id-${name}`,
  name,
  alias: '',
  addresses: ['/ip4/127.0.0.1/tcp/1/p2p/x'],
  pairedAt: wallMillis(5),
  commands: true
})
const invite = (name: string): InviteRecord => ({
  inviteId: keyOf(name).slice(0, 8),
  secret: keyOf(`secret ${name}`).slice(0, 16),
  expiresAt: wallMillis(9),
  failures: 0,
  usedBy: '',
  done: false,
  revoked: false,
  commands: false
})

test('pairs and invites are there again after a restart; saving again replaces', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.peerStore.savePair(pair('ada'))
  await stores.peerStore.savePair({ ...pair('ada'), alias: 'a' })
  await stores.peerStore.saveInvite(invite('one'))
  assert.equal(await stores.peerStore.failInvite(invite('one').inviteId), 1)
  const { peerStore } = await reopen()
  assert.deepEqual(await peerStore.pairs(), [{ ...pair('ada'), alias: 'a' }])
  assert.deepEqual(await peerStore.invite(invite('one').inviteId), { ...invite('one'), failures: 1 })
  assert.equal(await peerStore.invite(invite('two').inviteId), undefined)
})

test('redeeming burns the invite and adds the peer together, once', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.peerStore.saveInvite(invite('one'))
  await stores.peerStore.redeem(invite('one').inviteId, pair('ada'))
  await assert.rejects(stores.peerStore.redeem(invite('one').inviteId, pair('eve')), { code: 'INVITE_USED' })
  await assert.rejects(stores.peerStore.redeem(invite('two').inviteId, pair('eve')), { code: 'INVITE_INVALID' })
  const { peerStore } = await reopen()
  assert.deepEqual(
    (await peerStore.pairs()).map(({ name }) => name),
    ['ada']
  )
  const burnt = await peerStore.invite(invite('one').inviteId)
  assert.deepEqual([burnt?.usedBy, burnt?.secret.length], ['id-ada', 0])
})

test('a peer that is blocked redeems nothing, and the invite stays as it was', async (t) => {
  const { stores } = await testStores(t)
  await stores.peerStore.saveInvite(invite('one'))
  const { publicKey, peerId } = pair('ada')
  await stores.trustStore.block({ publicKey, peerId, name: '', blockedAt: wallMillis(1) })
  await assert.rejects(stores.peerStore.redeem(invite('one').inviteId, pair('ada')), { code: 'PEER_BLOCKED' })
  assert.deepEqual([await stores.peerStore.pairs(), (await stores.peerStore.invite(invite('one').inviteId))?.usedBy], [[], ''])
})

test('an invite is burnt by its fifth failure, taken back once, and done when it was used; each erases the secret, and none can be redeemed then', async (t) => {
  const { stores, reopen } = await testStores(t)
  const [burnt, revoked, used] = [invite('burnt'), invite('revoked'), invite('used')]
  for (const each of [burnt, revoked, used]) await stores.peerStore.saveInvite(each)
  for (let failure = 1; failure <= 5; failure++) assert.equal(await stores.peerStore.failInvite(burnt.inviteId), failure)
  await assert.rejects(stores.peerStore.redeem(burnt.inviteId, pair('ada')), { code: 'INVITE_USED' })
  assert.deepEqual([await stores.peerStore.revokeInvite(revoked.inviteId), await stores.peerStore.revokeInvite(revoked.inviteId)], [true, false])
  await assert.rejects(stores.peerStore.redeem(revoked.inviteId, pair('ada')), { code: 'INVITE_REVOKED' })
  await stores.peerStore.finishInvite(used.inviteId)
  await stores.peerStore.redeem(used.inviteId, pair('ada'))
  // Its answer may have been lost: once more, until it is done.
  await stores.peerStore.redeem(used.inviteId, pair('ada'))
  await stores.peerStore.finishInvite(used.inviteId)
  await assert.rejects(stores.peerStore.redeem(used.inviteId, pair('ada')), { code: 'INVITE_USED' })
  assert.equal(await stores.peerStore.revokeInvite(used.inviteId), false)
  const { peerStore } = await reopen()
  const facts = new Map(
    (await peerStore.invites()).map(({ inviteId, secret, failures, revoked: isRevoked, done }) => [
      inviteId.join(),
      [secret.length, failures, isRevoked, done]
    ])
  )
  assert.deepEqual(
    [burnt, revoked, used].map(({ inviteId }) => facts.get(inviteId.join())),
    [
      [0, 5, false, false],
      [0, 0, true, false],
      [0, 0, false, true]
    ]
  )
})

test('a request that fails takes none of those that share its transaction with it', async (t) => {
  const { stores } = await testStores(t)
  const results = await Promise.allSettled([
    stores.deliveryStore.enqueue(outboxRow('m1')),
    stores.peerStore.redeem(invite('unknown').inviteId, pair('eve')),
    stores.deliveryStore.enqueue(outboxRow('m2', { sequence: 2 })),
    stores.peerStore.savePair(pair('ada'))
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled']
  )
  assert.equal((await stores.deliveryStore.recoverOutbox()).pending.length, 2)
  assert.deepEqual(
    (await stores.peerStore.pairs()).map(({ name }) => name),
    ['ada']
  )
})

test('the datastore of libp2p keeps, lists by prefix, deletes and says NotFoundError', async (t) => {
  const { stores, reopen } = await testStores(t)
  const batch = stores.datastore.batch()
  for (let index = 0; index < 600; index++) batch.put(new Key(`/a/${index}`), utf8(`${index}`))
  batch.put(new Key('/b/1'), utf8('b'))
  await batch.commit()
  await stores.datastore.put(new Key('/b/2'), utf8('two'))
  await stores.datastore.delete(new Key('/b/1'))
  const { datastore } = await reopen()
  assert.equal(Buffer.from(await datastore.get(new Key('/b/2'))).toString(), 'two')
  assert.deepEqual([await datastore.has(new Key('/a/5')), await datastore.has(new Key('/b/1'))], [true, false])
  await assert.rejects(async () => datastore.get(new Key('/b/1')), { name: 'NotFoundError' })
  const listed: string[] = []
  for await (const { key } of datastore.query({ prefix: '/a/' })) listed.push(key.toString())
  assert.equal(new Set(listed).size, 600)
  let keys = 0
  for await (const key of datastore.queryKeys({ filters: [(each) => each.toString().endsWith('7')] })) keys += key.toString().endsWith('7') ? 1 : 100
  assert.equal(keys, 60)
})

test('the datastore is bounded: the entry written longest ago goes first, a huge value is not kept', async (t) => {
  const { datastore } = (await testStores(t)).stores
  const batch = datastore.batch()
  for (let index = 0; index < keptEntries + 500; index++) batch.put(new Key(`/k/${index}`), utf8('v'))
  batch.put(new Key('/huge'), new Uint8Array(100_000))
  await batch.commit()
  let count = 0
  for await (const _ of datastore.queryKeys({})) count += 1
  assert.equal(count, keptEntries)
  assert.deepEqual(
    [await datastore.has(new Key('/k/0')), await datastore.has(new Key(`/k/${keptEntries + 499}`)), await datastore.has(new Key('/huge'))],
    [false, true, false]
  )
})

test('named values outlive a restart', async (t) => {
  const { stores, reopen } = await testStores(t)
  await stores.meta.set('counter', utf8('1'))
  await stores.meta.set('counter', utf8('2'))
  assert.equal(Buffer.from((await (await reopen()).meta.get('counter')) ?? []).toString(), '2')
})

test('stores in memory work alike and end with their process', async () => {
  const stores = await openMemoryStores()
  await stores.peerStore.savePair(pair('ada'))
  assert.deepEqual(await stores.deliveryStore.enqueue(outboxRow('m1')), { outcome: 'accepted' })
  await stores.close()
  await assert.rejects(stores.peerStore.pairs(), { code: 'SHUTTING_DOWN' })
  await stores.close()
  const again = await openMemoryStores()
  assert.deepEqual(await again.peerStore.pairs(), [])
  await again.close()
})
