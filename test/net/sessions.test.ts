import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../src/core/base/index.ts'
import { createPlatform } from '../../src/node/platform.ts'
import { ephemeralIdentity } from '../../src/node/identity.ts'
import { openPqKeys } from '../../src/node/pq-keys.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { openMemoryStores } from '../../src/node/sqlite/stores.ts'
import { type SessionFailure, Sessions } from '../../src/mesh/sessions.ts'

test('a peer with which no safe session can be opened is remembered with the reason until one opens, and one that is away is not', async (t) => {
  const stores = await openMemoryStores()
  t.after(() => stores.close())
  const identity = await ephemeralIdentity()
  let thrown = new MeshError('DOWNGRADE_DETECTED', { peer: 'bob', best: 'hybrid', actual: '/noise' })
  const failures: SessionFailure[] = []
  const sessions = new Sessions({
    host: { open: () => Promise.reject(thrown), serve: () => Promise.resolve() },
    platform: createPlatform({ identity, network: 'test', stores, pqKeys: await openPqKeys(stores.datastore, assert.fail) }),
    network: 'test',
    peerId: identity.peerId,
    level: 3,
    minimumLevel: 1,
    pqAuth: false,
    onFailed: (failure) => failures.push(failure)
  })
  const { signal } = new AbortController()
  const open = (byte: number): Promise<unknown> => sessions.open(new Uint8Array(32).fill(byte), 'direct', signal)
  await assert.rejects(open(1), { code: 'DOWNGRADE_DETECTED' })
  assert.deepEqual([...sessions.refused.values()], [thrown])
  thrown = new MeshError('PEER_UNREACHABLE', { peer: 'carol', reason: 'away' })
  await assert.rejects(open(2), { code: 'PEER_UNREACHABLE' })
  assert.equal(sessions.refused.size, 1)
  thrown = new MeshError('HANDSHAKE_FAILED', { reason: 'signature' })
  for (let peer = 3; peer < 80; peer++) await assert.rejects(open(peer), { code: 'HANDSHAKE_FAILED' })
  assert.equal(sessions.refused.size, 64)
})

test('an operator takes a peer as it is now: its levels and its ML-DSA-65 key are forgotten once, and remembered anew', async () => {
  await using net = await createTestnet(2, { config: { quantumSignatures: true } })
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  await alice.quantum(bob.peerId)
  assert.deepEqual((await alice.trust('node-1')).forgotten, ['levels', 'ml-dsa-65'])
  assert.deepEqual((await alice.trust('node-1')).forgotten, [])
  await alice.quantum(bob.peerId)
  assert.deepEqual((await alice.trust('node-1')).forgotten, ['ml-dsa-65'], 'the connection is the same one, the session is new')
  await assert.rejects(alice.trust('nobody'), { code: 'PEER_UNKNOWN' })
})
