import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import { decodeHandshakePayload, encodeHandshakePayload, noiseSuites, NoiseHandshake } from '../../src/core/noise/index.ts'
import { nodeHandshakeCrypto as crypto } from '../../src/crypto/index.ts'
import { RecordParser } from '../../src/mesh/hybrid-noise/record-parser.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { fuzzDecoder } from './fuzz.ts'

const own = crypto.generateDh()
const random = new SeededRandom(7)
const bytes = (length: number): Uint8Array => random.bytes(length)
const none = { webtransportCerthashes: [], streamMuxers: [], offers: [] }
const payloads = [
  { identityKey: bytes(36), identitySig: bytes(64), extensions: none },
  {
    identityKey: bytes(36),
    identitySig: bytes(64),
    extensions: { ...none, streamMuxers: ['/yamux/1.0.0'], offers: Object.values(noiseSuites).map((each) => each.protocol) }
  },
  { identityKey: bytes(300), identitySig: bytes(256), extensions: { ...none, webtransportCerthashes: [bytes(34), bytes(34)] } }
]

fuzzDecoder({ name: 'handshake payload', decode: decodeHandshakePayload, valid: payloads.map(encodeHandshakePayload) })

fuzzDecoder({
  name: 'encrypted record',
  decode: (input) => new RecordParser(() => undefined).push(input),
  valid: [new Uint8Array([0, 16, ...bytes(16)]), new Uint8Array([0, 20, ...bytes(20), 1, 0, ...bytes(256)])],
  codes: ['HANDSHAKE_FAILED']
})

test('fuzz: records come out the same however they are cut', () => {
  for (let round = 0; round < 300; round++) {
    const records = Array.from({ length: 1 + ((bytes(1)[0] ?? 0) % 5) }, () => bytes(16 + ((bytes(1)[0] ?? 0) << 3)))
    const wire = new Uint8Array(records.flatMap((record) => [record.length >>> 8, record.length & 255, ...record]))
    const found: Uint8Array[] = []
    const parser = new RecordParser((record) => found.push(record.slice()))
    for (let offset = 0; offset < wire.length;) {
      const next = offset + 1 + ((bytes(1)[0] ?? 0) % 3 === 0 ? 0 : (bytes(1)[0] ?? 0))
      parser.push(wire.subarray(offset, next))
      offset = next
    }
    assert.deepEqual(found, records)
  }
})

fuzzDecoder({
  name: 'handshake message',
  decode: (input) => new NoiseHandshake({ suite: noiseSuites.hybrid3, role: 'responder', crypto, staticKey: own }).readMessage(input),
  valid: [
    new NoiseHandshake({ suite: noiseSuites.hybrid3, role: 'initiator', crypto, staticKey: crypto.generateDh() }).writeMessage(new Uint8Array(0))
  ],
  codes: ['HANDSHAKE_FAILED']
})

test('what protobuf may hold is read over; what it may not hold twice is refused', () => {
  const encoded = encodeHandshakePayload(payloads[0] ?? assert.fail())
  // Field 15: a number, 4 bytes, 8 bytes; then field 3 with bytes.
  const unknown = new Uint8Array([0x78, 0x96, 0x01, 0x7d, 1, 2, 3, 4, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 1, 9])
  assert.deepEqual(decodeHandshakePayload(new Uint8Array([...unknown, ...encoded, ...unknown])), decodeHandshakePayload(encoded))
  const refused = [
    [...encoded, 0x0a, 1, 1],
    [0x0a, 1, 1],
    [...encoded, 0x0b],
    [...encoded, 0x22, 5, 1],
    [...encoded, 0x22, 2, 0x80, 0x80]
  ]
  for (const wrong of refused)
    assert.throws(
      () => decodeHandshakePayload(new Uint8Array(wrong)),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED')
    )
})
