import { type KemLevel, MeshError, type Millis, type Pieces, byteLength, earliest, equalBytes } from '../core/base/index.ts'
import {
  type InitiatorOptions,
  type ResponderOptions,
  type SessionFacts,
  type SessionInput,
  SessionMachine,
  type SessionOutput,
  maxPlaintextBytes
} from '../core/session/index.ts'
import type { ConnectionPath } from '../core/nat/index.ts'
import type { FrameStream } from './frame-stream.ts'
import { LinkWriter, type WritableLink } from './link-writer.ts'
import { peerIdOfKey } from './peer-keys.ts'
import type { SessionContext } from './session-context.ts'
import { type InnerLimits, SessionFrames } from './session-frames.ts'
import type { SessionInfo } from './session-info.ts'

/** Sealing stops while so many bytes of records wait for the stream below. */
const maxInFlightBytes = 262_144

export interface OpenSessionOptions {
  readonly context: SessionContext
  readonly inner: InnerLimits
  readonly level: KemLevel
  /** Whether both sides shall sign with ML-DSA-65, too. Default false. */
  readonly pqAuth?: boolean
  /** The responder as it was addressed; by default the peer id of the stream. */
  readonly responder?: string
  /** The Ed25519 key that it must prove; by default the one of the stream. Another one where somebody in between forwards the stream. */
  readonly responderKey?: Uint8Array
}

export interface AcceptSessionOptions {
  readonly context: SessionContext
  readonly inner: InnerLimits
  /** Lower levels are refused. */
  readonly minimumLevel: KemLevel
  /** Whether sessions without ML-DSA-65 are refused. Default false. */
  readonly requirePqAuth?: boolean
  /** Our own peer id, as which we were addressed. */
  readonly responder: string
  /** Whether the initiator must be the peer of the stream (the default), or is whoever the session proves: where somebody in between forwards the stream. */
  readonly initiator?: 'peer-of-stream' | 'anybody'
}

/**
 * Opens a session over a stream of protocol `pqs`; resolves when the peer has proved its identity and its keys, within 5 s.
 * @throws {MeshError} LEVEL_REFUSED, SESSION_AUTH_REFUSED, SESSION_UNCONFIRMED, HANDSHAKE_FAILED, IDENTITY_MISMATCH, SIGNATURE_INVALID, TIMEOUT,
 * NETWORK_MISMATCH, UNSUPPORTED_VERSION, MESSAGE_MALFORMED, PEER_UNREACHABLE; the stream is reset then
 */
export function openSession(stream: FrameStream, options: OpenSessionOptions): Promise<SessionStream> {
  const { context, level, pqAuth = false, responder = stream.peerId, responderKey = stream.publicKey, inner } = options
  return SessionStream.start({
    stream,
    context,
    inner,
    session: { ...context.tools, role: 'initiator', level, pqAuth, responder, responderKey }
  })
}

/** Answers the session that a peer opens over `stream`. @throws {MeshError} as openSession; a peer that is refused is told so first */
export function acceptSession(stream: FrameStream, options: AcceptSessionOptions): Promise<SessionStream> {
  const { context, minimumLevel, requirePqAuth = false, responder, inner, initiator = 'peer-of-stream' } = options
  const initiatorKey = initiator === 'anybody' ? undefined : stream.publicKey
  return SessionStream.start({
    stream,
    context,
    inner,
    session: { ...context.tools, role: 'responder', minimumLevel, requirePqAuth, responder, initiatorKey }
  })
}

interface StartOptions {
  readonly stream: FrameStream
  readonly context: SessionContext
  readonly inner: InnerLimits
  readonly session: InitiatorOptions | ResponderOptions
}

/** A FrameStream inside of an end-to-end session: what is sent is packed into records, sealed, and sent over the stream below. */
export class SessionStream implements FrameStream {
  readonly #options: StartOptions
  readonly #stream: FrameStream
  readonly #machine: SessionMachine
  readonly #frames: SessionFrames
  readonly #writer: LinkWriter
  readonly #established = Promise.withResolvers<void>()
  readonly #words = Promise.withResolvers<readonly string[]>()
  #facts: SessionFacts | undefined
  /** The peer, when it is not the one of the stream below. */
  #forwardedFrom: Uint8Array | undefined
  #error: MeshError | undefined
  #inFlightBytes = 0
  #usedAt: Millis
  #closing = false
  #resumeReading: (() => void) | undefined
  #cancelTimer: (() => void) | undefined
  #timerAt: Millis | undefined

