import { isMeshError, type KemLevel, MeshError, type WallMillis } from '../core/base/index.ts'
import type { Via } from '../core/message/index.ts'
import { CircuitGuests } from './circuit-guests.ts'
import { startDeadline, within } from './deadline.ts'
import type { FrameStream } from './frame-stream.ts'
import { IdleSessions } from './idle-sessions.ts'
import type { QuantumReport, SessionCall, SessionProtection } from './mesh.ts'
import type { OnionStreams } from './onion-streams.ts'
import { peerIdOfKey } from './peer-keys.ts'
import type { Platform } from './ports.ts'
import type { ProtocolHost } from './protocol-host.ts'
import { type FrameLimits, messageFrames, pairingFrames } from './protocol-table.ts'
import { createSessionContext, type SessionContext } from './session-context.ts'
import type { InnerLimits } from './session-frames.ts'
import type { SessionInfo } from './session-info.ts'
import { acceptSession, openSession, type SessionStream } from './session-stream.ts'
import { TokenBuckets } from './token-buckets.ts'

const measureMs = 10_000
const onionIdleMs = 300_000

export interface SessionsOptions {
  readonly host: Pick<ProtocolHost, 'open' | 'serve'>
  /** Streams over circuits; without them every session is direct. */
  readonly onion?: OnionStreams
  /** When sessions for messages over our own circuits are closed that carried nothing; default 5 minutes. */
  readonly onionIdleMs?: number | undefined
  readonly platform: Platform
  readonly network: string
  /** Our own peer id, as which peers address us. */
  readonly peerId: string
  /** The level that our own sessions have. */
  readonly level: KemLevel
  /** Lower levels are refused, in both directions. */
  readonly minimumLevel: KemLevel
  /** Whether every session is signed with ML-DSA-65 as well, in both directions. */
  readonly pqAuth: boolean
  /** Other limits than those of the table, for tests. */
  readonly frames?: Partial<FrameLimits>
  readonly pairingFrames?: Partial<FrameLimits>
  /** A session that could not be opened, by whichever side. */
  readonly onFailed: (failure: SessionFailure) => void
}

/** A session that did not come to be. */
export interface SessionFailure {
  readonly direction: 'inbound' | 'outbound'
  readonly via: Via
  /** The peer's; of an inbound one over a circuit whatever the stream says, which names nobody. */
  readonly peerId: string
  readonly error: MeshError
}

/** A session that is open, or ended a short while ago. */
export interface KnownSession {
  readonly peerId: string
  readonly direction: 'inbound' | 'outbound'
  readonly openedAt: WallMillis
  readonly path: string
  readonly info: SessionInfo
  /** Known a round trip after the handshake. */
  readonly words: readonly string[] | undefined
  /** undefined while it is open. */
  readonly endedAt: WallMillis | undefined
}

interface Target {
  readonly publicKey: Uint8Array
  readonly via: Via
  /** What the session is for; `pair`: for one pairing, and never in a list. */
  readonly protocol: 'pqs' | 'pair'
}

interface Opening extends Omit<SessionFailure, 'error'> {
  readonly protocol: Target['protocol']
}

interface Wanted {
  readonly level: KemLevel
  readonly pqAuth: boolean
}

type Facts = Pick<KnownSession, 'peerId' | 'direction' | 'openedAt' | 'path'> & { words: readonly string[] | undefined }

/** Ended sessions that are remembered, so that whoever was called can still read the words. */
const maxEnded = 16
const endedForMs = 600_000
/** Peers of which it is remembered that no safe session could be opened; the first one goes. */
const maxRefused = 64
/** The exit code of errors of cryptography: trying again does not mend them by itself. */
const cryptographic = 8

