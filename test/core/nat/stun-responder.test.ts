import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Endpoint } from '../../../src/core/nat/ip-address.ts'
import type { StunAttribute } from '../../../src/core/nat/stun-attributes.ts'
import { attributeOf, decodeStun, encodeStun, type StunMessage } from '../../../src/core/nat/stun-message.ts'
import { answerStun, maxAmplification, type StunArrival } from '../../../src/core/nat/stun-responder.ts'
import { rfc5769 } from './rfc5769.ts'

const source: Endpoint = { address: '192.0.2.7', port: 40_000 }
const local: Endpoint = { address: '198.51.100.1', port: 3478 }
const other: Endpoint = { address: '198.51.100.2', port: 3479 }
const plain: StunArrival = { source, local, other: undefined }
const both: StunArrival = { source, local, other }

const request = (attributes: readonly StunAttribute[] = [], changes: Partial<StunMessage> = {}): Uint8Array =>
  encodeStun({ class: 'request', method: 1, transactionId: new Uint8Array(12).fill(9), attributes, hasFingerprint: false, ...changes })

function answered(datagram: Uint8Array, arrival: StunArrival): StunMessage {
  const answer = answerStun(datagram, arrival)
  assert.ok(answer !== undefined, 'no answer')
  return decodeStun(answer.bytes)
}

test('a Binding request is told where it came from, in both forms, and by whom', () => {
  const response = answered(request(), plain)
  assert.equal(response.class, 'success')
  assert.deepEqual(response.transactionId, new Uint8Array(12).fill(9))
  assert.deepEqual(attributeOf(response, 'xor-mapped-address')?.endpoint, source)
  assert.deepEqual(attributeOf(response, 'mapped-address')?.endpoint, source)
  assert.deepEqual(attributeOf(response, 'response-origin')?.endpoint, local)
  assert.equal(attributeOf(response, 'other-address'), undefined)
})

test('a request with a fingerprint gets one back', () => {
  assert.equal(answered(request([], { hasFingerprint: true }), plain).hasFingerprint, true)
  assert.equal(answered(request(), plain).hasFingerprint, false)
})

test('with a second address it is named, and CHANGE-REQUEST moves the answer', () => {
  assert.deepEqual(attributeOf(answered(request(), both), 'other-address')?.endpoint, other)
  for (const [address, port] of [
    [true, true],
    [false, true],
    [true, false],
    [false, false]
  ] as const) {
    const answer = answerStun(request([{ type: 'change-request', address, port }]), both)
    assert.deepEqual([answer?.changeAddress, answer?.changePort], [address, port])
    const origin = { address: (address ? other : local).address, port: (port ? other : local).port }
    assert.deepEqual(attributeOf(decodeStun(answer?.bytes ?? new Uint8Array()), 'response-origin')?.endpoint, origin)
  }
})

test('with one address CHANGE-REQUEST is an unknown attribute, unless it asks for no change', () => {
  const refused = answered(request([{ type: 'change-request', address: false, port: true }]), plain)
  assert.equal(refused.class, 'error')
  assert.equal(attributeOf(refused, 'error-code')?.code, 420)
  assert.deepEqual(attributeOf(refused, 'unknown-attributes')?.codes, [3])
  assert.equal(answered(request([{ type: 'change-request', address: false, port: false }]), plain).class, 'success')
})

test('attributes that must be understood and are not are named: PRIORITY in the request of RFC 5769', () => {
  const refused = answered(rfc5769.request, plain)
  assert.equal(attributeOf(refused, 'error-code')?.code, 420)
  assert.deepEqual(attributeOf(refused, 'unknown-attributes')?.codes, [0x0024])
  assert.equal(answered(rfc5769.longTermRequest, plain).class, 'success')
})

test('only Binding requests are answered, so that no two servers talk to each other', () => {
  const silent: readonly Uint8Array[] = [
    request([], { class: 'indication' }),
    request([], { class: 'success' }),
    request([], { class: 'error' }),
    request([], { method: 3 }),
    rfc5769.ip4Response,
    new Uint8Array(),
    new Uint8Array(28)
  ]
  for (const datagram of silent) assert.equal(answerStun(datagram, both), undefined)
  const response = answerStun(request(), both)?.bytes ?? new Uint8Array()
  assert.equal(answerStun(response, both), undefined)
  assert.equal(answerStun(request(), { ...both, source: { ...source, port: 0 } }), undefined)
})

test('property: no answer has more than four times the bytes of its request, and each fits its transaction', () => {
  const attribute: fc.Arbitrary<StunAttribute> = fc.oneof(
    fc.record({ type: fc.constant('change-request'), address: fc.boolean(), port: fc.boolean() }),
    // Between the codes that are known, whose values would be malformed, lie all the others.
    fc.record({
      type: fc.constant('other'),
      code: fc.oneof(fc.integer({ min: 0x100, max: 0x7fff }), fc.integer({ min: 0x9000, max: 0xffff })),
      value: fc.uint8Array({ maxLength: 8 })
    }),
    fc.record({ type: fc.constant('software'), text: fc.string({ maxLength: 20 }) })
  )
  const ip4 = fc.constant(source)
  const ip6 = fc.constant({ address: '2001:db8:1234:5678:11:2233:4455:6677', port: 1 })
  fc.assert(
    fc.property(fc.array(attribute, { maxLength: 30 }), fc.boolean(), fc.oneof(ip4, ip6), (attributes, hasFingerprint, from) => {
      const datagram = request(attributes, { hasFingerprint })
      const arrivals: readonly StunArrival[] = [
        { source: from, local: from, other: from },
        { source: from, local: undefined, other: undefined }
      ]
      for (const arrival of arrivals) {
        const answer = answerStun(datagram, arrival)
        assert.ok(answer !== undefined && answer.bytes.length <= maxAmplification * datagram.length)
        const response = decodeStun(answer.bytes)
        assert.ok(response.class === 'error' || attributeOf(response, 'xor-mapped-address') !== undefined)
        assert.deepEqual(response.transactionId, new Uint8Array(12).fill(9))
      }
    })
  )
})
