import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CborValue, encodeCbor } from '../../../src/core/base/cbor.ts'
import { isMeshError, toHex } from '../../../src/core/base/index.ts'
import { decodeNatFrame, encodeNatFrame, type NatFrame } from '../../../src/core/nat/nat-frames.ts'

const hello: NatFrame = {
  kind: 'hello',
  hello: {
    facts: {
      natClass: 'symmetric',
      mapping: 'address-and-port-dependent',
      filtering: 'unknown',
      udp: 'open',
      publicAddress: { address: '11.77.17.2', port: 41_000 },
      ipv6: true
    },
    mapped: ['/ip4/11.77.26.2/tcp/9000'],
    ice: true,
    turn: false
  }
}

/** The bytes of docs/wire/nat.md. */
const vectors: readonly (readonly [NatFrame, string])[] = [
  [hello, '8c0101050303006a31312e37372e31372e3219a028f58178182f6970342f31312e37372e32362e322f7463702f39303030f5f4'],
  [{ kind: 'dial-back', address: '/ip4/11.77.26.2/tcp/9000' }, '820278182f6970342f31312e37372e32362e322f7463702f39303030'],
  [{ kind: 'reversal', addresses: ['/ip4/11.77.3.2/tcp/9001/ws'] }, '820381781a2f6970342f31312e37372e332e322f7463702f393030312f7773'],
  [{ kind: 'dialled', outcome: 'busy' }, '820403']
]

test('frames have these bytes, and come back as they were', () => {
  for (const [frame, hex] of vectors) {
    assert.equal(toHex(encodeNatFrame(frame)), hex, frame.kind)
    assert.deepEqual(decodeNatFrame(encodeNatFrame(frame)), frame)
  }
})

test('a hello without a public address', () => {
  const bare: NatFrame = { kind: 'hello', hello: { ...hello.hello, facts: { ...hello.hello.facts, publicAddress: undefined }, mapped: [] } }
  assert.deepEqual(decodeNatFrame(encodeNatFrame(bare)), bare)
})

const first: readonly CborValue[] = [1, 1, 0, 0, 0, 0, null, 0, true, [], true, true]
const malformed: readonly (readonly [string, CborValue])[] = [
  ['no array', 7],
  ['an empty one', []],
  ['an unknown kind', [9, 'x']],
  ['a class out of range', first.with(2, 99)],
  ['a port without an address', first.with(7, 9)],
  ['a name for a public address', first.with(6, 'example.org')],
  [
    'five mapped addresses',
    first.with(
      9,
      [1, 2, 3, 4, 5].map((host) => `/ip4/11.77.1.${host}/tcp/9`)
    )
  ],
  ['a number for a flag', first.with(10, 1)],
  ['a field too many', [...first, 0]],
  ['no address to dial', [3, []]],
  ['nine addresses to dial', [3, [1, 2, 3, 4, 5, 6, 7, 8, 9].map((host) => `/ip4/11.77.1.${host}/tcp/9`)]],
  ['an address twice', [3, ['/ip4/11.77.1.2/tcp/9', '/ip4/11.77.1.2/tcp/9']]],
  ['a name to dial', [2, '/dns4/example.org/tcp/80']],
  ['a circuit to dial', [2, '/ip4/11.77.1.2/tcp/9/p2p-circuit']],
  ['an outcome out of range', [4, 4]]
]

for (const [name, value] of malformed) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => decodeNatFrame(encodeCbor(value)),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED')
    )
  })
}

test('a hello of another version is named as one', () => {
  assert.throws(
    () => decodeNatFrame(encodeCbor(first.with(1, 2))),
    (error) => isMeshError(error, 'UNSUPPORTED_VERSION')
  )
})

test('what cannot be decoded is not encoded', () => {
  assert.throws(
    () => encodeNatFrame({ kind: 'dial-back', address: '/dns4/example.org/tcp/80' }),
    (error) => isMeshError(error, 'MESSAGE_MALFORMED')
  )
})
