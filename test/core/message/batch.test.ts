import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ErrorCode, isMeshError, toHex } from '../../../src/core/base/index.ts'
import { decodeBatch, decodeProof, encodeEnvelope, frameKind, messageLimits, openBatch, verifyProof } from '../../../src/core/message/index.ts'
import { alice, batchFrame, batchOf, bob, carol, envelope, tools } from './samples.ts'

const channel = { peer: alice.publicKey, self: bob.publicKey }
const throwsCode = (run: () => unknown, code: ErrorCode): void => assert.throws(run, (thrown) => isMeshError(thrown, code), code)

describe('batch', () => {
  it('opens to its envelopes, in their order', () => {
    const frame = batchOf(1, 2, 3)
    assert.equal(frameKind(frame), 'batch')
    const opened = openBatch(frame, channel, tools)
    assert.equal(opened.header.size, 3)
    assert.deepEqual(
      opened.envelopes.map(toHex),
      [1, 2, 3].map((sequence) => toHex(encodeEnvelope(envelope({ sequence, id: `m-${sequence}` }))))
    )
  })

  it('is refused when its source is not the peer of the channel, however well it is signed', () => {
    throwsCode(() => openBatch(batchOf(1), { ...channel, peer: carol.publicKey }, tools), 'IDENTITY_MISMATCH')
  })

  it('is refused by everyone but its destination', () => {
    throwsCode(() => openBatch(batchOf(1), { ...channel, self: carol.publicKey }, tools), 'IDENTITY_MISMATCH')
  })

  it('is refused when one bit of it was changed, wherever', () => {
    const frame = batchOf(1, 2)
    for (let offset = 0; offset < frame.length; offset += 3) {
      const changed = Uint8Array.from(frame)
      changed[offset] = (changed[offset] ?? 0) ^ 4
      assert.throws(
        () => openBatch(changed, channel, tools),
        (thrown) => isMeshError(thrown),
        `byte ${offset}`
      )
    }
  })

  it('is refused when the signature is of another key', () => {
    const forged = { publicKey: alice.publicKey, sign: carol.sign.bind(carol) }
    throwsCode(() => openBatch(batchFrame([encodeEnvelope(envelope())], { signer: forged }), channel, tools), 'SIGNATURE_INVALID')
  })

  it('is refused when its messages were exchanged', () => {
    const raw = decodeBatch(batchOf(1, 2))
    const frame = batchFrame([raw.envelopes[1] ?? new Uint8Array(), raw.envelopes[0] ?? new Uint8Array()])
    const other = decodeBatch(frame)
    const [header, rest] = [raw.headerBytes, frame.subarray(3 + other.headerBytes.length)]
    assert.equal(header.length, other.headerBytes.length)
    throwsCode(() => openBatch(Uint8Array.of(1, header.length >> 8, header.length & 255, ...header, ...rest), channel, tools), 'SIGNATURE_INVALID')
  })

  it('is refused over the cap of a frame, however well it is made', () => {
    const body = new Uint8Array(600_000)
    const two = [1, 2].map((sequence) => encodeEnvelope(envelope({ sequence, body })))
    openBatch(batchFrame(two.slice(1)), channel, tools)
    assert.ok(batchFrame(two).length > messageLimits.frameBytes)
    throwsCode(() => openBatch(batchFrame(two), channel, tools), 'MESSAGE_MALFORMED')
  })

  it('has fresh salts in each transmission', () => {
    const salts = (): string => toHex(decodeBatch(batchOf(1)).salts[0] ?? new Uint8Array())
    assert.notEqual(salts(), salts())
  })
})

describe('proof', () => {
  const opened = openBatch(batchOf(1, 2, 3, 4, 5), channel, tools)
  const envelopeAt = (index: number): Uint8Array => opened.envelopes[index] ?? new Uint8Array()

  it('shows a third party who wrote each message', () => {
    for (const index of opened.envelopes.keys()) {
      const proven = verifyProof(envelopeAt(index), opened.proof(index), tools)
      assert.equal(proven.sequence, index + 1)
      assert.equal(toHex(proven.source.key), toHex(alice.publicKey))
    }
  })

  it('does not hold for a sibling, nor for other bytes', () => {
    throwsCode(() => verifyProof(envelopeAt(1), opened.proof(0), tools), 'SIGNATURE_INVALID')
    throwsCode(() => verifyProof(encodeEnvelope(envelope({ sequence: 1, id: 'm-1', priority: 9 })), opened.proof(0), tools), 'SIGNATURE_INVALID')
  })

  it('does not hold when its signature is not the source’s', () => {
    const proof = opened.proof(0)
    const at = 3 + opened.headerBytes.length
    proof[at] = (proof[at] ?? 0) ^ 1
    throwsCode(() => verifyProof(envelopeAt(0), proof, tools), 'SIGNATURE_INVALID')
  })

  it('does not hold for an envelope that names another source', () => {
    const stolen = encodeEnvelope(envelope({ source: { kind: 'peer', key: carol.publicKey, label: '' } }))
    const frame = batchFrame([stolen])
    throwsCode(() => verifyProof(stolen, openBatch(frame, channel, tools).proof(0), tools), 'IDENTITY_MISMATCH')
  })

  it('has one length only for its index and size', () => {
    const proof = opened.proof(0)
    throwsCode(() => decodeProof(proof.slice(0, -32)), 'MESSAGE_MALFORMED')
    throwsCode(() => decodeProof(Uint8Array.of(...proof, ...new Uint8Array(32))), 'MESSAGE_MALFORMED')
  })
})