/** The end-to-end sessions of a node: every message to one peer goes through one. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #context: SessionContext
  readonly #frames: FrameLimits
  readonly #pairingFrames: FrameLimits
  readonly #frameRate: TokenBuckets
  readonly #idle: IdleSessions
  readonly #guests: CircuitGuests
  readonly #open = new Map<SessionStream, Facts>()
  readonly #refused = new Map<string, MeshError>()
  #ended: readonly KnownSession[] = []

  constructor(options: SessionsOptions) {
    const { platform, network } = options
    const { crypto, clock, timers, signer, verifier, pq } = platform
    this.#options = options
    this.#context = createSessionContext({ crypto, clock, timers, network, signer, verifier, pq })
    this.#frames = { ...messageFrames, ...options.frames }
    this.#pairingFrames = { ...pairingFrames, ...options.pairingFrames }
    const perSecond = this.#frames.framesPerSecond
    this.#guests = new CircuitGuests(clock)
    this.#frameRate = new TokenBuckets({ clock, perSecond, burst: 5 * perSecond })
    this.#idle = new IdleSessions({ clock, timers, idleMs: options.onionIdleMs ?? onionIdleMs })
  }

  /** How many are open now. */
  get openCount(): number {
    return this.#open.size
  }

  /** Those that are open now, and the last 16 that ended within ten minutes. */
  list(): readonly KnownSession[] {
    const since = this.#options.platform.clock.wall() - endedForMs
    const open = [...this.#open].map(([stream, facts]) => ({ ...facts, info: stream.info, endedAt: undefined }))
    return [...open, ...this.#ended.filter(({ endedAt = 0 }) => endedAt > since)]
  }

  /** Why the last session for messages with a peer was not safe to open, by peer id. */
  get refused(): ReadonlyMap<string, MeshError> {
    return this.#refused
  }

  /** Serves the sessions that peers open, over connections and over circuits. */
  async serve(handler: (session: SessionStream, via: Via) => Promise<void>): Promise<void> {
    const { host, onion } = this.#options
    await host.serve('pqs', (stream) => this.#accept(stream, 'direct', handler))
    await onion?.serve((stream) => this.#accept(stream, 'onion', handler))
  }

  /** Over a circuit the stream names nobody: the peer is whoever the session proves, and what it sends counts for that key. */
  async #accept(stream: FrameStream, via: Via, handler: (session: SessionStream, via: Via) => Promise<void>): Promise<void> {
    const { peerId: responder, minimumLevel, pqAuth: requirePqAuth } = this.#options
    if (via === 'onion') this.#guests.admit()
    let { peerId } = stream
    const inner = this.#inner(() => peerId)
    const initiator = via === 'onion' ? 'anybody' : 'peer-of-stream'
    const accepted = acceptSession(stream, { context: this.#context, inner, minimumLevel, requirePqAuth, responder, initiator })
    const session = await this.#counted(accepted, { direction: 'inbound', via, peerId, protocol: 'pqs' })
    peerId = session.peerId
    if (via === 'onion') this.#guests.proved(session)
    await handler(session, via)
    await session.close()
  }

  /**
   * Opens a session for messages over a connection or a circuit, as our options say or as the peer asks for beyond that: never at a lower level, nor with fewer
   * signatures, and never the other way than `via` says. @throws {MeshError} as `openSession`, and as `OnionStreams.open`
   */
  async open(publicKey: Uint8Array, via: Via, signal: AbortSignal): Promise<SessionStream> {
    const peerId = peerIdOfKey(publicKey)
    try {
      const session = await this.#openRaised({ publicKey, via, protocol: 'pqs' }, signal)
      this.#refused.delete(peerId)
      if (via === 'onion') this.#idle.watch(session)
      return session
    } catch (error) {
      this.#noteRefusal(peerId, error)
      throw error
    }
  }

  /** Opens a session for one pairing, over a connection with the peer; level and signatures as `open` has them. @throws {MeshError} as `openSession` */
  openPairing(publicKey: Uint8Array, signal: AbortSignal): Promise<SessionStream> {
    return this.#openRaised({ publicKey, via: 'direct', protocol: 'pair' }, signal)
  }

  /** Answers the session that a peer opens for a pairing. @throws {MeshError} as `acceptSession` */
  acceptPairing(stream: FrameStream): Promise<SessionStream> {
    const { peerId: responder, minimumLevel, pqAuth: requirePqAuth } = this.#options
    const accepted = acceptSession(stream, { context: this.#context, inner: this.#pairingFrames, minimumLevel, requirePqAuth, responder })
    return this.#counted(accepted, { direction: 'inbound', via: 'direct', peerId: stream.peerId, protocol: 'pair' })
  }

  async #openRaised(target: Target, signal: AbortSignal): Promise<SessionStream> {
    const { level, pqAuth } = this.#options
    let wanted: Wanted = { level, pqAuth }
    for (;;) {
      try {
        return await this.#openAt(target, wanted, signal)
      } catch (error) {
        const more = raised(wanted, error)
        if (more === undefined) throw error
        wanted = more
      }
    }
  }

  /** Circuits are wanted that there is no room for: closes so many sessions over circuits that carry nothing just now. */
  makeRoom(count: number): void {
    this.#idle.makeRoom(count)
  }

  /**
   * Opens a session of its own at a level (ours by default), and tells what it is; the peer shows the same words for it.
   * With `mlDsa` both sides sign with ML-DSA-65 as well.
   * @throws {MeshError} OPTION_INVALID, TIMEOUT, ABORTED, and as `openSession`: a refused level is not raised
   */
  async measure(publicKey: Uint8Array, options: SessionCall): Promise<Omit<QuantumReport, 'peer'>> {
    const { minimumLevel, platform } = this.#options
    const level = kemLevel(options.level ?? this.#options.level)
    if (level < minimumLevel) throw new MeshError('LEVEL_REFUSED', { level, minimum: minimumLevel, by: 'this node' })
    const pqAuth = this.#options.pqAuth || options.mlDsa === true
    const timeoutMs = options.timeoutMs ?? measureMs
    using deadline = startDeadline(platform.timers, { operation: 'The session', timeoutMs, signal: options.signal })
    const session = await within(
      deadline,
      this.#openAt({ publicKey, via: options.via ?? 'direct', protocol: 'pqs' }, { level, pqAuth }, deadline.signal)
    )
    try {
      const words = await within(deadline, session.words())
      const { info, path } = session
      return { ...protectionOf(info), path, words, handshakeBytes: info.handshakeBytes, handshakeMs: info.handshakeMs, rekey: info.rekey }
    } finally {
      await session.close()
    }
  }

  async #openAt({ publicKey, via, protocol }: Target, wanted: Wanted, signal: AbortSignal): Promise<SessionStream> {
    const peerId = peerIdOfKey(publicKey)
    const stream = via === 'onion' ? await this.#onion.open(publicKey, signal) : await this.#options.host.open(peerId, protocol, signal)
    // A session that nobody waits for any more would stay open, and take one of the few places that the peer has for us.
    const giveUp = (): void => stream.abort(new MeshError('ABORTED', { operation: 'opening the session' }))
    signal.addEventListener('abort', giveUp)
    try {
      if (signal.aborted) giveUp()
      // Whatever the stream says: the responder is whom we asked for.
      const inner = protocol === 'pair' ? this.#pairingFrames : this.#inner(() => peerId)
      const session = { context: this.#context, inner, responder: peerId, responderKey: publicKey }
      return await this.#counted(openSession(stream, { ...session, ...wanted }), { direction: 'outbound', via, peerId, protocol })
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  /** Whether there is a way to a peer over circuits now. @throws {MeshError} as `OnionStreams.check` */
  async checkOnion(publicKey: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#onion.check(publicKey, signal)
  }

  get #onion(): OnionStreams {
    const { onion } = this.#options
    if (onion === undefined) throw new MeshError('CIRCUIT_TOO_FEW_RELAYS', { need: 1, have: 0, reason: 'this node makes no circuits' })
    return onion
  }

  #noteRefusal(peerId: string, error: unknown): void {
    if (!isMeshError(error) || error.exitCode !== cryptographic) return
    this.#refused.delete(peerId)
    this.#refused.set(peerId, error)
    if (this.#refused.size > maxRefused) this.#refused.delete(this.#refused.keys().next().value ?? '')
  }

  async #counted(opening: Promise<SessionStream>, { direction, via, peerId, protocol }: Opening): Promise<SessionStream> {
    try {
      const session = await opening
      const openedAt = this.#options.platform.clock.wall()
      const proven = direction === 'outbound' ? peerId : session.peerId
      if (protocol === 'pqs') this.#remember(session, { peerId: proven, direction, openedAt, path: session.path, words: undefined })
      return session
    } catch (error) {
      if (isMeshError(error)) this.#options.onFailed({ direction, via, peerId, error })
      throw error
    }
  }

  #remember(session: SessionStream, facts: Facts): void {
    this.#open.set(session, facts)
    const know = (words: readonly string[]): void => {
      facts.words = words
    }
    session.words().then(know, () => undefined)
    void session.closed.then(() => {
      this.#open.delete(session)
      const ended = { ...facts, info: session.info, endedAt: this.#options.platform.clock.wall() }
      this.#ended = [ended, ...this.#ended].slice(0, maxEnded)
    })
  }

  #inner(peerId: () => string): InnerLimits {
    const { id, maxFrameBytes, frameMs } = this.#frames
    return { id, maxFrameBytes, frameMs, frameDelayMs: () => this.#frameRate.reserveMs(peerId()) }
  }
}

/** What a refusal asks for beyond what was wanted. Nobody vouches for a refusal, so that it may add protection and never take any; at most thrice. */
function raised(wanted: Wanted, error: unknown): Wanted | undefined {
  if (isMeshError(error, 'SESSION_AUTH_REFUSED')) return wanted.pqAuth ? undefined : { ...wanted, pqAuth: true }
  const minimum = isMeshError(error, 'LEVEL_REFUSED') ? error.details['minimum'] : undefined
  return (minimum === 3 || minimum === 5) && minimum > wanted.level ? { ...wanted, level: minimum } : undefined
}

/** A number that is a level of ML-KEM. @throws {MeshError} OPTION_INVALID */
export function kemLevel(value: number): KemLevel {
  if (value === 1 || value === 3 || value === 5) return value
  throw new MeshError('OPTION_INVALID', { path: 'level', value: String(value).slice(0, 20), allowed: '1, 3 or 5' })
}

const kemNames = { 1: 'ML-KEM-512', 3: 'ML-KEM-768', 5: 'ML-KEM-1024' } as const

/** What protects a session, as `status` and `quantum` show it. */
export const protectionOf = ({ level, suite, authentication }: SessionInfo): SessionProtection => ({
  level,
  kem: kemNames[level],
  hybrid: 'X25519',
  suite,
  authentication
})
