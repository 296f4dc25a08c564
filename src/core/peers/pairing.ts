import {
  ByteWriter,
  type Bytes,
  type Machine,
  MeshError,
  type Millis,
  type Verifier,
  type WallMillis,
  equalBytes,
  isMeshError,
  toMeshError,
  utf8
} from '../base/index.ts'
import { type Card, decodeCard } from './card.ts'
import { type Invite, inviteIdOf } from './invite.ts'
import { type PairingFrame, type PairingRefusal, decodePairingFrame, encodePairingFrame, pairingRefusals } from './pairing-frames.ts'

/** What both sides of a pairing know before it begins. Keys are the raw Ed25519 keys that the session proved. */
export interface PairingOptions {
  readonly network: string
  readonly ownKey: Uint8Array
  readonly peerKey: Uint8Array
  /** Our signed card. */
  readonly ownCard: Uint8Array
  /** 32 bytes that the session exports for `pairingPurpose`: the same on both sides of this one session, and nowhere else. */
  readonly binding: Uint8Array
  readonly verifier: Verifier
  /** HMAC-SHA-256. */
  readonly hmac: (key: Uint8Array, bytes: Uint8Array) => Uint8Array
}

/** For what the session's secret is exported. */
export const pairingPurpose = 'pair'

/** Wrong proofs after which an invite is burnt. */
export const maxInviteFailures = 5

/** What the store knows of an invite. */
export interface KnownInvite {
  /** Empty once it serves nobody any more. */
  readonly secret: Uint8Array
  readonly expiresAt: WallMillis
  readonly failures: number
  readonly isRevoked: boolean
  /** 'this-peer': by the peer of this session, which has not said that it is done. */
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
  /** The peer is in the store; `again`: since an earlier session, of which it may not have heard the end. */
  | { readonly type: 'paired'; readonly again: boolean }
  /** The joiner has committed: from now on nobody is told that the invite is known. Nothing follows. */
  | { readonly type: 'complete'; readonly inviteId: Uint8Array }
  | { readonly type: 'failed'; readonly error: MeshError }

type JoinFrame = Extract<PairingFrame, { kind: 'join' }>

type InviterState =
  | { readonly state: 'join' }
  | { readonly state: 'look-up'; readonly join: JoinFrame }
  | { readonly state: 'commit'; readonly inviteId: Uint8Array; readonly answer: Bytes }
  | { readonly state: 'counting' }
  | { readonly state: 'done'; readonly inviteId: Uint8Array }
  | { readonly state: 'ended' }

/** The side that gave the invite out (rules P2): it proves that it knows the secret only after the other side did, and only after the commit. */
export class InviterMachine implements Machine<InviterInput, InviterOutput> {
  readonly #options: PairingOptions
  #state: InviterState = { state: 'join' }

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
    const current = this.#state
    if (current.state === 'ended') return []
    if (input.type === 'frame') return this.#frame(decodePairingFrame(input.frame))
    if (input.type === 'invite' && current.state === 'look-up') return this.#found(current.join, input.invite, input.now)
    if (input.type === 'redeemed' && current.state === 'commit') return this.#redeemed(current.inviteId, current.answer)
    if (input.type === 'not-redeemed' && current.state === 'commit') return this.#refuse(refusalOf(input.error), input.error)
    if (input.type === 'failure-counted' && current.state === 'counting')
      return this.#refuse('INVITE_INVALID', new MeshError('INVITE_INVALID', { reason: 'the proof is wrong' }))
    throw new MeshError('INTERNAL', { reason: `${input.type} in ${current.state}` })
  }

