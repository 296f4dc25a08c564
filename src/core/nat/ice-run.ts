import { type Bytes, type Machine, MeshError, type Millis, after, earliest, isMeshError, toMeshError } from '../base/index.ts'
import {
  decodeIceFrame,
  type DtlsRole,
  encodeIceFrame,
  type IceCandidate,
  type IceCredentials,
  type IceFrame,
  type IcePolicy,
  iceLimits,
  type IceRefusal
} from './ice-frames.ts'
import { type AddressScope, addressScope } from './ip-address.ts'

/** From the offer to a data channel that is open. */
export const iceBudgetMs = 6_000

/** How long the client of DTLS leaves the checks to the other side. */
const holdMs = 300

export interface IceNat {
  /** Whether packets of strangers reach this node: it has a public address, or a NAT that lets everybody in. */
  readonly isOpen: boolean
  /** Whether each destination sees another port of it. */
  readonly isSymmetric: boolean
}

export interface IceRunOptions {
  readonly peer: string
  /** undefined for the side that is asked. */
  readonly policy: IcePolicy | undefined
  /** What is known of the own NAT. */
  readonly nat: IceNat
  /** Which addresses of the peer are tried; the others are dropped. */
  readonly scopes: readonly AddressScope[]
  /** Which addresses of this node it is told. */
  readonly tells: readonly AddressScope[]
  readonly budgetMs?: number
}

export type IceRunInput =
  /** What the agent has made; for the initiator the first input of all. */
  | { readonly type: 'credentials'; readonly credentials: IceCredentials }
  | { readonly type: 'candidate'; readonly candidate: IceCandidate }
  | { readonly type: 'gathered' }
  | { readonly type: 'open' }
  | { readonly type: 'agent-failed' }
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  /** The peer ended the signalling. */
  | { readonly type: 'stream-ended' }
  | { readonly type: 'wake' }

export type IceRunOutput =
  | { readonly type: 'send'; readonly frame: Bytes }
  /** To the side that is asked: make an agent, and give it what the peer offers; `dtls` is the part that it takes in the DTLS handshake. */
  | { readonly type: 'offered'; readonly policy: IcePolicy; readonly dtls: DtlsRole; readonly credentials: IceCredentials }
  | { readonly type: 'answered'; readonly dtls: DtlsRole; readonly credentials: IceCredentials }
  | { readonly type: 'check'; readonly candidate: IceCandidate }
  | { readonly type: 'connected' }
  /** `heard`: what the peer said, when that ended the run. */
  | { readonly type: 'failed'; readonly error: MeshError; readonly heard: IceRefusal | undefined }

/** What is known of both sides when a run ends. */
export interface IceTally {
  readonly own: readonly IceCandidate[]
  readonly told: readonly IceCandidate[]
  readonly isGathered: boolean
}

type State = 'new' | 'offered' | 'checking' | 'ended'

/**
 * The signalling of one ICE run: offer, answer, and candidates as they are found (trickle ICE, RFC 8838), within one budget. It takes no more than
 * 16 candidates of the peer, and hands on only those that may be tried.
 */
export class IceRunMachine implements Machine<IceRunInput, IceRunOutput> {
  readonly #options: IceRunOptions
  readonly #own: IceCandidate[] = []
  readonly #told: IceCandidate[] = []
  /** To be said once the answer is taken. */
  readonly #kept: IceRunOutput[] = []
  /** To be tried from `#holdUntil` on. */
  readonly #held: IceRunOutput[] = []
  #holdUntil: Millis | undefined
  #policy: IcePolicy | undefined
  #dtls: DtlsRole = 'server'
  #state: State = 'new'
  #heard = 0
  #isGathered = false
  #peerGathered = false
  #deadline: Millis | undefined

  constructor(options: IceRunOptions) {
    this.#options = options
    this.#policy = options.policy
  }

  get wakeAt(): Millis | undefined {
    return this.#state === 'ended' ? undefined : earliest(this.#deadline, this.#holdUntil)
  }

