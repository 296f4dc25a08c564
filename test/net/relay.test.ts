import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { multiaddr } from '@multiformats/multiaddr'
import { isMeshError } from '../../src/core/base/index.ts'
import { GossipWatchdog } from '../../src/mesh/gossip-watchdog.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { networkIds } from '../../src/mesh/network-ids.ts'
import { createMesh, type MeshConfig } from '../../src/node/create-mesh.ts'
import { type Relay, type RelayOptions, startRelay } from './relay-support.ts'
import { clock, startTestHost, timers, until } from './support.ts'

// Without NAT traversal nothing moves to a direct connection.
const common = { network: 'test-relay', mdns: false, listenAddrs: [], natTraversal: false } as const

async function start(t: TestContext, config: MeshConfig): Promise<Mesh> {
  const mesh = await createMesh({ ...common, ...config })
  t.after(() => mesh.stop())
  return mesh
}

/** A node that listens nowhere, and one that listens at the relay only; paired. */
async function pairOver(t: TestContext, relay: Relay): Promise<{ readonly a: Mesh; readonly b: Mesh }> {
  const a = await start(t, { name: 'a' })
  const b = await start(t, { name: 'b', listenAddrs: [relay.listen] })
  const { invite } = await b.invite()
  await a.join(invite)
  return { a, b }
}

async function newRelay(t: TestContext, options: RelayOptions = {}): Promise<Relay> {
  const relay = await startRelay(options)
  t.after(() => relay.stop())
  return relay
}

test('a node that listens at a relay only is paired with, measured at each level and sent to, all over the relay', async (t) => {
  const relay = await newRelay(t)
  const { a, b } = await pairOver(t, relay)
  assert.deepEqual(b.addresses(), [`${relay.listen}/p2p/${b.peerId}`])
  for (const level of [1, 3, 5] as const) {
    const report = await a.quantum('b', { level })
    assert.deepEqual([report.level, report.path, report.authentication], [level, 'relayed', 'ed25519'])
    const shows = async (): Promise<boolean> =>
      (await b.detailedStatus()).sessions.some(({ words, path }) => words?.join() === report.words.join() && path === 'relayed')
    await until(shows, 'the peer shows the same words')
  }
  const report = await a.send('b', 'over the relay')
  assert.deepEqual([report.status, report.path], ['stored', 'relayed'])
  assert.deepEqual([(await a.send('b', 'fleeting', { delivery: 'volatile' })).path, (await a.peer('b')).path], ['relayed', 'relayed'])
  assert.equal((await a.ping('b', { count: 2 })).rttMs.length, 2)
  assert.equal((await b.status()).reachability, 'relay')
  assert.equal((await a.status()).reachability, 'none')
  for (const node of [a, b]) {
    const { connections } = await node.detailedStatus()
    const relayed = connections.filter(({ address }) => address.includes('/p2p-circuit'))
    assert.deepEqual(
      relayed.map(({ encryption, quantumLevel }) => [encryption, quantumLevel]),
      [['/noise-mlkem768-hfs/0.2.0', 3]],
      'one connection, hybrid from end to end'
    )
    const toRelay = connections.filter(({ peerId }) => peerId === relay.libp2p.peerId.toString())
    assert.deepEqual(
      toRelay.map(({ quantumLevel }) => quantumLevel),
      [0],
      'the relay itself is a stock one'
    )
  }
})

test('a level below the minimum of a peer is refused over a relay, and messages take its level by themselves', async (t) => {
  // Who requires hybrid channels requires them of its relay as well.
  const relay = await newRelay(t, { hybrid: true })
  const a = await start(t, { name: 'a' })
  const b = await start(t, { name: 'b', listenAddrs: [relay.listen], quantumResistant: true, mlkemSecurityLevel: 5 })
  await a.join((await b.invite()).invite)
  for (const level of [1, 3]) await assert.rejects(a.quantum('b', { level }), (error) => isMeshError(error, 'LEVEL_REFUSED'))
  assert.deepEqual([(await a.quantum('b', { level: 5 })).path, (await a.send('b', 'at your level')).status], ['relayed', 'stored'])
  assert.equal((await b.status()).peers.quantum, 2)
})

test('who requires hybrid channels has no place at a relay that cannot', async (t) => {
  const relay = await newRelay(t)
  const b = await start(t, { name: 'b', listenAddrs: [relay.listen], quantumResistant: true })
  assert.deepEqual(b.addresses(), [])
  assert.ok((await b.status()).health.some(({ code }) => code === 'RELAY_AWAY'))
})

test('the relay carries nothing that it could read', async (t) => {
  const relay = await newRelay(t)
  const { a } = await pairOver(t, relay)
  const carried: Uint8Array[] = []
  for (const stream of relay.libp2p.getConnections().flatMap((connection) => connection.streams))
    stream.addEventListener('message', ({ data }) => carried.push(data.subarray()))
  const text = 'nobody in between shall read this '.repeat(20)
  assert.equal((await a.send('b', text)).status, 'stored')
  const bytes = Buffer.concat(carried)
  assert.ok(bytes.length > text.length, `${bytes.length} bytes were seen`)
  assert.ok(!bytes.includes('nobody in between'))
})

