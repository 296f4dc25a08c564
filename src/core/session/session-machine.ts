import { type Machine, MeshError, type Millis, type Pieces, after, byteLength, equalBytes, isMeshError, toMeshError } from '../base/index.ts'
import { Epochs, type Opened } from './epochs.ts'
import type { PeerIdentity } from './identity.ts'
import { type KdfTools, confirmation, exportSecret } from './key-schedule.ts'
import { type Agreed, InitiatorOpening, type Opening, type OpeningStep, ResponderOpening } from './opening.ts'
import type { SessionOptions } from './options.ts'
import { type RecordType, maxPlaintextBytes, recordTypes } from './records.ts'
import type { Suite } from './suites.ts'
import { WordsExchange } from './words.ts'

export type SessionInput =
  /** Once, first; the handshake's deadline counts from here. */
  | { readonly type: 'start' }
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  /** 1 to 65,486 bytes; they are the caller's again at once. */
  | { readonly type: 'send'; readonly data: Pieces }
  /** Asks for new keys, unless that is under way. */
  | { readonly type: 'rekey' }
  /** Nothing more will be sent. */
  | { readonly type: 'end' }
  /** The stream below ended. */
  | { readonly type: 'stream-ended' }
  | { readonly type: 'wake' }

export type SessionOutput =
  | { readonly type: 'send'; readonly frame: Pieces }
  /** The peer proved who it is, and that it has the keys. */
  | { readonly type: 'established'; readonly facts: SessionFacts }
  | { readonly type: 'data'; readonly data: Uint8Array }
  /** The words to compare by voice. */
  | { readonly type: 'words'; readonly words: readonly string[] }
  | { readonly type: 'rekeyed'; readonly epoch: number }
  /** The peer sends nothing more, and what it sent is whole. */
  | { readonly type: 'peer-ended' }
  /** The session is over; nothing of what caused it was delivered. */
  | { readonly type: 'failed'; readonly error: MeshError }

/** What is known of a session. */
export interface SessionFacts {
  readonly suite: Suite
  /** Whether both sides signed with ML-DSA-65 besides Ed25519. */
  readonly pqAuth: boolean
  readonly peer: PeerIdentity
  /** Bytes of the handshake's frames in both directions, key confirmation included. */
  readonly handshakeBytes: number
  readonly handshakeMs: number
}

type State =
  | { readonly state: 'new' }
  | { readonly state: 'opening'; readonly opening: Opening }
  /** All but the peer's key confirmation is there. */
  | { readonly state: 'confirming'; readonly session: Session; readonly expected: Uint8Array }
  | { readonly state: 'open'; readonly session: Session }
  | { readonly state: 'ended' }

interface Session {
  readonly agreed: Agreed
  readonly tools: KdfTools
  readonly epochs: Epochs
  readonly words: WordsExchange
  readonly exporter: Uint8Array
}

/** Rekeys of a peer: so many at once, then one a second. */
const rekeyBurst = 16
const rekeyEveryMs = 1_000
/** The receiving side of a rekey trigger waits by this factor longer, so that mostly one side asks. */
const patience = 17 / 16

/**
 * One end of an end-to-end session `/synaptic-mesh/pqs/1.0.0` (docs/wire/session.md). Frames and data come in, frames and data go out, in the order in
 * which they are to be sent and delivered. Anything that is wrong ends it with `failed`, and the keys are wiped.
 */
export class SessionMachine implements Machine<SessionInput, SessionOutput> {
  readonly #options: SessionOptions
  #state: State = { state: 'new' }
  #out: SessionOutput[] = []
  #startedAt: Millis | undefined
  #handshakeBytes = 0
  #epochStartedAt: Millis | undefined
  #sentEnd = false
  #streamEnded = false
  #peerEnded = false
  #rekeyTokens = rekeyBurst
  #rekeyTokensAt: Millis | undefined

  constructor(options: SessionOptions) {
    this.#options = options
  }

