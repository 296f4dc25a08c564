import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { NatClass, NatFiltering, NatMapping } from '../../src/core/nat/index.ts'
import type { NatProbe } from '../../src/mesh/nat-ports.ts'
import { isSkipped, Lab, relayHosts, stunServer } from './lab.ts'

const hostScript = fileURLToPath(new URL('stun-host.ts', import.meta.url))
const sites = ['cone1:11:cone', 'addr1:13:addr', 'port1:15:port', 'sym1:17:sym', 'dbl1:19:dbl', 'tcp1:21:tcp', 'v61:24:v6']

/** What each host is: class, mapping, filtering, and the class when the filtering was not measured. */
const expected: Readonly<Record<string, readonly [NatClass, NatMapping, NatFiltering, NatClass]>> = {
  open1: ['open', 'none', 'endpoint-independent', 'open'],
  cone1: ['full-cone', 'endpoint-independent', 'endpoint-independent', 'cone'],
  addr1: ['address-restricted', 'endpoint-independent', 'address-dependent', 'cone'],
  port1: ['port-restricted', 'endpoint-independent', 'address-and-port-dependent', 'cone'],
  sym1: ['symmetric', 'address-and-port-dependent', 'address-and-port-dependent', 'symmetric'],
  dbl1: ['port-restricted', 'endpoint-independent', 'address-and-port-dependent', 'cone'],
  v61: ['symmetric', 'address-and-port-dependent', 'address-and-port-dependent', 'symmetric'],
  tcp1: ['udp-blocked', 'unknown', 'unknown', 'udp-blocked']
}

async function probe(lab: Lab, host: string, servers: readonly string[]): Promise<NatProbe & { readonly tookMs: number }> {
  const { code, stdout, stderr } = await lab.run(host, [process.execPath, hostScript, ...servers])
  assert.equal(code, 0, `${host}: ${stderr}`)
  return JSON.parse(stdout) as NatProbe & { readonly tookMs: number }
}

async function serve(lab: Lab, host: string): Promise<ChildProcess> {
  const server = lab.node(host, [hostScript, 'serve'])
  assert.ok(server.stdout !== null)
  await once(server.stdout, 'data')
  return server
}

/** Checks every host, two at a time. */
async function checkAll(
  lab: Lab,
  servers: readonly string[],
  check: (host: string, found: NatProbe & { readonly tookMs: number }) => void
): Promise<void> {
  const hosts = Object.keys(expected)
  const next = async (): Promise<void> => {
    for (let host = hosts.shift(); host !== undefined; host = hosts.shift()) check(host, await probe(lab, host, servers))
  }
  await Promise.all([next(), next()])
}

test('every NAT is classified by coturn, also over 50 ms and 2 % loss, and by two servers of our own', { timeout: 120_000 }, async (t) => {
  if (isSkipped(t)) return
  await using lab = await Lab.up({ sites })
  const checkWhole = (host: string, found: NatProbe & { readonly tookMs: number }): void => {
    const [natClass, mapping, filtering] = expected[host] ?? []
    assert.deepEqual([found.natClass, found.mapping, found.filtering], [natClass, mapping, filtering], host)
    assert.equal(found.ipv6, host === 'open1' || host === 'v61', host)
    assert.ok(found.tookMs < 2_000, `${host}: ${found.tookMs} ms`)
  }
  await t.test('by coturn', () => checkAll(lab, [stunServer], checkWhole))
  await t.test('by coturn when both of its addresses are named', () => checkAll(lab, [stunServer, 'stun:11.77.2.3:3478'], checkWhole))
  await t.test('by two servers of our own', async () => {
    const servers = [await serve(lab, 'relay'), await serve(lab, 'relay2')]
    await checkAll(lab, [`stun:${relayHosts.relay}`, `stun:${relayHosts.relay2}`], (host, found) => {
      const [, mapping, , natClass] = expected[host] ?? []
      assert.deepEqual([found.natClass, found.mapping, found.filtering], [natClass, mapping, 'unknown'], host)
    })
    for (const server of servers) {
      server.stdin?.end()
      await once(server, 'close')
    }
  })
  await t.test('over 50 ms and 2 % loss', async () => {
    await lab.delay(50, 2)
    await checkAll(lab, [stunServer], checkWhole)
  })
})