test('a stream takes a direct connection before a relayed one, whichever came first', async (t) => {
  const relay = await newRelay(t)
  await using a = await startTestHost({ listen: [] })
  await using b = await startTestHost({ listen: ['/ip4/127.0.0.1/tcp/0', relay.listen] })
  await b.host.serve('card', (stream) => stream.closed)
  const [direct, relayed] = [false, true].map((wanted) =>
    b.libp2p.getMultiaddrs().find((address) => address.toString().includes('/p2p-circuit') === wanted)
  )
  assert.ok(direct !== undefined && relayed !== undefined)
  await a.libp2p.dial(relayed)
  const over = async (): Promise<string> => {
    const stream = await a.host.open(b.peerId, 'card')
    await stream.close()
    return stream.path
  }
  assert.deepEqual([await over(), await over(), a.libp2p.getConnections(b.libp2p.peerId).length], ['relayed', 'relayed', 1])
  const dog = new GossipWatchdog({ libp2p: a.libp2p, clock, timers, protocol: networkIds('test').gossip, graceMs: 0, log: () => undefined })
  for (let round = 0; round < 3; round++) await dog.check()
  assert.equal(dog.healed, 0, 'there is no gossip over a circuit to miss')
  await a.libp2p.dial(direct)
  assert.deepEqual([await over(), a.libp2p.getConnections(b.libp2p.peerId).length], ['direct-lan', 2])
  await a.libp2p.hangUp(b.libp2p.peerId)
  assert.equal((await a.libp2p.dial([relayed, direct])).remoteAddr.toString(), direct.toString())
})

test('more messages than one circuit may carry arrive over several', async (t) => {
  const relay = await newRelay(t)
  const { a, b } = await pairOver(t, relay)
  const bodies = Array.from({ length: 12 }, (_, index) => new Uint8Array(30_000).fill(index))
  const reports = await Promise.all(bodies.map((body) => a.send('b', body, { timeoutMs: 40_000 })))
  assert.deepEqual(
    reports.map(({ status }) => status),
    bodies.map(() => 'stored')
  )
  assert.equal((await b.inbox.counts()).unread, 12)
})

test('a message that no circuit carries keeps no other back, and ends as never sent', async (t) => {
  const relay = await newRelay(t)
  const { a, b } = await pairOver(t, relay)
  const large = await a.send('b', new Uint8Array(400_000), { ttlS: 3, waitFor: 'accepted' })
  assert.equal((await a.send('b', 'small')).status, 'stored')
  await until(async () => (await a.outbox.get(large.id)).status !== 'accepted', 'it expires')
  const { status, attempts, error } = await a.outbox.get(large.id)
  assert.deepEqual([status, attempts, error?.code], ['failed', 0, 'EXPIRED'])
  assert.equal((await b.inbox.counts()).unread, 1)
})

test('without its relay a peer is unreachable by name, and is reached again when the relay is back', async (t) => {
  const first = await newRelay(t)
  const { a, b } = await pairOver(t, first)
  assert.equal((await a.quantum('b')).path, 'relayed')
  await first.stop()
  await until(async () => !(await a.peer('b')).connected && b.addresses().length === 0, 'the loss is seen')
  await assert.rejects(a.quantum('b', { timeoutMs: 5_000 }), (error) => isMeshError(error, 'PEER_UNREACHABLE'))
  const { status } = await a.send('b', 'while it is away', { timeoutMs: 500 })
  assert.equal(status, 'accepted')
  assert.ok((await b.status()).health.some(({ code }) => code === 'RELAY_AWAY'))
  await newRelay(t, { after: first })
  await until(() => b.addresses().length === 1, 'the relay keeps a place again', 20_000)
  await until(async () => (await a.outbox.list({ states: ['stored'] })).length === 1, 'what waited arrives', 30_000)
  assert.ok(!(await b.status()).health.some(({ code }) => code === 'RELAY_AWAY'))
})

test('a node starts while its relay is away, and listens there when it comes', async (t) => {
  const gone = await startRelay()
  await gone.stop()
  const b = await start(t, { name: 'b', listenAddrs: ['/ip4/127.0.0.1/tcp/0', gone.listen] })
  assert.equal(b.addresses().length, 1)
  assert.ok((await b.status()).health.some(({ code }) => code === 'RELAY_AWAY'))
  await newRelay(t, { after: gone })
  await until(() => b.addresses().length === 2, 'it listens at the relay', 20_000)
})

test('a circuit from a relay that was not asked for is refused, and nothing is reserved there', async (t) => {
  const stranger = await newRelay(t)
  const b = await start(t, { name: 'b', listenAddrs: ['/ip4/127.0.0.1/tcp/0'] })
  const before = b.addresses()
  const stream = await stranger.libp2p.dialProtocol(multiaddr(before[0] ?? ''), RELAY_V2_STOP_CODEC)
  await new Promise<void>((resolve) => stream.addEventListener('close', () => resolve()))
  assert.equal(stream.status, 'reset')
  assert.deepEqual(b.addresses(), before)
  assert.equal(stranger.reservations(), 0)
})