  #frame(frame: PairingFrame): readonly InviterOutput[] {
    const current = this.#state
    if (frame.kind === 'join' && current.state === 'join') {
      const join = { ...frame, inviteId: frame.inviteId.slice(), proof: frame.proof.slice(), card: frame.card.slice() }
      this.#state = { state: 'look-up', join }
      return [{ type: 'look-up', inviteId: join.inviteId }]
    }
    if (frame.kind === 'done' && current.state === 'done') {
      this.#state = { state: 'ended' }
      return [{ type: 'complete', inviteId: current.inviteId }]
    }
    throw new MeshError('MESSAGE_MALFORMED', { what: 'pairing', reason: `${frame.kind} was not expected` })
  }

  #found(join: JoinFrame, known: KnownInvite | undefined, now: WallMillis): readonly InviterOutput[] {
    if (known === undefined) return this.#refuse('INVITE_INVALID', new MeshError('INVITE_INVALID', { reason: 'it is not known here' }))
    // The answer may have been lost: the peer that used the invite may ask again, and its key is its proof.
    if (known.usedBy === 'this-peer') return this.#again(join.inviteId)
    if (known.usedBy === 'another' || known.failures >= maxInviteFailures) return this.#refuse('INVITE_USED', new MeshError('INVITE_USED'))
    if (known.isRevoked) return this.#refuse('INVITE_REVOKED', new MeshError('INVITE_REVOKED'))
    if (known.expiresAt <= now) return this.#refuse('INVITE_EXPIRED', new MeshError('INVITE_EXPIRED'))
    return this.#check(join, known)
  }

  #check({ inviteId, proof, card: cardBytes }: JoinFrame, { secret }: KnownInvite): readonly InviterOutput[] {
    const { ownKey, peerKey, network, verifier, ownCard } = this.#options
    const parties = { secret, joiner: peerKey, inviter: ownKey, inviteId }
    if (!equalBytes(proofOf('joiner', parties, this.#options), proof)) {
      // One try for each session, whatever else the peer sends.
      this.#state = { state: 'counting' }
      return [{ type: 'count-failure', inviteId }]
    }
    const card = decodeCard(cardBytes, { network, publicKey: peerKey, verifier })
    const answer = encodePairingFrame({ kind: 'accepted', proof: proofOf('inviter', parties, this.#options), card: ownCard })
    this.#state = { state: 'commit', inviteId, answer }
    return [{ type: 'redeem', inviteId, card }]
  }

  #redeemed(inviteId: Uint8Array, answer: Bytes): readonly InviterOutput[] {
    this.#state = { state: 'done', inviteId }
    return [
      { type: 'send', frame: answer },
      { type: 'paired', again: false }
    ]
  }

  #again(inviteId: Uint8Array): readonly InviterOutput[] {
    this.#state = { state: 'done', inviteId }
    return [
      { type: 'send', frame: encodePairingFrame({ kind: 'known', card: this.#options.ownCard }) },
      { type: 'paired', again: true }
    ]
  }

  #refuse(code: PairingRefusal, error: MeshError): readonly InviterOutput[] {
    this.#state = { state: 'ended' }
    return [
      { type: 'send', frame: encodePairingFrame({ kind: 'refused', code }) },
      { type: 'failed', error }
    ]
  }
}

export type JoinerInput =
  | { readonly type: 'start' }
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  /** The inviter is in our store, committed. */
  | { readonly type: 'saved' }

export type JoinerOutput =
  | { readonly type: 'send'; readonly frame: Bytes }
  /** The inviter has committed: add it, then feed `saved`. */
  | { readonly type: 'paired'; readonly card: Card }
  | { readonly type: 'failed'; readonly error: MeshError }

/** The side that was given the invite. Its peer must be the key in the invite. */
export class JoinerMachine implements Machine<JoinerInput, JoinerOutput> {
  readonly #options: PairingOptions
  readonly #parties: Parties
  #state: 'new' | 'joining' | 'saving' | 'ended' = 'new'

  /** @throws {MeshError} IDENTITY_MISMATCH when the session belongs to another key than the invite names. */
  constructor(options: PairingOptions & { readonly invite: Invite }) {
    const { invite, peerKey, ownKey } = options
    if (!equalBytes(invite.publicKey, peerKey))
      throw new MeshError('IDENTITY_MISMATCH', { what: 'The invite', claimed: 'another key', actual: 'the peer that answered' })
    this.#options = options
    this.#parties = { secret: invite.secret, joiner: ownKey, inviter: peerKey, inviteId: inviteIdOf(invite.secret) }
  }

  get wakeAt(): Millis | undefined {
    return undefined
  }

  handle(input: JoinerInput, _now: Millis): readonly JoinerOutput[] {
    try {
      if (input.type === 'start') return this.#start()
      return input.type === 'saved' ? this.#saved() : this.#frame(decodePairingFrame(input.frame))
    } catch (error) {
      this.#state = 'ended'
      return [{ type: 'failed', error: toMeshError(error) }]
    }
  }

  #start(): readonly JoinerOutput[] {
    if (this.#state !== 'new') throw new MeshError('INTERNAL', { reason: 'started twice' })
    this.#state = 'joining'
    const { inviteId } = this.#parties
    const proof = proofOf('joiner', this.#parties, this.#options)
    return [{ type: 'send', frame: encodePairingFrame({ kind: 'join', inviteId, proof, card: this.#options.ownCard }) }]
  }

  #frame(frame: PairingFrame): readonly JoinerOutput[] {
    if (this.#state === 'ended') return []
    if (frame.kind === 'refused') throw new MeshError(frame.code, refusedDetails[frame.code])
    if (frame.kind === 'known' && this.#state === 'joining') return this.#paired(frame.card)
    if (frame.kind === 'accepted' && this.#state === 'joining') {
      const expected = proofOf('inviter', this.#parties, this.#options)
      if (!equalBytes(expected, frame.proof)) throw new MeshError('SIGNATURE_INVALID', { what: "the inviter's proof" })
      return this.#paired(frame.card)
    }
    throw new MeshError('MESSAGE_MALFORMED', { what: 'pairing', reason: `${frame.kind} was not expected` })
  }

  #paired(cardBytes: Uint8Array): readonly JoinerOutput[] {
    const { network, peerKey, verifier } = this.#options
    const card = decodeCard(cardBytes, { network, publicKey: peerKey, verifier })
    this.#state = 'saving'
    return [{ type: 'paired', card }]
  }

  #saved(): readonly JoinerOutput[] {
    if (this.#state !== 'saving') throw new MeshError('INTERNAL', { reason: `saved in ${this.#state}` })
    this.#state = 'ended'
    return [{ type: 'send', frame: encodePairingFrame({ kind: 'done' }) }]
  }
}

const refusedDetails: Readonly<Record<PairingRefusal, Readonly<Record<string, string | number>>>> = {
  INVITE_INVALID: { reason: 'the inviter does not know it' },
  INVITE_EXPIRED: {},
  INVITE_USED: {},
  UNSUPPORTED_VERSION: { what: 'The pairing', version: 2 },
  MESSAGE_MALFORMED: { what: 'pairing', reason: 'the inviter did not understand it' },
  INVITE_REVOKED: {}
}

function refusalOf(error: MeshError): PairingRefusal {
  const code = pairingRefusals.find((refusal) => isMeshError(error, refusal))
  return code ?? 'INVITE_INVALID'
}

interface Parties {
  readonly secret: Uint8Array
  readonly joiner: Uint8Array
  readonly inviter: Uint8Array
  readonly inviteId: Uint8Array
}

/** HMAC over who proves, in which network, to whom, and what only this session exports: it is of no use in another session, or sent back (rules P2). */
function proofOf(role: 'joiner' | 'inviter', parties: Parties, { network, hmac, binding }: PairingOptions): Uint8Array {
  const bytes = new ByteWriter()
    .raw(utf8('synaptic-mesh-pair/2'))
    .prefixed32(utf8(role))
    .prefixed32(utf8(network))
    .prefixed32(parties.joiner)
    .prefixed32(parties.inviter)
    .prefixed32(binding)
    .prefixed32(parties.inviteId)
    .finish()
  return hmac(parties.secret, bytes)
}
