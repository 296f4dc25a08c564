import { type CircuitRelayTransportComponents, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { type Connection, type Listener, type ListenerEvents, type PeerId, type Stream, type Transport, TypedEventEmitter } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { MeshError } from '../core/base/index.ts'
import type { LogRecord } from '../mesh/mesh.ts'
import { systemTimers } from './timers.ts'

/** From dialling the relay to its answer. */
const reserveTimeoutMs = 5_000
/** When a relay that is connected is asked again after it refused. The peer supervisor sees to a relay that is away. */
const askAgainMs = 30_000
const maxCircuits = 64

/** What upstream's transport has besides what its type names. */
interface CircuitTransport extends Transport {
  readonly reservationStore: {
    addRelay(relay: PeerId, type: 'configured'): Promise<unknown>
    hasReservation(relay: PeerId): boolean
    addEventListener(type: 'relay:removed', handler: (event: CustomEvent<{ readonly relay: PeerId }>) => void): void
  }
  onStop(stream: Stream, connection: Connection): Promise<void>
}

const isCircuitTransport = (transport: Transport): transport is CircuitTransport => 'reservationStore' in transport && 'onStop' in transport

/**
 * The client's half of libp2p's circuit relay, version 2: dials peers over relays, and listens at the relays that are configured and at no others.
 * Upstream also reserves at whoever sends it a circuit, gives a configured relay up once it was away, and does not start while one is.
 */
export function relayClient(log: (record: LogRecord) => void): (components: CircuitRelayTransportComponents) => Transport {
  const create = circuitRelayTransport({
    reservationCompletionTimeout: reserveTimeoutMs,
    maxInboundStopStreams: maxCircuits,
    maxOutboundStopStreams: maxCircuits
  })
  return (components) => {
    const transport = create(components)
    if (!isCircuitTransport(transport)) throw new MeshError('INTERNAL', { reason: 'the circuit transport has no reservations' })
    const accept = transport.onStop
    transport.onStop = async (stream, connection) => {
      if (transport.reservationStore.hasReservation(connection.remotePeer)) return accept(stream, connection)
      stream.abort(new MeshError('PROTOCOL_LIMIT', { protocol: stream.protocol, reason: 'a circuit from a peer that is no relay of ours' }))
    }
    transport.createListener = () => new RelayListener({ transport, components, log })
    return transport
  }
}

interface RelayListenerOptions {
  readonly transport: CircuitTransport
  readonly components: CircuitRelayTransportComponents
  readonly log: (record: LogRecord) => void
}

/** Listens at one relay: has the address while there is a reservation, and asks for one whenever the relay is connected. */
class RelayListener extends TypedEventEmitter<ListenerEvents> implements Listener {
  readonly #options: RelayListenerOptions
  #address: Multiaddr | undefined
  #relay: PeerId | undefined
  #isReserved = false
  #isAsking = false
  /** Why the last attempt failed: the same again is no news. */
  #lastReason: string | undefined
  #cancelAsk: () => void = () => undefined

  constructor(options: RelayListenerOptions) {
    super()
    this.#options = options
    options.transport.reservationStore.addEventListener('relay:removed', ({ detail }) => {
      if (this.#relay?.equals(detail.relay) !== true) return
      this.#changed(false)
      this.#askLater()
    })
  }

  /** Resolves after the first attempt, however it ended: a relay that is away does not keep the node from starting. */
  async listen(address: Multiaddr): Promise<void> {
    const id = address.getComponents().find(({ name }) => name === 'p2p')?.value
    if (id === undefined) throw new MeshError('ADDRESS_INVALID', { address: address.toString(), reason: 'it names no relay' })
    this.#address = address
    this.#relay = peerIdFromString(id)
    this.#options.components.events.addEventListener('connection:open', this.#onConnection)
    await this.#ask()
  }

  getAddrs(): Multiaddr[] {
    return this.#isReserved && this.#address !== undefined ? [this.#address] : []
  }

  updateAnnounceAddrs(): void {}

  close(): Promise<void> {
    this.#cancelAsk()
    this.#relay = undefined
    this.#isReserved = false
    this.#options.components.events.removeEventListener('connection:open', this.#onConnection)
    queueMicrotask(() => this.safeDispatchEvent('close'))
    return Promise.resolve()
  }

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => {
    if (detail.direct && this.#relay?.equals(detail.remotePeer) === true) void this.#ask()
  }

  async #ask(): Promise<void> {
    const { transport, components, log } = this.#options
    const relay = this.#relay
    const address = this.#address
    if (relay === undefined || address === undefined || this.#isReserved || this.#isAsking) return
    this.#isAsking = true
    this.#cancelAsk()
    try {
      // Upstream never again asks a relay that it could not dial.
      await components.connectionManager.openConnection(address.decapsulate('/p2p-circuit'), { signal: AbortSignal.timeout(reserveTimeoutMs) })
      await transport.reservationStore.addRelay(relay, 'configured')
      this.#changed(this.#relay !== undefined)
      this.#lastReason = undefined
      log({ level: 'info', event: 'relay.reserved', fields: { address: address.toString() } })
    } catch (error) {
      const reason = error instanceof Error ? error.message.slice(0, 200) : String(error)
      log({ level: reason === this.#lastReason ? 'debug' : 'warn', event: 'relay.not-reserved', fields: { address: address.toString(), reason } })
      this.#lastReason = reason
      this.#askLater()
    } finally {
      this.#isAsking = false
    }
  }

  #askLater(): void {
    this.#cancelAsk()
    this.#cancelAsk = systemTimers.schedule(askAgainMs, () => void this.#ask())
  }

  #changed(isReserved: boolean): void {
    if (this.#isReserved === isReserved || this.#address === undefined) return
    this.#isReserved = isReserved
    const { addressManager } = this.#options.components
    if (isReserved) addressManager.confirmObservedAddr(this.#address, { type: 'transport' })
    else addressManager.removeObservedAddr(this.#address)
    this.safeDispatchEvent('listening')
  }
}
