import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSkipped } from './lab.ts'
import { LabNet, poll } from './net.ts'
import { faultsOf, limitsNow, meet } from './pairs.ts'

const withoutStun = { stunServers: [] } as const

test('two hosts behind one router connect by their LAN addresses, without STUN and without a relay', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: ['lan:28:lan'], publicHosts: [], relays: [] })
  const [a, b] = await Promise.all(['lan1', 'lan2'].map((name) => net.host(name)))
  assert.ok(a !== undefined && b !== undefined)
  await Promise.all([a, b].map((host) => host.call('start', net.config(host.name, withoutStun))))
  await a.call('join', await b.call('invite'), 'other')
  assert.deepEqual([(await a.call('send', 'other', 'hello')).path, (await b.call('peer', 'lan1')).path], ['direct-lan', 'direct-lan'])
})

test('two hosts with public addresses meet by an invite alone: nobody has confirmed any address yet', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: [], publicHosts: ['open1:3', 'open2:4'], relays: [] })
  const [a, b] = await Promise.all(['open1', 'open2'].map((name) => net.host(name)))
  assert.ok(a !== undefined && b !== undefined)
  await Promise.all([a, b].map((host) => host.call('start', net.config(host.name, withoutStun))))
  await a.call('join', await b.call('invite'), 'other')
  const { path } = await a.call('send', 'other', 'hello')
  assert.match(path ?? '', /^direct-(public|ipv6)$/)
  const { path: back } = await b.call('send', 'open1', 'hello')
  assert.match(back ?? '', /^direct-(public|ipv6)$/)
  const isConfirmed = async (host: typeof a): Promise<boolean> =>
    (await host.call('facts')).addresses.some((address) => address.startsWith('/ip4/11.77.'))
  await poll('each has dialled the other: both addresses are announced', 10_000, async () => (await isConfirmed(a)) && (await isConfirmed(b)))
})

test('they find each other by mDNS alone', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: ['lan:28:lan'], publicHosts: [], relays: [] })
  const [a, b] = await Promise.all(['lan1', 'lan2'].map((name) => net.host(name)))
  assert.ok(a !== undefined && b !== undefined)
  await Promise.all([a, b].map((host) => host.call('start', net.config(host.name, { ...withoutStun, mdns: true }))))
  const { peerId } = await b.call('facts')
  const paths = async (): Promise<readonly (string | undefined)[]> =>
    (await a.call('status')).peerList.filter((peer) => peer.peerId === peerId).map(({ path }) => path)
  await poll('it is connected', 30_000, async () => (await paths())[0] === 'direct-lan')
})

test('met over a relay they go on by their LAN addresses', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: ['lan:28:lan'], publicHosts: ['relay:1'] })
  const result = await meet(net, ['lan1', 'lan2'], withoutStun)
  assert.deepEqual(result.paths, ['direct-lan', 'direct-lan', 'direct-lan'], JSON.stringify(result))
})

test('two hosts with global IPv6 connect over it, with neither STUN nor TURN', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites: ['v61:24:v6', 'v62:25:v6'], publicHosts: ['relay:1'] })
  const result = await meet(net, ['v61', 'v62'], withoutStun)
  assert.deepEqual(result.paths, ['direct-ipv6', 'direct-ipv6', 'direct-ipv6'], JSON.stringify(result))
})

test('two homes with the same addresses inside are not mistaken for one', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  const sites = ['port1:15:port', 'port2:16:port', 'sym1:17:sym']
  await using net = await LabNet.up({ sites, publicHosts: ['relay:1', 'turn:2'], isSameLan: true })
  const limits = limitsNow({ firstByteMs: 500, settledMs: 10_000 })
  for (const pair of [
    ['port1', 'port2'],
    ['sym1', 'port2']
  ] as const) {
    const result = await meet(net, pair)
    t.diagnostic(JSON.stringify(result))
    assert.deepEqual(faultsOf(result, limits), [])
  }
})
