import {
  ByteWriter,
  type Bytes,
  type Machine,
  MeshError,
  type Millis,
  type Random,
  type Verifier,
  type WallMillis,
  equalBytes,
  isMeshError,
  toMeshError,
  utf8
} from '../base/index.ts'
import { type Card, decodeCard } from './card.ts'
import { type Invite, inviteIdOf } from './invite.ts'
import { type PairingFrame, type PairingRefusal, decodePairingFrame, encodePairingFrame, pairingRefusals, pairingSizes } from './pairing-frames.ts'

/** What both sides of a pairing know before it begins. Keys are raw Ed25519 keys of the authenticated connection. */
export interface PairingOptions {
  readonly network: string
  readonly ownKey: Uint8Array
  readonly peerKey: Uint8Array
  /** Our signed card. */
  readonly ownCard: Uint8Array
  readonly random: Random
  readonly verifier: Verifier
  /** HMAC-SHA-256. */
  readonly hmac: (key: Uint8Array, bytes: Uint8Array) => Uint8Array
}

/** Wrong proofs after which an invite is burnt. */
export const maxInviteFailures = 5

/** What the store knows of an invite; `usedBy` is a raw key. */
export interface KnownInvite {
  readonly secret: Uint8Array
  readonly expiresAt: WallMillis
  readonly failures: number
  /** 'nobody', the peer of this connection, or another one. */
  readonly usedBy: 'nobody' | 'this-peer' | 'another'
}

export type InviterInput =
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  | { readonly type: 'invite'; readonly invite: KnownInvite | undefined; readonly now: WallMillis }
  | { readonly type: 'redeemed' }
  /** The store refused, because another peer was faster or because it failed. */
  | { readonly type: 'not-redeemed'; readonly error: MeshError }
  | { readonly type: 'failure-counted' }

export type InviterOutput =
  | { readonly type: 'send'; readonly frame: Bytes }
  | { readonly type: 'look-up'; readonly inviteId: Uint8Array }
  /** Burn the invite and add the peer in one transaction; then feed `redeemed`. */
  | { readonly type: 'redeem'; readonly inviteId: Uint8Array; readonly card: Card }
  /** Count a wrong proof; then feed `failure-counted`. */
  | { readonly type: 'count-failure'; readonly inviteId: Uint8Array }
  | { readonly type: 'paired'; readonly card: Card; readonly again: boolean }
  | { readonly type: 'failed'; readonly error: MeshError }

type InviterState =
  | { readonly state: 'hello' }
  | { readonly state: 'look-up'; readonly inviteId: Uint8Array; readonly nonce: Uint8Array }
  | { readonly state: 'proof'; readonly inviteId: Uint8Array; readonly nonce: Uint8Array; readonly ownNonce: Uint8Array; readonly known: KnownInvite }
  | { readonly state: 'commit'; readonly answer: Bytes; readonly card: Card }
  | { readonly state: 'counting' }
  | { readonly state: 'ended' }

/** The side that gave the invite out (rules P2): it proves that it knows the secret only after the other side did, and only after the commit. */
export class InviterMachine implements Machine<InviterInput, InviterOutput> {
  readonly #options: PairingOptions
  #state: InviterState = { state: 'hello' }

  constructor(options: PairingOptions) {
    this.#options = options
  }

  get wakeAt(): Millis | undefined {
    return undefined
  }

  handle(input: InviterInput, _now: Millis): readonly InviterOutput[] {
    try {
      return this.#handle(input)
    } catch (error) {
      const failure = toMeshError(error)
      return this.#refuse(refusalOf(failure), failure)
    }
  }

