import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialableAddresses, ownAddresses } from '../../src/mesh/onion/descriptor-addresses.ts'

const relay = '12D3KooWCPSuexGXdBHD6TJTxbT5z9DhYUvHR1P7uotTPEpa92VU'
const own = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'
const loopback = '/ip4/127.0.0.1/tcp/9000'
const lan = '/ip4/192.168.1.2/tcp/9000'
const wide = '/ip4/198.51.77.1/tcp/9000'
const six = '/ip6/2600::1/tcp/9000/ws'
const circuit = `/ip4/198.51.77.9/tcp/9000/p2p/${relay}/p2p-circuit`
const named = (...addresses: readonly string[]): readonly string[] => addresses.map((address) => `${address}/p2p/${own}`)

test('a relay with public addresses tells these and no others, the own peer id left out', () => {
  assert.deepEqual(ownAddresses(named(loopback, lan, wide, six, circuit), 'relay'), { role: 'relay', addresses: [wide, six] })
})

test('in a local network a relay tells its private addresses, and loopback ones when it has nothing else', () => {
  assert.deepEqual(ownAddresses(named(loopback, lan), 'relay'), { role: 'relay', addresses: [lan] })
  assert.deepEqual(ownAddresses(named(loopback), 'relay'), { role: 'relay', addresses: [loopback] })
  assert.deepEqual(ownAddresses([], 'relay').addresses, [])
})

test('whoever is reached over circuit relays is an endpoint, whatever it wants', () => {
  assert.deepEqual(ownAddresses(named(loopback, lan, circuit), 'relay'), { role: 'endpoint', addresses: [circuit, lan] })
  assert.deepEqual(ownAddresses(named(circuit, wide, lan), 'endpoint'), { role: 'endpoint', addresses: [wide, circuit] })
  assert.deepEqual(ownAddresses(named(loopback), 'endpoint'), { role: 'endpoint', addresses: [loopback] })
})

test('names and what nobody can call are told to nobody', () => {
  const multiaddrs = named('/dns4/example.org/tcp/9000', '/ip4/0.0.0.0/tcp/9000', '/ip4/198.51.77.1/tcp/9000/tls/ws', '/ip6/fe80::1/tcp/9000', wide)
  assert.deepEqual(ownAddresses(multiaddrs, 'relay').addresses, [wide])
})

test('a node dials no address that reaches less far than its own', () => {
  const theirs = [loopback, lan, wide, circuit, `${loopback}/p2p/${relay}/p2p-circuit`]
  assert.deepEqual(dialableAddresses(theirs, named(wide, lan, loopback)), [wide, circuit])
  assert.deepEqual(dialableAddresses(theirs, named(lan, loopback)), [lan, wide, circuit])
  assert.deepEqual(dialableAddresses(theirs, named(loopback)), theirs)
  assert.deepEqual(dialableAddresses(theirs, named(lan, circuit)), [lan, wide, circuit])
})
