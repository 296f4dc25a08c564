import { decodeStun, encodeStun } from '../../src/core/nat/stun-message.ts'
import { answerStun, maxAmplification } from '../../src/core/nat/stun-responder.ts'
import assert from 'node:assert/strict'
import { rfc5769 } from '../core/nat/rfc5769.ts'
import { fuzzDecoder } from './fuzz.ts'

const transactionId = new Uint8Array(12).fill(5)
const endpoint = { address: '2001:db8::1', port: 3478 }
const valid: readonly Uint8Array[] = [
  ...Object.values(rfc5769),
  encodeStun({ class: 'request', method: 1, transactionId, attributes: [], hasFingerprint: false }),
  encodeStun({
    class: 'error',
    method: 1,
    transactionId,
    attributes: [
      { type: 'error-code', code: 420, reason: 'Unknown Attribute' },
      { type: 'unknown-attributes', codes: [3, 0x24] },
      { type: 'other-address', endpoint },
      { type: 'response-origin', endpoint },
      { type: 'change-request', address: true, port: false }
    ],
    hasFingerprint: false
  })
]

fuzzDecoder({
  name: 'STUN message',
  decode: (input) => {
    const message = decodeStun(input)
    // Padding may hold anything, so not the bytes but the messages are compared.
    assert.deepEqual(decodeStun(encodeStun(message)), message)
    return message
  },
  valid
})

fuzzDecoder({
  name: 'STUN responder',
  decode: (input) => {
    const answer = answerStun(input, { source: endpoint, local: endpoint, other: endpoint })
    assert.ok(answer === undefined || answer.bytes.length <= maxAmplification * input.length)
    return decodeStun(input)
  },
  valid
})
