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
  type PairingOptions,
  encodeCard,
  inviteIdOf,
  maxInviteFailures
} from '../../../src/core/peers/index.ts'
import { encodePairingFrame } from '../../../src/core/peers/pairing-frames.ts'
import { cardOf, hmac, network, seeded, signerOf, verifier } from './support.ts'

const now = wallMillis(1_800_000_000_000)
const secret = seeded('secret').bytes(16)
const inviter = signerOf('inviter')
const joiner = signerOf('joiner')
const invite: Invite = { network, publicKey: inviter.publicKey, secret, expiresAt: wallMillis(now + 60_000), addresses: [] }

/** What both ends of one session export. */
const bindingOf = (session: string): Uint8Array => seeded(`session ${session}`).bytes(32)

/** The inviter's store, as small as it can be. */
class Store {
  failures = 0
  usedBy: Uint8Array | undefined
  isDone = false
  isRevoked = false
  expiresAt = invite.expiresAt

  find(inviteId: Uint8Array, peerKey: Uint8Array): KnownInvite | undefined {
    if (!equalBytes(inviteId, inviteIdOf(secret))) return undefined
    const usedBy = this.usedBy === undefined ? 'nobody' : equalBytes(this.usedBy, peerKey) && !this.isDone ? 'this-peer' : 'another'
    const { failures, expiresAt, isRevoked } = this
    return { secret: usedBy === 'nobody' ? secret : new Uint8Array(0), expiresAt, failures, isRevoked, usedBy }
  }
}

const optionsOf = (own: typeof inviter, peer: typeof inviter, changes: Partial<PairingOptions> = {}): PairingOptions => ({
  network,
  verifier,
  hmac,
  ownKey: own.publicKey,
  peerKey: peer.publicKey,
  ownCard: encodeCard(cardOf(own.publicKey, { name: own === inviter ? 'inviter' : 'joiner' }), own),
  binding: bindingOf('1'),
  ...changes
})

interface Outcome {
  readonly joiner: string
  readonly inviter: string
  readonly frames: readonly Uint8Array[]
}

interface RunOptions {
  readonly store: Store
  readonly joinerSecret?: Uint8Array
  readonly as?: typeof joiner
  readonly inviterChanges?: Partial<PairingOptions>
  readonly joinerChanges?: Partial<PairingOptions>
  readonly alter?: (frame: Uint8Array, index: number) => Uint8Array | undefined
}

function run({ store, joinerSecret = secret, as = joiner, inviterChanges, joinerChanges, alter = (frame) => frame }: RunOptions): Outcome {
  const inviterSide = new InviterMachine(optionsOf(inviter, as, inviterChanges))
  const joinerSide = new JoinerMachine({ ...optionsOf(as, inviter, joinerChanges), invite: { ...invite, secret: joinerSecret } })
  const frames: Uint8Array[] = []
  let joinerResult = 'waiting'
  let inviterResult = 'waiting'
  const travel = (frame: Uint8Array, deliver: (frame: Uint8Array) => void): void => {
    frames.push(frame)
    const arrived = alter(frame, frames.length - 1)
    if (arrived !== undefined) deliver(arrived)
  }
  const toJoiner = (input: JoinerInput): void => {
    for (const output of joinerSide.handle(input, millis(0))) {
      if (output.type === 'send') travel(output.frame, (frame) => toInviter({ type: 'frame', frame }))
      else if (output.type === 'failed') joinerResult = output.error.code
      else {
        joinerResult = `paired with ${output.card.name}`
        toJoiner({ type: 'saved' })
      }
    }
  }
  const toInviter = (input: InviterInput): void => {
    for (const output of inviterSide.handle(input, millis(0))) {
      if (output.type === 'send') travel(output.frame, (frame) => toJoiner({ type: 'frame', frame }))
      else if (output.type === 'look-up') toInviter({ type: 'invite', invite: store.find(output.inviteId, as.publicKey), now })
      else if (output.type === 'redeem') {
        store.usedBy = as.publicKey
        inviterResult = `added ${output.card.name}`
        toInviter({ type: 'redeemed' })
      } else if (output.type === 'count-failure') {
        store.failures += 1
        toInviter({ type: 'failure-counted' })
      } else if (output.type === 'complete') store.isDone = true
      else if (output.type === 'failed') inviterResult = output.error.code
    }
  }
  toJoiner({ type: 'start' })
  return { joiner: joinerResult, inviter: inviterResult, frames }
}

const flip = (at: number) => (frame: Uint8Array, index: number) =>
  index === 0 ? frame.map((byte, offset) => (offset === at ? byte ^ 1 : byte)) : frame

test('who has the invite is paired, and both know the name on the card of the other', () => {
  const store = new Store()
  const { joiner: joined, inviter: invited } = run({ store })
  assert.equal(joined, 'paired with inviter')
  assert.equal(invited, 'added joiner')
  assert.ok(store.isDone)
})

test('the secret is in no frame', () => {
  const { frames } = run({ store: new Store() })
  assert.equal(frames.length, 3)
  for (const frame of frames) assert.ok(!toHex(frame).includes(toHex(secret)))
})

test('an invite serves one peer, once: another one and the same one again are told INVITE_USED', () => {
  const store = new Store()
  run({ store })
  assert.equal(run({ store, as: signerOf('second') }).joiner, 'INVITE_USED')
  assert.equal(run({ store }).joiner, 'INVITE_USED')
})

test('the peer that used it may come again until it has said that it is done, because the answer may have been lost', () => {
  const store = new Store()
  assert.equal(run({ store, alter: (frame, index) => (index === 1 ? undefined : frame) }).joiner, 'waiting')
  assert.equal(run({ store, as: signerOf('second') }).joiner, 'INVITE_USED')
  assert.equal(run({ store, joinerChanges: { binding: bindingOf('2') }, inviterChanges: { binding: bindingOf('2') } }).joiner, 'paired with inviter')
  assert.equal(run({ store }).joiner, 'INVITE_USED')
})

