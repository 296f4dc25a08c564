import type { Libp2p, Upgrader } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError, isMeshError, toMeshError } from '../../core/base/index.ts'
import { encodeIceFrame, type IcePolicy, type IceRefusal, type NatFacts } from '../../core/nat/index.ts'
import type { MeshOptions } from '../../core/options/index.ts'
import type { Paths } from '../connections.ts'
import { type Deadline, startDeadline, within } from '../deadline.ts'
import type { FrameStream } from '../frame-stream.ts'
import type { LogRecord } from '../mesh.ts'
import type { Platform } from '../ports.ts'
import type { ProtocolHost } from '../protocol-host.ts'
import { TokenBuckets } from '../token-buckets.ts'
import { IceAttempt, type IceAttemptOptions } from './ice-attempt.ts'
import { loopbackOf, scopesOf } from './ice-scopes.ts'
import type { IcePort, IceServer } from './ice-port.ts'
import { type IceConnected, IceUpgrades } from './ice-upgrades.ts'
import { requiredTurnServers, turnFailure, turnServers } from './turn-servers.ts'

export interface IceServiceOptions {
  readonly libp2p: Libp2p
  readonly upgrader: Upgrader
  readonly host: ProtocolHost
  readonly platform: Pick<Platform, 'clock' | 'timers'>
  readonly port: IcePort
  readonly options: Pick<MeshOptions, 'listenAddrs' | 'turnServers' | 'turnUsername' | 'turnPassword' | 'turnSecret'>
  /** Servers to ask for this node's address, the best first. */
  readonly stunServers: () => readonly IceServer[]
  readonly isPaired: (peerId: string) => boolean
  /** What is known of the own network. */
  readonly facts: () => Pick<NatFacts, 'natClass'> | undefined
  readonly paths: Pick<Paths, 'note'>
  readonly log: (record: LogRecord) => void
}

export interface IceConnectOptions {
  /** Default `all`. */
  readonly policy?: IcePolicy
  readonly signal?: AbortSignal
}

/** A run, the stream and the handshake over what it found. */
const connectMs = 15_000
/** With one of another policy, or after both began at one time, a run is made anew. */
const maxTries = 3
const glareMs = 2_000
const lastRunMs = 500
const maxRuns = 16
const maxStrangers = 2
/** What a stranger may ask: three at once, then one in ten seconds. */
const strangerRate = { perSecond: 0.1, burst: 3 } as const

interface Run {
  readonly direction: 'inbound' | 'outbound'
  readonly isStranger: boolean
  attempt: IceAttempt | undefined
  /** Whether another run took its place. */
  isYielded: boolean
  readonly done: Promise<IceConnected>
}

type Outcome = { readonly connected: IceConnected } | { readonly error: MeshError }

/**
 * Direct connections with peers behind NATs: offers and candidates go over the connection there is (a relay's), ICE finds a way, and libp2p's own encryption
 * and streams are put over it. See docs/wire/ice.md.
 */
export class IceService {
  readonly #options: IceServiceOptions
  readonly #runs = new Map<string, Run>()
  readonly #strangers: TokenBuckets
  readonly #upgrades: IceUpgrades
  readonly #waiting = new Map<string, Set<() => void>>()
  #stunIndex = 0
  #isStopped = false

  constructor(options: IceServiceOptions) {
    this.#options = options
    this.#upgrades = new IceUpgrades(options)
    this.#strangers = new TokenBuckets({ clock: options.platform.clock, ...strangerRate })
  }

  /** Why there is no ICE; undefined when there is. */
  get unavailable(): string | undefined {
    return this.#options.port.unavailable
  }

  get hasTurn(): boolean {
    return this.#turn().length > 0
  }

  /** Asks the TURN servers for an address: TURN_FAILED when none gives one; undefined when one does, or none is configured. Takes some seconds at most. */
  async turnTrouble(signal: AbortSignal): Promise<MeshError | undefined> {
    const answers = this.#turn().map(async (server) => ({ server, verdict: await this.#options.port.probeTurn(server, signal) }))
    return turnFailure(await Promise.all(answers))
  }

  /** Runs at this time, of both directions. */
  get running(): number {
    return this.#runs.size
  }

