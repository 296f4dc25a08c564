import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ErrorCode, isMeshError } from '../../../src/core/base/index.ts'
import { decodeReceipts, openReceipts, type Receipt, refusalCodes, sealReceipts } from '../../../src/core/message/index.ts'
import { alice, bob, carol, receipt, tools } from './samples.ts'

const channel = { peer: bob.publicKey, self: alice.publicKey }
const throwsCode = (run: () => unknown, code: ErrorCode): void => assert.throws(run, (thrown) => isMeshError(thrown, code), code)

const subject = fc.record({
  id: fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
  digest: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  epoch: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  sequence: fc.maxSafeNat()
})
const verdict = fc.oneof(
  fc.constantFrom('stored' as const, 'read' as const, 'held' as const).map((state) => ({ state, code: undefined })),
  fc.constantFrom(...refusalCodes).map((code) => ({ state: 'refused' as const, code }))
)
const anyReceipt: fc.Arbitrary<Receipt> = fc.tuple(subject, verdict).map(([about, says]) => ({ ...about, ...says }))

describe('receipts', () => {
  it('open to what was sealed', () => {
    fc.assert(
      fc.property(fc.array(anyReceipt, { minLength: 1, maxLength: 20 }), (receipts) => {
        assert.deepEqual(openReceipts(sealReceipts(alice.publicKey, receipts, bob), channel, tools.verifier).receipts, receipts)
      })
    )
  })

  it('fit 256 of the largest in one frame, and refuse more', () => {
    const largest = Array.from({ length: 256 }, (): Receipt => ({
      ...receipt({ id: 'x'.repeat(64), sequence: Number.MAX_SAFE_INTEGER }),
      state: 'refused',
      code: 'QUOTA'
    }))
    assert.equal(decodeReceipts(sealReceipts(alice.publicKey, largest, bob)).receipts.length, 256)
    throwsCode(() => decodeReceipts(sealReceipts(alice.publicKey, [...largest, receipt()], bob)), 'MESSAGE_MALFORMED')
    throwsCode(() => decodeReceipts(sealReceipts(alice.publicKey, [], bob)), 'MESSAGE_MALFORMED')
  })

  it('are taken from the recipient itself only', () => {
    const frame = sealReceipts(alice.publicKey, [receipt()], bob)
    throwsCode(() => openReceipts(frame, { ...channel, peer: carol.publicKey }, tools.verifier), 'IDENTITY_MISMATCH')
    throwsCode(() => openReceipts(frame, { ...channel, self: carol.publicKey }, tools.verifier), 'IDENTITY_MISMATCH')
  })

  it('are refused with the signature of another key, or a changed bit', () => {
    const forged = sealReceipts(alice.publicKey, [receipt()], { publicKey: bob.publicKey, sign: carol.sign.bind(carol) })
    throwsCode(() => openReceipts(forged, channel, tools.verifier), 'SIGNATURE_INVALID')
    const frame = sealReceipts(alice.publicKey, [receipt()], bob)
    for (let offset = 0; offset < frame.length; offset++) {
      const changed = Uint8Array.from(frame)
      changed[offset] = (changed[offset] ?? 0) ^ 1
      assert.throws(
        () => openReceipts(changed, channel, tools.verifier),
        (thrown) => isMeshError(thrown),
        `byte ${offset}`
      )
    }
  })

  it('cannot be made of a batch’s signature: the domains differ', () => {
    const mixed = { publicKey: bob.publicKey, sign: (_: string, bytes: Uint8Array) => bob.sign('envelope-batch', bytes) }
    throwsCode(() => openReceipts(sealReceipts(alice.publicKey, [receipt()], mixed), channel, tools.verifier), 'SIGNATURE_INVALID')
  })
})
