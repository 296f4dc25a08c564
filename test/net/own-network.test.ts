import assert from 'node:assert/strict'
import { test } from 'node:test'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { wallMillis } from '../../src/core/base/index.ts'
import type { NatClass } from '../../src/core/nat/index.ts'
import type { NatProbe } from '../../src/mesh/nat-ports.ts'
import { OwnNetwork, type OwnNetworkOptions, type StunServer } from '../../src/mesh/own-network.ts'
import { Tracker } from '../../src/mesh/tracker.ts'

const relay = '12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X'
const stranger = '12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3'

const probeOf = (natClass: NatClass, servers: readonly StunServer[] = []): NatProbe => ({
  natClass,
  mapping: 'unknown',
  filtering: 'unknown',
  udp: 'unknown',
  publicAddress: undefined,
  ipv6: false,
  probedAt: wallMillis(0),
  servers: servers.map((server) => ({ ...server, address: server.host, result: 'answered', roundTripMs: 1 }))
})

/** A node whose probes are answered, and whose timers fire, when the test says so. */
class World {
  readonly timers: { readonly delayMs: number; readonly run: () => void }[] = []
  readonly probes: { readonly servers: readonly StunServer[]; readonly answer: (probe: NatProbe) => void; readonly fail: (error: Error) => void }[] =
    []
  readonly measured: NatClass[] = []
  readonly failures: string[] = []
  features: Readonly<Record<string, readonly string[]>> = {}
  addresses: readonly string[] = []
  connections: readonly { readonly peerId: string; readonly address: string; readonly limits?: object }[] = []
  onIdentify: () => void = () => undefined
  readonly network: OwnNetwork
  readonly tracker = new Tracker((what) => this.failures.push(what))

  constructor(stunServers: readonly string[], natTraversal = true) {
    const libp2p = {
      addEventListener: (_: string, handler: () => void) => void (this.onIdentify = handler),
      removeEventListener: () => undefined,
      getPeers: () => this.connections.map(({ peerId }) => peerIdFromString(peerId)),
      getConnections: (peer: { toString(): string }) =>
        this.connections
          .filter(({ peerId }) => peerId === peer.toString())
          .map(({ address, limits }) => ({ status: 'open', limits, remoteAddr: multiaddr(address) }))
    }
    const options = {
      libp2p,
      probe: {
        probe: (servers: readonly StunServer[]) =>
          new Promise<NatProbe>((resolve, reject) => this.probes.push({ servers, answer: resolve, fail: reject }))
      },
      options: { natTraversal, stunServers },
      book: { info: (peerId: string) => ({ features: this.features[peerId] ?? [], addresses: this.addresses }) },
      isFriend: () => false,
      isHelper: (peerId: string) => peerId === relay,
      timers: {
        schedule: (delayMs: number, run: () => void) => {
          const timer = { delayMs, run }
          this.timers.push(timer)
          return () => void (this.timers.includes(timer) && this.timers.splice(this.timers.indexOf(timer), 1))
        }
      },
      tracker: this.tracker,
      log: () => undefined,
      onMeasured: ({ natClass }: NatProbe) => this.measured.push(natClass)
    }
    // Of libp2p and the book it sees what stands there.
    this.network = new OwnNetwork(options as never as OwnNetworkOptions)
  }

  get natClass(): NatClass | undefined {
    return this.network.facts?.natClass
  }

  /** Fires the one timer. */
  fire(expectedMs: number): void {
    const [timer, ...others] = this.timers.splice(0)
    assert.deepEqual([timer?.delayMs, others.length], [expectedMs, 0])
    timer?.run()
  }

  async answer(natClass: NatClass): Promise<void> {
    const probe = this.probes.shift()
    assert.ok(probe !== undefined, 'nobody is asked')
    probe.answer(probeOf(natClass, probe.servers))
    await this.settled()
  }

  /** Lets what was answered arrive. */
  settled(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }
}

const configured = ['stun:11.77.2.2']

test('it is measured at the start and every ten minutes', async () => {
  const world = new World(configured)
  world.network.start()
  assert.equal(world.natClass, undefined)
  world.fire(200)
  assert.deepEqual(world.probes[0]?.servers, [{ host: '11.77.2.2', port: 3478 }])
  await world.answer('port-restricted')
  assert.equal(world.natClass, 'port-restricted')
  world.fire(600_000)
  await world.answer('symmetric')
  assert.deepEqual(world.measured, ['port-restricted', 'symmetric'])
})

test('what is not known, or looks blocked, is asked again after a minute; so is what failed', async () => {
  const world = new World(configured)
  world.network.start()
  world.fire(200)
  await world.answer('udp-blocked')
  world.fire(60_000)
  await world.answer('unknown')
  world.fire(60_000)
  world.probes.shift()?.fail(new Error('no sockets left'))
  await world.settled()
  assert.equal(world.failures.length, 1)
  world.fire(60_000)
  await world.answer('cone')
  assert.equal(world.natClass, 'cone')
})

