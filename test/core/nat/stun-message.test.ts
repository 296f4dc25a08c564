import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromHex, isMeshError, toHex } from '../../../src/core/base/index.ts'
import { attributeOf, decodeStun, encodeStun, type StunMessage } from '../../../src/core/nat/stun-message.ts'
import type { StunAttribute } from '../../../src/core/nat/stun-attributes.ts'
import { formatIp } from '../../../src/core/nat/ip-address.ts'
import { rfc5769 } from './rfc5769.ts'

const refuses = (bytes: Uint8Array, reason: RegExp): void =>
  assert.throws(
    () => decodeStun(bytes),
    (error) => isMeshError(error, 'MESSAGE_MALFORMED') && reason.test(error.message)
  )

const head = (type: string, length: string): string => `${type}${length}2112a442${'07'.repeat(12)}`

test('the request of RFC 5769 section 2.1 is read: software, credentials as they stand, fingerprint', () => {
  const message = decodeStun(rfc5769.request)
  assert.equal(message.class, 'request')
  assert.equal(message.method, 1)
  assert.equal(toHex(message.transactionId), 'b7e7a701bc34d686fa87dfae')
  assert.deepEqual(attributeOf(message, 'software'), { type: 'software', text: 'STUN test client' })
  assert.deepEqual(
    message.attributes.map((attribute) => (attribute.type === 'other' ? attribute.code : attribute.type)),
    ['software', 0x0024, 0x8029, 0x0006, 0x0008]
  )
  assert.equal(message.hasFingerprint, true)
})

test('the responses of RFC 5769 sections 2.2 and 2.3 give the addresses that they hide', () => {
  const ip4 = decodeStun(rfc5769.ip4Response)
  assert.equal(ip4.class, 'success')
  assert.deepEqual(attributeOf(ip4, 'software')?.text, 'test vector')
  assert.deepEqual(attributeOf(ip4, 'xor-mapped-address')?.endpoint, { address: '192.0.2.1', port: 32_853 })
  const ip6 = decodeStun(rfc5769.ip6Response)
  assert.deepEqual(attributeOf(ip6, 'xor-mapped-address')?.endpoint, { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32_853 })
})

test('the request of RFC 5769 section 2.4, whose padding is zero, encodes to the same bytes', () => {
  assert.equal(toHex(encodeStun(decodeStun(rfc5769.longTermRequest))), toHex(rfc5769.longTermRequest))
})

test('padding may hold anything: the others of RFC 5769 are the same messages once it is zero', () => {
  for (const bytes of [rfc5769.request, rfc5769.ip4Response, rfc5769.ip6Response]) {
    const message = decodeStun(bytes)
    assert.deepEqual(decodeStun(encodeStun(message)), message)
  }
})

test('a message with one bit changed does not pass its fingerprint', () => {
  for (let byte = 8; byte < rfc5769.ip4Response.length; byte++) {
    const changed = Uint8Array.from(rfc5769.ip4Response)
    changed[byte] = (changed[byte] ?? 0) ^ 0x10
    const isRefusedOrWithout = (): boolean => {
      try {
        return !decodeStun(changed).hasFingerprint
      } catch (error) {
        return isMeshError(error, 'MESSAGE_MALFORMED')
      }
    }
    assert.ok(isRefusedOrWithout(), `byte ${byte}`)
  }
})

test('what is no STUN message is refused with the reason', () => {
  refuses(new Uint8Array(), /2 bytes wanted/)
  refuses(fromHex(head('4001', '0000')), /first two bits/)
  refuses(fromHex(head('0001', '0004')), /length 4/)
  refuses(fromHex(`${head('0001', '0002')}0000`), /length 2/)
  refuses(fromHex(head('0001', '0000').replace('2112a442', '2112a443')), /magic cookie/)
  refuses(fromHex(`${head('0001', '0004')}80220001`), /1 bytes wanted, 0 left/)
  refuses(fromHex(`${head('0001', '0010')}80280004000000000020000400000000`), /wrong FINGERPRINT/)
  refuses(new Uint8Array(1_284), /over 1280 bytes/)
})

test('a fingerprint ends the message', () => {
  const bytes = encodeStun({ ...request([]), hasFingerprint: true })
  const longer = Uint8Array.from([...bytes, 0x80, 0x22, 0, 0])
  longer[3] = (longer[3] ?? 0) + 4
  refuses(longer, /FINGERPRINT/)
})