  async start(): Promise<void> {
    await this.#options.port.load().catch((error: unknown) => {
      this.#options.log({ level: 'info', event: 'ice.unavailable', fields: { reason: toMeshError(error).message } })
    })
    await this.#options.host.serve('ice', (stream) => this.#serve(stream))
  }

  stop(): void {
    this.#isStopped = true
    for (const { attempt } of this.#runs.values()) attempt?.end(new MeshError('SHUTTING_DOWN'), 'failed')
  }

  /**
   * A direct connection with a peer that is connected already, or can be over a relay. While a run with it goes on, that one is waited for.
   * @throws {MeshError} ICE_UNAVAILABLE, ICE_FAILED, TURN_NOT_CONFIGURED, TURN_FAILED, PEER_UNREACHABLE, TIMEOUT, ABORTED
   */
  async connect(peerId: string, { policy = 'all', signal }: IceConnectOptions = {}): Promise<IceConnected> {
    await this.#options.port.load()
    if (policy === 'turn') requiredTurnServers(this.#options.options, this.#options.platform.clock.wall())
    using deadline = startDeadline(this.#options.platform.timers, { operation: 'ice', timeoutMs: connectMs, signal })
    for (let left = maxTries; left > 0; left--) {
      const outcome = await this.#try(peerId, policy, deadline)
      if (outcome === undefined) continue
      if ('error' in outcome) throw outcome.error
      return outcome.connected
    }
    throw new MeshError('ICE_FAILED', { peer: peerId, reason: 'both sides began at one time, again and again' })
  }

  /** undefined when another run was in the way: to be tried again. */
  async #try(peerId: string, policy: IcePolicy, deadline: Deadline): Promise<Outcome | undefined> {
    const running = this.#runs.get(peerId)
    if (running !== undefined) {
      const outcome = await within(deadline, settled(running.done))
      return !running.isYielded && (policy === 'all' || running.attempt?.policy === policy) ? outcome : undefined
    }
    const run = this.#begin(peerId, 'outbound', (each) => this.#initiate(each, { peerId, policy, deadline }))
    const outcome = await within(deadline, settled(run.done))
    if (!run.isYielded && run.attempt?.heard !== 'glare') return outcome
    await within(deadline, this.#inboundOf(peerId))
    return undefined
  }

  #begin(peerId: string, direction: Run['direction'], work: (run: Run) => Promise<IceConnected>): Run {
    const { promise, resolve, reject } = Promise.withResolvers<IceConnected>()
    const run: Run = { direction, isStranger: !this.#options.isPaired(peerId), attempt: undefined, isYielded: false, done: promise }
    promise.catch(() => undefined)
    this.#runs.set(peerId, run)
    if (direction === 'inbound') for (const wake of this.#waiting.get(peerId) ?? []) wake()
    work(run)
      .then(resolve, reject)
      .finally(() => {
        if (this.#runs.get(peerId) === run) this.#runs.delete(peerId)
      })
    return run
  }

  async #initiate(run: Run, target: { readonly peerId: string; readonly policy: IcePolicy; readonly deadline: Deadline }): Promise<IceConnected> {
    const { peerId, policy, deadline } = target
    if (this.#isStopped || this.#runs.size > maxRuns) throw failed(peerId, 'too many attempts at one time')
    const stream = await this.#open(peerId, deadline)
    if (this.#isStopped || run.isYielded) {
      void stream.close()
      throw failed(peerId, 'it was given up before it began')
    }
    const attempt = new IceAttempt(this.#attemptOptions(stream, policy))
    run.attempt = attempt
    const release = deadline.onEnd(() => attempt.end(deadline.error(), 'failed'))
    if (policy === 'turn') void this.#watchTurn(attempt, deadline.signal)
    try {
      return await this.#upgrades.upgrade(await attempt.run(), peerId, 'outbound')
    } finally {
      release()
      this.#learn(attempt)
      void stream.close()
    }
  }

  async #open(peerId: string, deadline: Deadline): Promise<FrameStream> {
    try {
      return await this.#options.host.open(peerId, 'ice', deadline.signal)
    } catch (cause) {
      if (cause instanceof MeshError && /protocol/i.test(cause.message))
        throw failed(peerId, 'the peer knows no ICE, or its NAT traversal is off', cause)
      throw cause
    }
  }

  async #serve(stream: FrameStream): Promise<void> {
    const { peerId } = stream
    const refusal = await this.#refusal(peerId)
    if (refusal !== undefined) {
      await stream.send(encodeIceFrame({ kind: 'ended', refusal }))
      return
    }
    const attempt = new IceAttempt(this.#attemptOptions(stream, undefined))
    const run = this.#begin(peerId, 'inbound', async (each) => {
      each.attempt = attempt
      return this.#upgrades.upgrade(await attempt.run(), peerId, 'inbound')
    })
    const outcome = await settled(run.done)
    this.#learn(attempt)
    // That no way was found is no offence of the peer.
    if ('error' in outcome && isOffence(outcome.error)) throw outcome.error
  }

  /** Why a peer that begins a run is sent away; undefined when it is served. */
  async #refusal(peerId: string): Promise<IceRefusal | undefined> {
    const { port, isPaired, libp2p } = this.#options
    const isReady = await port.load().then(
      () => !this.#isStopped,
      () => false
    )
    if (!isReady) return 'unavailable'
    await this.#lastOf(peerId)
    const own = this.#runs.get(peerId)
    if (own?.direction === 'inbound') return 'busy'
    if (own !== undefined && libp2p.peerId.toString() < peerId) return 'glare'
    const others = [...this.#runs.values()].filter((run) => run !== own)
    if (others.length >= maxRuns) return 'busy'
    if (!isPaired(peerId)) {
      if (others.filter(({ isStranger }) => isStranger).length >= maxStrangers) return 'busy'
      if (!this.#strangers.take(peerId)) return 'refused'
    }
    if (own !== undefined) {
      own.isYielded = true
      own.attempt?.end(failed(peerId, 'the peer began at the same time'), 'glare')
    }
    return undefined
  }

  /** A peer may begin anew before this side has done with its last run. */
  async #lastOf(peerId: string): Promise<void> {
    const last = this.#runs.get(peerId)
    if (last?.direction !== 'inbound') return
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#options.platform.timers.schedule(lastRunMs, resolve)
    await Promise.race([settled(last.done), promise])
    cancel()
  }

  /** Resolves when the peer begins a run, or has had the time to. */
  async #inboundOf(peerId: string): Promise<void> {
    if (this.#runs.has(peerId)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(peerId) ?? new Set()
    this.#waiting.set(peerId, waiting.add(resolve))
    const cancel = this.#options.platform.timers.schedule(glareMs, resolve)
    await promise
    cancel()
    waiting.delete(resolve)
    if (waiting.size === 0) this.#waiting.delete(peerId)
  }

  #attemptOptions(stream: FrameStream, policy: IcePolicy | undefined): IceAttemptOptions {
    const { port, platform, facts } = this.#options
    const natClass = facts()?.natClass
    const bindAddress = this.#bindAddress()
    const isInitiator = policy !== undefined
    const isPaired = this.#options.isPaired(stream.peerId)
    return {
      stream,
      policy,
      ...scopesOf({ isPaired, isInitiator, isLoopback: bindAddress !== undefined, isRelayOnly: policy === 'turn' }),
      nat: { isOpen: bindAddress !== undefined || natClass === 'open' || natClass === 'full-cone', isSymmetric: natClass === 'symmetric' },
      port,
      platform,
      means: (agreed) => ({
        stun: this.#stun(),
        // Addresses of a TURN server cost its owner something: none for strangers, and none where those of the initiator are wanted.
        turn: (isInitiator ? agreed !== 'stun' : agreed === 'all' && isPaired) ? this.#turn() : [],
        isRelayOnly: agreed === 'turn' && isInitiator,
        bindAddress
      })
    }
  }

  #bindAddress(): string | undefined {
    const { options, libp2p } = this.#options
    const addresses =
      options.listenAddrs.length > 0
        ? options.listenAddrs.map((address) => multiaddr(address))
        : libp2p.getConnections().map(({ remoteAddr }) => remoteAddr)
    return loopbackOf(addresses)
  }

  #stun(): IceServer | undefined {
    const servers = this.#options.stunServers()
    return servers[this.#stunIndex % Math.max(1, servers.length)]
  }

  #turn(): ReturnType<typeof turnServers> {
    return turnServers(this.#options.options, this.#options.platform.clock.wall())
  }

  /** A STUN server that said nothing is not asked the next time. */
  #learn({ tally: { own, isGathered } }: IceAttempt): void {
    if (isGathered && !own.some(({ type }) => type === 'srflx') && this.#stun() !== undefined) this.#stunIndex += 1
  }

  /** ICE does not tell why there is no address of a TURN server: the server does. */
  async #watchTurn(attempt: IceAttempt, signal: AbortSignal): Promise<void> {
    const failure = await this.turnTrouble(signal)
    if (failure !== undefined && attempt.tally.own.length === 0) attempt.end(failure, 'failed')
  }
}

const failed = (peer: string, reason: string, cause?: unknown): MeshError => new MeshError('ICE_FAILED', { peer, reason }, { cause })

const isOffence = (error: MeshError): boolean =>
  isMeshError(error, 'MESSAGE_MALFORMED') || isMeshError(error, 'PROTOCOL_LIMIT') || isMeshError(error, 'UNSUPPORTED_VERSION')

const settled = (work: Promise<IceConnected>): Promise<Outcome> =>
  work.then(
    (connected) => ({ connected }),
    (error: unknown) => ({ error: toMeshError(error) })
  )
