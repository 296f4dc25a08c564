import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, isMeshError } from '../../../src/core/base/index.ts'
import { decodeHello, encodeHello } from '../../../src/core/session/hello.ts'
import { End, aliceOptions, bobOptions, openPair, settle, signers } from './support.ts'

type Change = (frame: Uint8Array) => readonly Uint8Array[]
const typed: readonly ErrorCode[] = [
  'MESSAGE_MALFORMED',
  'UNSUPPORTED_VERSION',
  'HANDSHAKE_FAILED',
  'SIGNATURE_INVALID',
  'IDENTITY_MISMATCH',
  'NETWORK_MISMATCH',
  'LEVEL_REFUSED',
  'SESSION_AUTH_REFUSED',
  'SESSION_UNCONFIRMED',
  'SESSION_RECORD_INVALID'
]

/** A handshake in which frame `index` of one side is changed on the way; then both try to speak. */
function run(options: { readonly level: 1 | 3 | 5; readonly side: 'alice' | 'bob'; readonly index: number; readonly change: Change }): {
  readonly alice: End
  readonly bob: End
} {
  const alice = new End(aliceOptions({ level: options.level })).start()
  const bob = new End(bobOptions()).start()
  const counts = { alice: 0, bob: 0 }
  const carry = (side: 'alice' | 'bob', frames: readonly Uint8Array[]): readonly Uint8Array[] =>
    frames.flatMap((frame) => (side === options.side && counts[side]++ === options.index ? options.change(frame) : [frame]))
  for (let turn = 0; turn < 4; turn++) {
    bob.receive(carry('alice', alice.take()))
    alice.receive(carry('bob', bob.take()))
  }
  return { alice, bob }
}

const flip =
  (position: number): Change =>
  (frame) => {
    const changed = frame.slice()
    changed[position] = (changed[position] ?? 0) ^ (1 << (position % 8))
    return [changed]
  }

/** A changed handshake ended in a typed failure. */
function assertRefused({ alice, bob }: { readonly alice: End; readonly bob: End }, what: string): void {
  const errors = [alice.error, bob.error].filter((error) => error !== undefined)
  assert.ok(errors.length > 0, `${what}: nobody noticed`)
  for (const error of errors) assert.ok(isMeshError(error) && typed.includes(error.code), `${what}: ${error.code} ${error.message}`)
}

/** Frames of the handshake: A; B; C, confirmation, commitment; confirmation, nonce; reveal. */
const frames = [
  { side: 'alice', index: 0, name: 'A' },
  { side: 'bob', index: 0, name: 'B' },
  { side: 'alice', index: 1, name: 'C' },
  { side: 'alice', index: 2, name: "the initiator's confirmation" },
  { side: 'alice', index: 3, name: 'the commitment' },
  { side: 'bob', index: 1, name: "the responder's confirmation" },
  { side: 'bob', index: 2, name: "the responder's nonce" },
  { side: 'alice', index: 4, name: 'the reveal' }
] as const

for (const { side, index, name } of frames) {
  test(`each byte of ${name}, changed on its own, ends in a typed failure`, () => {
    const { alice, bob } = openPair()
    const length = (side === 'alice' ? alice : bob).sent[index]?.length ?? 0
    assert.ok(length > 0)
    for (let position = 0; position < length; position++)
      assertRefused(run({ level: 1, side, index, change: flip(position) }), `level 1, ${name}, byte ${position}`)
    for (const level of [3, 5] as const)
      for (let position = 0; position < length; position += 97)
        assertRefused(run({ level, side, index, change: flip(position) }), `level ${level}, ${name}, byte ${position}`)
  })

  test(`${name}, cut, lengthened, repeated or left out, ends in a failure or is not taken for a session`, () => {
    for (const change of [(frame: Uint8Array) => [frame.subarray(0, -1)], (frame: Uint8Array) => [new Uint8Array([...frame, 0])]])
      assertRefused(run({ level: 1, side, index, change }), name)
    const twice = run({ level: 1, side, index, change: (frame) => [frame, frame] })
    assertRefused(twice, `${name} twice`)
    const dropped = run({ level: 1, side, index, change: () => [] })
    assert.ok(
      dropped.alice.words === undefined || dropped.bob.words === undefined || dropped.alice.error !== undefined || dropped.bob.error !== undefined
    )
  })
}

test('a handshake that fails leaves neither side open, whatever byte of A, B or C was changed', () => {
  for (const { side, index } of frames.slice(0, 3)) {
    for (let position = 0; position < 160; position += 3) {
      const { alice, bob } = run({ level: 1, side, index, change: flip(position) })
      assert.equal(alice.facts, undefined)
      assert.equal(bob.facts, undefined)
    }
  }
})

test('a first frame that is exchanged for another valid one is found out by both sides', () => {
  const alice = new End(aliceOptions({ levels: [1, 3, 5] })).start()
  const [frame = new Uint8Array(0)] = alice.take()
  const hello = decodeHello(frame)
  for (const changed of [
    { ...hello, offers: [1, 5] as const },
    { ...hello, offers: [1] as const }
  ]) {
    const victim = { alice: new End(aliceOptions()).start(), bob: new End(bobOptions()).start() }
    const [own = new Uint8Array(0)] = victim.alice.take()
    victim.bob.receive([encodeHello({ ...changed, messageA: decodeHello(own).messageA })])
    assert.equal(victim.bob.error, undefined)
    settle(victim.alice, victim.bob)
    victim.alice.fails('HANDSHAKE_FAILED')
    assert.equal(victim.bob.facts, undefined)
  }
})

test('the responder must be the one that was called, and the initiator the one of the connection', () => {
  const wrongBob = { alice: new End(aliceOptions({ responderKey: signers.mallory.publicKey })).start(), bob: new End(bobOptions()).start() }
  settle(wrongBob.alice, wrongBob.bob)
  wrongBob.alice.fails('IDENTITY_MISMATCH')
  assert.equal(wrongBob.bob.facts, undefined)
  const wrongAlice = { alice: new End(aliceOptions()).start(), bob: new End(bobOptions({ initiatorKey: signers.mallory.publicKey })).start() }
  settle(wrongAlice.alice, wrongAlice.bob)
  wrongAlice.bob.fails('IDENTITY_MISMATCH')
  assert.equal(wrongAlice.alice.facts, undefined)
})

test('a session that was addressed to another name fails, although the keys are the same (rule Q1)', () => {
  const alice = new End(aliceOptions({ responder: 'shadow-abc' })).start()
  const bob = new End(bobOptions()).start()
  settle(alice, bob)
  alice.fails('HANDSHAKE_FAILED')
  assert.equal(bob.facts, undefined)
})

test('a key that signs for another one is found out', () => {
  const alice = new End(aliceOptions({ signer: { publicKey: signers.alice.publicKey, sign: signers.mallory.sign } })).start()
  const bob = new End(bobOptions()).start()
  settle(alice, bob)
  bob.fails('SIGNATURE_INVALID')
  assert.equal(alice.facts, undefined)
})

test('a session of another network is refused', () => {
  const alice = new End(aliceOptions({ network: 'other' })).start()
  const bob = new End(bobOptions()).start()
  settle(alice, bob)
  alice.fails('NETWORK_MISMATCH')
  bob.fails('NETWORK_MISMATCH')
})
