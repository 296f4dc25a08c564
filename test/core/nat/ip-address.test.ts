import assert from 'node:assert/strict'
import { isIPv6 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../../src/core/base/index.ts'
import { addressScope, canonicalIp, formatIp, parseIp } from '../../../src/core/nat/ip-address.ts'

test('IPv6 addresses are written as RFC 5952 section 4 wants them', () => {
  const pairs: readonly (readonly [string, string])[] = [
    ['2001:0DB8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['0::1', '::1'],
    ['1::', '1::'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['192.0.2.1', '192.0.2.1']
  ]
  for (const [written, wanted] of pairs) assert.equal(canonicalIp(written), wanted, written)
})

test('what is no address has no form', () => {
  for (const text of ['', 'localhost', '1.2.3', '1.2.3.4.5', '01.2.3.4', '::1::', '%eth0']) assert.equal(canonicalIp(text), undefined, text)
})

test('an address reaches this machine, this network or everybody', () => {
  const scopeOf = (...addresses: readonly string[]): readonly string[] => addresses.map(addressScope)
  assert.deepEqual(scopeOf('127.0.0.1', '::1', '::ffff:127.0.0.1'), ['loopback', 'loopback', 'loopback'])
  assert.deepEqual(scopeOf('10.0.0.1', '100.64.0.1', '169.254.1.1', 'fd00::1', 'fe80::1%eth0'), [
    'private',
    'private',
    'private',
    'private',
    'private'
  ])
  assert.deepEqual(scopeOf('11.77.2.2', '2a0f:7777::1'), ['public', 'public'])
  assert.deepEqual(scopeOf('0.0.0.0', '255.255.255.255', '224.0.0.1', '::', 'ff02::1', 'localhost'), ['none', 'none', 'none', 'none', 'none', 'none'])
})

test('property: the bytes of what is written are the bytes that were written', () => {
  const bytes = fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  fc.assert(
    fc.property(bytes, (address) => {
      const text = formatIp(address)
      assert.equal(toHex(parseIp(text) ?? new Uint8Array()), toHex(parseIp(text.includes(':') ? text : address.join('.')) ?? new Uint8Array()))
      if (text.includes(':')) {
        assert.ok(isIPv6(text))
        assert.equal(toHex(parseIp(text) ?? new Uint8Array()), toHex(address))
      }
    })
  )
})
