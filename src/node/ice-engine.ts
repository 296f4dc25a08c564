import type { DataChannel, PeerConnection, RtcConfig } from 'node-datachannel'
import { MeshError } from '../core/base/index.ts'
import {
  candidateLine,
  canonicalIp,
  type CandidatePair,
  credentialsOf,
  describeSession,
  type DtlsRole,
  type IceCandidate,
  type IceCredentials,
  maxChannelMessageBytes,
  type PairEnd,
  parseCandidateLine
} from '../core/nat/index.ts'
import type { ChannelEvents, IceAgent, IceAgentEvent, IceAgentOptions, IceChannel, IcePort, TurnServer, TurnVerdict } from '../mesh/ice/ice-port.ts'
import { TurnForwarder } from './turn-forwarder.ts'
import { probeTurn } from './turn-probe.ts'

type Library = Pick<typeof import('node-datachannel'), 'PeerConnection'>

/** `onDrain` comes below it. */
const lowWaterBytes = 65_536
/** What may come before anybody listens. */
const maxEarlyBytes = 1_048_576
const pairTypes = ['host', 'srflx', 'prflx', 'relay'] as const

/** ICE, DTLS and SCTP by node-datachannel, an optional package: it is loaded when it is first wanted. */
export class IceEngine implements IcePort {
  readonly #import: () => Promise<Library>
  /** Held here: what nobody holds is collected, and closed with that. */
  readonly #agents = new Set<IceAgent>()
  #library: Library | undefined
  #loading: Promise<void> | undefined
  #unavailable: string | undefined
  #isStopped = false

  /** @param importLibrary - another way to load it, for tests */
  constructor(importLibrary: () => Promise<Library> = () => import('node-datachannel')) {
    this.#import = importLibrary
  }

  get unavailable(): string | undefined {
    return this.#unavailable
  }

  load(): Promise<void> {
    this.#loading ??= this.#load()
    return this.#loading
  }