test('with NAT traversal off nobody is asked, unless somebody wants to know', async () => {
  const world = new World(configured, false)
  world.network.start()
  world.network.refresh()
  assert.equal(world.timers.length, 0)
  const measuring = world.network.measure()
  await world.answer('cone')
  assert.equal((await measuring)?.natClass, 'cone')
  assert.equal(world.timers.length, 0)
})

test('the STUN server of a helper is asked as soon as its card is known; that of a stranger or behind a relay never is', async () => {
  const world = new World([])
  world.network.start()
  world.fire(200)
  await world.settled()
  assert.equal(world.probes.length, 0)
  world.features = { [relay]: ['relay-1', 'stun-3478'], [stranger]: ['stun-3478'] }
  world.connections = [{ peerId: stranger, address: '/ip4/11.77.9.9/tcp/9000' }]
  world.network.refresh()
  world.connections = [{ peerId: relay, address: `/ip4/11.77.9.9/tcp/9000/p2p/${stranger}/p2p-circuit`, limits: {} }]
  world.network.refresh()
  assert.equal(world.timers.length, 0)
  assert.deepEqual(world.network.servers(), [])
  world.connections = [{ peerId: relay, address: '/ip4/11.77.1.2/tcp/9000' }]
  world.network.refresh()
  world.fire(200)
  assert.deepEqual(world.probes[0]?.servers, [{ host: '11.77.1.2', port: 3478 }])
})

test('a relay that is connected over IPv6 is asked at the public IPv4 address of its card: there are the NATs', () => {
  const world = new World([])
  world.features = { [relay]: ['stun-3478'] }
  world.connections = [{ peerId: relay, address: '/ip6/2a0f:7777:1::2/tcp/9000' }]
  assert.deepEqual(world.network.servers(), [{ host: '2a0f:7777:1::2', port: 3478 }])
  world.addresses = [`/ip4/11.77.9.9/tcp/9000/p2p/${stranger}/p2p-circuit`, '/ip4/192.168.1.1/tcp/9000', '/ip4/11.77.1.2/tcp/443/ws']
  assert.deepEqual(world.network.servers(), [{ host: '11.77.1.2', port: 3478 }])
})

test('a server that comes to be known while others are asked is asked right after', async () => {
  const world = new World(configured)
  world.network.start()
  world.fire(200)
  world.features = { [relay]: ['stun-3478'] }
  world.connections = [{ peerId: relay, address: '/ip4/11.77.1.2/tcp/9000' }]
  world.onIdentify()
  world.fire(200)
  assert.equal(world.probes.length, 1)
  await world.answer('unknown')
  world.fire(200)
  assert.equal(world.probes[0]?.servers.length, 2)
  await world.answer('cone')
  world.fire(600_000)
})

test('another network makes what was known void, also while it is being measured', async () => {
  const world = new World(configured)
  world.network.start()
  world.fire(200)
  await world.answer('open')
  world.network.networkChanged()
  assert.equal(world.natClass, undefined)
  world.fire(200)
  world.network.networkChanged()
  world.fire(200)
  assert.equal(world.probes.length, 1, 'it joins what is being asked')
  await world.answer('open')
  assert.equal(world.natClass, undefined, 'that was seen in the network before')
  world.fire(200)
  await world.answer('symmetric')
  assert.equal(world.natClass, 'symmetric')
})

test('nothing is asked any more once it is stopped', async () => {
  const world = new World(configured)
  world.network.start()
  world.network.stop()
  assert.equal(world.timers.length, 0)
  world.network.networkChanged()
  assert.equal(world.timers.length, 0)
})

test('a card that names no port of a STUN server spoils no look at the network', () => {
  const world = new World([])
  world.connections = [{ peerId: relay, address: `/ip4/11.77.1.2/tcp/9000/p2p/${relay}` }]
  for (const feature of ['stun-0', 'stun-65536', 'stun-99999', 'stun-03478']) {
    world.features = { [relay]: ['relay-1', feature] }
    assert.deepEqual(world.network.servers(), [], feature)
  }
  world.features = { [relay]: ['stun-99999', 'stun-65535'] }
  assert.deepEqual(world.network.servers(), [{ host: '11.77.1.2', port: 65_535 }])
})

test('a relay that was dialled by its name is asked by its name', () => {
  const world = new World([])
  world.features = { [relay]: ['relay-1', 'stun-3478'] }
  world.connections = [{ peerId: relay, address: `/dns4/relay.example/tcp/9000/p2p/${relay}` }]
  assert.deepEqual(world.network.servers(), [{ host: 'relay.example', port: 3_478 }])
})
