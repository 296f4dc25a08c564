import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError, equalBytes, isMeshError, millis, toHex, wallMillis } from '../../../src/core/base/index.ts'
import {
  type Invite,
  type InviterInput,
  InviterMachine,
  type JoinerInput,
  JoinerMachine,
  type KnownInvite,
  encodeCard,
  inviteIdOf,
  maxInviteFailures
} from '../../../src/core/peers/index.ts'
import { cardOf, hmac, network, seeded, signerOf, verifier } from './support.ts'

const now = wallMillis(1_800_000_000_000)
const secret = seeded('secret').bytes(16)
const inviter = signerOf('inviter')
const joiner = signerOf('joiner')
const invite: Invite = { network, publicKey: inviter.publicKey, secret, expiresAt: wallMillis(now + 60_000), addresses: [] }

/** The inviter's store, as small as it can be. */
class Store {
  failures = 0
  usedBy: Uint8Array | undefined
  expiresAt = invite.expiresAt

  find(inviteId: Uint8Array, peerKey: Uint8Array): KnownInvite | undefined {
    if (!equalBytes(inviteId, inviteIdOf(secret))) return undefined
    const usedBy = this.usedBy === undefined ? 'nobody' : equalBytes(this.usedBy, peerKey) ? 'this-peer' : 'another'
    return { secret: usedBy === 'nobody' ? secret : new Uint8Array(0), expiresAt: this.expiresAt, failures: this.failures, usedBy }
  }
}

interface Outcome {
  readonly joiner: string
  readonly inviter: string
  readonly frames: readonly Uint8Array[]
}

interface RunOptions {
  readonly store: Store
  readonly joinerSecret?: Uint8Array
  readonly as?: ReturnType<typeof signerOf>
  readonly alter?: (frame: Uint8Array, index: number) => Uint8Array
}

function run({ store, joinerSecret = secret, as = joiner, alter = (frame) => frame }: RunOptions): Outcome {
  const common = { network, verifier, hmac }
  const inviterSide = new InviterMachine({
    ...common,
    random: seeded('i'),
    ownKey: inviter.publicKey,
    peerKey: as.publicKey,
    ownCard: encodeCard(cardOf(inviter.publicKey, { name: 'inviter' }), inviter)
  })
  const joinerSide = new JoinerMachine({
    ...common,
    random: seeded('j'),
    ownKey: as.publicKey,
    peerKey: inviter.publicKey,
    ownCard: encodeCard(cardOf(as.publicKey, { name: 'joiner' }), as),
    invite: { ...invite, secret: joinerSecret }
  })
  const frames: Uint8Array[] = []
  let joinerResult = 'waiting'
  let inviterResult = 'waiting'
  const travel = (frame: Uint8Array): Uint8Array => {
    frames.push(frame)
    return alter(frame, frames.length - 1)
  }
  const toJoiner = (input: JoinerInput): void => {
    for (const output of joinerSide.handle(input, millis(0))) {
      if (output.type === 'send') toInviter({ type: 'frame', frame: travel(output.frame) })
      else joinerResult = output.type === 'paired' ? `paired with ${output.card.name}` : output.error.code
    }
  }
  const toInviter = (input: InviterInput): void => {
    for (const output of inviterSide.handle(input, millis(0))) {
      if (output.type === 'send') toJoiner({ type: 'frame', frame: travel(output.frame) })
      else if (output.type === 'look-up') toInviter({ type: 'invite', invite: store.find(output.inviteId, as.publicKey), now })
      else if (output.type === 'redeem') {
        store.usedBy = as.publicKey
        toInviter({ type: 'redeemed' })
      } else if (output.type === 'count-failure') {
        store.failures += 1
        toInviter({ type: 'failure-counted' })
      } else inviterResult = output.type === 'paired' ? `paired with ${output.card.name}` : output.error.code
    }
  }
  toJoiner({ type: 'start' })
  return { joiner: joinerResult, inviter: inviterResult, frames }
}

test('who has the invite is paired, and both know the name on the card of the other', () => {
  const { joiner: joined, inviter: invited } = run({ store: new Store() })
  assert.equal(joined, 'paired with inviter')
  assert.equal(invited, 'paired with joiner')
})

