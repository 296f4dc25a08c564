import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build, DaemonHost } from './daemon-host.ts'
import { isSkipped, Lab } from './lab.ts'
import { LabNet, poll } from './net.ts'

const router = { sites: ['upnp1:26:upnp', 'tcp1:21:tcp'], publicHosts: ['relay:1', 'turn:2', 'open1:3'] } as const
const mapped = '/ip4/11.77.26.2/tcp/9000'
const rule = /th dport 9000 dnat ip to 192\.168\.26\.2:9000/

const isOpen = async (lab: Lab): Promise<boolean> => rule.test(await lab.natlab('gw', 'upnp1'))

/** Starts the router's daemon again with one way less. */
async function without(lab: Lab, option: 'enable_upnp' | 'enable_natpmp'): Promise<void> {
  const conf = `${lab.folder}/upnp-upnp1.conf`
  const pid = `${lab.folder}/upnp-upnp1.pid`
  const script = `sed -i s/${option}=yes/${option}=no/ ${conf}; pid=$(cat ${pid}); kill $pid; while kill -0 $pid 2> /dev/null; do sleep 0.05; done
    setsid miniupnpd -d -f ${conf} -P ${pid} > ${lab.folder}/upnp-upnp1.log 2>&1 < /dev/null &`
  assert.equal((await lab.run('upnp1.gw', ['bash', '-c', script])).code, 0)
}

/** A node behind the router is dialled by one that has no UDP, at the port that the router forwards. */
async function dialIn(net: LabNet): Promise<void> {
  const inside = await net.host('upnp1')
  const { peerId } = await inside.call('start', net.config('upnp1', { stunServers: [] }))
  const announced = async (): Promise<boolean> => (await inside.call('facts')).addresses.includes(`${mapped}/p2p/${peerId}`)
  await poll('the mapped address is confirmed and announced', 20_000, announced)
  assert.ok(await isOpen(net.lab), 'the rule is in the router')
  const caller = await net.host('tcp1')
  await caller.call('start', net.config('tcp1', { stunServers: [] }))
  await caller.call('join', await inside.call('invite'), 'upnp1')
  await poll('the caller knows that the port is mapped', 10_000, async () => (await caller.call('peer', 'upnp1')).path === 'direct-mapped')
  await poll('the other one, too', 10_000, async () => (await inside.call('peer', 'tcp1')).path === 'direct-mapped')
  await inside.call('stop')
  assert.ok(!(await isOpen(net.lab)), 'the rule is gone')
}

test('UPnP: the router’s rule appears, a node without UDP dials in, and the rule is gone after the stop', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up(router)
  await without(net.lab, 'enable_natpmp')
  await dialIn(net)
})

test('NAT-PMP alone does the same', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up(router)
  await without(net.lab, 'enable_upnp')
  await dialIn(net)
})

test('nothing is opened with port_mapping off', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up(router)
  const inside = await net.host('upnp1')
  await net.start('upnp1', { portMapping: false })
  assert.ok(!(await isOpen(net.lab)))
  const { stdout } = await net.lab.run('upnp1.gw', ['cat', `${net.lab.folder}/upnp-upnp1.log`])
  assert.doesNotMatch(stdout, /AddPortMapping|M-SEARCH/)
  await inside.call('stop')
})

test('a public node has its addresses confirmed over IPv4 and IPv6 by one bootstrap peer, and announces them', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: [], publicHosts: ['turn:2', 'open1:3', 'open2:4'], relays: [] })
  const [open1, open2] = await Promise.all([net.host('open1'), net.host('open2')])
  const helper = await open2.call('start', net.config('open2', { announceAddrs: ['/ip6/2a0f:7777:4::2/tcp/9000'] }))
  const { peerId } = await open1.call('start', net.config('open1', { bootstrapPeers: [`/ip4/11.77.4.2/tcp/9000/p2p/${helper.peerId}`] }))
  const announced = async (): Promise<boolean> => {
    const { addresses } = await open1.call('facts')
    return ['/ip4/11.77.3.2/tcp/9000', '/ip6/2a0f:7777:3::2/tcp/9000'].every((address) => addresses.includes(`${address}/p2p/${peerId}`))
  }
  await poll('both are announced', 20_000, announced)
  // It trusts nobody there, so that nobody was asked.
  assert.deepEqual(
    (await open2.call('facts')).addresses.filter((address) => address.startsWith('/ip4/11.')),
    []
  )
})

test('a port that somebody forwards by hand is found out, and announced', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: ['port1:15:port'], publicHosts: ['relay:1', 'turn:2'] })
  const add = ['add', 'rule', 'ip', 'natlab', 'prerouting', 'iifname', 'wan', 'tcp', 'dport', '9000', 'dnat', 'to', '192.168.15.2:9000'] as const
  assert.equal((await net.lab.run('port1.gw', ['nft', ...add])).code, 0)
  const inside = await net.host('port1')
  const { peerId } = await inside.call('start', net.config('port1', { portMapping: false }))
  const announced = async (): Promise<boolean> => (await inside.call('facts')).addresses.includes(`/ip4/11.77.15.2/tcp/9000/p2p/${peerId}`)
  await poll('the address is announced', 20_000, announced)
})

test('in another network the port is mapped anew', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up(router)
  const inside = await net.host('upnp1')
  await inside.call('start', net.config('upnp1'))
  await poll('the port is mapped', 20_000, () => isOpen(net.lab))
  const moves = 'ip addr flush dev eth; ip addr add 192.168.26.9/24 dev eth; ip route add default via 192.168.26.1; ip route add 224.0.0.0/4 dev eth'
  assert.equal((await net.lab.run('upnp1', ['sh', '-c', moves])).code, 0)
  await poll('it is mapped to the new address', 30_000, async () => /dnat ip to 192\.168\.26\.9:/.test(await net.lab.natlab('gw', 'upnp1')))
  await inside.call('stop')
  assert.doesNotMatch(await net.lab.natlab('gw', 'upnp1'), /dnat ip to 192\.168\.26\.9:/)
})

test('the port is closed when the daemon gets SIGTERM', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  build()
  await using lab = await Lab.up(router)
  await using relay = new DaemonHost(lab, 'relay')
  const { flags } = await relay.serveRelay('--open')
  await using inside = new DaemonHost(lab, 'upnp1')
  await inside.init(...flags)
  await poll('the rule is in the router', 20_000, () => isOpen(lab))
  const { portMapping } = await inside.json<{ readonly portMapping: unknown }>('netcheck')
  t.diagnostic(JSON.stringify(portMapping))
  const { daemon } = await inside.json<{ readonly daemon: { readonly pid: number } }>('status', '--detailed')
  process.kill(daemon.pid, 'SIGTERM')
  await poll('the rule is gone', 10_000, async () => !(await isOpen(lab)))
})
