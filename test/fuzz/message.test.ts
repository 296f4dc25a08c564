import { MeshError } from '../../src/core/base/index.ts'
import {
  decodeBatch,
  decodeBatchHeader,
  decodeEnvelope,
  decodeProof,
  decodeReceipts,
  decodeVolatile,
  encodeBatchHeader,
  encodeEnvelope,
  encodeVolatile,
  type BatchHeader,
  type Envelope,
  frameKind,
  openBatch,
  openReceipts,
  readEnvelopeIdentity,
  sealReceipts,
  type VolatileMessage
} from '../../src/core/message/index.ts'
import { alice, batchFrame, batchOf, bob, envelope, receipt, tools, volatileMessage } from '../core/message/samples.ts'
import { fuzzDecoder } from './fuzz.ts'

function identityOf(bytes: Uint8Array): unknown {
  const identity = readEnvelopeIdentity(bytes)
  if (identity === undefined) throw new MeshError('MESSAGE_MALFORMED', { what: 'envelope' })
  return identity
}

const envelopes = [
  encodeEnvelope(envelope()),
  encodeEnvelope(envelope({ type: 'Response', inReplyTo: 'a-request', priority: 10, body: new Uint8Array() })),
  encodeEnvelope(envelope({ type: 'Command', expectsReply: true, body: new Uint8Array(300) }))
]
const batches = [batchFrame(envelopes), batchOf(1), batchOf(1, 2, 3, 4, 5)]
const headers = batches.map((frame) => decodeBatch(frame).headerBytes)
const channel = { peer: alice.publicKey, self: bob.publicKey }
const proofs = batches.map((frame) => openBatch(frame, channel, tools).proof(0))
const receipts = [
  sealReceipts(alice.publicKey, [receipt()], bob),
  sealReceipts(alice.publicKey, [receipt(), { ...receipt({ id: 'm-2', sequence: 2 }), state: 'refused', code: 'QUOTA' }], bob)
]
const volatiles = [
  encodeVolatile([volatileMessage()]),
  encodeVolatile([
    volatileMessage({ label: 'ä', toLabel: 'b', inReplyTo: 'x', expectsReply: true, contentType: 'text/x-own' }),
    volatileMessage({ body: new Uint8Array(200) })
  ])
]

fuzzDecoder({ name: 'envelope', decode: decodeEnvelope, valid: envelopes, encode: (value) => encodeEnvelope(value as Envelope) })
fuzzDecoder({ name: 'envelope identity', decode: identityOf, valid: envelopes })
fuzzDecoder({ name: 'batch header', decode: decodeBatchHeader, valid: headers, encode: (value) => encodeBatchHeader(value as BatchHeader) })
fuzzDecoder({ name: 'batch', decode: decodeBatch, valid: batches })
fuzzDecoder({
  name: 'open batch',
  decode: (bytes) => openBatch(bytes, channel, tools),
  valid: batches,
  codes: ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION', 'IDENTITY_MISMATCH', 'SIGNATURE_INVALID']
})
fuzzDecoder({ name: 'proof', decode: decodeProof, valid: proofs })
fuzzDecoder({ name: 'receipts', decode: decodeReceipts, valid: receipts })
fuzzDecoder({
  name: 'open receipts',
  decode: (bytes) => openReceipts(bytes, { peer: bob.publicKey, self: alice.publicKey }, tools.verifier),
  valid: receipts,
  codes: ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION', 'IDENTITY_MISMATCH', 'SIGNATURE_INVALID']
})
fuzzDecoder({
  name: 'volatile frame',
  decode: decodeVolatile,
  valid: volatiles,
  encode: (value) => encodeVolatile(value as readonly VolatileMessage[])
})
fuzzDecoder({ name: 'frame kind', decode: frameKind, valid: [...batches, ...receipts, ...volatiles] })
