import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, isMeshError, toHex } from '../../../src/core/base/index.ts'
import { decodeNatPmp, encodeNatPmp } from '../../../src/core/nat/nat-pmp.ts'

test('questions are those of RFC 6886 sections 3.2 and 3.3', () => {
  assert.equal(toHex(encodeNatPmp({ kind: 'address' })), '0000')
  const map = { kind: 'map', internalPort: 9_000, externalPort: 9_001, lifetimeS: 3_600 } as const
  assert.equal(toHex(encodeNatPmp(map)), '000200002328232900000e10')
  assert.equal(toHex(encodeNatPmp({ ...map, externalPort: 0, lifetimeS: 0 })), '000200002328000000000000')
})

test('answers are read', () => {
  assert.deepEqual(decodeNatPmp(fromHex('00800000000000090b4d1a02')), { kind: 'address', address: '11.77.26.2' })
  assert.deepEqual(decodeNatPmp(fromHex('00820000000000092328232900000e10')), {
    kind: 'map',
    internalPort: 9_000,
    externalPort: 9_001,
    lifetimeS: 3_600
  })
  assert.deepEqual(decodeNatPmp(fromHex('0082000200000009')), { kind: 'refused', request: 'map', reason: 'not authorised' })
  assert.deepEqual(decodeNatPmp(fromHex('0280000100000009')), { kind: 'refused', request: 'address', reason: 'the version is not supported' })
})

for (const [name, hex] of [
  ['a question', '0000'],
  ['a mapping of UDP', '00810000000000092328232900000e10'],
  ['an answer that is cut short', '00800000000000090b4d1a'],
  ['one with bytes left over', '00800000000000090b4d1a0200'],
  ['another version', '01800000000000090b4d1a02']
]) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => decodeNatPmp(fromHex(hex ?? '')),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED')
    )
  })
}