  #handle(input: InviterInput): readonly InviterOutput[] {
    const { state } = this.#state
    if (state === 'ended') return []
    if (input.type === 'frame') return this.#frame(decodePairingFrame(input.frame))
    if (input.type === 'invite' && this.#state.state === 'look-up') return this.#found(this.#state, input.invite, input.now)
    if (input.type === 'redeemed' && this.#state.state === 'commit') return this.#redeemed(this.#state.answer, this.#state.card)
    if (input.type === 'not-redeemed' && this.#state.state === 'commit') return this.#refuse(refusalOf(input.error), input.error)
    if (input.type === 'failure-counted' && this.#state.state === 'counting')
      return this.#refuse('INVITE_INVALID', new MeshError('INVITE_INVALID', { reason: 'the proof is wrong' }))
    throw new MeshError('INTERNAL', { reason: `${input.type} in ${state}` })
  }

  #frame(frame: PairingFrame): readonly InviterOutput[] {
    if (frame.kind === 'hello' && this.#state.state === 'hello') {
      this.#state = { state: 'look-up', inviteId: frame.inviteId.slice(), nonce: frame.nonce.slice() }
      return [{ type: 'look-up', inviteId: this.#state.inviteId }]
    }
    if (frame.kind === 'proof' && this.#state.state === 'proof') return this.#proof(frame, this.#state)
    throw new MeshError('MESSAGE_MALFORMED', { what: 'pairing', reason: `${frame.kind} was not expected` })
  }

  #found(
    { inviteId, nonce }: { readonly inviteId: Uint8Array; readonly nonce: Uint8Array },
    known: KnownInvite | undefined,
    now: WallMillis
  ): readonly InviterOutput[] {
    if (known === undefined) return this.#refuse('INVITE_INVALID', new MeshError('INVITE_INVALID', { reason: 'it is not known here' }))
    // A reply may have been lost: the peer that used the invite may ask again, and its key is its proof.
    if (known.usedBy === 'this-peer') return this.#again()
    if (known.usedBy === 'another' || known.failures >= maxInviteFailures) return this.#refuse('INVITE_USED', new MeshError('INVITE_USED'))
    if (known.expiresAt <= now) return this.#refuse('INVITE_EXPIRED', new MeshError('INVITE_EXPIRED'))
    const ownNonce = this.#options.random.bytes(pairingSizes.nonce)
    this.#state = { state: 'proof', inviteId, nonce, ownNonce, known }
    return [{ type: 'send', frame: encodePairingFrame({ kind: 'challenge', nonce: ownNonce }) }]
  }

  #proof(
    frame: { readonly proof: Uint8Array; readonly card: Uint8Array },
    state: InviterState & { readonly state: 'proof' }
  ): readonly InviterOutput[] {
    const { ownKey, peerKey } = this.#options
    const parties = {
      secret: state.known.secret,
      joiner: peerKey,
      inviter: ownKey,
      joinerNonce: state.nonce,
      inviterNonce: state.ownNonce,
      inviteId: state.inviteId
    }
    const expected = proofOf('joiner', parties, this.#options)
    if (!equalBytes(expected, frame.proof)) {
      // One try for each handshake, whatever else the peer sends.
      this.#state = { state: 'counting' }
      return [{ type: 'count-failure', inviteId: state.inviteId }]
    }
    const card = decodeCard(frame.card, { network: this.#options.network, publicKey: peerKey, verifier: this.#options.verifier })
    const proof = proofOf('inviter', parties, this.#options)
    this.#state = { state: 'commit', answer: encodePairingFrame({ kind: 'accepted', proof, card: this.#options.ownCard }), card }
    return [{ type: 'redeem', inviteId: state.inviteId, card }]
  }

  #redeemed(answer: Bytes, card: Card): readonly InviterOutput[] {
    this.#state = { state: 'ended' }
    return [
      { type: 'send', frame: answer },
      { type: 'paired', card, again: false }
    ]
  }

  #again(): readonly InviterOutput[] {
    this.#state = { state: 'ended' }
    return [{ type: 'send', frame: encodePairingFrame({ kind: 'known', card: this.#options.ownCard }) }]
  }

  #refuse(code: PairingRefusal, error: MeshError): readonly InviterOutput[] {
    this.#state = { state: 'ended' }
    return [
      { type: 'send', frame: encodePairingFrame({ kind: 'refused', code }) },
      { type: 'failed', error }
    ]
  }
}

export type JoinerInput = { readonly type: 'start' } | { readonly type: 'frame'; readonly frame: Uint8Array }

export type JoinerOutput =
  | { readonly type: 'send'; readonly frame: Bytes }
  /** The inviter has committed; add it, and tell the user then. */
  | { readonly type: 'paired'; readonly card: Card }
  | { readonly type: 'failed'; readonly error: MeshError }

type JoinerState =
  | { readonly state: 'new' }
  | { readonly state: 'challenge' }
  | { readonly state: 'accepted'; readonly inviterNonce: Uint8Array }
  | { readonly state: 'ended' }

/** The side that was given the invite. Its peer must be the key in the invite. */
export class JoinerMachine implements Machine<JoinerInput, JoinerOutput> {
  readonly #options: PairingOptions
  readonly #invite: Invite
  readonly #inviteId: Bytes
  readonly #nonce: Uint8Array
  #state: JoinerState = { state: 'new' }

  /** @throws {MeshError} IDENTITY_MISMATCH when the connection belongs to another key than the invite names. */
  constructor(options: PairingOptions & { readonly invite: Invite }) {
    const { invite, peerKey } = options
    if (!equalBytes(invite.publicKey, peerKey))
      throw new MeshError('IDENTITY_MISMATCH', { what: 'The invite', claimed: 'another key', actual: 'the peer that answered' })
    this.#options = options
    this.#invite = invite
    this.#inviteId = inviteIdOf(invite.secret)
    this.#nonce = options.random.bytes(pairingSizes.nonce)
  }

  get wakeAt(): Millis | undefined {
    return undefined
  }

  handle(input: JoinerInput, _now: Millis): readonly JoinerOutput[] {
    try {
      return input.type === 'start' ? this.#start() : this.#frame(decodePairingFrame(input.frame))
    } catch (error) {
      this.#state = { state: 'ended' }
      return [{ type: 'failed', error: toMeshError(error) }]
    }
  }

  #start(): readonly JoinerOutput[] {
    if (this.#state.state !== 'new') throw new MeshError('INTERNAL', { reason: 'started twice' })
    this.#state = { state: 'challenge' }
    return [{ type: 'send', frame: encodePairingFrame({ kind: 'hello', inviteId: this.#inviteId, nonce: this.#nonce }) }]
  }

  #frame(frame: PairingFrame): readonly JoinerOutput[] {
    const current = this.#state
    if (current.state === 'ended') return []
    if (frame.kind === 'refused') throw new MeshError(frame.code, refusedDetails[frame.code])
    if (frame.kind === 'challenge' && current.state === 'challenge') return this.#prove(frame.nonce.slice())
    if (frame.kind === 'known' && current.state === 'challenge') return this.#paired(frame.card)
    if (frame.kind === 'accepted' && current.state === 'accepted') {
      const expected = proofOf('inviter', this.#parties(current.inviterNonce), this.#options)
      if (!equalBytes(expected, frame.proof)) throw new MeshError('SIGNATURE_INVALID', { what: "the inviter's proof" })
      return this.#paired(frame.card)
    }
    throw new MeshError('MESSAGE_MALFORMED', { what: 'pairing', reason: `${frame.kind} was not expected` })
  }

  #prove(inviterNonce: Uint8Array): readonly JoinerOutput[] {
    this.#state = { state: 'accepted', inviterNonce }
    const proof = proofOf('joiner', this.#parties(inviterNonce), this.#options)
    return [{ type: 'send', frame: encodePairingFrame({ kind: 'proof', proof, card: this.#options.ownCard }) }]
  }

  #parties(inviterNonce: Uint8Array): Parties {
    const { ownKey, peerKey } = this.#options
    return { secret: this.#invite.secret, joiner: ownKey, inviter: peerKey, joinerNonce: this.#nonce, inviterNonce, inviteId: this.#inviteId }
  }

  #paired(cardBytes: Uint8Array): readonly JoinerOutput[] {
    const { network, peerKey, verifier } = this.#options
    const card = decodeCard(cardBytes, { network, publicKey: peerKey, verifier })
    this.#state = { state: 'ended' }
    return [{ type: 'paired', card }]
  }
}

const refusedDetails: Readonly<Record<PairingRefusal, Readonly<Record<string, string | number>>>> = {
  INVITE_INVALID: { reason: 'the inviter does not know it' },
  INVITE_EXPIRED: {},
  INVITE_USED: {},
  UNSUPPORTED_VERSION: { what: 'The pairing', version: 1 },
  MESSAGE_MALFORMED: { what: 'pairing', reason: 'the inviter did not understand it' }
}

function refusalOf(error: MeshError): PairingRefusal {
  const code = pairingRefusals.find((refusal) => isMeshError(error, refusal))
  return code ?? 'INVITE_INVALID'
}

interface Parties {
  readonly secret: Uint8Array
  readonly joiner: Uint8Array
  readonly inviter: Uint8Array
  readonly joinerNonce: Uint8Array
  readonly inviterNonce: Uint8Array
  readonly inviteId: Uint8Array
}

/** HMAC over who proves, in which network, to whom, and both nonces: it is of no use in another pairing, or sent back. */
function proofOf(role: 'joiner' | 'inviter', parties: Parties, { network, hmac }: PairingOptions): Uint8Array {
  const bytes = new ByteWriter()
    .raw(utf8('synaptic-mesh-pair/1'))
    .prefixed32(utf8(role))
    .prefixed32(utf8(network))
    .prefixed32(parties.joiner)
    .prefixed32(parties.inviter)
    .prefixed32(parties.joinerNonce)
    .prefixed32(parties.inviterNonce)
    .prefixed32(parties.inviteId)
    .finish()
  return hmac(parties.secret, bytes)
}
