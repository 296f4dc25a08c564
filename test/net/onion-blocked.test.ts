import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTestnet } from '../../src/testing/testnet.ts'
import { knowsRelays } from '../hostile/onion-scene.ts'
import { until } from './support.ts'

test('where a blocked peer gets through, over a circuit, its messages are refused with a signed receipt, and it stops trying', async () => {
  await using net = await createTestnet(4, { config: (index) => ({ onionRouting: true, onionHops: 2, onionRelay: index > 0 }) })
  const bob = net.node(0)
  await knowsRelays(bob, 3)
  const alice = await net.add({ onionRelay: false })
  await net.pair(alice, bob)
  await Promise.all([knowsRelays(alice, 3), until(async () => (await bob.status()).onion.known.endpoints > 0, 'bob knows the endpoint', 20_000)])
  assert.equal((await alice.send(bob.peerId, 'before', { via: 'onion', timeoutMs: 30_000 })).status, 'stored')
  await bob.contacts.block(alice.peerId)
  const report = await alice.send(bob.peerId, 'after', { via: 'onion', timeoutMs: 30_000 })
  assert.deepEqual([report.status, report.error?.code], ['failed', 'NOT_ALLOWED'])
  assert.equal((await bob.inbox.list()).messages.length, 1)
})
