import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialAddress } from '../../src/core/base/dial-address.ts'
import { type DialPurpose, isDialAllowed, type Requester } from '../../src/mesh/dial-rules.ts'

const stranger: Requester = { isPaired: false, hosts: ['11.77.3.2'], gates: ['11.77.3.2'], cardAddresses: [] }
/** Over a relay: it is not seen where it calls from. */
const relayed: Requester = {
  isPaired: false,
  hosts: [],
  gates: ['11.77.1.2'],
  cardAddresses: ['/ip4/11.77.3.2/tcp/9000/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X']
}
const paired: Requester = { isPaired: true, hosts: [], gates: ['11.77.1.2'], cardAddresses: [] }

const isAllowed = (purpose: DialPurpose, text: string, requester: Requester): boolean => {
  const address = dialAddress(text)
  assert.ok(address !== undefined, text)
  return isDialAllowed(purpose, address, requester)
}

const rules: readonly (readonly [name: string, DialPurpose, address: string, Requester, isAllowed: boolean])[] = [
  ['a stranger, where it calls from', 'dial-back', '/ip4/11.77.3.2/tcp/9000', stranger, true],
  ['a stranger, where it calls from, any port', 'reversal', '/ip4/11.77.3.2/tcp/22', stranger, true],
  ['a stranger, somebody else', 'dial-back', '/ip4/11.77.4.2/tcp/9000', stranger, false],
  ['a stranger, somebody else written as IPv6', 'dial-back', '/ip6/::ffff:11.77.4.2/tcp/9000', stranger, false],
  ['a stranger, a private address', 'reversal', '/ip4/192.168.1.1/tcp/9000', stranger, false],
  ['a stranger, loopback', 'reversal', '/ip4/127.0.0.1/tcp/9000', stranger, false],
  ['a stranger over a relay, the relay', 'dial-back', '/ip4/11.77.1.2/tcp/9000', relayed, false],
  ['a stranger over a relay, its card: dial-back', 'dial-back', '/ip4/11.77.3.2/tcp/9000', relayed, false],
  ['a stranger over a relay, its card: reversal', 'reversal', '/ip4/11.77.3.2/tcp/9000', relayed, true],
  ['a stranger over a relay, another port than on its card', 'reversal', '/ip4/11.77.3.2/tcp/9001', relayed, false],
  [
    'a private address on the card of a stranger',
    'reversal',
    '/ip4/10.0.0.9/tcp/9000',
    { ...relayed, cardAddresses: ['/ip4/10.0.0.9/tcp/9000'] },
    false
  ],
  ['a paired peer, a public address', 'dial-back', '/ip6/2a0f:7777:3::2/tcp/9000', paired, true],
  ['a paired peer, a private address: dial-back', 'dial-back', '/ip4/192.168.28.2/tcp/9000', paired, false],
  ['a paired peer, a private address: reversal', 'reversal', '/ip4/192.168.28.2/tcp/9000', paired, true],
  ['a paired peer, loopback', 'reversal', '/ip4/127.0.0.1/tcp/9000', paired, false],
  ['a paired peer, loopback written as IPv6', 'reversal', '/ip6/::ffff:127.0.0.1/tcp/9000', paired, false],
  ['a paired peer of this machine, loopback', 'reversal', '/ip4/127.0.0.1/tcp/9000', { ...paired, gates: ['127.0.0.1'] }, true],
  ['a paired peer, link-local', 'reversal', '/ip4/169.254.169.254/tcp/80', paired, false],
  ['a paired peer, multicast', 'reversal', '/ip4/239.255.255.250/tcp/1900', paired, false],
  ['a paired peer, a port of other services', 'reversal', '/ip4/11.77.4.2/tcp/25', paired, false],
  ['a paired peer, the ports of the web', 'reversal', '/ip4/11.77.4.2/tcp/443', paired, true]
]

for (const [name, purpose, address, requester, expected] of rules) {
  test(`dials for others: ${name} (${purpose} ${address}): ${expected ? 'yes' : 'no'}`, () => {
    assert.equal(isAllowed(purpose, address, requester), expected)
  })
}

test('who calls from IPv6 loopback leads to no IPv4 address', () => {
  const near: Requester = { ...stranger, hosts: ['::1'], gates: ['::1'] }
  assert.equal(isAllowed('dial-back', '/ip6/::1/tcp/9000', near), true)
  for (const host of ['::ffff:10.0.0.1', '::ffff:11.77.4.2', '::', '::10.0.0.1'])
    assert.equal(isAllowed('dial-back', `/ip6/${host}/tcp/22`, near), false, host)
})

test('hosts of one /64 are one host, and of two are two', () => {
  const v6: Requester = { ...stranger, hosts: ['2a0f:7777:2400::2'] }
  assert.equal(isAllowed('dial-back', '/ip6/2a0f:7777:2400::99/tcp/9000', v6), true)
  assert.equal(isAllowed('dial-back', '/ip6/2a0f:7777:2500::2/tcp/9000', v6), false)
})
