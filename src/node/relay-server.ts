import {
  type CircuitRelayServerComponents,
  type CircuitRelayService,
  circuitRelayServer,
  RELAY_V2_HOP_CODEC,
  RELAY_V2_STOP_CODEC
} from '@libp2p/circuit-relay-v2'
import type { Connection, Libp2pEvents, Listener, PeerId, Stream, TypedEventTarget } from '@libp2p/interface'
import { peerIdFromMultihash } from '@libp2p/peer-id'
import { isPrivate, pbStream } from '@libp2p/utils'
import { decode as decodeMultihash } from 'multiformats/hashes/digest'
import { isMeshError, MeshError } from '../core/base/index.ts'
import {
  type CircuitLimit,
  type CircuitStatus,
  circuitStatus,
  decodeHopRequest,
  decodeStopStatus,
  encodeHopStatus,
  encodeStopConnect
} from '../core/nat/index.ts'
import { isRelayed } from '../mesh/connections.ts'
import type { LogRecord, RelayServing } from '../mesh/mesh.ts'
import type { RelayRefusal, RelayServerPort } from '../mesh/relay-ports.ts'
import { TokenBuckets } from '../mesh/token-buckets.ts'
import { systemClock } from './clock.ts'
import { Circuit } from './relay-circuit.ts'
import { readCircuitFrame, writeCircuitFrame } from './relay-frames.ts'
import { RelayRates } from './relay-rates.ts'
import { systemTimers } from './timers.ts'

export interface RelayServerLimits {
  /** Serve everybody, not only paired peers and `allow`. */
  readonly open: boolean
  /** Peer ids that are served besides. */
  readonly allow: readonly string[]
  readonly maxReservations: number
  readonly maxCircuits: number
  readonly maxCircuitsPerPeer: number
  readonly circuitBytes: number
  readonly circuitSeconds: number
  /** What one peer may send over all its circuits. */
  readonly bytesPerSecond: number
  /** How long an end may take nothing of what waits for it, default 30,000 ms. */
  readonly stallMs?: number
}

/** From the first byte of a request to its answer, the other end's included. */
const hopTimeoutMs = 10_000
/** A peer that goes away loses its place at once; this is for those that stay. */
const reservationMs = 3_600_000
const defaultStallMs = 30_000
/** Directions of circuits that may wait for their readers at one time, each with up to a window of bytes: beyond it the one that waits longest is cut. */
const maxStalled = 128
const connectRate = { perSecond: 4, burst: 48 } as const
const reserveRate = { perSecond: 0.5, burst: 10 } as const

/** What upstream's server has besides what its type names. */
interface UpstreamServer extends CircuitRelayService {
  readonly reservationStore: { removeReservation(peer: PeerId): void }
  onHop(stream: Stream, connection: Connection): Promise<void>
  handleReserve(
    request: { readonly stream: ReturnType<typeof pbStream>; readonly connection: Connection },
    options: { readonly signal: AbortSignal }
  ): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

const isUpstreamServer = (service: CircuitRelayService): service is UpstreamServer =>
  'reservationStore' in service && 'onHop' in service && 'handleReserve' in service && 'start' in service && 'stop' in service

interface ServerComponents extends CircuitRelayServerComponents {
  readonly events: TypedEventTarget<Libp2pEvents>
}

interface HopContext {
  readonly stream: Stream
  readonly connection: Connection
  readonly signal: AbortSignal
}

/**
 * A circuit relay, version 2, for others. Upstream's server answers reservations; this one decides who gets one, and makes the circuits: upstream's know no quota,
 * keep the places of peers that went away, read requests of 4 MiB, and tell the limit of time in the wrong unit.
 */
export class RelayServer implements RelayServerPort {
  readonly #limits: RelayServerLimits
  readonly #log: (record: LogRecord) => void
  readonly #allowed: ReadonlySet<string>
  readonly #circuits = new Set<Circuit>()
  readonly #perPeer = new Map<string, number>()
  readonly #refused = new Map<RelayRefusal, number>()
  readonly #rates: RelayRates
  readonly #connects = new TokenBuckets({ clock: systemClock(), ...connectRate })
  readonly #reserves = new TokenBuckets({ clock: systemClock(), ...reserveRate })
  #isPaired: (peerId: string) => boolean = () => false
  #components: ServerComponents | undefined
  #upstream: UpstreamServer | undefined
  #stunPort = 0
  #bytes = 0
  #stalled = 0
  /** Circuits, with those that are being made; of them those that strangers made. */
  #taken = 0
  #strangers = 0

