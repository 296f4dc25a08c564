import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type MeshError, isMeshError } from '../../../src/core/base/index.ts'
import { cellSizes, isLinkProof, maxProofSkewMs, proveLink, provedKey } from '../../../src/core/onion/index.ts'
import { createSigner, createVerifier } from '../../../src/crypto/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const random = new SeededRandom(5)
const signer = createSigner(random.bytes(32), 'test')
const verifier = createVerifier('test')
const context = { linkKey: random.bytes(32), acceptor: random.bytes(32), now: 1_800_000_000_000 }
const body = proveLink(signer, context)

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

test('a proof gives the key that was proved, and fills its cell', () => {
  assert.equal(body.length, cellSizes.body)
  assert.ok(isLinkProof(body))
  assert.deepEqual(provedKey(verifier, body, context), signer.publicKey)
})

test('a proof of another link, of another acceptor or of another network proves nothing', () => {
  for (const other of [{ linkKey: random.bytes(32) }, { acceptor: random.bytes(32) }])
    assert.throws(() => provedKey(verifier, body, { ...context, ...other }), failure('SIGNATURE_INVALID'))
  assert.throws(() => provedKey(createVerifier('other'), body, context), failure('SIGNATURE_INVALID'))
})

test('a proof is taken within ten minutes, in both directions, and not beyond', () => {
  for (const skew of [-maxProofSkewMs, maxProofSkewMs])
    assert.deepEqual(provedKey(verifier, body, { ...context, now: context.now + skew }), signer.publicKey)
  for (const skew of [-maxProofSkewMs - 1, maxProofSkewMs + 1])
    assert.throws(() => provedKey(verifier, body, { ...context, now: context.now + skew }), failure('CIRCUIT_VIOLATION'))
})

test('no changed bit of a proof is taken', () => {
  for (let at = 0; at < cellSizes.body; at++) {
    const changed = body.slice()
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
    assert.throws(
      () => provedKey(verifier, changed, context),
      (error: MeshError) => ['MESSAGE_MALFORMED', 'SIGNATURE_INVALID', 'CIRCUIT_VIOLATION'].includes(error.code),
      `byte ${at}`
    )
  }
})
