import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { networkIds } from '../../src/mesh/network-ids.ts'
import { GossipWatchdog } from '../../src/mesh/gossip-watchdog.ts'
import { PeerSupervisor } from '../../src/mesh/supervisor.ts'
import { gossipPort } from '../../src/node/host-ports.ts'
import { silentAddresses } from './silent.ts'
import { clock, random, startTestHost, timers, until } from './support.ts'

const gossipId = networkIds('test').gossip
const topic = '/synaptic-mesh/test/gossip/cards/1'

test('a node that lost its bootstrap node reconnects by itself when that is back, on the same address', async () => {
  const first = await startTestHost()
  const [address] = first.libp2p.getMultiaddrs().map(String)
  assert.ok(address !== undefined)
  await using node = await startTestHost()
  const limits = { firstDelayMs: 50, maxDelayMs: 200 }
  const supervisor = new PeerSupervisor({
    libp2p: node.libp2p,
    connect: node.connect,
    clock,
    timers,
    random,
    limits,
    log: (record) => node.logs.push(record)
  })
  supervisor.start()
  supervisor.want(first.peerId, [address])
  await until(() => supervisor.counts.connected === 1, 'the first connection')
  await first[Symbol.asyncDispose]()
  await until(() => supervisor.counts.connected === 0, 'the loss is noticed')
  await until(() => node.logs.filter((record) => record.event === 'peer.dial-failed').length > 5, 'it goes on trying')
  await using back = await startTestHost({ seed: first.seed, listen: [address.replace(/\/p2p\/.*$/, '')] })
  await until(() => supervisor.counts.connected === 1, 'the connection to the node that is back')
  assert.deepEqual(node.libp2p.getPeers().map(String), [back.peerId])
  supervisor.stop()
})

test('a wanted peer that moved to another port is found again through the DHT', async () => {
  await using hub = await startTestHost()
  const mover = await startTestHost()
  await using node = await startTestHost()
  const [hubAddress] = hub.libp2p.getMultiaddrs()
  assert.ok(hubAddress !== undefined)
  await Promise.all([mover.libp2p.dial(hubAddress), node.libp2p.dial(hubAddress)])
  const supervisor = new PeerSupervisor({
    libp2p: node.libp2p,
    connect: node.connect,
    clock,
    timers,
    random,
    limits: { firstDelayMs: 100, maxDelayMs: 500 },
    log: () => undefined
  })
  supervisor.start()
  supervisor.want(mover.peerId, mover.libp2p.getMultiaddrs().map(String))
  await until(() => supervisor.counts.connected === 1, 'the first connection')
  await mover[Symbol.asyncDispose]()
  await until(() => supervisor.counts.connected === 0, 'the loss is noticed')
  await using moved = await startTestHost({ seed: mover.seed })
  await moved.libp2p.dial(hubAddress)
  await until(() => supervisor.counts.connected === 1, 'the connection to the new port', 30_000)
  supervisor.stop()
})

test('addresses that others invent for a wanted peer do not keep us from those that it told itself', async () => {
  await using silent = await silentAddresses(17)
  await using friend = await startTestHost()
  await using node = await startTestHost()
  // As the DHT and mDNS bring them: anybody can say where a peer is.
  await node.libp2p.peerStore.merge(friend.libp2p.peerId, { multiaddrs: silent.addresses.slice(0, 5).map((address) => multiaddr(address)) })
  const options = { libp2p: node.libp2p, connect: node.connect, clock, timers, random, log: () => undefined }
  const supervisor = new PeerSupervisor({ ...options, limits: { firstDelayMs: 50, maxDelayMs: 200 } })
  supervisor.want(friend.peerId, ['/no/address', ...friend.libp2p.getMultiaddrs().map(String)])
  supervisor.hint(friend.peerId, silent.addresses)
  supervisor.start()
  await until(() => supervisor.counts.connected === 1, 'the connection', 5_000)
  supervisor.stop()
})

test('a reset gossip stream leaves a peer deaf; the watchdog hangs up, dials again, and gossip flows', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  const heard: string[] = []
  gossipPort(a.libp2p).subscribe(topic, () => 'accept')
  gossipPort(b.libp2p).subscribe(topic, (_from, data) => {
    heard.push(new TextDecoder().decode(data))
    return 'accept'
  })
  const say = async (text: string): Promise<void> => void (await gossipPort(a.libp2p).publish(topic, new TextEncoder().encode(text)))
  await a.libp2p.dial(b.libp2p.getMultiaddrs())
  const subscribed = (): boolean => a.libp2p.services.gossip.getSubscribers(topic).length === 1
  await until(subscribed, 'the subscription')
  await say('before')
  await until(() => heard.includes('before'), 'the first message')

  for (const stream of a.libp2p.getConnections().flatMap((connection) => connection.streams)) {
    if (stream.protocol === gossipId && stream.direction === 'outbound') stream.abort(new Error('test'))
  }
  await say('lost')
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.ok(!heard.includes('lost'), 'gossipsub mends a reset stream by itself now: the watchdog can go')

  const dog = new GossipWatchdog({
    libp2p: a.libp2p,
    clock,
    timers,
    protocol: gossipId,
    graceMs: 100,
    checkMs: 50,
    log: (record) => a.logs.push(record)
  })
  dog.start()
  await until(() => dog.healed > 0, 'the watchdog notices')
  await until(subscribed, 'the subscription is back')
  await until(async () => {
    await say('after')
    return heard.includes('after')
  }, 'gossip flows again')
  dog.stop()
  assert.ok(a.logs.some((record) => record.event === 'gossip.healed'))
})

test('a healthy peer, and one that does not speak gossip, are left alone', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  await using other = await startTestHost({ network: 'elsewhere' })
  gossipPort(a.libp2p).subscribe(topic, () => 'accept')
  gossipPort(b.libp2p).subscribe(topic, () => 'accept')
  await a.libp2p.dial(b.libp2p.getMultiaddrs())
  await a.libp2p.dial(other.libp2p.getMultiaddrs())
  await until(() => a.libp2p.services.gossip.getSubscribers(topic).length === 1, 'the subscription')
  const dog = new GossipWatchdog({ libp2p: a.libp2p, clock, timers, protocol: gossipId, graceMs: 0, log: () => undefined })
  for (let round = 0; round < 3; round++) await dog.check()
  assert.equal(dog.healed, 0)
  assert.equal(a.libp2p.getConnections().length, 2)
})
