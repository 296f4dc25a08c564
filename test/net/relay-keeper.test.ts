import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { type TestContext, test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import type { Card } from '../../src/core/peers/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { inviteAddresses } from '../../src/mesh/invite-addresses.ts'
import { RelayKeeper, type RelayKeeperOptions } from '../../src/mesh/relay-keeper.ts'
import { createMesh, type MeshConfig } from '../../src/node/create-mesh.ts'
import { clock, random, startTestHost, timers, until } from './support.ts'

const common = { network: 'test-relays', mdns: false, portMapping: false, stunPort: 0 } as const
const loopback = ['/ip4/127.0.0.1/tcp/0']

async function start(t: TestContext, config: MeshConfig): Promise<Mesh> {
  const mesh = await createMesh({ ...common, listenAddrs: [], ...config })
  t.after(() => mesh.stop())
  return mesh
}

const relayNode = (t: TestContext, config: MeshConfig = {}): Promise<Mesh> => start(t, { listenAddrs: loopback, relayServe: true, ...config })
const addressOf = (mesh: Mesh): string => mesh.addresses()[0] ?? ''
const over = (mesh: Mesh, relay: Mesh): readonly string[] =>
  mesh.addresses().filter((address) => address.includes(`/p2p/${relay.peerId}/p2p-circuit`))
const reservedAt = async (mesh: Mesh): Promise<readonly string[]> =>
  (await mesh.status()).relays.filter(({ reserved }) => reserved).map(({ peerId }) => peerId)

test('a node keeps places at two relays of three, goes on to the third when one dies, and is called over the rest', async (t) => {
  const relays = [await relayNode(t, { relayOpen: true }), await relayNode(t, { relayOpen: true }), await relayNode(t, { relayOpen: true })]
  const startedAt = performance.now()
  const b = await start(t, { name: 'b', relays: relays.map(addressOf) })
  assert.ok(performance.now() - startedAt < 3_000)
  assert.ok(b.addresses().length > 0, 'a place is there when the node has started')
  await until(async () => (await reservedAt(b)).length === 2, 'it has two places')
  const status = await b.status()
  assert.equal(status.reachability, 'relay')
  assert.ok(status.relays.every(({ reserved, latencyMs }) => reserved === (latencyMs !== undefined)))
  assert.deepEqual(
    status.health.filter(({ code }) => code === 'RELAY_AWAY'),
    []
  )
  const a = await start(t, { name: 'a', natTraversal: false })
  await a.join((await b.invite()).invite)
  assert.deepEqual((await a.send('b', 'over a relay')).path, 'relayed')
  const [first, second] = relays.filter((relay) => over(b, relay).length > 0)
  const third = relays.find((relay) => over(b, relay).length === 0)
  assert.ok(first !== undefined && second !== undefined && third !== undefined)
  await first.stop()
  await until(() => over(b, first).length === 0, 'the dead one is no address any more', 1_000)
  await until(() => over(b, third).length > 0, 'the third one takes its place', 3_000)
  assert.deepEqual((await a.send('b', 'over another', { timeoutMs: 15_000 })).status, 'stored')
  await until(async () => (await a.peer('b')).addresses.some((address) => address.includes(third.peerId)), 'the new card has come', 3_000)
  await second.stop()
  assert.deepEqual((await a.send('b', 'over the last one', { timeoutMs: 15_000 })).status, 'stored')
  assert.ok((await b.status()).health.some(({ code }) => code === 'RELAY_AWAY'))
})

test('of the addresses of a relay the one in use is told', async (t) => {
  const relay = await relayNode(t, { relayOpen: true })
  const dead = addressOf(relay).replace(/\/tcp\/\d+\//, '/tcp/1/')
  const b = await start(t, { name: 'b', relays: [dead, addressOf(relay)] })
  await until(async () => (await reservedAt(b)).length === 1, 'it has a place')
  assert.deepEqual(
    (await b.status()).relays.map(({ address }) => address),
    [addressOf(relay)]
  )
})

test('a relay serves paired peers: one that was refused gets its place as soon as it is paired', async (t) => {
  const relay = await relayNode(t, { name: 'relay' })
  const b = await start(t, { name: 'b', relays: [addressOf(relay)] })
  assert.deepEqual([await reservedAt(b), b.addresses()], [[], []])
  assert.ok((await b.status()).health.some(({ code, message }) => code === 'RELAY_AWAY' && message.endsWith(': its answer is permissionDenied')))
  assert.ok((await b.status()).health.every(({ message }) => !message.includes('gives this node no place')))
  assert.deepEqual((await relay.status()).serving?.refused, { 'not-paired': 1 })
  await b.join((await relay.invite()).invite)
  await until(async () => (await reservedAt(b)).length === 1, 'it has a place', 1_000)
  const metrics = await relay.metrics()
  for (const line of [
    'synaptic_mesh_relay_reservations 1',
    'synaptic_mesh_relay_circuits 0',
    'synaptic_mesh_relay_refused_total{reason="not-paired"} 1'
  ])
    assert.ok(metrics.includes(line), line)
  const c = await start(t, { name: 'c', natTraversal: false })
  await c.join((await b.invite()).invite)
  assert.deepEqual((await c.send('b', 'a stranger to the relay')).path, 'relayed')
  assert.ok(((await relay.status()).serving?.bytes ?? 0) > 0)
})

test('a relay says on its card that it relays, and where its STUN server is; both are gone with the option', async (t) => {
  const free = createSocket('udp4')
  await new Promise<void>((resolve) => free.bind(0, '127.0.0.1', resolve))
  const { port } = free.address()
  await new Promise<void>((resolve) => free.close(() => resolve()))
  const relay = await relayNode(t, { name: 'relay', stunPort: port })
  const plain = await start(t, { name: 'plain', listenAddrs: loopback })
  const b = await start(t, { name: 'b' })
  for (const node of [relay, plain]) await b.join((await node.invite()).invite)
  await b.discover({ timeoutMs: 1_000 }).catch(() => undefined)
  const featuresOf = async (name: string): Promise<readonly string[]> => (await b.peer(name)).features
  await until(async () => (await featuresOf('relay')).includes('relay-1'), 'the card is there')
  assert.ok((await featuresOf('relay')).includes(`stun-${port}`))
  assert.ok(!(await featuresOf('plain')).some((feature) => feature.startsWith('relay-') || feature.startsWith('stun-')))
  assert.equal((await relay.status()).serving?.stunPort, port)
  const asking = createSocket('udp4')
  t.after(() => asking.close())
  const answer = new Promise<Buffer>((resolve) => asking.once('message', resolve))
  asking.send(Buffer.concat([Buffer.from('000100002112a442', 'hex'), random.bytes(12)]), port, '127.0.0.1')
  assert.equal((await answer).readUInt16BE(0), 0x0101)
})

test('a node on loopback addresses uses no relay that it was not told of', async (t) => {
  const relay = await relayNode(t, { name: 'relay', relayOpen: true })
  const b = await start(t, { name: 'b', listenAddrs: loopback, bootstrapPeers: [addressOf(relay)] })
  await b.join((await relay.invite()).invite)
  await until(async () => (await b.peer('relay')).features.includes('relay-1'), 'it knows that the peer relays', 15_000)
  for (let count = 0; count < 3; count++) assert.equal((await b.send('relay', 'time passes')).status, 'stored')
  assert.deepEqual([(await b.status()).relays, (await relay.status()).serving?.reservations], [[], 0])
})

test('announced addresses are told at once, on the card and in an invite', async (t) => {
  const announced = '/dns4/relay.example/tcp/9000'
  const relay = await relayNode(t, { announceAddrs: [announced] })
  assert.ok(relay.addresses().includes(`${announced}/p2p/${relay.peerId}`))
})

test('of bootstrap and paired peers those become relays whose cards say so, and of the relays of paired peers, too', async (t) => {
  const relay = await relayNode(t, { relayOpen: true })
  const behind = await relayNode(t, { relayOpen: true })
  await using host = await startTestHost({ listen: [], network: common.network })
  const cards = new Map<string, Card>()
  const cardWith = (mesh: Mesh, features: readonly string[]): Card => ({
    network: common.network,
    publicKey: new Uint8Array(32),
    name: '',
    labels: [],
    features,
    addresses: mesh.addresses(),
    issuedAt: 0 as never
  })
  const fetched: string[] = []
  let changes = 0
  const paired = {
    publicKey: new Uint8Array(32),
    peerId: 'p',
    name: '',
    alias: '',
    pairedAt: 0 as never,
    commands: true,
    addresses: [`${addressOf(behind)}/p2p-circuit/p2p/p`]
  }
  const options: Omit<RelayKeeperOptions, 'libp2p' | 'connect' | 'port'> = {
    clock,
    timers,
    random,
    log: () => undefined,
    options: {
      listenAddrs: ['/ip4/0.0.0.0/tcp/9000'],
      relays: [],
      bootstrapPeers: [addressOf(relay)],
      announceAddrs: [],
      natTraversal: true,
      relayServe: false
    },
    pairs: () => [paired],
    cardOf: (peerId) => cards.get(peerId),
    fetchCard: (peerId) => fetched.push(peerId),
    want: () => undefined,
    onChanged: () => changes++
  }
  const keeper = new RelayKeeper({ ...options, libp2p: host.libp2p, connect: host.connect, port: host.relays })
  t.after(() => keeper.stop())
  await keeper.start()
  assert.deepEqual(keeper.relays, [])
  for (const each of [relay, behind]) await host.libp2p.dial(multiaddr(addressOf(each)))
  assert.deepEqual(fetched, [relay.peerId, behind.peerId], 'their cards are asked for')
  cards.set(relay.peerId, cardWith(relay, ['message-1']))
  keeper.learned(relay.peerId, cardWith(relay, ['message-1']))
  assert.deepEqual(keeper.relays, [], 'who does not say that it relays is not asked')
  const says = async (mesh: Mesh): Promise<void> => {
    const card = cardWith(mesh, ['message-1', 'relay-1'])
    cards.set(mesh.peerId, card)
    const learnedAt = performance.now()
    keeper.learned(mesh.peerId, card)
    await until(() => keeper.relays.some(({ peerId, reserved }) => reserved && peerId === mesh.peerId), 'there is a place')
    assert.ok(performance.now() - learnedAt < 1_000)
  }
  await says(relay)
  await says(behind)
  assert.equal(changes, 2)
  // As when a peer has dialled a public address of it.
  await using publicHost = await startTestHost({ network: common.network, announce: ['/ip4/192.88.0.1/tcp/9000'] })
  const atEase = new RelayKeeper({ ...options, libp2p: publicHost.libp2p, connect: publicHost.connect, port: publicHost.relays })
  t.after(() => atEase.stop())
  await atEase.start()
  assert.deepEqual(atEase.relays, [], 'a node that is public looks for no relay')
})

test('an invite names one address over each relay in turn, those on port 443 first, after public addresses and before local ones', () => {
  const at = (ip: string, port: string, relay: string): string => `/ip4/${ip}/tcp/${port}/p2p/${relay}/p2p-circuit`
  const own = '/p2p/12D3KooWCPSuexGXdBHD6TJTxbT5z9DhYUvHR1P7uotTPEpa92VU'
  const given = [
    '/ip4/127.0.0.1/tcp/1',
    '/ip4/10.0.0.2/tcp/1',
    at('192.0.2.1', '9000', 'A'),
    at('192.0.2.1', '443/ws', 'A'),
    at('192.0.2.2', '9000', 'B'),
    '/ip4/192.0.2.9/tcp/1'
  ]
  assert.deepEqual(inviteAddresses(given.map((address) => address + own)), [
    '/ip4/192.0.2.9/tcp/1',
    at('192.0.2.1', '443/ws', 'A'),
    at('192.0.2.2', '9000', 'B'),
    at('192.0.2.1', '9000', 'A'),
    '/ip4/10.0.0.2/tcp/1'
  ])
  assert.deepEqual(inviteAddresses([`/ip4/127.0.0.1/tcp/1${own}`]), ['/ip4/127.0.0.1/tcp/1'])
})
