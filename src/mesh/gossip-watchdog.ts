import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import type { Clock, Millis } from '../core/base/index.ts'
import { isRelayed } from './connections.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'

export interface GossipWatchdogOptions {
  readonly libp2p: Libp2p
  readonly clock: Clock
  readonly timers: Timers
  /** The gossip protocol id of the network (network-ids.ts). */
  readonly protocol: string
  readonly log: (record: LogRecord) => void
  /** How often it looks, default 5,000 ms. */
  readonly checkMs?: number
  /** how long a peer may be without a gossip stream, default 20,000 ms: opening them takes a moment. */
  readonly graceMs?: number
}

const redialTimeoutMs = 10_000

/**
 * Finds peers that have gone deaf. When a gossipsub stream is reset, gossipsub opens no other one: the peer stays connected and never gets a
 * message again (measured, libp2p 3.3, gossipsub 17). Hanging up and dialling again mends it.
 */
export class GossipWatchdog {
  readonly #options: GossipWatchdogOptions
  readonly #deafSince = new Map<string, Millis>()
  #cancel: (() => void) | undefined
  #stopped = false
  #healed = 0

  constructor(options: GossipWatchdogOptions) {
    this.#options = options
  }

  /** Connections that were renewed. */
  get healed(): number {
    return this.#healed
  }

  start(): void {
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  /** Looks at every peer once; mends those that were deaf for too long. */
  async check(): Promise<void> {
    const { libp2p, clock, graceMs = 20_000 } = this.#options
    const now = clock.monotonic()
    const connected = new Set<string>()
    const deaf: PeerId[] = []
    for (const peer of libp2p.getPeers()) {
      const peerId = peer.toString()
      connected.add(peerId)
      if (!this.#isDeaf(libp2p.getConnections(peer))) {
        this.#deafSince.delete(peerId)
        continue
      }
      const since = this.#deafSince.get(peerId) ?? now
      this.#deafSince.set(peerId, since)
      // Both sides see it; the one with the lower id acts first, so that they do not hang up on each other's new connection.
      const patience = libp2p.peerId.toString() < peerId ? graceMs : 2 * graceMs
      if (now - since >= patience) deaf.push(peer)
    }
    for (const peerId of this.#deafSince.keys()) if (!connected.has(peerId)) this.#deafSince.delete(peerId)
    await Promise.all(deaf.map((peer) => this.#mend(peer)))
  }

  #schedule(): void {
    const { timers, checkMs = 5_000, log } = this.#options
    this.#cancel = timers.schedule(checkMs, () => {
      this.check()
        .catch((error: unknown) => log({ level: 'warn', event: 'gossip.watchdog-failed', fields: { reason: String(error).slice(0, 200) } }))
        .finally(() => {
          if (!this.#stopped) this.#schedule()
        })
    })
  }

  #isDeaf(connections: readonly Connection[]): boolean {
    // libp2p does not gossip over a relay that counts bytes.
    const direct = connections.filter((connection) => !isRelayed(connection))
    if (direct.length === 0) return false
    const streams = direct
      .flatMap((connection) => connection.streams)
      .filter((stream) => stream.protocol === this.#options.protocol && stream.status === 'open')
    return !streams.some((stream) => stream.direction === 'outbound') || !streams.some((stream) => stream.direction === 'inbound')
  }

  async #mend(peer: PeerId): Promise<void> {
    const { libp2p, log, protocol } = this.#options
    this.#deafSince.delete(peer.toString())
    const known = await libp2p.peerStore.get(peer).catch(() => undefined)
    // A peer that does not speak gossip is not deaf.
    if (known === undefined || !known.protocols.includes(protocol) || this.#stopped) return
    log({ level: 'warn', event: 'gossip.healed', fields: { peer: shortPeerId(peer.toString()) } })
    this.#healed += 1
    try {
      await libp2p.hangUp(peer, { signal: AbortSignal.timeout(redialTimeoutMs) })
      await libp2p.dial(peer, { signal: AbortSignal.timeout(redialTimeoutMs) })
    } catch (error) {
      log({ level: 'debug', event: 'peer.dial-failed', fields: { peer: shortPeerId(peer.toString()), reason: String(error).slice(0, 200) } })
    }
  }
}