  get wakeAt(): Millis | undefined {
    const { state } = this.#state
    if (state === 'opening' || state === 'confirming')
      return this.#startedAt === undefined ? undefined : after(this.#startedAt, this.#options.handshakeMs)
    if (this.#state.state !== 'open' || this.#sentEnd || this.#peerEnded) return undefined
    return this.#state.session.epochs.settled ? this.#rekeyAt() : undefined
  }

  /** The epoch of the keys, from 0. */
  get epoch(): number {
    return this.#state.state === 'open' ? this.#state.session.epochs.epoch : 0
  }

  /**
   * `length` secret bytes for a purpose outside of the session, the same on both sides; at most 8,160. @throws {MeshError} INTERNAL when it is not open
   */
  exportSecret(purpose: string, context: Uint8Array, length: number): Uint8Array {
    if (this.#state.state !== 'open') throw new MeshError('INTERNAL', { reason: 'the session is not open' })
    const { tools, exporter } = this.#state.session
    return exportSecret(tools, exporter, { purpose, context, length })
  }

  handle(input: SessionInput, now: Millis): readonly SessionOutput[] {
    if (this.#state.state === 'ended') return []
    this.#out = []
    try {
      this.#handle(input, now)
    } catch (error) {
      this.#fail(toMeshError(error))
    }
    const out = this.#out
    this.#out = []
    return out
  }

  /** Forgets every key; nothing follows from any later input. */
  wipe(): void {
    const current = this.#state
    this.#state = { state: 'ended' }
    if (current.state === 'opening') current.opening.wipe()
    if (current.state !== 'confirming' && current.state !== 'open') return
    current.session.epochs.wipe()
    current.session.exporter.fill(0)
  }

  #handle(input: SessionInput, now: Millis): void {
    switch (input.type) {
      case 'start':
        return this.#start(now)
      case 'frame':
        return this.#frame(input.frame, now)
      case 'send':
        return this.#sendData(input.data, now)
      case 'rekey':
        return this.#ask()
      case 'end':
        return this.#end()
      case 'stream-ended':
        return this.#endStream()
      case 'wake':
        return this.#wake(now)
      default:
        return input satisfies never
    }
  }

  #start(now: Millis): void {
    if (this.#state.state !== 'new') throw new MeshError('INTERNAL', { reason: 'started twice' })
    const opening = this.#options.role === 'initiator' ? new InitiatorOpening(this.#options) : new ResponderOpening(this.#options)
    this.#state = { state: 'opening', opening }
    this.#startedAt = now
    const frame = opening.start()
    if (frame !== undefined) this.#send(frame)
  }

  #frame(frame: Uint8Array, now: Millis): void {
    const current = this.#state
    if (current.state === 'open') return this.#record(current.session, frame, now)
    this.#handshakeBytes += frame.length
    if (current.state === 'opening') return this.#opened(current.opening.frame(frame))
    if (current.state === 'confirming') return this.#confirm(current, frame, now)
    throw new MeshError('INTERNAL', { reason: 'a session that was not started' })
  }

  #opened({ send, agreed }: OpeningStep): void {
    if (send !== undefined) this.#send(send)
    if (agreed === undefined) return
    const { keys, suite, hash } = agreed
    const { crypto, role } = this.#options
    const tools: KdfTools = { crypto, suite }
    const session: Session = { agreed, tools, epochs: new Epochs(tools, role, keys), words: new WordsExchange(tools, role), exporter: keys.exporter }
    const [own, other] = role === 'initiator' ? [keys.initiatorConfirm, keys.responderConfirm] : [keys.responderConfirm, keys.initiatorConfirm]
    this.#send(session.epochs.seal(recordTypes.confirm, confirmation(tools, own, hash)))
    if (role === 'initiator') this.#sendRecord(session, session.words.commit())
    this.#state = { state: 'confirming', session, expected: confirmation(tools, other, hash) }
    own.fill(0)
    other.fill(0)
  }

  #confirm({ session, expected }: { readonly session: Session; readonly expected: Uint8Array }, frame: Uint8Array, now: Millis): void {
    const { type, plaintext } = openFirst(session, frame)
    if (type !== recordTypes.confirm || !equalBytes(plaintext, expected))
      throw new MeshError('SESSION_UNCONFIRMED', { reason: 'its first record is another one' })
    this.#state = { state: 'open', session }
    this.#epochStartedAt = now
    const { suite, pqAuth, peer } = session.agreed
    const handshakeMs = now - (this.#startedAt ?? now)
    this.#out.push({ type: 'established', facts: { suite, pqAuth, peer, handshakeBytes: this.#handshakeBytes, handshakeMs } })
  }

  #record(session: Session, frame: Uint8Array, now: Millis): void {
    if (this.#peerEnded) throw new MeshError('SESSION_RECORD_INVALID', { reason: 'it follows the end mark' })
    const opened = session.epochs.open(frame)
    switch (opened.type) {
      case recordTypes.data:
        return this.#data(session, opened.plaintext)
      case recordTypes.rekey:
        return this.#answer(session, opened.plaintext, now)
      case recordTypes.rekeyAnswer:
        this.#send(session.epochs.finish(opened.plaintext))
        return this.#rekeyed(session, now)
      case recordTypes.rekeyed:
        return this.#rekeyed(session, now)
      case recordTypes.end:
        this.#peerEnded = true
        this.#out.push({ type: 'peer-ended' })
        return undefined
      case recordTypes.confirm:
        throw new MeshError('SESSION_RECORD_INVALID', { reason: 'a second key confirmation' })
      default:
        return this.#wordsStep(session, opened)
    }
  }

