import assert from 'node:assert/strict'
import type { NetworkInterfaceInfo } from 'node:os'
import { test } from 'node:test'
import { interfaceAddresses, NetworkWatch } from '../../src/node/network-watch.ts'

type Interfaces = Record<string, NetworkInterfaceInfo[]>

const ip4 = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  family: 'IPv4',
  internal,
  netmask: '255.255.255.0',
  mac: '00:00:00:00:00:00',
  cidr: null
})
const ip6 = (address: string): NetworkInterfaceInfo => ({ ...ip4(address), family: 'IPv6', scopeid: 0 })

/** A machine whose interfaces change, and whose time goes when it is told. */
class Machine {
  interfaces: Interfaces = { lo: [ip4('127.0.0.1', true)], eth0: [ip4('192.168.1.2'), ip6('fe80::1')] }
  readonly timers: { readonly delayMs: number; readonly run: () => void }[] = []
  cancelled = 0
  readonly watch = new NetworkWatch({
    read: () => this.interfaces,
    timers: {
      schedule: (delayMs, run) => {
        this.timers.push({ delayMs, run })
        return () => this.cancelled++
      }
    }
  })

  look(): void {
    const timer = this.timers.shift()
    assert.equal(timer?.delayMs, 2_000)
    timer?.run()
  }
}

test('it tells of addresses that come and go, once for each change', () => {
  const machine = new Machine()
  let changes = 0
  const end = machine.watch.onChange(() => changes++)
  machine.look()
  assert.equal(changes, 0)
  machine.interfaces = { ...machine.interfaces, wlan0: [ip4('10.0.0.7')] }
  machine.look()
  machine.look()
  assert.equal(changes, 1)
  machine.interfaces = { lo: machine.interfaces['lo'] ?? [] }
  machine.look()
  assert.equal(changes, 2)
  end()
  assert.equal(machine.cancelled, 1)
})

test('loopback, link-local addresses and the order of interfaces are no change', () => {
  const machine = new Machine()
  let changes = 0
  machine.watch.onChange(() => changes++)
  machine.interfaces = { eth0: [ip6('fe80::2'), ip4('192.168.1.2')], lo: [ip4('127.0.0.1', true), ip4('127.0.0.5', true)] }
  machine.look()
  assert.equal(changes, 0)
})

test('nobody who wants to know, nothing that looks', () => {
  const machine = new Machine()
  const ends = [machine.watch.onChange(() => undefined), machine.watch.onChange(() => undefined)]
  assert.equal(machine.timers.length, 1)
  for (const end of ends) end()
  assert.equal(machine.cancelled, 1)
})

test('addresses are given in canonical form with their family', () => {
  assert.deepEqual(interfaceAddresses({ lo: [ip4('127.0.0.1', true)], eth0: [ip6('FE80:0::1')], none: undefined }), [
    { address: '127.0.0.1', family: 4, isInternal: true },
    { address: 'fe80::1', family: 6, isInternal: false }
  ])
  assert.ok(interfaceAddresses().some(({ address }) => address === '127.0.0.1'))
})
