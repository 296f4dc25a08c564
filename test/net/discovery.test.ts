import assert from 'node:assert/strict'
import { availableParallelism, loadavg } from 'node:os'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { DiscoverReport, Mesh } from '../../src/mesh/mesh.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { until } from './support.ts'

const target = { nodes: 20, ms: 15_000 }
const busyMs = 180_000

test('twenty nodes that know one bootstrap node: each finds the nineteen others by Kademlia within 15 s', { timeout: 290_000 }, async (context) => {
  await using net = await createTestnet(target.nodes)
  // The figure is for a machine that does nothing else: all twenty nodes share one thread here. On a busy one they have to find each other all the same.
  const load = loadavg()[0] ?? 0
  const isBusy = load > availableParallelism()
  const timeoutMs = isBusy ? busyMs : target.ms
  const deadline = performance.now() + timeoutMs
  /** A user who misses somebody asks again, as long as there is time. */
  const findAll = async (node: Mesh): Promise<DiscoverReport> => {
    for (;;) {
      const report = await node.discover({ method: 'kademlia', count: target.nodes - 1, timeoutMs: Math.max(1, deadline - performance.now()) })
      if (report.found === target.nodes - 1 || performance.now() > deadline) return report
    }
  }
  const startedAt = performance.now()
  const reports = await Promise.all(net.nodes.map(findAll))
  const tookMs = Math.round(performance.now() - startedAt)
  context.diagnostic(
    `all ${target.nodes} took ${tookMs} ms; the limit is ${timeoutMs} ms${isBusy ? `, because the machine is busy (load ${load.toFixed(1)})` : ''}`
  )
  assert.deepEqual(
    reports.map((report) => report.found),
    Array.from({ length: target.nodes }, () => target.nodes - 1)
  )
  for (const [index, report] of reports.entries()) {
    assert.equal(new Set(report.peers.map((peer) => peer.peerId)).size, target.nodes - 1)
    assert.ok(
      report.peers.every(
        (peer) => peer.peerId !== net.node(index).peerId && peer.foundBy.includes('kademlia') && peer.claimedName?.startsWith('node-') === true
      )
    )
    assert.ok(report.peers.every((peer) => peer.rttMs !== undefined && peer.rttMs >= 0))
  }
})

test('discovery returns as soon as it has as many as were asked for, and with fewer when there are no more', async () => {
  await using net = await createTestnet(4)
  const two = await net.node(3).discover({ method: 'kademlia', count: 2 })
  assert.equal(two.found, 2)
  const all = await net.node(3).discover({ method: 'all', count: 100, timeoutMs: 30_000 })
  assert.equal(all.found, 3)
  assert.ok(all.elapsedMs < 20_000, `${all.elapsedMs} ms`)
  assert.equal((await net.node(3).discover({ method: 'bootstrap', count: 5 })).found, 1)
})

test('a peer in another network is not found, though it has the same bootstrap node', async () => {
  await using net = await createTestnet(2)
  const stranger = await net.add({ network: 'elsewhere' })
  const other = await net.add({ network: 'elsewhere', bootstrapPeers: stranger.addresses().slice(0, 1) })
  const found = await net.node(1).discover({ method: 'all', count: 10, timeoutMs: 4_000 })
  assert.deepEqual(
    found.peers.map((peer) => peer.peerId),
    [net.node(0).peerId]
  )
  const theirs = await other.discover({ method: 'all', count: 10, timeoutMs: 4_000 })
  assert.deepEqual(
    theirs.peers.map((peer) => peer.peerId),
    [stranger.peerId]
  )
})

test('a name is found through the DHT by a node that never met its owner', async () => {
  await using net = await createTestnet(4)
  const owner = net.node(1)
  // Its provider record is put some seconds after the start.
  await until(
    async () => {
      const found = await net
        .node(3)
        .peer('node-1')
        .catch((error: unknown) => error)
      return !isMeshError(found) && (found as { readonly peerId: string }).peerId === owner.peerId
    },
    'the name is found',
    30_000
  )
  await assert.rejects(net.node(3).peer('nobody-of-this-name'), (error) => isMeshError(error, 'PEER_UNKNOWN'))
})

test('discovery by mDNS while it is off is refused by name', async () => {
  await using net = await createTestnet(1)
  await assert.rejects(net.node(0).discover({ method: 'mdns' }), (error) => isMeshError(error, 'OPTION_INVALID'))
})

test('an abort ends a discovery', async () => {
  await using net = await createTestnet(1)
  const controller = new AbortController()
  const discovering = net.node(0).discover({ method: 'kademlia', signal: controller.signal })
  controller.abort()
  await assert.rejects(discovering, (error) => isMeshError(error, 'ABORTED'))
})