test('the secret is in no frame', () => {
  const { frames } = run({ store: new Store() })
  assert.equal(frames.length, 4)
  for (const frame of frames) assert.ok(!toHex(frame).includes(toHex(secret)))
})

test('an invite serves one peer: another one is told INVITE_USED', () => {
  const store = new Store()
  run({ store })
  assert.equal(run({ store, as: signerOf('second') }).joiner, 'INVITE_USED')
})

test('the peer that used it may ask again, because the reply may have been lost', () => {
  const store = new Store()
  run({ store, alter: (frame, index) => (index === 3 ? frame.subarray(0, 1) : frame) })
  assert.equal(run({ store }).joiner, 'paired with inviter')
})

test('five wrong proofs burn the invite, even for who has the secret', () => {
  const store = new Store()
  const joinerSecret = secret.slice()
  joinerSecret[15] = (joinerSecret[15] ?? 0) ^ 1
  const wrong = (): Outcome => run({ store, alter: (frame, index) => (index === 2 ? frame.map((byte, at) => (at === 1 ? byte ^ 1 : byte)) : frame) })
  for (let failure = 1; failure <= maxInviteFailures; failure++) {
    assert.equal(wrong().joiner, 'INVITE_INVALID')
    assert.equal(store.failures, failure)
  }
  assert.equal(run({ store }).joiner, 'INVITE_USED')
})

test('an invite that expired or is not known is refused by name', () => {
  const expired = new Store()
  expired.expiresAt = now
  assert.equal(run({ store: expired }).joiner, 'INVITE_EXPIRED')
  assert.equal(run({ store: new Store(), joinerSecret: new Uint8Array(16) }).joiner, 'INVITE_INVALID')
})

test('nobody is paired before the store has committed', () => {
  const machine = new InviterMachine({
    network,
    verifier,
    hmac,
    random: seeded('i'),
    ownKey: inviter.publicKey,
    peerKey: joiner.publicKey,
    ownCard: new Uint8Array(0)
  })
  const joining = new JoinerMachine({
    network,
    verifier,
    hmac,
    random: seeded('j'),
    ownKey: joiner.publicKey,
    peerKey: inviter.publicKey,
    ownCard: encodeCard(cardOf(joiner.publicKey), joiner),
    invite
  })
  const [hello] = joining.handle({ type: 'start' }, millis(0))
  assert.ok(hello?.type === 'send')
  machine.handle({ type: 'frame', frame: hello.frame }, millis(0))
  const [challenge] = machine.handle({ type: 'invite', invite: new Store().find(inviteIdOf(secret), joiner.publicKey), now }, millis(0))
  assert.ok(challenge?.type === 'send')
  const [proof] = joining.handle({ type: 'frame', frame: challenge.frame }, millis(0))
  assert.ok(proof?.type === 'send')
  assert.deepEqual(
    machine.handle({ type: 'frame', frame: proof.frame }, millis(0)).map((output) => output.type),
    ['redeem']
  )
  const outputs = machine.handle({ type: 'not-redeemed', error: new MeshError('INVITE_USED') }, millis(0))
  assert.deepEqual(
    outputs.map((output) => output.type),
    ['send', 'failed']
  )
  assert.deepEqual(machine.handle({ type: 'redeemed' }, millis(0)), [])
})