  createAgent(options: IceAgentOptions): IceAgent {
    if (this.#isStopped) throw new MeshError('SHUTTING_DOWN')
    if (this.#library === undefined) throw unavailableError(this.#unavailable ?? 'it was not loaded')
    const library = this.#library
    const onClosed = (): void => void this.#agents.delete(agent)
    const agent: IceAgent = options.isRelayOnly
      ? new RelayedAgent({ ...options, onClosed }, (relayed) => new Agent(library, relayed))
      : new Agent(library, { ...options, onClosed })
    this.#agents.add(agent)
    return agent
  }

  probeTurn(server: TurnServer, signal: AbortSignal): Promise<TurnVerdict> {
    return probeTurn(server, signal)
  }

  /** Closes what is open: its threads would keep the process alive. */
  stop(): void {
    this.#isStopped = true
    for (const agent of [...this.#agents]) agent.close()
  }

  async #load(): Promise<void> {
    try {
      this.#library = await this.#import()
    } catch (cause) {
      const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND'
      const what = cause instanceof Error ? (cause.message.split('\n')[0] ?? '').slice(0, 200) : String(cause)
      this.#unavailable = isMissing ? 'node-datachannel is not installed' : `node-datachannel cannot be loaded: ${what}`
      throw unavailableError(this.#unavailable, cause)
    }
  }
}

const unavailableError = (reason: string, cause?: unknown): MeshError => new MeshError('ICE_UNAVAILABLE', { reason }, { cause })

interface AgentOptions extends IceAgentOptions {
  readonly onClosed: () => void
}

/** One PeerConnection with one data channel that both sides know of beforehand. An error thrown within a callback of the library would end the process. */
class Agent implements IceAgent {
  readonly #options: AgentOptions
  readonly #connection: PeerConnection
  readonly #channel: Channel
  #isDescribed = false
  #checks = 0
  #state: 'running' | 'ended' | 'closed' = 'running'

  constructor(library: Library, options: AgentOptions) {
    this.#options = options
    this.#connection = new library.PeerConnection('synaptic-mesh', configOf(options))
    this.#connection.onLocalDescription((description) => this.#guard(() => this.#described(description)))
    this.#connection.onLocalCandidate((line) => this.#guard(() => this.#found(line)))
    this.#connection.onGatheringStateChange((state) => this.#guard(() => state === 'complete' && this.#emit({ type: 'gathered' })))
    this.#connection.onIceStateChange((state) => this.#guard(() => state === 'completed' && this.#emit({ type: 'settled' })))
    this.#connection.onStateChange((state) => this.#guard(() => this.#changed(state)))
    // Nobody asked for a second one.
    this.#connection.onDataChannel(() => this.#guard(() => this.#end()))
    try {
      const channel = this.#open(options)
      this.#channel = new Channel(channel, { close: () => this.close(), guard: (run) => this.#guard(run) })
      channel.onOpen(() => this.#guard(() => this.#emit({ type: 'open', channel: this.#channel })))
    } catch (error) {
      this.#connection.close()
      throw error
    }
  }

  answer(credentials: IceCredentials, dtls: DtlsRole): void {
    this.#attempt(() => this.#connection.setRemoteDescription(describeSession(credentials, dtls), 'answer'))
  }

  check(candidate: IceCandidate): void {
    this.#checks += 1
    this.#attempt(() => this.#connection.addRemoteCandidate(candidateLine(candidate, this.#checks), '0'))
  }

  pair(): CandidatePair | undefined {
    if (this.#state !== 'running') return undefined
    try {
      const found = this.#connection.getSelectedCandidatePair()
      const [local, remote] = [endOf(found?.local), endOf(found?.remote)]
      return local === undefined || remote === undefined ? undefined : { local, remote }
    } catch {
      return undefined
    }
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    try {
      this.#connection.close()
    } finally {
      this.#channel.ended()
      this.#options.onClosed()
    }
  }

  #open({ offer, dtls }: AgentOptions): DataChannel {
    if (offer !== undefined) this.#connection.setRemoteDescription(describeSession(offer, otherRole(dtls)), 'offer')
    return this.#connection.createDataChannel('mesh', { negotiated: true, id: 0 })
  }

  #described(description: string): void {
    if (this.#isDescribed) return
    this.#isDescribed = true
    this.#emit({ type: 'credentials', credentials: credentialsOf(description) })
  }

  #found(line: string): void {
    const candidate = parseCandidateLine(line)
    if (candidate !== undefined) this.#emit({ type: 'candidate', candidate })
  }

  #changed(state: string): void {
    if (state === 'failed' || state === 'disconnected' || state === 'closed') this.#end()
  }

  #end(): void {
    if (this.#state !== 'running') return
    this.#emit({ type: 'failed' })
    this.#state = 'ended'
    this.#channel.ended()
    this.close()
  }

  #emit(event: IceAgentEvent): void {
    if (this.#state === 'running') this.#options.onEvent(event)
  }

  #attempt(run: () => void): void {
    if (this.#state === 'running') this.#guard(run)
  }

  #guard(run: () => unknown): void {
    try {
      run()
    } catch {
      // What the library or a listener threw: this connection is not to be trusted any more.
      this.#end()
    }
  }
}

/** An agent that reaches nothing but its TURN servers. It offers; nothing is asked of it before. */
class RelayedAgent implements IceAgent {
  readonly #options: AgentOptions
  readonly #forwarders: TurnForwarder[] = []
  #agent: IceAgent | undefined
  #isClosed = false

  constructor(options: AgentOptions, create: (options: AgentOptions) => IceAgent) {
    this.#options = options
    void this.#open(create)
  }

  answer(credentials: IceCredentials, dtls: DtlsRole): void {
    this.#agent?.answer(credentials, dtls)
  }

  check(candidate: IceCandidate): void {
    this.#agent?.check(candidate)
  }

  pair(): CandidatePair | undefined {
    return this.#agent?.pair()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#agent?.close()
    for (const forwarder of this.#forwarders) forwarder.close()
    this.#options.onClosed()
  }

  async #open(create: (options: AgentOptions) => IceAgent): Promise<void> {
    const opened = await Promise.all(this.#options.turn.map((server) => this.#forward(server)))
    const turn = opened.filter((server) => server !== undefined)
    if (this.#isClosed) return
    if (turn.length === 0) this.#options.onEvent({ type: 'failed' })
    else this.#agent = create({ ...this.#options, turn, stun: undefined, bindAddress: loopback, onClosed: () => this.close() })
  }

  async #forward(server: TurnServer): Promise<TurnServer | undefined> {
    const forwarder = await TurnForwarder.open(server).catch(() => undefined)
    if (forwarder === undefined) return undefined
    if (this.#isClosed) {
      forwarder.close()
      return undefined
    }
    this.#forwarders.push(forwarder)
    return { ...server, host: loopback, port: forwarder.port }
  }
}

const loopback = '127.0.0.1'

interface ChannelOwner {
  readonly close: () => void
  readonly guard: (run: () => unknown) => void
}

class Channel implements IceChannel {
  readonly #channel: DataChannel
  readonly #owner: ChannelOwner
  readonly #early: Uint8Array[] = []
  #earlyBytes = 0
  readonly #whenEnded = Promise.withResolvers<void>()
  #events: ChannelEvents | undefined
  #state: 'open' | 'closing' | 'ended' = 'open'

  constructor(channel: DataChannel, owner: ChannelOwner) {
    this.#channel = channel
    this.#owner = owner
    channel.setBufferedAmountLowThreshold(lowWaterBytes)
    channel.onMessage((message) => owner.guard(() => this.#received(message)))
    channel.onBufferedAmountLow(() => owner.guard(() => this.#state === 'open' && this.#events?.onDrain()))
    channel.onClosed(() => owner.guard(() => this.#closed()))
  }

  get heldBytes(): number {
    return this.#state === 'open' ? this.#channel.bufferedAmount() : 0
  }

  listen(events: ChannelEvents): void {
    this.#events = events
    for (const bytes of this.#early.splice(0)) events.onMessage(bytes)
    if (this.#state === 'ended') events.onClosed()
  }

  send(bytes: Uint8Array): void {
    if (this.#state !== 'open') throw new Error('the channel is closed')
    this.#channel.sendMessageBinary(bytes)
  }

  async close(signal: AbortSignal): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    // What was sent goes first; the other side then ends the connection.
    this.#channel.close()
    const onAbort = (): void => this.#whenEnded.resolve()
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    await this.#whenEnded.promise
    signal.removeEventListener('abort', onAbort)
    this.#owner.close()
  }

  reset(): void {
    this.#state = 'ended'
    this.#owner.close()
  }

  /** The connection is no more. */
  ended(): void {
    const wasOpen = this.#state === 'open'
    this.#state = 'ended'
    this.#whenEnded.resolve()
    if (wasOpen) this.#events?.onClosed()
  }

  #received(message: string | Buffer | ArrayBuffer): void {
    if (this.#state === 'ended') return
    const bytes = message instanceof ArrayBuffer ? new Uint8Array(message) : message
    if (typeof bytes === 'string' || bytes.length > maxChannelMessageBytes) throw new Error('no message of ours')
    if (this.#events !== undefined) return this.#events.onMessage(bytes)
    this.#earlyBytes += bytes.length
    if (this.#earlyBytes > maxEarlyBytes) throw new Error('more than a handshake')
    this.#early.push(bytes)
  }

  /** The other side has closed, and everything that it sent was given out; our own close comes here at once. */
  #closed(): void {
    if (this.#state !== 'open') return
    this.ended()
    this.#owner.close()
  }
}

const otherRole = (role: DtlsRole): DtlsRole => (role === 'client' ? 'server' : 'client')

function configOf({ stun, turn, isRelayOnly, bindAddress }: IceAgentOptions): RtcConfig {
  return {
    iceServers: [
      ...(stun === undefined ? [] : [{ hostname: stun.host, port: stun.port }]),
      // An object, not a URL: a username with a colon needs no escape then.
      ...turn.map(({ host, port, username, password }) => ({ hostname: host, port, username, password, relayType: 'TurnUdp' as const }))
    ],
    iceTransportPolicy: isRelayOnly ? 'relay' : 'all',
    maxMessageSize: maxChannelMessageBytes,
    ...(bindAddress === undefined ? {} : { bindAddress })
  }
}

function endOf(end: { readonly address: string; readonly port: number; readonly type: string } | undefined): PairEnd | undefined {
  const address = canonicalIp(end?.address ?? '')
  const type = pairTypes.find((known) => known === end?.type)
  return end === undefined || address === undefined || type === undefined ? undefined : { address, port: end.port, type }
}
