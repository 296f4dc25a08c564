import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Signer } from '../../../src/core/base/index.ts'
import type { IdentityTools, PqIdentity, PqKeys } from '../../../src/core/session/index.ts'
import { decodePqRecord } from '../../../src/core/session/pq-identity.ts'
import { createVerifier } from '../../../src/crypto/index.ts'
import { createPqIdentity, createPqVerifier } from '../../../src/crypto/pq-identity.ts'
import { End, aliceOptions, bobOptions, network, settle, signers } from './support.ts'

const verifier = createPqVerifier(network)
const identityOf = (signer: Signer, byte: number): PqIdentity =>
  createPqIdentity({ seed: new Uint8Array(32).fill(byte), network, signer, levels: [1, 3, 5], sequence: 1 })
const identities = { alice: identityOf(signers.alice, 1), bob: identityOf(signers.bob, 2), mallory: identityOf(signers.mallory, 3) }
const anyKey = { accepts: () => true }
const pq = (identity: PqIdentity, keys: PqKeys = anyKey): IdentityTools['pq'] => ({ identity, verifier, keys })

interface Choice {
  readonly alice?: PqIdentity
  readonly pqAuth?: boolean
  readonly requirePqAuth?: boolean
}

function pair({ alice = identities.alice, pqAuth = true, requirePqAuth = false }: Choice): { readonly alice: End; readonly bob: End } {
  const ends = {
    alice: new End(aliceOptions({ level: 3, pqAuth, pq: pq(alice) })).start(),
    bob: new End(bobOptions({ pq: pq(identities.bob), requirePqAuth })).start()
  }
  settle(ends.alice, ends.bob)
  return ends
}

test('with ML-DSA-65 both sides sign with both keys, and know the key of the other', () => {
  const { alice, bob } = pair({})
  assert.ok(alice.facts?.pqAuth === true && bob.facts?.pqAuth === true)
  assert.deepEqual(alice.facts.peer.pq?.publicKey, identities.bob.publicKey)
  assert.deepEqual(bob.facts.peer.pq?.publicKey, identities.alice.publicKey)
  assert.ok(alice.facts.handshakeBytes > 2_688 + 4 * 3_309 + 2 * 1_952)
})

test('each byte of a signature, changed by the signer itself, ends in a typed failure (rule S4)', () => {
  for (const position of [0, 1_000, 3_308]) {
    const alice: PqIdentity = {
      ...identities.alice,
      sign: (domain, bytes) => {
        const signature = identities.alice.sign(domain, bytes)
        return signature.with(position, (signature[position] ?? 0) ^ 1)
      }
    }
    const ends = pair({ alice })
    ends.bob.fails('SIGNATURE_INVALID')
    assert.equal(ends.alice.facts, undefined)
  }
})

test('the record of another node, and a key that did not sign its record, are refused', () => {
  pair({ alice: identities.mallory }).bob.fails('IDENTITY_MISMATCH')
  const forged = identities.alice.record.with(-1, (identities.alice.record.at(-1) ?? 0) ^ 1)
  pair({ alice: { ...identities.alice, record: forged } }).bob.fails('SIGNATURE_INVALID')
  // Mallory's Ed25519 key alone ties itself to Alice's ML-DSA key.
  const borrowed = createPqIdentity({ seed: new Uint8Array(32).fill(1), network, signer: signers.mallory, levels: [1], sequence: 1 })
  const mixed = new Uint8Array([...borrowed.record.subarray(0, -3_309), ...identities.mallory.record.subarray(-3_309)])
  assert.throws(() => decodePqRecord(mixed, { publicKey: signers.mallory.publicKey, verifier: createVerifier(network), pqVerifier: verifier }))
})

test('a responder without ML-DSA-65 refuses a session that asks for it, and one that requires it refuses a session without', () => {
  const alice = new End(aliceOptions({ pqAuth: true, pq: pq(identities.alice) })).start()
  const bob = new End(bobOptions({ pq: undefined })).start()
  settle(alice, bob)
  alice.fails('SESSION_AUTH_REFUSED')
  bob.fails('SESSION_AUTH_REFUSED')
  const required = pair({ pqAuth: false, requirePqAuth: true })
  required.alice.fails('SESSION_AUTH_REFUSED')
  required.bob.fails('SESSION_AUTH_REFUSED')
})

test('an initiator without an ML-DSA-65 identity cannot promise one', () => {
  const alice = new End(aliceOptions({ pqAuth: true, pq: undefined })).start()
  const bob = new End(bobOptions({ pq: pq(identities.bob) })).start()
  settle(alice, bob)
  alice.fails('SESSION_AUTH_REFUSED')
  assert.equal(bob.facts, undefined)
})

test('a seed of another length is no key', () => {
  assert.throws(() => createPqIdentity({ seed: new Uint8Array(31), network, signer: signers.alice, levels: [1], sequence: 1 }), {
    code: 'KEY_CORRUPT'
  })
  assert.equal(verifier.verify('session', new Uint8Array(5), new Uint8Array(1), new Uint8Array(3_309)), false)
})

test('a peer whose ML-DSA-65 key is another one than before is refused, although its Ed25519 key fits', () => {
  const shown: string[] = []
  const refusing: PqKeys = {
    accepts: (publicKey, pqKey, wasCalled) => {
      shown.push(`${publicKey[0]} ${pqKey.length} ${wasCalled}`)
      return false
    }
  }
  const alice = new End(aliceOptions({ pqAuth: true, pq: pq(identities.alice, refusing) })).start()
  const bob = new End(bobOptions({ pq: pq(identities.bob) })).start()
  settle(alice, bob)
  alice.fails('IDENTITY_MISMATCH')
  const caller = new End(aliceOptions({ pqAuth: true, pq: pq(identities.alice) })).start()
  const called = new End(bobOptions({ pq: pq(identities.bob, refusing) })).start()
  settle(caller, called)
  called.fails('IDENTITY_MISMATCH')
  assert.deepEqual(shown, [`${signers.bob.publicKey[0]} 1952 true`, `${signers.alice.publicKey[0]} 1952 false`])
})
