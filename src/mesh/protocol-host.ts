import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Clock, MeshError, isMeshError, toMeshError } from '../core/base/index.ts'
import { capacityOf, type Connect, hostOf, type Paths } from './connections.ts'
import { dialReason } from './dial-reason.ts'
import type { FrameStream } from './frame-stream.ts'
import { FramedStream } from './framed-stream.ts'
import { handshakeErrorIn } from './hybrid-noise/failures.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { type ProtocolLimits, type ProtocolName, protocolTable } from './protocol-table.ts'
import { TokenBuckets } from './token-buckets.ts'
import { coalesceWindowUpdates } from './window-updates.ts'

/** Serves one inbound stream. When it returns the stream is closed; when it throws the stream is reset with the error. */
export type FrameHandler = (stream: FrameStream) => Promise<void>

export interface Refusal {
  readonly protocol: ProtocolName
  readonly peerId: string
  readonly error: MeshError
}

export interface ProtocolHostOptions {
  readonly libp2p: Libp2p
  readonly connect: Connect
  readonly paths: Paths
  readonly clock: Clock
  readonly timers: Timers
  readonly log: (record: LogRecord) => void
  /** A stream or peer was cut off because it broke a limit, a format or a deadline. */
  readonly onRefused?: (refusal: Refusal) => void
  /** Other limits than those of the table, for tests. */
  readonly limits?: Partial<Record<ProtocolName, Partial<ProtocolLimits>>>
  /** Paired peers do not count for their address: strangers there cannot keep them out. */
  readonly isPaired?: (peerId: string) => boolean
  /** Bytes held unread over all streams, default 64 MiB; beyond it the heaviest peer's fullest stream is reset. */
  readonly maxHeldBytes?: number
}

/** Totals since the start. */
export interface HostCounters {
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly streamsOpened: number
  readonly streamsAccepted: number
  readonly refused: number
}

interface Served {
  readonly limits: ProtocolLimits
  readonly streamRate: TokenBuckets
  /** Of all strangers at one address: a new key costs nothing. */
  readonly addressRate: TokenBuckets
  readonly frameRate: TokenBuckets
  handler: FrameHandler | undefined
}

/** libp2p's own cap, for each connection: never reached (the muxer takes fewer), so that what is refused is refused and seen here. */
const libp2pInboundStreams = 1_000
/** What a relay must still be willing to forward for a stream to begin; messages want most of what relays give. */
const leastRelayedBytes = {
  pqs: 65_536n,
  card: 16_384n,
  pair: 65_536n,
  nat: 16_384n,
  ice: 4_096n,
  onion: 1_048_576n,
  onionDirectory: 16_384n
} as const satisfies Record<ProtocolName, bigint>
/** All strangers at one address together may open as many streams as so many peers. */
const peersPerAddress = 5
const openTimeoutMs = 10_000
const logEveryMs = 10_000
const maxLogKeys = 1_024

/**
 * The only place where protocols of this software are registered and opened. It holds what libp2p does not: caps and rates for each
 * peer (not for each connection), deadlines, a bound on what is unread, and a record of everything that was refused.
 */
export class ProtocolHost {
  readonly #options: ProtocolHostOptions
  readonly #served: ReadonlyMap<ProtocolName, Served>
  readonly #streams = new Map<string, Set<FramedStream>>()
  readonly #inbound = new Map<string, number>()
  readonly #logged = new Map<string, { readonly at: number; count: number }>()
  readonly #counters = { bytesSent: 0, bytesReceived: 0, streamsOpened: 0, streamsAccepted: 0, refused: 0 }
  #uncheckedBytes = 0

  constructor(options: ProtocolHostOptions) {
    this.#options = options
    const names = Object.keys(protocolTable) as ProtocolName[]
    this.#served = new Map(names.map((name) => [name, this.#makeServed(name)]))
  }