  constructor(limits: RelayServerLimits, log: (record: LogRecord) => void) {
    this.#limits = limits
    this.#log = log
    this.#allowed = new Set(limits.allow)
    this.#rates = new RelayRates({ clock: systemClock(), timers: systemTimers, bytesPerSecond: limits.bytesPerSecond })
  }

  get serving(): RelayServing {
    return {
      reservations: this.#upstream?.reservations.size ?? 0,
      circuits: this.#circuits.size,
      bytes: this.#bytes,
      refused: Object.fromEntries(this.#refused),
      stunPort: this.#stunPort
    }
  }

  /** The UDP port of the STUN server that runs beside the relay; 0 = none. */
  set stunPort(port: number) {
    this.#stunPort = port
  }

  get features(): readonly string[] {
    return ['relay-1', ...(this.#stunPort === 0 ? [] : [`stun-${this.#stunPort}`])]
  }

  serve(isPaired: (peerId: string) => boolean): void {
    this.#isPaired = isPaired
  }

  /** The service for libp2p. */
  service(components: ServerComponents): { start(): Promise<void>; stop(): Promise<void> } {
    const { maxReservations, circuitBytes, circuitSeconds, maxCircuitsPerPeer } = this.#limits
    const create = circuitRelayServer({
      maxInboundHopStreams: maxCircuitsPerPeer + 8,
      hopTimeout: hopTimeoutMs,
      // The duration is told to clients in seconds; upstream's own circuits, which would take it for ms, are not used.
      reservations: { maxReservations, reservationTtl: reservationMs, defaultDataLimit: BigInt(circuitBytes), defaultDurationLimit: circuitSeconds }
    })
    const upstream = create(components)
    if (!isUpstreamServer(upstream)) throw new MeshError('INTERNAL', { reason: 'the relay server of libp2p has other parts than expected' })
    upstream.onHop = (stream, connection) => this.#onHop(stream, connection)
    this.#components = components
    this.#upstream = upstream
    return { start: () => this.#start(upstream, components), stop: () => this.#stop(upstream, components) }
  }

  async #start(upstream: UpstreamServer, { events }: ServerComponents): Promise<void> {
    events.addEventListener('peer:disconnect', this.#onDisconnect)
    events.addEventListener('transport:listening', this.#onListening)
    await upstream.start()
  }

  async #stop(upstream: UpstreamServer, { events }: ServerComponents): Promise<void> {
    events.removeEventListener('peer:disconnect', this.#onDisconnect)
    events.removeEventListener('transport:listening', this.#onListening)
    for (const circuit of [...this.#circuits]) circuit.cut('stopping')
    this.#rates.stop()
    for (const { signal } of upstream.reservations.values()) signal.clear()
    await upstream.stop()
  }

  /** libp2p announces a public address after four strangers have dialled it back: a relay is told that it is public. */
  readonly #onListening = ({ detail }: CustomEvent<Listener>): void => {
    for (const address of detail.getAddrs())
      if (!isPrivate(address)) this.#components?.addressManager.confirmObservedAddr(address, { type: 'transport' })
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => this.#forget(detail)

  #forget(peer: PeerId): void {
    const reservation = this.#upstream?.reservations.get(peer)
    if (reservation === undefined) return
    // Its timer would take the place of the peer's next reservation away.
    reservation.signal.clear()
    this.#upstream?.reservationStore.removeReservation(peer)
  }

  async #onHop(stream: Stream, connection: Connection): Promise<void> {
    const context: HopContext = { stream, connection, signal: AbortSignal.timeout(hopTimeoutMs) }
    try {
      const request = decodeHopRequest(await readCircuitFrame(stream, context.signal))
      if (isRelayed(connection)) return await this.#refuse(context, 'over-a-relay', circuitStatus.permissionDenied)
      if (request.type === 'reserve') return await this.#reserve(context)
      if (request.type === 'connect') return await this.#connect(context, request.peer)
      await this.#refuse(context, 'malformed', circuitStatus.unexpected)
    } catch (error) {
      if (isMeshError(error, 'MESSAGE_MALFORMED')) await this.#refuse(context, 'malformed', circuitStatus.malformed).catch(() => undefined)
      stream.abort(error instanceof Error ? error : new Error('failed'))
    }
  }

  async #reserve(context: HopContext): Promise<void> {
    const { stream, connection, signal } = context
    const peer = connection.remotePeer
    const places = this.#upstream?.reservations
    if (this.#upstream === undefined || places === undefined) return
    if (!this.#reserves.take(peer.toString())) return this.#refuse(context, 'rate', circuitStatus.resourceLimitExceeded)
    if (!this.#isServed(peer.toString())) return this.#refuse(context, 'not-paired', circuitStatus.permissionDenied)
    const isFull = places.size >= this.#limits.maxReservations && !places.has(peer)
    if (isFull && !(this.#isKnown(peer.toString()) && this.#makeRoom()))
      return this.#refuse(context, 'reservations', circuitStatus.reservationRefused)
    const isNew = !places.has(peer)
    await this.#upstream.handleReserve({ stream: pbStream(stream), connection }, { signal })
    await endReading(stream)
    if (connection.status !== 'open') return this.#forget(peer)
    if (isNew) this.#log({ level: 'debug', event: 'relay.place-given', fields: { peer: peer.toString().slice(-8), count: places.size } })
  }

  async #connect(context: HopContext, id: Uint8Array): Promise<void> {
    const { connection, stream, signal } = context
    const source = connection.remotePeer.toString()
    const destination = readPeerId(id)
    const reservation = destination === undefined ? undefined : this.#upstream?.reservations.get(destination)
    const target = destination === undefined ? undefined : this.#directTo(destination)
    if (destination === undefined) return this.#refuse(context, 'malformed', circuitStatus.malformed)
    const full = this.#isFull(source)
    if (full !== undefined) return this.#refuse(context, full, circuitStatus.resourceLimitExceeded)
    if (reservation === undefined || target === undefined) return this.#refuse(context, 'no-reservation', circuitStatus.noReservation)
    // Counted before anything is waited for: many requests at once must not pass the quota together.
    const release = this.#take(source)
    try {
      const far = await this.#askDestination(target, connection.remotePeer, signal)
      if (far === undefined) {
        release()
        return await this.#refuse(context, 'unreachable', circuitStatus.connectionFailed)
      }
      await writeCircuitFrame(stream, encodeHopStatus(circuitStatus.ok, this.#limit), signal)
      this.#join({ source, destination: destination.toString(), near: stream, far, release })
    } catch (error) {
      release()
      throw error
    }
  }

  #join({ source, destination, near, far, release }: Joining): void {
    const { circuitBytes, circuitSeconds, stallMs = defaultStallMs } = this.#limits
    const circuit = new Circuit({
      ends: [
        { peerId: source, stream: near },
        { peerId: destination, stream: far }
      ],
      maxBytes: circuitBytes,
      maxSeconds: circuitSeconds,
      stallMs,
      rates: this.#rates,
      timers: systemTimers,
      onBytes: (bytes) => (this.#bytes += bytes),
      onStall: (isStalled) => this.#onStall(isStalled),
      onEnded: (reason) => {
        this.#circuits.delete(circuit)
        release()
        if (reason !== undefined && reason !== 'stopping') this.#count(reason)
      }
    })
    this.#circuits.add(circuit)
    circuit.start()
  }

  #onStall(isStalled: boolean): void {
    this.#stalled += isStalled ? 1 : -1
    if (this.#stalled <= maxStalled) return
    const waiting = [...this.#circuits].flatMap((circuit) => (circuit.stalledSince === undefined ? [] : [{ circuit, since: circuit.stalledSince }]))
    waiting.sort((a, b) => a.since - b.since)[0]?.circuit.cut('stalled')
  }

  get #limit(): CircuitLimit {
    return { seconds: this.#limits.circuitSeconds, bytes: this.#limits.circuitBytes }
  }

  #isServed(peerId: string): boolean {
    return this.#limits.open || this.#isKnown(peerId)
  }

  #isKnown(peerId: string): boolean {
    return this.#allowed.has(peerId) || this.#isPaired(peerId)
  }

  /** Takes the place of a stranger, who learns it by the end of its connection and goes elsewhere; false when there is none. */
  #makeRoom(): boolean {
    const stranger = [...(this.#upstream?.reservations.keys() ?? [])].find((peer) => !this.#isKnown(peer.toString()))
    if (stranger === undefined) return false
    this.#forget(stranger)
    for (const connection of this.#components?.connectionManager.getConnections(stranger) ?? []) void connection.close().catch(() => undefined)
    return true
  }

  /** Strangers call peers that have a place here, such as one that gave them an invite; half of the circuits are not for them. */
  #isFull(source: string): RelayRefusal | undefined {
    const { maxCircuits, maxCircuitsPerPeer } = this.#limits
    if (!this.#connects.take(source)) return 'rate'
    if ((this.#perPeer.get(source) ?? 0) >= maxCircuitsPerPeer) return 'circuits-of-peer'
    if (this.#taken >= maxCircuits) return 'circuits'
    return !this.#isServed(source) && this.#strangers >= Math.ceil(maxCircuits / 2) ? 'circuits' : undefined
  }

  /** Takes one of the peer's circuits; the returned function gives it back, once. */
  #take(source: string): () => void {
    const isStranger = !this.#isServed(source)
    this.#perPeer.set(source, (this.#perPeer.get(source) ?? 0) + 1)
    this.#taken += 1
    if (isStranger) this.#strangers += 1
    let isTaken = true
    return () => {
      if (!isTaken) return
      isTaken = false
      this.#taken -= 1
      if (isStranger) this.#strangers -= 1
      const left = (this.#perPeer.get(source) ?? 1) - 1
      if (left > 0) this.#perPeer.set(source, left)
      else this.#perPeer.delete(source)
    }
  }

  #directTo(peer: PeerId): Connection | undefined {
    return this.#components?.connectionManager.getConnections(peer).find((connection) => connection.status === 'open' && !isRelayed(connection))
  }

  /** The stream to the peer that is called; undefined when it does not take the call. */
  async #askDestination(target: Connection, source: PeerId, signal: AbortSignal): Promise<Stream | undefined> {
    let stream: Stream | undefined
    try {
      stream = await target.newStream(RELAY_V2_STOP_CODEC, { maxOutboundStreams: this.#limits.maxCircuits, signal })
      await writeCircuitFrame(stream, encodeStopConnect(source.toMultihash().bytes, this.#limit), signal)
      if (decodeStopStatus(await readCircuitFrame(stream, signal)) === circuitStatus.ok) return stream
    } catch (error) {
      this.#log({ level: 'debug', event: 'relay.not-answered', fields: { protocol: RELAY_V2_HOP_CODEC, reason: String(error).slice(0, 200) } })
    }
    stream?.abort(new MeshError('PEER_UNREACHABLE', { peer: 'the called peer', reason: 'it did not take the call' }))
    return undefined
  }

  async #refuse({ stream, signal, connection }: HopContext, reason: RelayRefusal, status: CircuitStatus): Promise<void> {
    this.#count(reason)
    this.#log({ level: 'debug', event: 'relay.refused', fields: { peer: connection.remotePeer.toString().slice(-8), reason } })
    await writeCircuitFrame(stream, encodeHopStatus(status), signal)
    await stream.close({ signal })
    await endReading(stream)
  }

  #count(reason: RelayRefusal): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1)
  }
}

interface Joining {
  readonly source: string
  readonly destination: string
  readonly near: Stream
  readonly far: Stream
  readonly release: () => void
}

/** Nothing more is expected: what comes is thrown away, and a stream that its peer does not close is ended. */
async function endReading(stream: Stream): Promise<void> {
  await stream.closeRead()
  const cancel = systemTimers.schedule(hopTimeoutMs, () =>
    stream.abort(new MeshError('TIMEOUT', { operation: 'the end of a request', timeoutMs: hopTimeoutMs }))
  )
  if (stream.status === 'open' || stream.status === 'closing') stream.addEventListener('close', cancel, { once: true })
  else cancel()
}

function readPeerId(bytes: Uint8Array): PeerId | undefined {
  try {
    return peerIdFromMultihash(decodeMultihash(bytes))
  } catch {
    return undefined
  }
}
