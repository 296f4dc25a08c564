import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type Clock, MeshError } from '../../core/base/index.ts'
import { addressOfPeer, type Connect, Paths } from '../connections.ts'
import { Dialler } from '../dialler.ts'
import type { FrameStream } from '../frame-stream.ts'
import { connectionSecurity } from '../hybrid-noise/index.ts'
import type { LogRecord } from '../mesh.ts'
import type { DialPort } from '../nat-ports.ts'
import { peerIdOfKey } from '../peer-keys.ts'
import type { Timers } from '../ports.ts'
import { protocolTable } from '../protocol-table.ts'
import { ProtocolHost, type Refusal, rawPublicKey } from '../protocol-host.ts'

/** A libp2p node with an ephemeral key that dials and does nothing else. */
export interface LinkHost {
  readonly libp2p: Libp2p
  readonly dial: DialPort
  stop(): Promise<void>
}

/** Makes them; from the platform. */
export interface LinkHosts {
  start(): Promise<LinkHost>
}

export interface DialHostOptions {
  readonly host: LinkHost
  readonly clock: Clock
  readonly timers: Timers
  readonly log: (record: LogRecord) => void
  readonly onRefused: (refusal: Refusal) => void
}

/** A stream that has a connection for itself. */
export interface DialledStream {
  readonly stream: FrameStream
  /** Closes the connection, and forgets what libp2p keeps of the peer. */
  hangUp(): Promise<void>
}

/** Opens onion streams from one ephemeral key. */
export class DialHost {
  /** The ephemeral key, 32 bytes. */
  readonly publicKey: Uint8Array
  readonly #host: LinkHost
  readonly #dialler: Dialler
  readonly #protocols: ProtocolHost
  /** Where those are that are being called. */
  readonly #addresses = new Map<string, readonly Multiaddr[]>()
  /** The newest connection with each of them. */
  readonly #dialled = new Map<string, Connection>()

  constructor({ host, clock, timers, log, onRefused }: DialHostOptions) {
    this.#host = host
    this.publicKey = rawPublicKey(host.libp2p.peerId)
    this.#dialler = new Dialler({ libp2p: host.libp2p, port: host.dial, timers })
    this.#protocols = new ProtocolHost({
      libp2p: host.libp2p,
      connect: (peer, options) => this.#connect(peer, options),
      paths: new Paths(),
      clock,
      timers,
      log,
      onRefused
    })
  }

  /** A stream to the holder of `publicKey` at one of `addresses`; one at a time for each key. @throws {MeshError} as ProtocolHost.open */
  async open(publicKey: Uint8Array, addresses: readonly string[], signal?: AbortSignal): Promise<DialledStream> {
    const peerId = peerIdOfKey(publicKey)
    this.#addresses.set(
      peerId,
      addresses.flatMap((address) => parsed(address, peerId))
    )
    try {
      const stream = await this.#protocols.open(peerId, 'onion', signal)
      const connection = this.#dialled.get(peerId)
      return { stream, hangUp: () => hangUp(this.#host.libp2p, peerIdFromString(peerId), connection === undefined ? [] : [connection]) }
    } finally {
      this.#addresses.delete(peerId)
      this.#dialled.delete(peerId)
    }
  }

  async stop(): Promise<void> {
    this.#dialler.stop()
    await this.#host.stop()
  }

  /**
   * A connection of its own for each link: the last one may be about to end. Whoever relays is software of this kind: without hybrid Noise, somebody on the way took
   * it away; a circuit relay on the way there may do without.
   */
  async #connect(peer: PeerId, options: Parameters<Connect>[1]): Promise<Connection> {
    const peerId = peer.toString()
    const connection = await this.#dialler.connect(peer, { ...options, addresses: this.#addresses.get(peerId) ?? [], force: true })
    this.#dialled.set(peerId, connection)
    if ((connectionSecurity(connection)?.level ?? 0) > 0) return connection
    const error = new MeshError('DOWNGRADE_DETECTED', { peer: peerId, best: 'hybrid Noise', actual: 'classical Noise' })
    connection.abort(error)
    throw error
  }
}

/** Closes connections with a peer that were there for a link, unless another one runs over them, and forgets what libp2p keeps of the peer with the last. */
export async function hangUp(libp2p: Libp2p, peer: PeerId, connections: readonly Connection[]): Promise<void> {
  const unused = connections.filter(
    ({ streams }) => !streams.some(({ protocol, status }) => protocol === protocolTable.onion.id && status === 'open')
  )
  await Promise.all(unused.map(close))
  if (libp2p.getConnections(peer).length === 0) await libp2p.peerStore.delete(peer)
}

async function close(connection: Connection): Promise<void> {
  try {
    await connection.close({ signal: AbortSignal.timeout(hangUpMs) })
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(String(error)))
  }
}

const hangUpMs = 2_000

/** Nothing for an address of somebody else, or for none at all. */
function parsed(address: string, peerId: string): readonly Multiaddr[] {
  try {
    const complete = multiaddr(addressOfPeer(address, peerId))
    return complete.getComponents().findLast(({ name }) => name === 'p2p')?.value === peerId ? [complete] : []
  } catch {
    return []
  }
}
