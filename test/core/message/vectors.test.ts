import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fromHex, type Random, toHex, wallMillis } from '../../../src/core/base/index.ts'
import {
  contentDigest,
  decodeBatch,
  decodeEnvelope,
  decodeVolatile,
  encodeEnvelope,
  encodeVolatile,
  leafHash,
  nobleSha256,
  openBatch,
  openReceipts,
  type Receipt,
  sealBatch,
  sealReceipts,
  verifyProof
} from '../../../src/core/message/index.ts'
import { createSigner, createVerifier } from '../../../src/crypto/index.ts'
import { draft, envelope, epoch, volatileMessage } from './samples.ts'

const file = new URL('../../vectors/message-v1.json', import.meta.url)
const network = 'main'
const senderSeed = new Uint8Array(32).fill(1)
const recipientSeed = new Uint8Array(32).fill(2)
const sender = createSigner(senderSeed, network)
const recipient = createSigner(recipientSeed, network)
const verifier = createVerifier(network)
const sha256 = nobleSha256

/** Salts 00 01 02 …, so that the vectors can be made again. */
const countingRandom: Random = { bytes: (length) => Uint8Array.from({ length }, (_, index) => index & 255) }

const source = { kind: 'peer', key: sender.publicKey, label: 'alpha' } as const
const destination = { kind: 'peer', key: recipient.publicKey, label: 'agent-001' } as const
const envelopes = [
  envelope({ source, destination, sequence: 1 }),
  envelope({
    source,
    destination,
    sequence: 2,
    id: 'own.id_2-x',
    type: 'Command',
    expectsReply: true,
    priority: 10,
    ttlS: 1,
    body: new Uint8Array()
  }),
  envelope({ source, destination, sequence: 70_000, id: 'r', type: 'Response', inReplyTo: 'own.id_2-x', contentType: 'application/json' })
]
const volatiles = [
  volatileMessage(),
  volatileMessage({ label: 'ä', toLabel: 'b', inReplyTo: 'own.id_2-x', expectsReply: true, contentType: 'text/x-own', body: fromHex('00ff') })
]

function makeVectors(): Record<string, unknown> {
  const encoded = envelopes.map(encodeEnvelope)
  const header = { destination: recipient.publicKey, epoch, sentAt: wallMillis(1_760_000_000_500), floor: 1 }
  const batch = sealBatch({ header, envelopes: encoded }, { signer: sender, random: countingRandom, sha256 })
  const opened = openBatch(batch, { peer: sender.publicKey, self: recipient.publicKey }, { verifier, sha256 })
  return {
    format: 'synaptic-mesh message vectors, version 1: bytes as hexadecimal text; see docs/wire',
    network,
    senderSeed: toHex(senderSeed),
    senderKey: toHex(sender.publicKey),
    recipientSeed: toHex(recipientSeed),
    recipientKey: toHex(recipient.publicKey),
    envelopes: encoded.map((bytes, index) => ({
      bytes: toHex(bytes),
      digest: toHex(sha256(bytes)),
      leaf: toHex(leafHash(opened.salts[index] ?? bytes, bytes, sha256)),
      proof: toHex(opened.proof(index))
    })),
    contentDigest: toHex(contentDigest(draft({ destination }), sha256)),
    batchHeader: toHex(opened.headerBytes),
    batchRoot: toHex(opened.header.root),
    batch: toHex(batch),
    receipts: toHex(sealReceipts(sender.publicKey, receiptsFor(encoded), recipient)),
    volatile: toHex(encodeVolatile(volatiles))
  }
}

function receiptsFor(encoded: readonly Uint8Array[]): readonly Receipt[] {
  const subject = (index: number): Pick<Receipt, 'id' | 'digest' | 'epoch' | 'sequence'> => {
    const { id, sequence } = envelopes[index] ?? assert.fail()
    return { id, digest: sha256(encoded[index] ?? assert.fail()), epoch, sequence }
  }
  return [
    { ...subject(0), state: 'stored', code: undefined },
    { ...subject(1), state: 'refused', code: 'COMMAND_NOT_ALLOWED' },
    { ...subject(2), state: 'read', code: undefined }
  ]
}

// UPDATE_VECTORS=1 writes the file anew: only when the version changes.
if (process.env['UPDATE_VECTORS'] === '1') writeFileSync(file, `${JSON.stringify(makeVectors(), null, 2)}\n`)

interface Vectors {
  readonly envelopes: readonly { readonly bytes: string; readonly digest: string; readonly leaf: string; readonly proof: string }[]
  readonly batch: string
  readonly receipts: string
  readonly volatile: string
}

describe('message vectors, version 1', () => {
  const vectors: Vectors = JSON.parse(readFileSync(file, 'utf8'))

  it('come out of the code byte for byte', () => assert.deepEqual(makeVectors(), vectors))

  it('decode to the messages that they were made from', () => {
    assert.deepEqual(
      vectors.envelopes.map(({ bytes }) => decodeEnvelope(fromHex(bytes))),
      envelopes
    )
    assert.deepEqual(decodeVolatile(fromHex(vectors.volatile)), volatiles)
    assert.equal(decodeBatch(fromHex(vectors.batch)).header.size, 3)
  })

  it('verify with Ed25519', () => {
    const tools = { verifier, sha256 }
    openBatch(fromHex(vectors.batch), { peer: sender.publicKey, self: recipient.publicKey }, tools)
    for (const { bytes, proof } of vectors.envelopes) verifyProof(fromHex(bytes), fromHex(proof), tools)
    const { receipts } = openReceipts(fromHex(vectors.receipts), { peer: recipient.publicKey, self: sender.publicKey }, verifier)
    assert.deepEqual(
      receipts.map(({ state }) => state),
      ['stored', 'refused', 'read']
    )
  })

  it('do not verify in another network', () => {
    const tools = { verifier: createVerifier('other'), sha256 }
    assert.throws(() => openBatch(fromHex(vectors.batch), { peer: sender.publicKey, self: recipient.publicKey }, tools), {
      code: 'SIGNATURE_INVALID'
    })
  })
})
