import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { isMeshError, MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { NatProbe, StunServerReport } from '../../src/mesh/nat-ports.ts'
import { type NetcheckFacts, netcheckReport } from '../../src/mesh/netcheck-report.ts'
import { createMesh, type Mesh } from '../../src/node/index.ts'
import { StunServer } from '../../src/node/stun-server.ts'

const asked = (host: string, result: StunServerReport['result'] = 'answered'): StunServerReport => ({
  host,
  port: 3478,
  address: host,
  result,
  roundTripMs: result === 'answered' ? 20 : undefined
})

const probe: NatProbe = {
  natClass: 'port-restricted',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  udp: 'open',
  publicAddress: { address: '11.77.15.2', port: 40_000 },
  ipv6: false,
  probedAt: wallMillis(0),
  servers: [asked('11.77.1.2'), asked('11.77.5.2')]
}
const relay = { peerId: 'R', name: 'relay-fra', address: '/ip4/11.77.1.2/tcp/9000/p2p/R', reserved: true, latencyMs: 20 }
const usual: NetcheckFacts = {
  probe,
  interfaces: [
    { address: '127.0.0.1', family: 4, isInternal: true },
    { address: '192.168.1.2', family: 4, isInternal: false }
  ],
  options: { listenAddrs: ['/ip4/0.0.0.0/tcp/9000'], natTraversal: true, bootstrapPeers: [] },
  confirmed: [],
  portMapping: { state: 'none', reason: 'no router answers' },
  relays: [relay],
  iceUnavailable: undefined,
  turnServers: 0,
  turnTrouble: undefined
}
const codes = (changes: Partial<NetcheckFacts>): readonly string[] => netcheckReport({ ...usual, ...changes }, 0).findings.map(({ code }) => code)

test('a node behind a usual NAT with two STUN servers and a relay is told that nothing is wrong', () => {
  assert.deepEqual(codes({}), [])
})

test('whatever is wrong is said once, with the next step', () => {
  const nobody = { probe: undefined, relays: [] }
  const blocked = { ...probe, natClass: 'udp-blocked', udp: 'blocked', publicAddress: undefined, servers: [asked('11.77.1.2', 'silent')] } as const
  const symmetric = { ...probe, natClass: 'symmetric', mapping: 'address-and-port-dependent' } as const
  const one = { ...probe, natClass: 'unknown', mapping: 'unknown', servers: [asked('11.77.1.2')] } as const
  const loopback = { options: { listenAddrs: ['/ip4/127.0.0.1/tcp/0', '/ip6/::1/tcp/0'], natTraversal: true, bootstrapPeers: [] } }
  const ipv6 = { address: '2a0f:7777:1::2', family: 6, isInternal: false } as const
  const turnTrouble = new MeshError('TURN_FAILED', { server: 'turn:11.77.2.2:3478', reason: 'the credentials are wrong (401)' })
  const cases: readonly (readonly [Partial<NetcheckFacts>, readonly string[]])[] = [
    [nobody, ['STUN_NONE', 'RELAY_NONE']],
    [{ probe: undefined, relays: [], confirmed: ['/ip4/11.77.3.2/tcp/9000'] }, []],
    [{ probe: one, confirmed: ['/ip4/11.77.3.2/tcp/9000'] }, []],
    [{ probe: blocked }, ['UDP_BLOCKED']],
    [{ probe: blocked, relays: [] }, ['UDP_BLOCKED', 'RELAY_NONE']],
    [{ probe: { ...probe, servers: [asked('11.77.1.2'), asked('11.77.5.2', 'silent')] } }, ['STUN_SILENT']],
    [
      { probe: { ...probe, servers: [asked('a.example', 'unresolved'), asked('11.9.9.9', 'unreachable'), asked('11.8.8.8', 'implausible')] } },
      ['STUN_UNRESOLVED', 'STUN_UNREACHABLE', 'STUN_IMPLAUSIBLE']
    ],
    [{ probe: one }, ['STUN_ONE']],
    [{ probe: symmetric }, ['NAT_SYMMETRIC']],
    [{ probe: symmetric, turnServers: 1 }, []],
    [{ turnServers: 1, turnTrouble }, ['TURN_FAILED']],
    [{ probe: blocked, turnServers: 1, turnTrouble }, ['UDP_BLOCKED']],
    [{ probe: symmetric, interfaces: [...usual.interfaces, ipv6] }, []],
    [{ probe: symmetric, portMapping: { state: 'mapped', protocol: 'upnp', address: '/ip4/11.77.26.2/tcp/9000', isConfirmed: true } }, []],
    [{ relays: [{ ...relay, reserved: false, latencyMs: undefined }] }, ['RELAY_AWAY']],
    [{ relays: [], confirmed: ['/ip4/11.77.3.2/tcp/9000'] }, []],
    [{ relays: [], probe: { ...probe, natClass: 'open', mapping: 'none' } }, []],
    [{ iceUnavailable: 'node-datachannel is not installed' }, ['ICE_MISSING']],
    [{ options: { ...usual.options, natTraversal: false }, iceUnavailable: 'off' }, ['NAT_TRAVERSAL_OFF']],
    [{ interfaces: usual.interfaces.slice(0, 1) }, ['OFFLINE']],
    [{ ...loopback, ...nobody }, ['LOOPBACK_ONLY']],
    [{ ...loopback, probe: blocked }, ['LOOPBACK_ONLY', 'UDP_BLOCKED']]
  ]
  for (const [changes, wanted] of cases) assert.deepEqual(codes(changes), wanted, JSON.stringify(changes))
  for (const [changes] of cases)
    for (const { message, hint } of netcheckReport({ ...usual, ...changes }, 0).findings) assert.ok(message.length > 10 && hint.length > 10)
})

test('where bootstrap nodes are configured, they are named as what may be the relay that is missing', () => {
  const relayless = (bootstrapPeers: readonly string[]) =>
    netcheckReport({ ...usual, relays: [], options: { ...usual.options, bootstrapPeers } }, 0).findings.map(({ hint }) => hint)
  assert.match(relayless(['/ip4/11.77.1.2/tcp/9000/p2p/R'])[0] ?? '', /bootstrap nodes run/)
  assert.doesNotMatch(relayless([])[0] ?? '', /bootstrap/)
})

test('a global IPv6 address is told also while no STUN server is known', () => {
  const interfaces = [...usual.interfaces, { address: '2a0f:7777:1::2', family: 6, isInternal: false } as const]
  assert.equal(netcheckReport({ ...usual, probe: undefined, interfaces }, 0).ipv6, true)
  assert.equal(netcheckReport({ ...usual, interfaces: [...usual.interfaces, { address: 'fd00::1', family: 6, isInternal: false }] }, 0).ipv6, false)
})

const local = { listenAddrs: ['/ip4/127.0.0.1/tcp/0'], mdns: false, network: 'test-netcheck' }

test('a node asks the STUN servers of its configuration and says how long each took', async () => {
  await using first = await StunServer.start({ hosts: ['127.0.0.1'], port: 0, other: { host: '127.0.0.2', port: 0 } })
  await using mesh = await createMesh({ ...local, stunServers: [`stun:127.0.0.1:${first.port}`] })
  const report = await mesh.netcheck()
  assert.deepEqual([report.natClass, report.mapping, report.filtering, report.udp], ['open', 'none', 'endpoint-independent', 'open'])
  assert.equal(report.publicAddress?.address, '127.0.0.1')
  assert.deepEqual(
    report.stun.map(({ host, port, result }) => [host, port, result]),
    [['127.0.0.1', first.port, 'answered']]
  )
  assert.ok((report.stun[0]?.roundTripMs ?? 9_999) < 1_000)
  assert.deepEqual(
    report.findings.map(({ code }) => code),
    ['LOOPBACK_ONLY']
  )
})

test('a node on loopback without servers asks nobody, and a call that may take 1 ms is TIMEOUT', async () => {
  await using mesh = await createMesh(local)
  const report = await mesh.netcheck()
  assert.deepEqual([report.natClass, report.udp, report.stun, report.relays], ['unknown', 'unknown', [], []])
  assert.ok(report.ms < 1_000)
  const silent = createSocket('udp4').bind(0, '127.0.0.1')
  await once(silent, 'listening')
  await using slow = await createMesh({ ...local, stunServers: [`stun:127.0.0.1:${silent.address().port}`] })
  await assert.rejects(slow.netcheck({ timeoutMs: 1 }), (error) => isMeshError(error, 'TIMEOUT'))
  silent.close()
})

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

const reserved = async (mesh: Mesh): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const off = mesh.on('log', ({ event }) => event === 'relay.reserved' && resolve())
  const { relays } = await mesh.status()
  if (!relays.some((each) => each.reserved)) await promise
  off()
}

test('a relay of ours is asked as STUN server by its card alone, and pinged', { timeout: 30_000 }, async () => {
  const stunPort = await freeUdpPort()
  await using server = await createMesh({ ...local, relayServe: true, relayOpen: true, stunPort, name: 'relay-fra' })
  const [address = ''] = server.addresses()
  await using mesh = await createMesh({ ...local, relays: [address] })
  await reserved(mesh)
  const measured = Promise.withResolvers<void>()
  const off = mesh.on('log', ({ event }) => event === 'nat.measured' && measured.resolve())
  const before = await mesh.netcheck()
  if (before.stun.length === 0) await measured.promise
  off()
  const report = await mesh.netcheck()
  assert.deepEqual(
    report.stun.map(({ host, port, result }) => [host, port, result]),
    [['127.0.0.1', stunPort, 'answered']]
  )
  assert.equal(report.natClass, 'open')
  const [found] = report.relays
  assert.deepEqual({ ...found, latencyMs: 0 }, { peerId: server.peerId, name: found?.name, address, reserved: true, latencyMs: 0 })
  assert.ok((found?.latencyMs ?? 9_999) < 1_000)
})