  get tally(): IceTally {
    return { own: this.#own, told: this.#told, isGathered: this.#isGathered }
  }

  handle(input: IceRunInput, now: Millis): readonly IceRunOutput[] {
    if (this.#state === 'ended') return []
    this.#deadline ??= after(now, this.#options.budgetMs ?? iceBudgetMs)
    try {
      return this.#handle(input, now)
    } catch (thrown) {
      return this.#end(toMeshError(thrown))
    }
  }

  #handle(input: IceRunInput, now: Millis): readonly IceRunOutput[] {
    switch (input.type) {
      case 'credentials':
        return this.#described(input.credentials)
      case 'candidate':
        return this.#found(input.candidate)
      case 'gathered':
        this.#isGathered = true
        return this.#tell({ kind: 'gathered' })
      case 'open':
        this.#state = 'ended'
        return [{ type: 'connected' }]
      case 'agent-failed':
        return this.#end(this.#failure())
      case 'frame':
        return this.#frame(decodeIceFrame(input.frame), now)
      case 'stream-ended':
        return this.#end(this.#error('the peer ended the signalling'))
      case 'wake':
        return this.#deadline !== undefined && now >= this.#deadline ? this.#end(this.#failure()) : this.#release(now)
      default:
        return input satisfies never
    }
  }

  #described(credentials: IceCredentials): readonly IceRunOutput[] {
    const { policy, nat } = this.#options
    if (policy === undefined) return [{ type: 'send', frame: encodeIceFrame({ kind: 'answer', dtls: this.#dtls, credentials }) }]
    this.#state = 'offered'
    return [{ type: 'send', frame: encodeIceFrame({ kind: 'offer', policy, isSymmetric: nat.isSymmetric, credentials }) }]
  }

  #found(candidate: IceCandidate): readonly IceRunOutput[] {
    const isTold = this.#isWanted(candidate) && this.#options.tells.includes(addressScope(candidate.address))
    if (!isTold || this.#own.length >= (candidate.type === 'host' ? iceLimits.hostCandidates : iceLimits.candidates)) return []
    this.#own.push(candidate)
    return this.#tell({ kind: 'candidate', candidate })
  }

  /**
   * The initiator keeps what it has to say until it has taken the answer: checks that come while the library takes it let DTLS begin before it knows whose
   * certificate to expect.
   */
  #tell(frame: IceFrame): readonly IceRunOutput[] {
    const output: IceRunOutput = { type: 'send', frame: encodeIceFrame(frame) }
    if (this.#state === 'checking') return [output]
    this.#kept.push(output)
    return []
  }

  #frame(frame: IceFrame, now: Millis): readonly IceRunOutput[] {
    const isInitiator = this.#options.policy !== undefined
    if (frame.kind === 'ended') return this.#end(this.#refused(frame.refusal), frame.refusal)
    if (frame.kind === 'offer' && !isInitiator && this.#state === 'new') {
      this.#state = 'checking'
      this.#policy = frame.policy
      this.#dtls = this.#roleFor(frame.isSymmetric)
      if (this.#options.nat.isOpen) this.#holdUntil = after(now, holdMs)
      return [{ type: 'offered', policy: frame.policy, dtls: this.#dtls, credentials: frame.credentials }]
    }
    if (frame.kind === 'answer' && isInitiator && this.#state === 'offered') {
      this.#state = 'checking'
      if (frame.dtls === 'server') this.#holdUntil = after(now, holdMs)
      return [{ type: 'answered', dtls: frame.dtls, credentials: frame.credentials }, ...this.#kept.splice(0)]
    }
    if (this.#state === 'checking' && !this.#peerGathered) {
      if (frame.kind === 'candidate') return this.#candidate(frame.candidate)
      if (frame.kind === 'gathered') {
        this.#peerGathered = true
        return []
      }
    }
    throw new MeshError('MESSAGE_MALFORMED', { what: 'ICE signalling', reason: `${frame.kind} was not expected` })
  }

  #candidate(candidate: IceCandidate): readonly IceRunOutput[] {
    this.#heard += 1
    if (this.#heard > iceLimits.candidates)
      throw new MeshError('PROTOCOL_LIMIT', { protocol: 'ice', reason: `over ${iceLimits.candidates} candidates in one run` })
    if (!this.#isWanted(candidate) || !this.#options.scopes.includes(addressScope(candidate.address))) return []
    this.#told.push(candidate)
    const output: IceRunOutput = { type: 'check', candidate }
    if (!this.#isHeld(candidate)) return [output]
    this.#held.push(output)
    return []
  }

  /**
   * DTLS has to begin where ICE is through last: the first flight is lost when the other side is not there yet, and comes again after a second. The initiator
   * checks first, and is through first when its checks get in here, or when ours cannot get in there.
   */
  #roleFor(isInitiatorSymmetric: boolean): DtlsRole {
    const { isOpen, isSymmetric } = this.#options.nat
    return isOpen || (isInitiatorSymmetric && !isSymmetric) ? 'client' : 'server'
  }

  /** Whoever is the client of DTLS lets the other side's checks be answered first. The initiator has to check where NATs are opened by that: in one network nothing is. */
  #isHeld({ address }: IceCandidate): boolean {
    return this.#holdUntil !== undefined && (this.#options.policy === undefined || addressScope(address) === 'private')
  }

  #release(now: Millis): readonly IceRunOutput[] {
    if (this.#holdUntil === undefined || now < this.#holdUntil) return []
    this.#holdUntil = undefined
    return this.#held.splice(0)
  }

  /** Who wants to see whether it works without a TURN server takes no address of one. */
  #isWanted({ type }: IceCandidate): boolean {
    return type !== 'relay' || this.#policy !== 'stun'
  }

  #refused(refusal: IceRefusal): MeshError {
    if (refusal === 'failed') return this.#error('the peer found no way either')
    if (refusal === 'busy') return this.#error('the peer has too many attempts at one time')
    if (refusal === 'unavailable') return this.#error('the peer has no ICE: there node-datachannel is missing, or its NAT traversal is off')
    if (refusal === 'refused') return this.#error('the peer refuses: it is not paired with this node, and others asked too often')
    return this.#error('both sides began at one time')
  }

  /** Why there is no connection, from what both sides had. */
  #failure(): MeshError {
    if (this.#state !== 'checking') return this.#error('the peer did not answer')
    if (this.#own.length === 0) return this.#error('this node found no address of its own to be reached at over UDP')
    if (this.#told.length === 0) return this.#error('the peer told no address to try')
    return this.#error(`no way through between ${kindsOf(this.#own)} here and ${kindsOf(this.#told)} there`)
  }

  #error(reason: string): MeshError {
    return new MeshError('ICE_FAILED', { peer: this.#options.peer, reason })
  }

  #end(error: MeshError, heard?: IceRefusal): readonly IceRunOutput[] {
    this.#state = 'ended'
    const isOffence = isMeshError(error, 'MESSAGE_MALFORMED') || isMeshError(error, 'PROTOCOL_LIMIT') || isMeshError(error, 'UNSUPPORTED_VERSION')
    const farewell: readonly IceRunOutput[] =
      heard !== undefined || isOffence ? [] : [{ type: 'send', frame: encodeIceFrame({ kind: 'ended', refusal: 'failed' }) }]
    return [...farewell, { type: 'failed', error, heard }]
  }
}

const kindNames = { host: 'local', srflx: 'STUN', relay: 'TURN' } as const satisfies Record<IceCandidate['type'], string>

/** For people: `2 local, 1 STUN`. */
function kindsOf(candidates: readonly IceCandidate[]): string {
  const parts = (Object.keys(kindNames) as readonly IceCandidate['type'][]).flatMap((type) => {
    const count = candidates.filter((candidate) => candidate.type === type).length
    return count === 0 ? [] : [`${count} ${kindNames[type]}`]
  })
  return `addresses (${parts.join(', ')})`
}
