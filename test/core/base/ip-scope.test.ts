import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { dialAddress } from '../../../src/core/base/dial-address.ts'
import { type IpScope, ipBytes, ipScope, isSameHost } from '../../../src/core/base/ip-scope.ts'

const scopes: Readonly<Record<IpScope, readonly string[]>> = {
  loopback: ['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1', '0:0:0:0:0:0:0:1'],
  'link-local': ['169.254.0.1', 'fe80::1', 'febf:ffff::', '::ffff:169.254.169.254'],
  private: [
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.127.255.255',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    'fd00::1',
    '::ffff:10.0.0.1'
  ],
  special: [
    '0.0.0.0',
    '192.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '203.0.113.9',
    '224.0.0.251',
    '255.255.255.255',
    '::',
    '::2',
    '64:ff9b::1',
    '2001:db8::1',
    '2002::1',
    'ff02::1',
    '2001::1'
  ],
  public: [
    '11.77.1.2',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '223.255.255.255',
    '2a0f:7777:1::2',
    '2606:4700::1111'
  ]
}

for (const [scope, addresses] of Object.entries(scopes)) {
  test(`these addresses are ${scope}: ${addresses.join(' ')}`, () => {
    for (const address of addresses) assert.equal(ipScope(address), scope, address)
  })
}

test('texts that other readers take for addresses are none', () => {
  for (const text of [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '0x7f.0.0.1',
    '256.1.1.1',
    '1.2.3.-4',
    'fe80::1%eth0',
    '1::2::3',
    '12345::',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::1.2.3',
    '1:2:3:4:5:6:7::8:9'
  ])
    assert.equal(ipScope(text), undefined, text)
})

test('whatever is read as an address is one to Node as well, and the other way round', () => {
  const groups = fc.array(fc.constantFrom('0', '1', 'ffff', 'a', '', '1.2.3.4', '00012', '255.255.255.255', '127.1'), { minLength: 1, maxLength: 9 })
  fc.assert(
    fc.property(groups, (parts) => assert.equal(ipBytes(parts.join(':')) !== undefined, isIP(parts.join(':')) !== 0)),
    { numRuns: 3_000 }
  )
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => assert.ok(ipBytes(text) !== undefined)))
})

test('a host keeps its IPv4 address and its /64', () => {
  assert.ok(isSameHost('11.77.1.2', '11.77.1.2'))
  assert.ok(!isSameHost('11.77.1.2', '11.77.1.3'))
  assert.ok(isSameHost('2a0f:7777:1::2', '2a0f:7777:1:0:abcd::1'))
  assert.ok(!isSameHost('2a0f:7777:1::2', '2a0f:7777:2::2'))
  assert.ok(!isSameHost('11.77.1.2', '::ffff:11.77.1.2'))
})

test('the /64 in which all IPv4 addresses have a second form is no host', () => {
  assert.ok(isSameHost('::1', '0:0:0:0:0:0:0:1'))
  for (const other of ['::2', '::', '::ffff:10.0.0.1', '::10.0.0.1']) assert.ok(!isSameHost('::1', other), other)
  assert.ok(!isSameHost('::ffff:11.77.1.2', '::ffff:127.0.0.1'))
  assert.ok(!isSameHost('64:ff9b::b4d:102', '64:ff9b::a00:1'))
  assert.ok(!isSameHost('fe80::1', 'fe80::2'))
})

test('only IP, TCP and WebSocket can be dialled for others', () => {
  assert.deepEqual(dialAddress('/ip4/11.77.1.2/tcp/9000'), { text: '/ip4/11.77.1.2/tcp/9000', host: '11.77.1.2', scope: 'public', port: 9_000 })
  assert.equal(dialAddress('/ip6/2a0f:7777:1::2/tcp/443/ws')?.text, '/ip6/2a0f:7777:1::2/tcp/443/ws')
  const id = '12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X'
  assert.equal(dialAddress(`/ip4/11.77.1.2/tcp/9000/p2p/${id}`, id)?.text, '/ip4/11.77.1.2/tcp/9000')
  assert.equal(dialAddress(`/ip4/11.77.1.2/tcp/9000/p2p/${id}`, id.replace('HyQ6X', 'HyQ6Y')), undefined)
  const refused = [
    '/dns4/example.org/tcp/80',
    '/ip4/11.77.1.2/udp/9000',
    '/ip4/11.77.1.2/tcp/0',
    '/ip4/11.77.1.2/tcp/65536',
    '/ip6/11.77.1.2/tcp/9',
    '/ip4/::1/tcp/9'
  ]
  for (const text of [...refused, '/ip4/11.77.1.2/tcp/9/tls/ws', `/ip4/11.77.1.2/tcp/9/p2p/${id}/p2p-circuit`, '/ip4/11.77.1.2/tcp/9/', 'x'])
    assert.equal(dialAddress(text), undefined, text)
})
