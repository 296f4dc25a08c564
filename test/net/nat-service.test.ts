import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { isMeshError, type MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { NatFacts } from '../../src/core/nat/index.ts'
import { encodeNatFrame } from '../../src/core/nat/nat-frames.ts'
import { type Reaching, startReaching } from './reach-support.ts'
import { startRelay } from './relay-support.ts'
import { until } from './support.ts'

const facts: NatFacts = {
  natClass: 'symmetric',
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  udp: 'open',
  publicAddress: { address: '11.77.17.2', port: 41_000 },
  ipv6: true,
  probedAt: wallMillis(5)
}

const connect = (from: Reaching, to: Reaching): Promise<unknown> => from.libp2p.dial(to.libp2p.getMultiaddrs())
const connectionsOf = (node: Reaching, other: Reaching): number =>
  node.libp2p.getConnections().filter(({ remotePeer }) => remotePeer.toString() === other.peerId).length

/** A TCP server that counts who calls. */
async function thirdParty(host = '127.0.0.1'): Promise<{ readonly address: string; readonly calls: () => number } & AsyncDisposable> {
  let calls = 0
  const server: Server = createServer((socket) => {
    calls += 1
    socket.destroy()
  }).listen(0, host)
  await once(server, 'listening')
  const place = server.address()
  const port = typeof place === 'object' && place !== null ? place.port : 0
  return { address: `/ip4/${host}/tcp/${port}`, calls: () => calls, [Symbol.asyncDispose]: async () => void server.close() }
}

test('a hello tells both sides; where a node is seen, it tells paired peers only', async () => {
  await using a = await startReaching({ facts: () => facts, abilities: () => ({ ice: false, turn: true }) })
  await using b = await startReaching()
  await connect(a, b)
  const toStranger = await a.reach.nat.hello(b.peerId)
  assert.deepEqual([toStranger.facts.natClass, toStranger.ice, toStranger.turn, toStranger.mapped], ['unknown', true, false, []])
  const heard = b.reach.nat.heard(a.peerId)
  assert.deepEqual(
    [heard?.facts.natClass, heard?.facts.publicAddress, heard?.facts.ipv6, heard?.ice, heard?.turn],
    ['symmetric', undefined, true, false, true]
  )
  a.pair(b)
  await a.reach.nat.hello(b.peerId)
  assert.deepEqual(b.reach.nat.heard(a.peerId)?.facts.publicAddress, facts.publicAddress)
})

test('of the ports that a peer says its router opened, only those at public addresses are remembered, to be dialled', async () => {
  await using a = await startReaching()
  await using b = await startReaching()
  await connect(a, b)
  const good = '/ip4/11.77.26.2/tcp/9000'
  const mapped = ['/ip4/127.0.0.1/tcp/6379', '/ip4/192.168.1.1/tcp/80', '/ip6/::ffff:169.254.169.254/tcp/80', good]
  const stream = await a.host.open(b.peerId, 'nat')
  await stream.send(encodeNatFrame({ kind: 'hello', hello: { facts, mapped, ice: true, turn: false } }))
  await until(() => b.reach.nat.heard(a.peerId) !== undefined, 'the hello is heard')
  assert.deepEqual(b.reach.nat.heard(a.peerId)?.mapped, [good])
  await stream.close()
})

test('a dial-back says whether somebody answers there, and leaves no connection behind', async () => {
  await using a = await startReaching()
  await using b = await startReaching()
  await connect(a, b)
  const { nat } = a.reach
  assert.equal(await nat.requestDialBack(b.peerId, a.address()), 'connected')
  await until(() => connectionsOf(b, a) === 1 && connectionsOf(a, b) === 1, 'the extra connection is closed')
  assert.equal(await nat.requestDialBack(b.peerId, '/ip4/127.0.0.1/tcp/1'), 'failed')
})

test('whoever answers at an address has to be who asked', async () => {
  await using a = await startReaching()
  await using b = await startReaching()
  await using c = await startReaching()
  await connect(a, b)
  assert.equal(await a.reach.nat.requestDialBack(b.peerId, c.address()), 'failed')
})

test('a stranger gets nobody dialled but itself', async () => {
  const dialled: string[] = []
  await using a = await startReaching()
  await using b = await startReaching({ onDialled: (purpose, outcome) => dialled.push(`${purpose} ${outcome}`) })
  await using victim = await thirdParty('127.0.0.2')
  await connect(a, b)
  for (const address of [victim.address, '/ip4/192.168.0.1/tcp/9000', '/ip4/11.77.1.2/tcp/9000', '/ip6/::1/tcp/9000'])
    assert.equal(await a.reach.nat.requestDialBack(b.peerId, address), 'not-allowed', address)
  assert.equal(victim.calls(), 0)
  assert.deepEqual(dialled, Array(4).fill('dial-back not-allowed'), 'and it is counted')
})

test('dials for one requester have a rate, however it asks', async () => {
  await using a = await startReaching()
  await using b = await startReaching({ node: { limits: { nat: { streamsPerSecond: 1_000, framesPerSecond: 1_000 } } } })
  await using victim = await thirdParty()
  b.pair(a)
  await connect(a, b)
  const outcomes = []
  for (let count = 0; count < 20; count++) outcomes.push(await a.reach.nat.requestDialBack(b.peerId, victim.address))
  assert.equal(outcomes.filter((outcome) => outcome === 'failed').length, victim.calls())
  assert.ok(victim.calls() <= 13 && outcomes.includes('busy'), `${victim.calls()} calls`)
})

test('a peer that is reached over a relay dials us, and the connection is kept', async (t) => {
  const relay = await startRelay()
  t.after(() => relay.stop())
  await using a = await startReaching()
  await using b = await startReaching({ node: { listen: [relay.listen] } })
  b.pair(a)
  await a.libp2p.dial(multiaddr(`${relay.listen}/p2p/${b.peerId}`))
  assert.ok(a.libp2p.getConnections().some(({ remoteAddr }) => remoteAddr.toString().includes('p2p-circuit')))
  const connection = await a.reach.nat.requestReversal(b.peerId)
  assert.equal(connection.remotePeer.toString(), b.peerId)
  assert.deepEqual([connection.direction, connection.remoteAddr.toString().includes('p2p-circuit'), connection.status], ['inbound', false, 'open'])
})

test('a reversal that cannot be says why', async () => {
  await using a = await startReaching({ node: { listen: [] } })
  await using b = await startReaching()
  await connect(a, b)
  const reasonOf = (error: unknown): string =>
    isMeshError(error, 'PEER_UNREACHABLE') ? String((error as MeshError).details['reason']) : String(error)
  const reason = await a.reach.nat.requestReversal(b.peerId).catch(reasonOf)
  assert.equal(reason, 'no address of ours can be reached from outside')
})

test('a peer that does not speak of it is unreachable in this way, and says so', async () => {
  await using a = await startReaching()
  const relay = await startRelay()
  try {
    await a.libp2p.dial(multiaddr(relay.address))
    await assert.rejects(a.reach.nat.hello(relay.libp2p.peerId.toString()), (error) => isMeshError(error, 'PEER_UNREACHABLE'))
  } finally {
    await relay.stop()
  }
})
