import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createPqIdentity, createPqVerifier } from '../../../src/crypto/pq-identity.ts'
import { levels, network, openPair, signers } from './support.ts'

const page = readFileSync(new URL('../../../docs/wire/session.md', import.meta.url), 'utf8')
const text = (bytes: number | undefined): string => (bytes ?? 0).toLocaleString('en-US')

test('docs/wire/session.md states the bytes of a handshake', (context) => {
  const verifier = createPqVerifier(network)
  const pq = (signer: typeof signers.alice) => ({
    identity: createPqIdentity({ seed: new Uint8Array(32), network, signer, levels: [1, 3, 5], sequence: 1 }),
    verifier,
    keys: { accepts: () => true }
  })
  for (const level of levels) {
    const plain = openPair({ alice: { level } }).alice.facts?.handshakeBytes ?? 0
    const both = openPair({ alice: { level, pqAuth: true, pq: pq(signers.alice) }, bob: { pq: pq(signers.bob) } }).alice.facts?.handshakeBytes ?? 0
    context.diagnostic(`level ${level}: ${plain} bytes, ${both - plain} more with ML-DSA-65`)
    assert.ok(page.includes(`${text(plain)} ${level === 1 ? 'bytes ' : ''}at level ${level}`), `level ${level}: ${plain}`)
    assert.ok(page.includes(`adds ${text(both - plain)}`), `${both - plain} more`)
  }
})