  get counters(): HostCounters {
    return { ...this.#counters }
  }

  /** Bytes that arrived and no consumer has taken, over all streams. */
  get heldBytes(): number {
    let total = 0
    for (const streams of this.#streams.values()) for (const stream of streams) total += stream.heldBytes
    return total
  }

  /** Streams that are open, in both directions. */
  get openStreams(): number {
    let total = 0
    for (const streams of this.#streams.values()) total += streams.size
    return total
  }

  /** Serves `protocol` until the node stops. Once for each protocol. */
  async serve(protocol: ProtocolName, handler: FrameHandler): Promise<void> {
    const served = this.#get(protocol)
    if (served.handler !== undefined) throw new MeshError('INTERNAL', { reason: `${protocol} is served already` })
    served.handler = handler
    await this.#options.libp2p.handle(served.limits.id, (stream, connection) => this.#accept(protocol, stream, connection), {
      maxInboundStreams: libp2pInboundStreams,
      maxOutboundStreams: libp2pInboundStreams,
      runOnLimitedConnection: true
    })
  }

  /**
   * Opens a stream to `peerId`, over the connection there is (a direct one before one over a relay) or a new one.
   * @throws {MeshError} PEER_UNREACHABLE, IDENTITY_MISMATCH, DOWNGRADE_DETECTED, ABORTED, ADDRESS_INVALID; after 10 s without another signal PEER_UNREACHABLE
   */
  async open(peerId: string, protocol: ProtocolName, signal?: AbortSignal): Promise<FrameStream> {
    const { limits } = this.#get(protocol)
    const peer = parsePeerId(peerId)
    const deadline = AbortSignal.timeout(openTimeoutMs)
    try {
      const options = { signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]), maxOutboundStreams: libp2pInboundStreams }
      const connection = await this.#options.connect(peer, { ...options, least: leastRelayedBytes[protocol] })
      const stream = await connection.newStream(limits.id, { ...options, runOnLimitedConnection: true })
      this.#counters.streamsOpened += 1
      return this.#wrap(protocol, stream, connection)
    } catch (cause) {
      if (isMeshError(cause)) throw cause
      const refused = handshakeErrorIn(cause, peerId)
      if (refused !== undefined) throw refused
      if (signal?.aborted === true) throw new MeshError('ABORTED', { operation: `opening ${limits.id}` }, { cause })
      throw new MeshError('PEER_UNREACHABLE', { peer: peerId, reason: dialReason(cause) }, { cause })
    }
  }

  /** Resets every stream of a peer, or of all. */
  closeAll(reason: MeshError, peerId?: string): void {
    const sets = peerId === undefined ? [...this.#streams.values()] : [this.#streams.get(peerId) ?? new Set<FramedStream>()]
    for (const streams of sets) for (const stream of [...streams]) stream.abort(reason)
  }

  #makeServed(name: ProtocolName): Served {
    const limits: ProtocolLimits = { ...protocolTable[name], ...this.#options.limits?.[name] }
    const { clock } = this.#options
    return {
      limits,
      handler: undefined,
      streamRate: bucketsOf(clock, limits.streamsPerSecond),
      addressRate: bucketsOf(clock, peersPerAddress * limits.streamsPerSecond),
      frameRate: bucketsOf(clock, limits.framesPerSecond)
    }
  }

  #get(protocol: ProtocolName): Served {
    const served = this.#served.get(protocol)
    if (served === undefined) throw new MeshError('INTERNAL', { reason: `no protocol ${protocol}` })
    return served
  }

  #accept(protocol: ProtocolName, stream: Stream, connection: Connection): void {
    const peerId = connection.remotePeer.toString()
    const refusal = this.#admission(protocol, peerId, connection)
    if (refusal !== undefined) {
      this.#refused({ protocol, peerId, error: refusal })
      stream.abort(refusal)
      return
    }
    try {
      const framed = this.#wrap(protocol, stream, connection)
      this.#counters.streamsAccepted += 1
      this.#countInbound(protocol, framed)
      void this.#run(protocol, framed)
    } catch (error) {
      stream.abort(toMeshError(error))
    }
  }

  /** Why an inbound stream of a peer is refused; undefined when it is taken. The count and the rate are the peer's over all its connections. */
  #admission(protocol: ProtocolName, peerId: string, { remoteAddr }: Connection): MeshError | undefined {
    const { limits, streamRate, addressRate } = this.#get(protocol)
    const limit = (reason: string): MeshError => new MeshError('PROTOCOL_LIMIT', { protocol: limits.id, reason })
    if ((this.#inbound.get(`${protocol} ${peerId}`) ?? 0) >= limits.maxInboundStreams)
      return limit(`over ${limits.maxInboundStreams} streams at one time`)
    if (!streamRate.take(peerId)) return limit(`over ${limits.streamsPerSecond} streams a second`)
    if (this.#options.isPaired?.(peerId) !== true && !addressRate.take(hostOf(remoteAddr)))
      return limit(`over ${peersPerAddress * limits.streamsPerSecond} streams of one address a second`)
    return undefined
  }

  #countInbound(protocol: ProtocolName, stream: FramedStream): void {
    const key = `${protocol} ${stream.peerId}`
    this.#inbound.set(key, (this.#inbound.get(key) ?? 0) + 1)
    void stream.closed.then(() => {
      const left = (this.#inbound.get(key) ?? 1) - 1
      if (left > 0) this.#inbound.set(key, left)
      else this.#inbound.delete(key)
    })
  }

  async #run(protocol: ProtocolName, stream: FramedStream): Promise<void> {
    try {
      await this.#get(protocol).handler?.(stream)
      await stream.close()
    } catch (thrown) {
      const error = toMeshError(thrown)
      // What the stream itself found was recorded when it happened; a peer that left is no offence.
      if (error.code !== 'PEER_UNREACHABLE' && error.code !== 'SHUTTING_DOWN' && error !== stream.offence)
        this.#refused({ protocol, peerId: stream.peerId, error })
      stream.abort(error)
    }
  }

  #wrap(protocol: ProtocolName, stream: Stream, connection: Connection): FramedStream {
    const { limits, frameRate } = this.#get(protocol)
    const peerId = connection.remotePeer.toString()
    coalesceWindowUpdates(stream)
    const framed = new FramedStream({
      stream,
      peerId,
      publicKey: rawPublicKey(connection.remotePeer),
      path: this.#options.paths.of(connection),
      remoteHost: hostOf(connection.remoteAddr),
      capacityBytes: capacityOf(connection),
      limits,
      clock: this.#options.clock,
      timers: this.#options.timers,
      frameDelayMs: () => frameRate.reserveMs(peerId),
      onSent: (bytes) => {
        this.#counters.bytesSent += bytes
      },
      onReceived: (bytes) => this.#received(bytes),
      onOffence: (error) => this.#refused({ protocol, peerId, error })
    })
    this.#track(framed)
    return framed
  }

  #track(stream: FramedStream): void {
    const streams = this.#streams.get(stream.peerId) ?? new Set()
    streams.add(stream)
    this.#streams.set(stream.peerId, streams)
    void stream.closed.then(() => {
      streams.delete(stream)
      if (streams.size === 0 && this.#streams.get(stream.peerId) === streams) this.#streams.delete(stream.peerId)
    })
  }

  #received(bytes: number): void {
    this.#counters.bytesReceived += bytes
    this.#uncheckedBytes += bytes
    if (this.#uncheckedBytes < 1_048_576) return
    this.#uncheckedBytes = 0
    const most = this.#options.maxHeldBytes ?? 67_108_864
    for (let streams = this.openStreams; streams > 0 && this.heldBytes > most; streams--) this.#shedHeaviest()
  }

  #shedHeaviest(): void {
    const weight = (streams: ReadonlySet<FramedStream>): number => [...streams].reduce((sum, stream) => sum + stream.heldBytes, 0)
    const [heaviest] = [...this.#streams.values()].sort((a, b) => weight(b) - weight(a))
    const [fullest] = [...(heaviest ?? [])].sort((a, b) => b.heldBytes - a.heldBytes)
    fullest?.shed()
  }

  #refused(refusal: Refusal): void {
    this.#counters.refused += 1
    this.#options.onRefused?.(refusal)
    this.#logRefusal(refusal)
  }

  // A flood makes one record in ten seconds for each peer and code, with the number of those before it.
  #logRefusal({ protocol, peerId, error }: Refusal): void {
    const key = `${protocol} ${peerId} ${error.code}`
    const now = this.#options.clock.monotonic()
    const last = this.#logged.get(key)
    if (last !== undefined && now - last.at < logEveryMs) {
      last.count += 1
      return
    }
    this.#logged.delete(key)
    if (this.#logged.size >= maxLogKeys) this.#logged.delete(this.#logged.keys().next().value ?? '')
    this.#logged.set(key, { at: now, count: 0 })
    const fields = { protocol, peer: shortPeerId(peerId), reason: error.message, suppressed: last?.count ?? 0 }
    this.#options.log({ level: 'warn', event: error.code, fields })
  }
}

const bucketsOf = (clock: Clock, perSecond: number): TokenBuckets => new TokenBuckets({ clock, perSecond, burst: 5 * perSecond })

/** The end of a peer id, which is what differs: for logs. */
export const shortPeerId = (peerId: string): string => `…${peerId.slice(-8)}`

/** The raw Ed25519 key behind a peer id. @throws {MeshError} ADDRESS_INVALID for another kind of key. */
export function rawPublicKey(peer: PeerId): Uint8Array {
  if (peer.type !== 'Ed25519') throw new MeshError('ADDRESS_INVALID', { address: peer.toString(), reason: 'its key is not Ed25519' })
  return peer.publicKey.raw
}

function parsePeerId(text: string): PeerId {
  try {
    return peerIdFromString(text)
  } catch (cause) {
    throw new MeshError('ADDRESS_INVALID', { address: text, reason: 'not a peer id' }, { cause })
  }
}
