import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pqSeedOf } from '../../src/crypto/pq-identity.ts'
import { identityOf } from '../../src/node/identity.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { failure } from './session-support.ts'

test('a session is signed with ML-DSA-65 besides Ed25519 when somebody asks for it, and with Ed25519 alone otherwise', async () => {
  await using net = await createTestnet(2)
  const [me, other] = [net.node(0), net.node(1)]
  await net.pair(me, other)
  assert.equal((await me.quantum(other.peerId)).authentication, 'ed25519')
  const signed = await me.quantum(other.peerId, { mlDsa: true })
  assert.equal(signed.authentication, 'ed25519+mldsa65')
  assert.ok(signed.handshakeBytes > 17_000)
})

test('nodes with quantum_signatures exchange messages, signed with both keys; who does not sign so has no session with them', async () => {
  await using net = await createTestnet(3, { config: (index) => ({ quantumSignatures: index < 2 }) })
  const [me, friend, classical] = [net.node(0), net.node(1), net.node(2)]
  await net.pair(me, friend)
  assert.equal((await me.send(friend.peerId, 'signed twice', { waitFor: 'stored', timeoutMs: 15_000 })).status, 'stored')
  assert.ok((await me.detailedStatus()).sessions.every(({ authentication }) => authentication === 'ed25519+mldsa65'))
  await assert.rejects(classical.quantum(me.peerId), failure('SESSION_AUTH_REFUSED'))
  assert.equal((await classical.quantum(me.peerId, { mlDsa: true })).authentication, 'ed25519+mldsa65')
  assert.equal((await me.quantum(classical.peerId)).authentication, 'ed25519+mldsa65')
})

test('messages to a peer that asks for a higher level and for ML-DSA-65 get both, and never less than the own node wants', async () => {
  await using net = await createTestnet(2, {
    config: (index) => (index === 0 ? { quantumSignatures: true, quantumResistant: true, mlkemSecurityLevel: 5 } : {})
  })
  const [strict, plain] = [net.node(0), net.node(1)]
  await net.pair(plain, strict)
  assert.equal((await plain.send(strict.peerId, 'as you want it', { waitFor: 'stored', timeoutMs: 15_000 })).status, 'stored')
  const { sessions } = await plain.detailedStatus()
  assert.deepEqual([...new Set(sessions.map(({ level, authentication }) => `${level} ${authentication}`))], ['5 ed25519+mldsa65'])
  await assert.rejects(strict.quantum(plain.peerId, { level: 1 }), /this node asks for level 5/)
  await assert.rejects(plain.quantum(strict.peerId, { level: 1 }), /the peer asks for level 5/)
})

test('an identity has the same ML-DSA-65 key each time, which is no other use of its seed', async () => {
  const seed = (): Uint8Array => new Uint8Array(32).fill(5)
  const [one, two] = [await identityOf(seed()), await identityOf(seed())]
  assert.deepEqual(one.pqIdentity('test').publicKey, two.pqIdentity('test').publicKey)
  assert.notDeepEqual(pqSeedOf(seed()), seed())
})