test('five wrong proofs burn the invite, even for who has the secret', () => {
  const store = new Store()
  for (let failure = 1; failure <= maxInviteFailures; failure++) {
    assert.equal(run({ store, alter: flip(10) }).joiner, 'INVITE_INVALID')
    assert.equal(store.failures, failure)
  }
  assert.equal(run({ store }).joiner, 'INVITE_USED')
})

test('an invite that expired, was taken back or is not known is refused by name', () => {
  const expired = new Store()
  expired.expiresAt = now
  assert.equal(run({ store: expired }).joiner, 'INVITE_EXPIRED')
  const revoked = new Store()
  revoked.isRevoked = true
  assert.equal(run({ store: revoked }).joiner, 'INVITE_REVOKED')
  assert.equal(run({ store: new Store(), joinerSecret: new Uint8Array(16) }).joiner, 'INVITE_INVALID')
})

test('a proof holds in its own session only: where somebody stands between, the two ends export different secrets', () => {
  const store = new Store()
  const { joiner: joined, inviter: invited } = run({ store, joinerChanges: { binding: bindingOf('with the one between') } })
  assert.deepEqual([joined, invited, store.failures, store.usedBy], ['INVITE_INVALID', 'INVITE_INVALID', 1, undefined])
})

test('a proof is of no use for another key, another network or another invite', () => {
  const { frames } = run({ store: new Store() })
  const replay = (changes: Partial<PairingOptions>): string => {
    const machine = new InviterMachine(optionsOf(inviter, joiner, changes))
    machine.handle({ type: 'frame', frame: frames[0] ?? new Uint8Array(0) }, millis(0))
    return (
      machine
        .handle({ type: 'invite', invite: new Store().find(inviteIdOf(secret), joiner.publicKey), now }, millis(0))
        .map(({ type }) => type)
        .join() || 'nothing'
    )
  }
  assert.equal(replay({}), 'redeem')
  assert.equal(replay({ binding: bindingOf('2') }), 'count-failure')
  assert.equal(replay({ peerKey: signerOf('thief').publicKey }), 'count-failure')
  assert.equal(replay({ ownKey: signerOf('another inviter').publicKey }), 'count-failure')
  assert.equal(replay({ network: 'elsewhere' }), 'count-failure')
})

/** An inviter that has seen the frame of a joiner, and looked its invite up. */
function asked(joinFrame?: Uint8Array): { readonly machine: InviterMachine; readonly first: readonly string[]; readonly frame: Uint8Array } {
  const machine = new InviterMachine(optionsOf(inviter, joiner))
  const [join] = new JoinerMachine({ ...optionsOf(joiner, inviter), invite }).handle({ type: 'start' }, millis(0))
  assert.ok(join?.type === 'send')
  const frame = joinFrame ?? join.frame
  machine.handle({ type: 'frame', frame }, millis(0))
  const outputs = machine.handle({ type: 'invite', invite: new Store().find(inviteIdOf(secret), joiner.publicKey), now }, millis(0))
  return { machine, first: outputs.map(({ type }) => type), frame: join.frame }
}

test('nobody is told to be paired before the store has committed', () => {
  const { machine, first } = asked()
  assert.deepEqual(first, ['redeem'])
  const outputs = machine.handle({ type: 'not-redeemed', error: new MeshError('INVITE_USED') }, millis(0))
  assert.deepEqual(
    outputs.map((output) => output.type),
    ['send', 'failed']
  )
  assert.deepEqual(machine.handle({ type: 'redeemed' }, millis(0)), [])
})

test('a second proof in one session is not looked at', () => {
  const { frame } = asked()
  const { machine, first } = asked(flip(10)(frame, 0))
  assert.deepEqual(first, ['count-failure'])
  assert.deepEqual(
    machine.handle({ type: 'frame', frame }, millis(0)).map((output) => output.type),
    ['send', 'failed']
  )
})

test('a joiner that says done before it was accepted is refused, and so is who accepts itself', () => {
  for (const frame of [encodePairingFrame({ kind: 'done' }), encodePairingFrame({ kind: 'known', card: new Uint8Array(1) })]) {
    const outputs = new InviterMachine(optionsOf(inviter, joiner)).handle({ type: 'frame', frame }, millis(0))
    assert.ok(outputs.some((output) => output.type === 'failed' && output.error.code === 'MESSAGE_MALFORMED'))
  }
})

test('a proof sent back to the joiner does not pass for the proof of the inviter', () => {
  let proof: Uint8Array = new Uint8Array(0)
  const alter = (frame: Uint8Array, index: number): Uint8Array => {
    if (index === 0) proof = frame.slice(10, 42)
    if (index !== 1) return frame
    const reflected = frame.slice()
    reflected.set(proof, 1)
    return reflected
  }
  assert.equal(run({ store: new Store(), alter }).joiner, 'SIGNATURE_INVALID')
})

test('a session with another key than the invite names is IDENTITY_MISMATCH before anything is sent', () => {
  assert.throws(
    () => new JoinerMachine({ ...optionsOf(joiner, signerOf('impostor')), invite }),
    (error) => isMeshError(error, 'IDENTITY_MISMATCH')
  )
})

test('a card that is not of the peer itself ends the pairing before anything is added', () => {
  const victim = signerOf('victim')
  const store = new Store()
  const outcome = run({ store, joinerChanges: { ownCard: encodeCard(cardOf(victim.publicKey), victim) } })
  assert.deepEqual([outcome.inviter, store.usedBy], ['IDENTITY_MISMATCH', undefined])
})