test('values that do not fit their attribute are refused', () => {
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['0020000800030001c0000201', /family 3/],
    ['002000080002000100000000', /16 bytes wanted/],
    ['0020000c0001000101020304aabbccdd', /4 bytes left over/],
    ['000300020000ffff', /4 bytes wanted/],
    ['0009000400000200', /error 2, 0/],
    ['0009000400000464', /error 4, 100/],
    ['8022000180ffffff', /not UTF-8/],
    ['000a0001ffffffff', /2 bytes wanted/]
  ]
  for (const [attribute, reason] of refusals) {
    const length = (attribute.length / 2).toString(16).padStart(4, '0')
    refuses(fromHex(head('0101', length) + attribute), reason)
  }
})

test('at most 32 attributes are taken', () => {
  const attribute: StunAttribute = { type: 'other', code: 0x8100, value: new Uint8Array() }
  assert.equal(decodeStun(encodeStun(request(Array.from({ length: 32 }, () => attribute)))).attributes.length, 32)
  refuses(encodeStun(request(Array.from({ length: 33 }, () => attribute))), /over 32 attributes/)
})

test('what follows MESSAGE-INTEGRITY does not count', () => {
  const integrity: StunAttribute = { type: 'other', code: 8, value: new Uint8Array(20) }
  const change: StunAttribute = { type: 'change-request', address: true, port: true }
  assert.deepEqual(decodeStun(encodeStun(request([integrity, change]))).attributes, [integrity])
})

test('class and method share the first two bytes as RFC 8489 section 5 mixes them', () => {
  const typeOf = (kind: StunMessage['class'], method: number): string => toHex(encodeStun({ ...request([]), class: kind, method })).slice(0, 4)
  assert.equal(typeOf('request', 1), '0001')
  assert.equal(typeOf('indication', 1), '0011')
  assert.equal(typeOf('success', 1), '0101')
  assert.equal(typeOf('error', 1), '0111')
  assert.equal(typeOf('success', 3), '0103')
  assert.equal(typeOf('request', 0xfff), '3eef')
})

const endpoint = fc.record({
  address: fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })).map(formatIp),
  port: fc.integer({ min: 0, max: 65_535 })
})
const code = fc.integer({ min: 0, max: 0xffff }).filter((each) => ![1, 3, 8, 9, 0xa, 0x1c, 0x20, 0x8022, 0x8028, 0x802b, 0x802c].includes(each))
const attribute: fc.Arbitrary<StunAttribute> = fc.oneof(
  fc.record({ type: fc.constantFrom('mapped-address', 'xor-mapped-address', 'response-origin', 'other-address'), endpoint }),
  fc.record({ type: fc.constant('change-request'), address: fc.boolean(), port: fc.boolean() }),
  fc.record({ type: fc.constant('error-code'), code: fc.integer({ min: 300, max: 699 }), reason: fc.string({ maxLength: 40, unit: 'binary' }) }),
  fc.record({ type: fc.constant('unknown-attributes'), codes: fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 32 }) }),
  fc.record({ type: fc.constant('software'), text: fc.string({ maxLength: 40, unit: 'binary' }) }),
  fc.record({ type: fc.constant('other'), code, value: fc.uint8Array({ maxLength: 40 }) })
)
const messages = fc.record({
  class: fc.constantFrom('request', 'indication', 'success', 'error'),
  method: fc.integer({ min: 0, max: 0xfff }),
  transactionId: fc.uint8Array({ minLength: 12, maxLength: 12 }),
  attributes: fc.array(attribute, { maxLength: 4 }),
  hasFingerprint: fc.boolean()
})

test('property: what is encoded decodes to itself, in whole words', () => {
  fc.assert(
    fc.property(messages, (message: StunMessage) => {
      const bytes = encodeStun(message)
      assert.equal(bytes.length % 4, 0)
      const decoded = decodeStun(bytes)
      assert.deepEqual([decoded.class, decoded.method, decoded.hasFingerprint], [message.class, message.method, message.hasFingerprint])
      assert.equal(toHex(decoded.transactionId), toHex(message.transactionId))
      assert.deepEqual(decoded.attributes.map(plain), message.attributes.map(plain))
    }),
    { numRuns: 500 }
  )
})

/** As JSON: fast-check's records have no prototype. */
const plain = (each: StunAttribute): string => JSON.stringify(Object.entries(each).toSorted(([a], [b]) => a.localeCompare(b)))

function request(attributes: readonly StunAttribute[]): StunMessage {
  return { class: 'request', method: 1, transactionId: new Uint8Array(12).fill(7), attributes, hasFingerprint: false }
}
