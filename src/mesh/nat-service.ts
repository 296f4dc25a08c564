import type { Connection, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { MeshError } from '../core/base/index.ts'
import { dialAddress } from '../core/base/dial-address.ts'
import type { NatFacts } from '../core/nat/index.ts'
import { ipScope } from '../core/base/ip-scope.ts'
import { decodeNatFrame, type DialOutcome, encodeNatFrame, type NatFrame, natFrameLimits, type NatHello } from '../core/nat/nat-frames.ts'
import { hostOf, isRelayed } from './connections.ts'
import { DialHelper, dialLimits } from './dial-helper.ts'
import type { DialPurpose } from './dial-rules.ts'
import type { FrameStream } from './frame-stream.ts'
import type { Dialler } from './dialler.ts'
import type { PeerBook } from './peer-book.ts'
import type { Platform } from './ports.ts'
import type { ProtocolHost } from './protocol-host.ts'
import { FrameExchange } from './request.ts'
import type { Tracker } from './tracker.ts'

export interface NatServiceOptions {
  readonly libp2p: Libp2p
  readonly host: ProtocolHost
  readonly book: PeerBook
  /** See friends.ts. */
  readonly isFriend: (peerId: string) => boolean
  readonly platform: Pick<Platform, 'clock' | 'timers'>
  readonly dialler: Pick<Dialler, 'dialAddress'>
  readonly tracker: Tracker
  /** A peer asked to be dialled. */
  readonly onDialled: (purpose: DialPurpose, outcome: DialOutcome) => void
  /** What is known of the own network; undefined before the first probe. */
  readonly facts: () => NatFacts | undefined
  /** Whether ICE can be run here, and a TURN server be used. */
  readonly abilities: () => { readonly ice: boolean; readonly turn: boolean }
  /** A peer asks about our network: it looks for a way to us. */
  readonly onHello?: (peerId: string) => void
  /** Gives a peer our signed card: who is not paired with us dials the addresses on it, and no others. */
  readonly showCard: (peerId: string, signal: AbortSignal) => Promise<void>
  /** Own addresses that a router forwards and somebody has confirmed, without /p2p. */
  readonly mapped: () => readonly string[]
  /** Own addresses that others may dial, the likeliest first, without /p2p. */
  readonly addresses: () => readonly string[]
}

/** What a peer says of its own network, and when it was heard. */
export type PeerNat = NatHello & { readonly facts: NatFacts }

const answerMs = 5_000
/** After a peer said that it has dialled, its connection is here or it is not: it has to finish a handshake at most. */
const arrivalMs = 1_500
const maxRemembered = 1_024

/** `/synaptic-mesh/nat/1.0.0`: what peers tell each other about how they are reached, and dial for each other. See docs/wire/nat.md. */
export class NatService {
  readonly #options: NatServiceOptions
  readonly #helper: DialHelper
  readonly #stopped = new AbortController()
  readonly #heard = new Map<string, PeerNat>()

  constructor(options: NatServiceOptions) {
    this.#options = options
    const { libp2p, dialler, book, platform, isFriend } = options
    this.#helper = new DialHelper({ libp2p, dialler, book, isFriend, clock: platform.clock, signal: this.#stopped.signal })
  }

  async start(): Promise<void> {
    await this.#options.host.serve('nat', (stream) => this.#serve(stream))
    this.#options.libp2p.addEventListener('connection:open', this.#onConnection)
  }

  stop(): void {
    this.#options.libp2p.removeEventListener('connection:open', this.#onConnection)
    this.#stopped.abort()
  }

  /** A peer is paired now, maybe over a direct connection: it is asked how that goes. */
  paired(peerId: string): void {
    for (const connection of this.#options.libp2p.getConnections(peerIdFromString(peerId))) this.#askHowReached(connection)
  }

  /** What a peer last said of its network; undefined when it has said nothing. */
  heard(peerId: string): PeerNat | undefined {
    return this.#heard.get(peerId)
  }

  /** Asks a peer about its network, and tells about ours. @throws {MeshError} PEER_UNREACHABLE (also of one that does not speak of it), TIMEOUT, ABORTED, MESSAGE_MALFORMED */
  async hello(peerId: string, signal?: AbortSignal): Promise<PeerNat> {
    const answer = await this.#ask(peerId, { kind: 'hello', hello: this.#own(peerId) }, signal)
    if (answer.kind !== 'hello') throw unexpected(answer)
    return this.#remember(peerId, answer.hello)
  }

  /** Has a peer dial one of our addresses; whether we answered there. @throws {MeshError} as hello */
  async requestDialBack(peerId: string, address: string, signal?: AbortSignal): Promise<DialOutcome> {
    return this.#askForDial(peerId, { kind: 'dial-back', address }, signal)
  }

  /**
   * Has a peer that we cannot dial, but reach over a relay, dial us; resolves with the direct connection.
   * @throws {MeshError} as hello; PEER_UNREACHABLE with the reason when no connection came of it
   */
  async requestReversal(peerId: string, signal?: AbortSignal): Promise<Connection> {
    const addresses = this.#options.addresses().slice(0, natFrameLimits.addresses)
    if (addresses.length === 0) throw new MeshError('PEER_UNREACHABLE', { peer: peerId, reason: 'no address of ours can be reached from outside' })
    const arrival = this.#inbound(peerId)
    try {
      const asked = this.#askToCall(peerId, addresses, signal)
      // The connection is here before the answer: it is not waited for.
      return await Promise.race([arrival.connection, asked])
    } finally {
      arrival.end()
    }
  }

  /**
   * Whether a direct connection goes over a port that a router opened by UPnP or NAT-PMP: the peer's, when it told us that the address which we dialled is
   * one; ours, when it came over IPv4 from a public address while the router forwards a port to us.
   */
  readonly isMapped = ({ direction, remoteAddr, remotePeer }: Connection): boolean => {
    if (direction === 'inbound') {
      const host = hostOf(remoteAddr)
      return this.#options.mapped().length > 0 && !host.includes(':') && ipScope(host) === 'public'
    }
    const dialled = dialAddress(remoteAddr.toString())?.text
    return dialled !== undefined && this.heard(remotePeer.toString())?.mapped.includes(dialled) === true
  }

  // What comes of it the answer to the next question tells.
  async #showCard(peerId: string, signal?: AbortSignal): Promise<void> {
    if (this.#options.isFriend(peerId)) return
    await this.#options.showCard(peerId, signal ?? this.#stopped.signal).catch(() => undefined)
  }

  async #serve(stream: FrameStream): Promise<void> {
    for await (const bytes of stream.frames()) {
      const frame = decodeNatFrame(bytes)
      await stream.send(encodeNatFrame(await this.#answer(stream.peerId, frame)))
    }
  }

  async #answer(peerId: string, frame: NatFrame): Promise<NatFrame> {
    switch (frame.kind) {
      case 'hello':
        this.#remember(peerId, frame.hello)
        this.#options.onHello?.(peerId)
        return { kind: 'hello', hello: this.#own(peerId) }
      case 'dial-back':
        return this.#dialled('dial-back', await this.#helper.dialBack(peerId, frame.address))
      case 'reversal':
        return this.#dialled('reversal', await this.#helper.reverse(peerId, frame.addresses))
      case 'dialled':
        throw unexpected(frame)
      default:
        return frame satisfies never
    }
  }

  #dialled(purpose: DialPurpose, outcome: DialOutcome): NatFrame {
    this.#options.onDialled(purpose, outcome)
    return { kind: 'dialled', outcome }
  }

  async #askForDial(peerId: string, frame: NatFrame, signal?: AbortSignal): Promise<DialOutcome> {
    const answer = await this.#ask(peerId, frame, signal)
    if (answer.kind !== 'dialled') throw unexpected(answer)
    return answer.outcome
  }

  async #ask(peerId: string, frame: NatFrame, outer?: AbortSignal): Promise<NatFrame> {
    const { host, platform } = this.#options
    const signal = outer === undefined ? this.#stopped.signal : AbortSignal.any([outer, this.#stopped.signal])
    const stream = await host.open(peerId, 'nat', signal)
    try {
      const timeoutMs = frame.kind === 'hello' ? answerMs : answerMs + dialLimits.timeoutMs
      const exchange = new FrameExchange(stream, { operation: `asking for a ${frame.kind}`, timeoutMs, timers: platform.timers, signal })
      return decodeNatFrame(await exchange.request(encodeNatFrame(frame)))
    } finally {
      void stream.close()
    }
  }

  /** What we tell a peer. Where we are is for paired peers only: over a relay others do not see it. */
  #own(peerId: string): NatHello {
    const { isFriend, facts, abilities, mapped } = this.#options
    const own = facts() ?? nothingKnown
    const publicAddress = isFriend(peerId) ? own.publicAddress : undefined
    return { facts: { ...own, publicAddress }, mapped: mapped().slice(0, natFrameLimits.mapped), ...abilities() }
  }

  #remember(peerId: string, hello: NatHello): PeerNat {
    // Routers forward public addresses; at others the peer would have us call somebody of our own network, or of this machine.
    const mapped = hello.mapped.filter((address) => dialAddress(address)?.scope === 'public')
    const heard = { ...hello, mapped, facts: { ...hello.facts, probedAt: this.#options.platform.clock.wall() } }
    this.#heard.delete(peerId)
    if (this.#heard.size >= maxRemembered) this.#heard.delete(this.#heard.keys().next().value ?? '')
    this.#heard.set(peerId, heard)
    return heard
  }

  /** Never resolves with less than a connection; rejects when none comes. */
  async #askToCall(peerId: string, addresses: readonly string[], signal?: AbortSignal): Promise<Connection> {
    const { libp2p, platform } = this.#options
    await this.#showCard(peerId, signal)
    const outcome = await this.#askForDial(peerId, { kind: 'reversal', addresses }, signal)
    if (outcome !== 'connected') throw new MeshError('PEER_UNREACHABLE', { peer: peerId, reason: reversalReasons[outcome] })
    await new Promise<void>((resolve) => platform.timers.schedule(arrivalMs, resolve))
    const open = libp2p.getConnections(peerIdFromString(peerId)).find((connection) => connection.status === 'open' && !isRelayed(connection))
    if (open !== undefined) return open
    throw new MeshError('PEER_UNREACHABLE', { peer: peerId, reason: 'it has dialled us, and its connection did not arrive' })
  }

  /** The next connection that a peer makes to us over TCP: what ICE makes is not what a peer has dialled. */
  #inbound(peerId: string): { readonly connection: Promise<Connection>; end(): void } {
    const { libp2p } = this.#options
    const { promise, resolve } = Promise.withResolvers<Connection>()
    const onOpen = ({ detail }: CustomEvent<Connection>): void => {
      const isFromPeer = detail.remotePeer.toString() === peerId && detail.direction === 'inbound'
      if (isFromPeer && dialAddress(detail.remoteAddr.toString()) !== undefined) resolve(detail)
    }
    libp2p.addEventListener('connection:open', onOpen)
    return { connection: promise, end: () => libp2p.removeEventListener('connection:open', onOpen) }
  }

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => this.#askHowReached(detail)

  // How a public IPv4 address that we dialled is reached, only its owner knows.
  #askHowReached(connection: Connection): void {
    const peerId = connection.remotePeer.toString()
    const host = hostOf(connection.remoteAddr)
    if (connection.direction !== 'outbound' || isRelayed(connection) || host.includes(':') || ipScope(host) !== 'public') return
    if (!this.#options.isFriend(peerId) || this.isMapped(connection)) return
    const asking = this.hello(peerId).catch(() => undefined)
    this.#options.tracker.track('asking a peer how it is reached', asking)
  }
}

const reversalReasons: Readonly<Record<Exclude<DialOutcome, 'connected'>, string>> = {
  failed: 'it cannot dial us either',
  'not-allowed': 'it does not dial our addresses for us',
  busy: 'it has dialled enough for others; later again'
}

const nothingKnown: Omit<NatFacts, 'probedAt'> = {
  natClass: 'unknown',
  mapping: 'unknown',
  filtering: 'unknown',
  udp: 'unknown',
  publicAddress: undefined,
  ipv6: false
}

const unexpected = ({ kind }: NatFrame): MeshError =>
  new MeshError('MESSAGE_MALFORMED', { what: 'nat frame', reason: `${kind} is not expected here` })
