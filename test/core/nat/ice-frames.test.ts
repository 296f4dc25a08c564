import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, isMeshError, toHex, wallMillis } from '../../../src/core/base/index.ts'
import {
  candidateLine,
  credentialsOf,
  decodeIceFrame,
  describeSession,
  encodeIceFrame,
  type IceCandidate,
  type IceCredentials,
  type IceFrame,
  parseCandidateLine,
  pathOfPair,
  restCredentials
} from '../../../src/core/nat/index.ts'

const credentials: IceCredentials = { fragment: 'ab+/', password: 'p'.repeat(22), fingerprint: new Uint8Array(32).fill(0xab) }
const candidate = (changes: Partial<IceCandidate> = {}): IceCandidate => ({
  type: 'host',
  priority: 2_114_977_791,
  address: '11.77.1.2',
  port: 9,
  ...changes
})

test('frames have the bytes of docs/wire/ice.md', () => {
  const known: readonly (readonly [IceFrame, string])[] = [
    [{ kind: 'offer', policy: 'turn', isSymmetric: true, credentials }, `01010201${'04'}61622b2f${'16'}${'70'.repeat(22)}${'ab'.repeat(32)}`],
    [{ kind: 'answer', dtls: 'server', credentials }, `0201${'04'}61622b2f${'16'}${'70'.repeat(22)}${'ab'.repeat(32)}`],
    [{ kind: 'candidate', candidate: candidate() }, '03007e7fffff040b4d01020009'.replace('7e7fffff', (2_114_977_791).toString(16))],
    [
      { kind: 'candidate', candidate: candidate({ type: 'relay', address: '2a0f:7777::2', port: 65_535, priority: 1 }) },
      `030200000001102a0f7777${'00'.repeat(11)}02ffff`
    ],
    [{ kind: 'gathered' }, '04'],
    [{ kind: 'ended', refusal: 'glare' }, '0502']
  ]
  for (const [frame, hex] of known) {
    assert.equal(toHex(encodeIceFrame(frame)), hex, frame.kind)
    assert.deepEqual(decodeIceFrame(fromHex(hex)), frame)
  }
})

test('what could become a line of a session description is malformed', () => {
  const frameOf = (changes: Partial<IceCredentials>): Uint8Array =>
    encodeIceFrame({ kind: 'answer', dtls: 'client', credentials: { ...credentials, ...changes } })
  for (const changes of [
    { fragment: 'a\r\nb' },
    { fragment: 'abc' },
    { fragment: 'a'.repeat(33) },
    { password: `${'p'.repeat(21)} ` },
    { password: `${'p'.repeat(22)}\n` },
    { password: 'é'.repeat(22) }
  ])
    assert.throws(
      () => decodeIceFrame(frameOf(changes)),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED'),
      JSON.stringify(changes)
    )
})

test('a candidate is an address in its one form, a port, and a priority in range', () => {
  for (const hex of [
    '0300000000010000',
    '03007fffffff040b4d01020000',
    '0300000000000' + '40b4d01020009',
    '0300ffffffff040b4d01020009',
    `03007fffffff10${'00'.repeat(10)}ffff0b4d01020009`,
    '03037fffffff040b4d01020009'
  ])
    assert.throws(
      () => decodeIceFrame(fromHex(hex)),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED'),
      hex
    )
})

test('a description for the library holds what it is given, and is read back', () => {
  const text = describeSession(credentials, 'client')
  assert.match(text, /^a=setup:active\r$/m)
  assert.match(describeSession(credentials, 'server'), /^a=setup:passive\r$/m)
  assert.deepEqual(credentialsOf(text), credentials)
  assert.throws(
    () => credentialsOf('v=0\r\na=ice-ufrag:abcd\r\n'),
    (error) => isMeshError(error, 'INTERNAL')
  )
})

test('lines of the library: UDP and IP addresses only', () => {
  const line = 'a=candidate:2 1 UDP 1678769919 11.77.15.2 40000 typ srflx raddr 0.0.0.0 rport 0'
  assert.deepEqual(parseCandidateLine(line), { type: 'srflx', priority: 1_678_769_919, address: '11.77.15.2', port: 40_000 })
  assert.equal(candidateLine(candidate({ type: 'srflx', priority: 1_678_769_919, address: '11.77.15.2', port: 40_000 }), 2), line.slice(2))
  assert.equal(parseCandidateLine(candidateLine(candidate({ address: '2a0f:7777::2' }), 1))?.address, '2a0f:7777::2')
  for (const wrong of [
    'candidate:1 1 UDP 1 4d0c1e9a.local 9 typ host',
    'candidate:1 1 TCP 1 11.77.1.2 9 typ host tcptype active',
    'candidate:1 2 UDP 1 11.77.1.2 9 typ host',
    'candidate:1 1 UDP 1 11.77.1.2 65536 typ host',
    'candidate:1 1 UDP 0 11.77.1.2 9 typ host',
    'candidate:1 1 UDP 1 11.77.1.2 9 typ prflx raddr 0.0.0.0 rport 0'
  ])
    assert.equal(parseCandidateLine(wrong), undefined, wrong)
})

test('the path follows from the selected pair', () => {
  const of = (local: [string, string], remote: [string, string], told: readonly IceCandidate[] = []): string => {
    const end = ([type, address]: [string, string]) => ({ type: type as 'host' | 'srflx' | 'prflx' | 'relay', address, port: 9 })
    return pathOfPair({ local: end(local), remote: end(remote) }, told)
  }
  assert.equal(of(['relay', '11.77.2.2'], ['host', '11.77.3.2']), 'turn')
  assert.equal(of(['host', '192.168.1.2'], ['relay', '11.77.2.2']), 'turn')
  assert.equal(of(['host', '192.168.1.2'], ['prflx', '11.77.1.2'], [candidate({ type: 'relay' })]), 'turn', 'seen before it was told')
  assert.equal(of(['host', '192.168.1.2'], ['host', '192.168.1.3']), 'direct-lan')
  assert.equal(of(['host', '127.0.0.1'], ['prflx', '127.0.0.1']), 'direct-lan')
  assert.equal(of(['host', 'fd00::1'], ['host', 'fd00::2']), 'direct-lan')
  assert.equal(of(['host', '2a0f:7777::1'], ['host', '2a0f:7777::2']), 'direct-ipv6')
  assert.equal(of(['prflx', '11.77.15.2'], ['host', '11.77.3.2']), 'direct-public')
  assert.equal(of(['host', '11.77.3.2'], ['prflx', '11.77.15.2']), 'direct-public')
  assert.equal(of(['srflx', '11.77.15.2'], ['prflx', '11.77.16.2']), 'punched')
  assert.equal(of(['host', '192.168.1.2'], ['srflx', '11.77.16.2']), 'punched')
  assert.equal(of(['srflx', '100.64.1.2'], ['prflx', '100.64.2.2']), 'punched', "a carrier's NAT")
})

test('REST credentials are those that coturn computes', () => {
  // printf %s 1700003600:alice | openssl dgst -sha1 -hmac north -binary | base64
  assert.deepEqual(restCredentials('north', 'alice', wallMillis(1_700_000_000_999)), {
    username: '1700003600:alice',
    password: 'wjwSXO2ch1B6VaLTLMy2Avn5O9o='
  })
})
