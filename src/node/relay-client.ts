import { type CircuitRelayTransportComponents, circuitRelayTransport, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { type Connection, type Listener, type ListenerEvents, type PeerId, type Stream, type Transport, TypedEventEmitter } from '@libp2p/interface'
import { isLoopback, isPrivate } from '@libp2p/utils'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../core/base/index.ts'
import { circuitStatus, decodeHopAnswer, encodeHopReserve, type HopAnswer } from '../core/nat/index.ts'
import { isCircuit, isRelayed } from '../mesh/connections.ts'
import type { LogRecord } from '../mesh/mesh.ts'
import type { RelayClientPort, RelayPlace } from '../mesh/relay-ports.ts'
import type { CircuitCallers } from './circuit-callers.ts'
import { withEagerUpgrader } from './eager-negotiation.ts'
import { guardLengths, oneCircuitFrame } from './length-guard.ts'
import { readCircuitFrame, writeCircuitFrame } from './relay-frames.ts'
import { systemTimers } from './timers.ts'

const maxCircuits = 64
/** Addresses announced for one relay: a card has room for twelve in all. */
const maxAddresses = 3
const renewTimeoutMs = 10_000
/** A place is renewed at half of its time, and within these: the relay's clock may be wrong. */
const renewMs = { least: 60_000, most: 1_800_000 } as const

/** What upstream's transport has besides what its type names. */
interface CircuitTransport extends Transport {
  reservationStore: unknown
  onStop(stream: Stream, connection: Connection): Promise<void>
}

const isCircuitTransport = (transport: Transport): transport is CircuitTransport => 'reservationStore' in transport && 'onStop' in transport

interface Place {
  readonly addresses: readonly Multiaddr[]
  readonly cancelRenewal: () => void
}

/**
 * The client's half of libp2p's circuit relay, version 2: dials peers over relays, and has places at those that it is told, and at no others.
 * Upstream also reserves at whoever sends it a circuit, gives a relay up for good once it was away, and does not start while one is.
 */
export class RelayClient implements RelayClientPort {
  readonly #log: (record: LogRecord) => void
  readonly #callers: Pick<CircuitCallers, 'prefer'>
  readonly #places = new Map<string, Place>()
  readonly #lostHandlers = new Set<(peerId: string) => void>()
  readonly #listeners = new Set<PlacesListener>()
  #components: CircuitRelayTransportComponents | undefined
  #isStopped = false

  constructor(log: (record: LogRecord) => void, callers: Pick<CircuitCallers, 'prefer'>) {
    this.#log = log
    this.#callers = callers
  }

  prefer(isPaired: (peerId: string) => boolean): void {
    this.#callers.prefer(isPaired)
  }

  /** The transport for libp2p. It has to listen on `/p2p-circuit`. */
  transport(components: CircuitRelayTransportComponents): Transport {
    const transport = circuitRelayTransport({ maxInboundStopStreams: maxCircuits, maxOutboundStopStreams: maxCircuits })(
      withEagerUpgrader(components)
    )
    if (!isCircuitTransport(transport)) throw new MeshError('INTERNAL', { reason: 'the circuit transport has other parts than expected' })
    this.#components = components
    this.#isStopped = false
    transport.reservationStore = this.#store()
    const accept = transport.onStop
    transport.onStop = async (stream, connection) => {
      if (this.#places.has(connection.remotePeer.toString())) return accept(guardLengths(stream, oneCircuitFrame), connection)
      stream.abort(new MeshError('PROTOCOL_LIMIT', { protocol: stream.protocol, reason: 'a circuit from a peer that is no relay of ours' }))
    }
    transport.createListener = () => new PlacesListener(this.#listeners, () => this.#addresses())
    components.events.addEventListener('connection:close', this.#onClose)
    return transport
  }

  async reserve(place: RelayPlace, signal: AbortSignal): Promise<number> {
    const { answer, ms } = await this.#ask(place.connection, signal)
    signal.throwIfAborted()
    if (this.#isStopped || place.connection.status !== 'open') throw new Error('the connection with the relay is closed')
    const peerId = place.connection.remotePeer.toString()
    this.#set(peerId, placeAddresses(place, answer), this.#renewLater(place, answer))
    return ms
  }

  release(peerId: string): void {
    this.#drop(peerId)
  }

  onLost(handler: (peerId: string) => void): () => void {
    this.#lostHandlers.add(handler)
    return () => this.#lostHandlers.delete(handler)
  }

  /** What upstream's transport asks its store. */
  #store(): object {
    return {
      hasReservation: (relay: PeerId): boolean => this.#places.has(relay.toString()),
      // Whoever says that it relays is no relay of ours by that.
      addRelay: (): Promise<undefined> => Promise.resolve(undefined),
      addEventListener: (): undefined => undefined,
      removeEventListener: (): undefined => undefined,
      start: (): undefined => undefined,
      stop: (): void => this.#stop()
    }
  }

  #stop(): void {
    this.#isStopped = true
    this.#components?.events.removeEventListener('connection:close', this.#onClose)
    for (const { cancelRenewal } of this.#places.values()) cancelRenewal()
    this.#places.clear()
  }

  #addresses(): Multiaddr[] {
    return [...this.#places.values()].flatMap(({ addresses }) => addresses)
  }

  async #ask(connection: Connection, signal: AbortSignal): Promise<{ readonly answer: HopAnswer; readonly ms: number }> {
    const relay = connection.remotePeer.toString()
    const stream = await connection.newStream(RELAY_V2_HOP_CODEC, { signal })
    try {
      const askedAt = performance.now()
      await writeCircuitFrame(stream, encodeHopReserve(), signal)
      const answer = decodeHopAnswer(await readCircuitFrame(stream, signal))
      const ms = performance.now() - askedAt
      if (answer.status !== circuitStatus.ok || answer.expires === undefined)
        throw new MeshError('RELAY_REFUSED', { relay, reason: `its answer is ${statusName(answer.status)}` })
      await stream.close({ signal })
      return { answer, ms }
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error('failed'))
      throw error
    }
  }

  #renewLater(place: RelayPlace, { expires = 0 }: HopAnswer): () => void {
    const halfMs = (expires * 1_000 - Date.now()) / 2
    return systemTimers.schedule(Math.min(renewMs.most, Math.max(renewMs.least, halfMs)), () => void this.#renew(place))
  }

  async #renew({ connection, addresses }: RelayPlace): Promise<void> {
    const peerId = connection.remotePeer.toString()
    try {
      const open = connection.status === 'open' ? connection : this.#directTo(connection.remotePeer)
      if (open === undefined) return
      await this.reserve({ connection: open, addresses }, AbortSignal.timeout(renewTimeoutMs))
    } catch (error) {
      this.#log({ level: 'debug', event: 'relay.not-renewed', fields: { peer: peerId, reason: String(error).slice(0, 200) } })
      this.#lose(peerId)
    }
  }

  #directTo(peer: PeerId): Connection | undefined {
    return this.#components?.connectionManager.getConnections(peer).find((connection) => connection.status === 'open' && !isRelayed(connection))
  }

  /** The relay keeps the place while one connection is left, not longer. */
  readonly #onClose = ({ detail }: CustomEvent<Connection>): void => {
    const peerId = detail.remotePeer.toString()
    if (this.#places.has(peerId) && this.#directTo(detail.remotePeer) === undefined) this.#lose(peerId)
  }

  #lose(peerId: string): void {
    if (!this.#drop(peerId)) return
    for (const handler of this.#lostHandlers) handler(peerId)
  }

  #set(peerId: string, addresses: readonly Multiaddr[], cancelRenewal: () => void): void {
    const before = this.#places.get(peerId)
    before?.cancelRenewal()
    this.#places.set(peerId, { addresses, cancelRenewal })
    if (before?.addresses.join() === addresses.join()) return
    for (const address of before?.addresses ?? []) this.#components?.addressManager.removeObservedAddr(address)
    for (const address of addresses) this.#components?.addressManager.confirmObservedAddr(address, { type: 'transport' })
    this.#changed()
  }

  #drop(peerId: string): boolean {
    const place = this.#places.get(peerId)
    if (place === undefined) return false
    place.cancelRenewal()
    this.#places.delete(peerId)
    for (const address of place.addresses) this.#components?.addressManager.removeObservedAddr(address)
    this.#changed()
    return true
  }

  #changed(): void {
    for (const listener of this.#listeners) listener.safeDispatchEvent('listening')
  }
}

