import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSkipped } from './lab.ts'
import { LabNet, poll } from './net.ts'

test(
  'a public node asks one without UDP, a stranger, over the relay to dial it: the connection is direct and stays',
  { timeout: 120_000 },
  async (t) => {
    if (isSkipped(t)) return
    await using net = await LabNet.up({ sites: ['tcp1:21:tcp'], publicHosts: ['relay:1', 'turn:2', 'open1:3'] })
    const open = await net.host('open1')
    await open.call('start', net.config('open1'))
    await poll('its address is announced', 15_000, async () =>
      (await open.call('facts')).addresses.some((address) => address.startsWith('/ip4/11.77.3.2/'))
    )
    const hidden = await net.start('tcp1')
    // The caller is the one that can be dialled: only the other one can make a direct connection.
    const { attempts, path } = await open.call('nat', hidden.address, 'auto')
    t.diagnostic(JSON.stringify(attempts))
    assert.deepEqual([attempts.find(({ technique }) => technique === 'reversal')?.ok, path], [true, 'direct-public'])
    const hosts = [open, hidden.host]
    for (const [index, host] of hosts.entries()) {
      const other = (await hosts[1 - index]?.call('facts'))?.peerId
      const circuits = async (): Promise<readonly string[]> =>
        (await host.call('status')).connections.flatMap(({ peerId, address }) =>
          peerId === other && address.includes('/p2p-circuit') ? [address] : []
        )
      await poll('the relayed connection is closed', 10_000, async () => (await circuits()).length === 0)
      assert.equal((await host.call('peer', other ?? '')).path, 'direct-public')
    }
  }
)
