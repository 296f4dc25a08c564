import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { build, DaemonHost } from './daemon-host.ts'
import { isSkipped, Lab } from './lab.ts'
import { poll } from './net.ts'

interface Status {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly reachability: string
  readonly relays: readonly { readonly peerId: string; readonly address: string; readonly reserved: boolean; readonly latencyMs?: number }[]
}

const placesOf = async (host: DaemonHost): Promise<readonly string[]> =>
  (await host.json<Status & Readonly<Record<string, unknown>>>('status')).relays.flatMap(({ peerId, reserved }) => (reserved ? [peerId] : []))
const bootstrapOf = (flags: readonly string[]): readonly string[] => flags.slice(flags.indexOf('--bootstrap'))

/** How long until a node has its first place, from the moment at which its daemon has started. */
async function firstPlaceMs(host: DaemonHost): Promise<number> {
  const startedAt = performance.now()
  await poll(`${host.name} has a place`, 10_000, async () => (await placesOf(host)).length > 0)
  return performance.now() - startedAt
}

test(
  'a node that only knows a bootstrap node behind a NAT is reached over it, goes on over a second relay when that one dies, and where only ports 80 and 443 are open by WebSocket',
  { timeout: 180_000 },
  async (t) => {
    if (isSkipped(t)) return
    build()
    await using lab = await Lab.up({ sites: ['port1:15:port', 'sym1:17:sym', 'web1:23:web'], publicHosts: ['relay:1', 'turn:2', 'relay2:5'] })
    await using first = new DaemonHost(lab, 'relay')
    await using second = new DaemonHost(lab, 'relay2')
    const [one, two] = [await first.serveRelay('--open'), await second.serveRelay('--open')]
    assert.ok(
      one.flags.some((flag) => flag.startsWith('/ip4/11.77.1.2/tcp/9000/')) && one.flags.some((flag) => flag.includes('/tcp/443/ws/')),
      one.flags.join(' ')
    )
    await using port = new DaemonHost(lab, 'port1')
    await port.init(...bootstrapOf(one.flags), ...bootstrapOf(two.flags))
    const portMs = await firstPlaceMs(port)
    await using web = new DaemonHost(lab, 'web1')
    await web.init(...one.flags)
    const webMs = await firstPlaceMs(web)
    t.diagnostic(`first place after ${Math.round(portMs)} ms at a bootstrap node, ${Math.round(webMs)} ms by WebSocket`)
    assert.ok(portMs < 2_500 && webMs < 2_500, 'a place comes within a second or two of the start, processes of the command line included')
    await poll('the first node has both', 5_000, async () => (await placesOf(port)).length === 2)
    const { addresses, reachability } = await port.json<Status & Readonly<Record<string, unknown>>>('status')
    assert.equal(reachability, 'relay')
    assert.ok(
      addresses.some((address) => address.includes('/tcp/443/ws/') && address.includes('/p2p-circuit')),
      addresses.join('\n')
    )
    await web.join(port, 'port')
    assert.equal((await web.json('message', 'port', 'by WebSocket'))['status'], 'stored')
    await using sym = new DaemonHost(lab, 'sym1')
    await sym.init(...bootstrapOf(two.flags), '--listen', '/ip4/0.0.0.0/tcp/9000')
    await sym.join(port, 'port')
    one.child.kill('SIGKILL')
    await once(one.child, 'exit')
    const killedAt = performance.now()
    await poll('the dead relay is no place any more', 20_000, async () => (await placesOf(port)).length === 1)
    assert.equal((await sym.json('message', 'port', 'over the other one'))['status'], 'stored')
    t.diagnostic(`went on ${Math.round(performance.now() - killedAt)} ms after the relay was killed`)
    two.child.kill('SIGTERM')
    await once(two.child, 'exit')
  }
)