/** All addresses at relays, as libp2p's listener on `/p2p-circuit`. */
class PlacesListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #all: Set<PlacesListener>
  readonly #addresses: () => Multiaddr[]

  constructor(all: Set<PlacesListener>, addresses: () => Multiaddr[]) {
    super()
    this.#all = all
    this.#addresses = addresses
  }

  listen(): Promise<void> {
    this.#all.add(this)
    return Promise.resolve()
  }

  getAddrs(): Multiaddr[] {
    return this.#addresses()
  }

  updateAnnounceAddrs(): void {}

  close(): Promise<void> {
    this.#all.delete(this)
    queueMicrotask(() => this.safeDispatchEvent('close'))
    return Promise.resolve()
  }
}

/**
 * Where we are called over a relay: the address that we reached it by, then others that it is known by or tells, such as its WebSocket on port 443.
 * Private addresses only where the relay was reached by one.
 */
function placeAddresses({ connection, addresses }: RelayPlace, answer: HopAnswer): readonly Multiaddr[] {
  const relay = connection.remotePeer.toString()
  const reached = connection.remoteAddr
  const known = addresses.flatMap((text) => parse(() => multiaddr(text)))
  const told = answer.addresses.flatMap((bytes) => parse(() => multiaddr(bytes)))
  const isUsable = (address: Multiaddr): boolean => {
    if (isCircuit(address) || peerOf(address) !== relay) return false
    if (isLoopback(address)) return isLoopback(reached)
    return !isPrivate(address) || isPrivate(reached)
  }
  const isReached = (address: Multiaddr): boolean => withoutPeer(address) === withoutPeer(reached)
  const usable = [...new Map([...known, ...told].filter(isUsable).map((address) => [address.toString(), address])).values()]
  const first = usable.find(isReached)
  const others = usable.filter((address) => address !== first)
  return [...(first === undefined ? [] : [first]), ...others].slice(0, maxAddresses).map((address) => address.encapsulate('/p2p-circuit'))
}

const peerOf = (address: Multiaddr): string | undefined => address.getComponents().findLast(({ name }) => name === 'p2p')?.value
const withoutPeer = (address: Multiaddr): string => address.toString().replace(/\/p2p\/[^/]+$/, '')
const statusName = (status: number | undefined): string => Object.entries(circuitStatus).find(([, code]) => code === status)?.[0] ?? String(status)

function parse(read: () => Multiaddr): readonly Multiaddr[] {
  try {
    return [read()]
  } catch {
    return []
  }
}