  #data(session: Session, data: Uint8Array): void {
    if (data.length === 0 || data.length > maxPlaintextBytes)
      throw new MeshError('SESSION_RECORD_INVALID', { reason: `${data.length} bytes of data` })
    this.#out.push({ type: 'data', data })
    const { records, bytes } = session.epochs.receiving
    const { rekey } = this.#options
    if (records >= rekey.records * patience || bytes >= rekey.bytes * patience) this.#ask()
  }

  #sendData(data: Pieces, now: Millis): void {
    if (this.#state.state !== 'open' || this.#sentEnd) throw new MeshError('INTERNAL', { reason: 'the session is not open' })
    const length = byteLength(data)
    if (length === 0 || length > maxPlaintextBytes) throw new MeshError('INTERNAL', { reason: `a record of ${length} bytes` })
    const { epochs } = this.#state.session
    this.#out.push({ type: 'send', frame: epochs.seal(recordTypes.data, data) })
    const { rekey } = this.#options
    if (epochs.sending.records >= rekey.records || epochs.sending.bytes >= rekey.bytes) this.#ask()
    else if (now >= (this.#rekeyAt() ?? now)) this.#ask()
  }

  // What is under way is not begun twice.
  #ask(): void {
    if (this.#state.state !== 'open' || this.#sentEnd || this.#peerEnded) return
    const { epochs } = this.#state.session
    if (epochs.settled) this.#send(epochs.seal(recordTypes.rekey, epochs.ask()))
  }

  #answer({ epochs }: Session, request: Uint8Array, now: Millis): void {
    this.#takeRekeyToken(now)
    const answer = epochs.answer(request)
    if (answer !== undefined) this.#send(answer)
  }

  #rekeyed({ epochs }: Session, now: Millis): void {
    this.#epochStartedAt = now
    this.#out.push({ type: 'rekeyed', epoch: epochs.epoch })
  }

  #takeRekeyToken(now: Millis): void {
    const gained = (now - (this.#rekeyTokensAt ?? now)) / rekeyEveryMs
    this.#rekeyTokens = Math.min(rekeyBurst, this.#rekeyTokens + gained) - 1
    this.#rekeyTokensAt = now
    if (this.#rekeyTokens < 0) throw new MeshError('PROTOCOL_LIMIT', { protocol: 'the session', reason: 'too many rekeys' })
  }

  #wordsStep(session: Session, opened: Opened): void {
    const { send, words } = session.words.step(opened, session.exporter)
    if (send !== undefined && !this.#sentEnd) this.#sendRecord(session, send)
    if (words !== undefined) this.#out.push({ type: 'words', words })
  }

  #end(): void {
    if (this.#state.state !== 'open' || this.#sentEnd) return
    this.#sentEnd = true
    this.#send(this.#state.session.epochs.seal(recordTypes.end, new Uint8Array(0)))
    if (this.#streamEnded) this.wipe()
  }

  #endStream(): void {
    if (this.#state.state === 'opening') throw new MeshError('HANDSHAKE_FAILED', { reason: 'the peer ended it' })
    if (this.#state.state === 'confirming') throw new MeshError('SESSION_UNCONFIRMED', { reason: 'it ended the stream' })
    if (!this.#peerEnded && !this.#sentEnd) throw new MeshError('SESSION_TRUNCATED')
    this.#streamEnded = true
    if (this.#sentEnd) this.wipe()
  }

  #wake(now: Millis): void {
    if (this.#state.state === 'open') {
      if (now >= (this.#rekeyAt() ?? after(now, 1))) this.#ask()
    } else if (now >= (this.wakeAt ?? after(now, 1))) {
      throw new MeshError('TIMEOUT', { operation: 'the handshake of the session', timeoutMs: this.#options.handshakeMs })
    }
  }

  #rekeyAt(): Millis | undefined {
    const { rekey, role } = this.#options
    return this.#epochStartedAt === undefined ? undefined : after(this.#epochStartedAt, role === 'initiator' ? rekey.ms : rekey.ms * patience)
  }

  #sendRecord({ epochs }: Session, { type, plaintext }: { readonly type: RecordType; readonly plaintext: Uint8Array }): void {
    this.#send(epochs.seal(type, plaintext))
  }

  #send(frame: Pieces): void {
    if (this.#state.state !== 'open') this.#handshakeBytes += byteLength(frame)
    this.#out.push({ type: 'send', frame })
  }

  #fail(error: MeshError): void {
    const refusal = this.#state.state === 'opening' ? this.#state.opening.refusal(error) : undefined
    this.wipe()
    this.#out = [...this.#out.filter(({ type }) => type !== 'send')]
    if (refusal !== undefined) this.#out.push({ type: 'send', frame: refusal })
    this.#out.push({ type: 'failed', error })
  }
}

/** The first record of the peer. What does not open shows that it has other keys. @throws {MeshError} SESSION_UNCONFIRMED */
function openFirst({ epochs }: Session, frame: Uint8Array): Opened {
  try {
    return epochs.open(frame)
  } catch (cause) {
    if (!isMeshError(cause, 'SESSION_RECORD_INVALID')) throw cause
    throw new MeshError('SESSION_UNCONFIRMED', { reason: 'its first record does not open' }, { cause })
  }
}
