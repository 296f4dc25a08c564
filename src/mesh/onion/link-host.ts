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

/** Opens onion streams from one ephemeral key. */
export class DialHost {
  /** The ephemeral key, 32 bytes. */
  readonly publicKey: Uint8Array
  readonly #host: LinkHost
  readonly #dialler: Dialler
  readonly #protocols: ProtocolHost
  /** Where those are that are being called. */
  readonly #addresses = new Map<string, readonly Multiaddr[]>()

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

  /** A stream to the holder of `publicKey` at one of `addresses`, over a connection of its own. @throws {MeshError} as ProtocolHost.open */
  async open(publicKey: Uint8Array, addresses: readonly string[], signal?: AbortSignal): Promise<FrameStream> {
    const peerId = peerIdOfKey(publicKey)
    this.#addresses.set(
      peerId,
      addresses.flatMap((address) => parsed(address, peerId))
    )
    try {
      return await this.#protocols.open(peerId, 'onion', signal)
    } finally {
      this.#addresses.delete(peerId)
    }
  }

  /** Whoever relays is software of this kind: without hybrid Noise, somebody on the way took it away. A circuit relay on the way there may do without. */
  async #connect(peer: PeerId, options: Parameters<Connect>[1]): Promise<Connection> {
    const peerId = peer.toString()
    const connection = await this.#dialler.connect(peer, { ...options, addresses: this.#addresses.get(peerId) ?? [] })
    if ((connectionSecurity(connection)?.level ?? 0) > 0) return connection
    const error = new MeshError('DOWNGRADE_DETECTED', { peer: peerId, best: 'hybrid Noise', actual: 'classical Noise' })
    connection.abort(error)
    throw error
  }

  /** Closes the connections with a peer, and forgets what libp2p keeps of it. */
  async hangUp(publicKey: Uint8Array): Promise<void> {
    await hangUp(this.#host.libp2p, peerIdFromString(peerIdOfKey(publicKey)))
  }

  async stop(): Promise<void> {
    this.#dialler.stop()
    await this.#host.stop()
  }
}

/** Closes the connections with a peer that was there for a link only, and forgets what libp2p keeps of it. */
export async function hangUp(libp2p: Libp2p, peer: PeerId): Promise<void> {
  try {
    await libp2p.hangUp(peer, { signal: AbortSignal.timeout(hangUpMs) })
  } catch (error) {
    for (const connection of libp2p.getConnections(peer)) connection.abort(error instanceof Error ? error : new Error(String(error)))
  }
  await libp2p.peerStore.delete(peer)
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
