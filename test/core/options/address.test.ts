import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../../src/core/base/index.ts'
import { type AddressUse, checkAddress } from '../../../src/core/options/index.ts'

const peer = `12D3KooW${'x'.repeat(44)}`

function refused(address: string, use: AddressUse = 'bootstrap'): MeshError {
  try {
    checkAddress(address, use, 'addresses[0]')
  } catch (error) {
    assert.ok(error instanceof MeshError, String(error))
    assert.equal(error.code, 'ADDRESS_INVALID')
    assert.equal(error.details['path'], 'addresses[0]')
    return error
  }
  throw new assert.AssertionError({ message: `${address} was taken` })
}

test('a name in an /ip4 address is refused with the /dns4 address that was meant', () => {
  assert.equal(refused(`/ip4/bootstrap.node/tcp/9000/p2p/${peer}`).hint, `Write /dns4/bootstrap.node/tcp/9000/p2p/${peer}`)
  assert.equal(refused(`/ip6/bootstrap.node/tcp/9000/p2p/${peer}`).hint, `Write /dns6/bootstrap.node/tcp/9000/p2p/${peer}`)
  assert.doesNotMatch(refused('/ip4/256.1.1.1/tcp/9000').hint, /dns4/)
})

test('bootstrap addresses of every supported form are taken', () => {
  for (const host of ['/ip4/192.0.2.1', '/ip6/2001:db8::1', '/ip6/::ffff:192.0.2.1', '/dns4/a.example', '/dns6/a.example', '/dns/a-b.example']) {
    for (const transport of ['/tcp/1', '/tcp/65535/ws', '/tcp/443/wss', '/tcp/443/tls/ws'])
      assert.doesNotThrow(() => checkAddress(`${host}${transport}/p2p/${peer}`, 'bootstrap', 'x'))
  }
  assert.doesNotThrow(() => checkAddress(`/dnsaddr/a.example/p2p/${peer}`, 'bootstrap', 'x'))
})

test('addresses to listen on are taken, with port 0 and without a peer', () => {
  for (const address of ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/9000', '/ip4/127.0.0.1/tcp/9001/ws', '/ip6/fe80::1%eth0/tcp/1'])
    assert.doesNotThrow(() => checkAddress(address, 'listen', 'x'))
  for (const address of [`/ip4/127.0.0.1/tcp/1/p2p/${peer}`, '/dns4/a.example/tcp/1']) refused(address, 'listen')
})

test('an address at a relay is taken to listen on, and names a relay that can be dialled', () => {
  for (const relay of ['/ip4/192.0.2.1/tcp/4001', '/ip6/2001:db8::1/tcp/1/ws', '/dns4/relay.example/tcp/443/wss', '/dnsaddr/relay.example'])
    assert.doesNotThrow(() => checkAddress(`${relay}/p2p/${peer}/p2p-circuit`, 'listen', 'x'))
  const wrong = [
    '/p2p-circuit',
    '/ip4/192.0.2.1/tcp/4001/p2p-circuit',
    `/ip4/192.0.2.1/tcp/0/p2p/${peer}/p2p-circuit`,
    `/ip4/192.0.2.1/tcp/1/p2p/${peer}/p2p-circuit/p2p-circuit`,
    `/ip4/192.0.2.1/tcp/1/p2p/${peer}/p2p-circuit/p2p/${peer}/p2p-circuit`,
    `/ip4/192.0.2.1/tcp/1/p2p/${peer}/p2p-circuit/p2p/${peer}`,
    `/ip4/192.0.2.1/udp/1/quic-v1/p2p/${peer}/p2p-circuit`
  ]
  for (const address of wrong) assert.ok(String(refused(address, 'listen').details['reason']).length > 5, address)
})

test('what is no such address is refused with a reason', () => {
  const wrong = [
    '',
    '/',
    'localhost:9000',
    '/ip4',
    '/ip4/',
    '/ip4/1.2.3/tcp/1',
    '/ip4/1.2.3.4',
    '/ip4/1.2.3.4/tcp',
    '/ip4/1.2.3.4/tcp/0',
    '/ip4/1.2.3.4/tcp/65536',
    '/ip4/1.2.3.4/tcp/01',
    '/ip4/1.2.3.4/udp/9000/quic-v1',
    '/ip4/1.2.3.4/tcp/9000',
    `/ip4/1.2.3.4/tcp/9000/p2p/Qm${'x'.repeat(44)}`,
    `/ip4/1.2.3.4/tcp/9000/p2p/${peer}/p2p-circuit`,
    '/ip4/1.2.3.4/tcp/9000/p2p',
    '/ip6/1::2::3/tcp/1',
    '/ip6/12345::/tcp/1',
    '/ip6/1:2:3:4:5:6:7:8:9/tcp/1',
    '/dns4/-x/tcp/1',
    '/dns4/a b/tcp/1',
    '/onion3/x:1',
    '/ip4/1.2.3.4/tcp/1/tls',
    `/ip4/${'1'.repeat(400)}/tcp/1`
  ]
  for (const address of wrong) assert.ok(String(refused(address).details['reason']).length > 5, address)
})
