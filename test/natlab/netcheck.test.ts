import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NetcheckReport } from '../../src/mesh/netcheck-report.ts'
import type { MeshConfig } from '../../src/node/index.ts'
import type { Host } from './host.ts'
import { isSkipped } from './lab.ts'
import { LabNet, poll } from './net.ts'

const sites = ['port1:15:port', 'sym1:17:sym', 'tcp1:21:tcp', 'v61:24:v6', 'upnp1:26:upnp']

const codes = ({ findings }: NetcheckReport): readonly string[] => findings.map(({ code }) => code)

/** A node with places at both relays. */
async function placed(net: LabNet, name: string, more: MeshConfig = {}): Promise<Host> {
  const { host } = await net.start(name, more)
  await poll(`${name} has two places`, 15_000, async () => (await host.call('status')).relays.filter(({ reserved }) => reserved).length === 2)
  return host
}

test('p2p netcheck tells what each network is, and what to do', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up({ sites, relays: ['relay', 'relay2'] })
  await t.test('behind a usual router nothing is wrong', async () => {
    const report = await (await placed(net, 'port1')).call('netcheck')
    assert.deepEqual(codes(report), [])
    assert.deepEqual([report.natClass, report.udp, report.ipv6, report.publicAddress?.address], ['port-restricted', 'open', false, '11.77.15.2'])
    assert.ok(report.stun.some(({ host, result }) => host === '11.77.2.2' && result === 'answered'))
    assert.equal(report.relays.length, 2)
    for (const { reserved, latencyMs } of report.relays) assert.ok(reserved && latencyMs !== undefined && latencyMs < 500)
    assert.ok(report.ms < 3_500, `${report.ms} ms`)
  })
  await t.test('without UDP it says so, and the relays are there all the same', async () => {
    const report = await (await placed(net, 'tcp1')).call('netcheck')
    assert.deepEqual([report.natClass, report.udp, report.publicAddress], ['udp-blocked', 'blocked', undefined])
    assert.deepEqual(codes(report), ['UDP_BLOCKED'])
    assert.ok(report.relays.every(({ reserved, latencyMs }) => reserved && latencyMs !== undefined))
    assert.ok(report.ms < 3_500, `${report.ms} ms`)
  })
  await t.test('a symmetric NAT is named by the two relays alone, which are STUN servers', async () => {
    const host = await placed(net, 'sym1', { stunServers: [] })
    await poll('the cards of both relays are known', 15_000, async () => (await host.call('netcheck')).stun.length === 2)
    const report = await host.call('netcheck')
    assert.deepEqual([report.natClass, report.mapping, report.filtering], ['symmetric', 'address-and-port-dependent', 'unknown'])
    assert.deepEqual(codes(report), ['NAT_SYMMETRIC'])
  })
  await t.test('with IPv6 a symmetric NAT is no trouble', async () => {
    const report = await (await placed(net, 'v61')).call('netcheck')
    assert.deepEqual([report.natClass, report.ipv6, codes(report)], ['symmetric', true, []])
  })
  await t.test('the port that a router opened is told, and that a relay reached the node at it', async () => {
    const host = (await net.start('upnp1')).host
    await poll('the port is confirmed', 20_000, async () => {
      const { portMapping } = await host.call('netcheck')
      return portMapping.state === 'mapped' && portMapping.isConfirmed
    })
    const report = await host.call('netcheck')
    assert.ok(
      report.confirmed.some((address) => address.startsWith('/ip4/11.77.26.2/tcp/')),
      report.confirmed.join()
    )
  })
})