test('a second proof in one handshake is not looked at', () => {
  const machine = new InviterMachine({
    network,
    verifier,
    hmac,
    random: seeded('i'),
    ownKey: inviter.publicKey,
    peerKey: joiner.publicKey,
    ownCard: new Uint8Array(0)
  })
  const joining = new JoinerMachine({
    network,
    verifier,
    hmac,
    random: seeded('j'),
    ownKey: joiner.publicKey,
    peerKey: inviter.publicKey,
    ownCard: encodeCard(cardOf(joiner.publicKey), joiner),
    invite
  })
  const [hello] = joining.handle({ type: 'start' }, millis(0))
  assert.ok(hello?.type === 'send')
  machine.handle({ type: 'frame', frame: hello.frame }, millis(0))
  const [challenge] = machine.handle({ type: 'invite', invite: new Store().find(inviteIdOf(secret), joiner.publicKey), now }, millis(0))
  assert.ok(challenge?.type === 'send')
  const [proof] = joining.handle({ type: 'frame', frame: challenge.frame }, millis(0))
  assert.ok(proof?.type === 'send')
  const wrong = proof.frame.slice()
  wrong[1] = (wrong[1] ?? 0) ^ 1
  assert.deepEqual(
    machine.handle({ type: 'frame', frame: wrong }, millis(0)).map((output) => output.type),
    ['count-failure']
  )
  assert.deepEqual(
    machine.handle({ type: 'frame', frame: proof.frame }, millis(0)).map((output) => output.type),
    ['send', 'failed']
  )
})

test('a proof sent back to the joiner does not pass for the proof of the inviter', () => {
  let proof: Uint8Array = new Uint8Array(0)
  const alter = (frame: Uint8Array, index: number): Uint8Array => {
    if (index === 2) proof = frame
    if (index !== 3) return frame
    const reflected = frame.slice()
    reflected.set(proof.subarray(1, 33), 1)
    return reflected
  }
  assert.equal(run({ store: new Store(), alter }).joiner, 'SIGNATURE_INVALID')
})

test('the proof of one pairing is worth nothing in the next, which has other nonces', () => {
  const first = run({ store: new Store() })
  const replayed = first.frames[2] ?? new Uint8Array(0)
  const machine = new InviterMachine({
    network,
    verifier,
    hmac,
    random: seeded('another'),
    ownKey: inviter.publicKey,
    peerKey: joiner.publicKey,
    ownCard: new Uint8Array(0)
  })
  machine.handle({ type: 'frame', frame: first.frames[0] ?? new Uint8Array(0) }, millis(0))
  machine.handle({ type: 'invite', invite: new Store().find(inviteIdOf(secret), joiner.publicKey), now }, millis(0))
  assert.deepEqual(
    machine.handle({ type: 'frame', frame: replayed }, millis(0)).map((output) => output.type),
    ['count-failure']
  )
})

test('another key at the address of the inviter is IDENTITY_MISMATCH before anything is sent', () => {
  assert.throws(
    () =>
      new JoinerMachine({
        network,
        verifier,
        hmac,
        random: seeded('j'),
        ownKey: joiner.publicKey,
        peerKey: signerOf('impostor').publicKey,
        ownCard: new Uint8Array(0),
        invite
      }),
    (error) => isMeshError(error, 'IDENTITY_MISMATCH')
  )
})

test('a card that is not of the peer itself ends the pairing before anything is added', () => {
  const store = new Store()
  const machine = new InviterMachine({
    network,
    verifier,
    hmac,
    random: seeded('i'),
    ownKey: inviter.publicKey,
    peerKey: joiner.publicKey,
    ownCard: new Uint8Array(0)
  })
  const joining = new JoinerMachine({
    network,
    verifier,
    hmac,
    random: seeded('j'),
    ownKey: joiner.publicKey,
    peerKey: inviter.publicKey,
    ownCard: encodeCard(cardOf(signerOf('victim').publicKey), signerOf('victim')),
    invite
  })
  const [hello] = joining.handle({ type: 'start' }, millis(0))
  assert.ok(hello?.type === 'send')
  machine.handle({ type: 'frame', frame: hello.frame }, millis(0))
  const [challenge] = machine.handle({ type: 'invite', invite: store.find(inviteIdOf(secret), joiner.publicKey), now }, millis(0))
  assert.ok(challenge?.type === 'send')
  const [proof] = joining.handle({ type: 'frame', frame: challenge.frame }, millis(0))
  assert.ok(proof?.type === 'send')
  const outputs = machine.handle({ type: 'frame', frame: proof.frame }, millis(0))
  assert.ok(outputs.some((output) => output.type === 'failed' && output.error.code === 'IDENTITY_MISMATCH'))
  assert.ok(!outputs.some((output) => output.type === 'redeem'))
})
