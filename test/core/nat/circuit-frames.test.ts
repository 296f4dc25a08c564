import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat, fromHex, isMeshError, toHex } from '../../../src/core/base/index.ts'
import {
  circuitStatus,
  decodeHopAnswer,
  decodeHopRequest,
  decodeStopStatus,
  encodeHopReserve,
  encodeHopStatus,
  encodeStopConnect
} from '../../../src/core/nat/circuit-frames.ts'

const peer = fromHex(`002408011220${'ab'.repeat(32)}`)

test('requests to a relay are read as libp2p writes them, addresses and unknown fields aside', () => {
  assert.deepEqual(decodeHopRequest(encodeHopReserve()), { type: 'reserve' })
  // HopMessage { type: CONNECT, peer: { id, addrs: ['04'] } } and a field 15 that no version has.
  const request = concat(fromHex('0801122b0a26'), peer, fromHex('120104'), fromHex('7803'))
  assert.deepEqual(decodeHopRequest(request), { type: 'connect', peer })
  assert.deepEqual(decodeHopRequest(fromHex('0802')), { type: 'other' })
  assert.deepEqual(decodeHopRequest(new Uint8Array(0)), { type: 'other' })
})

test('a request that names no peer, or is cut off, is malformed', () => {
  for (const hex of ['0801', '08011200', '08011204', '0801120a0aff', '08', 'ffffffffffffffffffffff', '0b'])
    assert.throws(
      () => decodeHopRequest(fromHex(hex)),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED'),
      hex
    )
})

test('what a relay says has the bytes of protobuf', () => {
  assert.equal(toHex(encodeHopStatus(circuitStatus.noReservation)), '080228cc01')
  assert.equal(toHex(encodeHopStatus(circuitStatus.ok, { seconds: 300, bytes: 2 ** 30 })), '0802220908ac021080808080042864')
  const connect = encodeStopConnect(peer, { seconds: 1, bytes: 1 })
  assert.equal(toHex(connect), `080012280a26${toHex(peer)}1a0408011001`)
  assert.equal(decodeStopStatus(fromHex('08012064')), circuitStatus.ok)
  assert.equal(decodeStopStatus(connect), undefined)
})

test('an answer to a reservation has when it ends, and where the relay is', () => {
  // HopMessage { type: STATUS, reservation: { expire: 1800000000, addrs: ['aa', 'bbbb'] }, status: OK }
  const answer = fromHex('08021a0d0880a4a7da06' + '1201aa1202bbbb' + '2864')
  assert.deepEqual(decodeHopAnswer(answer), { status: 100, expires: 1_800_000_000, addresses: [fromHex('aa'), fromHex('bbbb')] })
  assert.deepEqual(decodeHopAnswer(encodeHopStatus(circuitStatus.permissionDenied)), { status: 202, expires: undefined, addresses: [] })
  assert.throws(
    () => decodeHopAnswer(encodeHopReserve()),
    (error) => isMeshError(error, 'MESSAGE_MALFORMED')
  )
})