  private constructor(options: StartOptions) {
    this.#options = options
    this.#stream = options.stream
    this.#machine = new SessionMachine(options.session)
    const { context, inner } = options
    this.#usedAt = context.clock.monotonic()
    this.#frames = new SessionFrames({
      inner,
      clock: context.clock,
      timers: context.timers,
      onTaken: () => this.#taken(),
      onOffence: (error) => this.#fail(error)
    })
    this.#writer = new LinkWriter({
      link: this.#link(),
      protocol: inner.id,
      onBytes: () => undefined,
      maxWriteBytes: maxPlaintextBytes
    })
    this.#stream.countHeld?.(() => this.#frames.held)
    // Nobody may be waiting for either.
    this.#established.promise.catch(() => undefined)
    this.#words.promise.catch(() => undefined)
  }

  /** Runs the handshake. For openSession and acceptSession. */
  static async start(options: StartOptions): Promise<SessionStream> {
    const session = new SessionStream(options)
    session.#input({ type: 'start' })
    void Promise.all([session.#read(), options.stream.closed]).then(() => session.#release())
    await session.#established.promise
    return session
  }

  get peerId(): string {
    return this.#forwardedFrom === undefined ? this.#stream.peerId : peerIdOfKey(this.#forwardedFrom)
  }

  /** The key that the session proved: that of the stream below, unless somebody in between forwards it. */
  get publicKey(): Uint8Array {
    return this.#forwardedFrom ?? this.#stream.publicKey
  }

  get capacityBytes(): number | undefined {
    return this.#stream.capacityBytes
  }

  get path(): ConnectionPath {
    return this.#stream.path
  }

  get closed(): Promise<void> {
    return this.#stream.closed
  }

  /** When something was last sent or came; what the session needs for itself does not count. */
  get usedAt(): Millis {
    return this.#usedAt
  }

  /** Bytes that were opened and that no consumer has taken. */
  get heldBytes(): number {
    return this.#frames.held
  }

  get info(): SessionInfo {
    const facts = this.#facts
    if (facts === undefined) throw new MeshError('INTERNAL', { reason: 'the session is not open' })
    return {
      level: facts.suite.level,
      suite: facts.suite.name,
      handshakeBytes: facts.handshakeBytes,
      handshakeMs: facts.handshakeMs,
      authentication: facts.pqAuth ? 'ed25519+mldsa65' : 'ed25519',
      epoch: this.#machine.epoch,
      rekey: this.#options.session.rekey,
      peerLevels: facts.peer.levels
    }
  }

  /** Three words that are the same on both sides unless somebody stands between; known a round trip after the handshake. Rejects when the session ends before. */
  words(): Promise<readonly string[]> {
    return this.#words.promise
  }

  /** `length` secret bytes, the same on both sides, for a purpose outside of the session. @throws {MeshError} INTERNAL when the session has ended */
  exportSecret(purpose: string, context: Uint8Array, length: number): Uint8Array {
    return this.#machine.exportSecret(purpose, context, length)
  }

  /** Renews the keys now, unless that is under way. */
  rekey(): void {
    this.#input({ type: 'rekey' })
  }

  frames(): AsyncIterable<Uint8Array> {
    return { [Symbol.asyncIterator]: () => this.#frames }
  }

  /** The bytes are sealed: `onTaken` tells when. */
  send(frame: Pieces, onTaken?: () => void): Promise<void> {
    const { id, maxFrameBytes } = this.#options.inner
    const bytes = byteLength(frame)
    if (bytes === 0 || bytes > maxFrameBytes)
      return Promise.reject(new MeshError('PROTOCOL_LIMIT', { protocol: id, reason: `a frame of ${bytes} bytes, 1 to ${maxFrameBytes} are sent` }))
    if (this.#closing) return Promise.reject(this.#error ?? this.#closedError())
    return this.#writer.send(frame, onTaken)
  }

  async flush(): Promise<void> {
    await this.#writer.flush()
    await this.#stream.flush()
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    this.#frames.stop(undefined)
    try {
      await this.#writer.flush()
      this.#input({ type: 'end' })
    } catch {
      // The stream below failed first; closing it is all that is left.
    }
    await this.#stream.close()
    this.#release()
  }

  abort(reason: MeshError): void {
    this.#fail(reason)
  }

  // The link of the writer: a plaintext comes in, a record goes out.
  #link(): WritableLink {
    const isFull = (): boolean => this.#inFlightBytes >= maxInFlightBytes
    return {
      get writableNeedsDrain(): boolean {
        return isFull()
      },
      send: (data) => {
        this.#input({ type: 'send', data })
        return !isFull()
      }
    }
  }

  #input(input: SessionInput): void {
    const now = this.#options.context.clock.monotonic()
    if (input.type === 'send') this.#usedAt = now
    for (const output of this.#machine.handle(input, now)) {
      if (output.type === 'data') this.#usedAt = now
      this.#perform(output)
    }
    this.#arm()
  }

  #perform(output: SessionOutput): void {
    switch (output.type) {
      case 'send':
        return this.#sendBelow(output.frame)
      case 'data':
        return this.#frames.push(output.data)
      case 'established':
        return this.#opened(output.facts)
      case 'words':
        return this.#words.resolve(output.words)
      case 'rekeyed':
        return undefined
      case 'peer-ended':
        return this.#frames.finish()
      case 'failed':
        return this.#refuse(output.error)
      default:
        return output satisfies never
    }
  }

  #opened(facts: SessionFacts): void {
    this.#facts = facts
    // Whoever compares keys by their arrays finds the one of the stream, as a rule.
    if (!equalBytes(facts.peer.publicKey, this.#stream.publicKey)) this.#forwardedFrom = facts.peer.publicKey
    this.#established.resolve()
  }

  #sendBelow(frame: Pieces): void {
    const bytes = byteLength(frame)
    this.#inFlightBytes += bytes
    this.#stream.send(frame).then(
      () => this.#sent(bytes),
      (error: unknown) => this.#unsent(error instanceof MeshError ? error : this.#closedError(error))
    )
  }

  #sent(bytes: number): void {
    const wasFull = this.#inFlightBytes >= maxInFlightBytes
    this.#inFlightBytes -= bytes
    if (wasFull && this.#inFlightBytes < maxInFlightBytes) this.#writer.pump()
  }

  // What arrived before can still be taken.
  #unsent(error: MeshError): void {
    if (this.#facts === undefined) this.#fail(error)
    else this.#writer.fail(error)
  }

  async #read(): Promise<void> {
    try {
      for await (const frame of this.#stream.frames()) {
        this.#input({ type: 'frame', frame })
        if (this.#error !== undefined) return
        if (this.#frames.isFull) await new Promise<void>((resolve) => (this.#resumeReading = resolve))
      }
      this.#input({ type: 'stream-ended' })
    } catch (error) {
      this.#fail(error instanceof MeshError ? error : this.#closedError(error))
    }
  }

  #taken(): void {
    if (this.#resumeReading !== undefined && !this.#frames.isFull) this.#resume()
    this.#arm()
  }

  #resume(): void {
    this.#resumeReading?.()
    this.#resumeReading = undefined
  }

  // One timer for both the machine and a frame that is not whole; it is set anew only when an earlier time appears.
  #arm(): void {
    const wake = this.#wakeAt()
    if (wake === undefined || this.#error !== undefined || (this.#timerAt !== undefined && this.#timerAt <= wake)) return
    this.#cancelTimer?.()
    this.#timerAt = wake
    const { clock, timers } = this.#options.context
    this.#cancelTimer = timers.schedule(Math.max(1, wake - clock.monotonic()), () => this.#wake())
  }

  #wakeAt(): Millis | undefined {
    return earliest(this.#machine.wakeAt, this.#frames.deadline)
  }

  #wake(): void {
    this.#timerAt = undefined
    this.#cancelTimer = undefined
    const { context, inner } = this.#options
    const { deadline } = this.#frames
    if (deadline !== undefined && context.clock.monotonic() >= deadline)
      return this.#fail(new MeshError('TIMEOUT', { operation: `a frame of ${inner.id}`, timeoutMs: inner.frameMs }))
    this.#input({ type: 'wake' })
  }

  // A refusal that was sent reaches the peer before the reset.
  #refuse(error: MeshError): void {
    if (this.#facts !== undefined || this.#inFlightBytes === 0) return this.#fail(error)
    this.#error = error
    void this.#stream
      .flush()
      .catch(() => undefined)
      .then(() => this.#end(error))
  }

  #fail(error: MeshError): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#end(error)
  }

  #end(error: MeshError): void {
    this.#stream.abort(error)
    this.#established.reject(error)
    this.#frames.stop(error)
    this.#release()
  }

  /** Nothing more can come or go: the keys are forgotten. */
  #release(): void {
    const error = this.#error ?? this.#closedError()
    this.#machine.wipe()
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#words.reject(error)
    this.#writer.fail(error)
    this.#resume()
  }

  #closedError(cause?: unknown): MeshError {
    return new MeshError('PEER_UNREACHABLE', { peer: this.#stream.peerId, reason: 'the session is closed' }, { cause })
  }
}
