import type { Connection, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { Clock, Random } from '../core/base/index.ts'
import { type SupervisorInput, type SupervisorLimits, SupervisorMachine, type SupervisorOutput } from '../core/peers/index.ts'
import { addressOfPeer } from './connections.ts'
import type { ConnectOptions } from './dialler.ts'
import { Driver } from './drive.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'

export interface PeerSupervisorOptions {
  readonly libp2p: Libp2p
  readonly connect: (peer: PeerId, options: Pick<ConnectOptions, 'addresses' | 'signal'>) => Promise<Connection>
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: (record: LogRecord) => void
  /** Other delays than the usual ones, for tests. */
  readonly limits?: Partial<SupervisorLimits>
}

/** What a kept peer is worth when libp2p has too many connections and closes some: more than any other. */
const keptValue = 100
const keptTag = 'synaptic-mesh-kept'
const dialTimeoutMs = 20_000
const lookUpTimeoutMs = 8_000
const maxAddresses = 16
const maxHints = 8
/** Addresses in one of the later attempts: libp2p tries them one after the other, for 6 s each and 10 s in all. */
const addressesAtOnce = 2

interface KnownAddresses {
  /** From the peer itself, by its card or invite, or from the configuration. */
  readonly told: readonly string[]
  /** From whoever says that it knows, the latest first. They never displace the others. */
  readonly heard: readonly string[]
}

const nothingKnown: KnownAddresses = { told: [], heard: [] }

/** Keeps connections to paired peers and bootstrap nodes, for as long as the node runs. See core/peers/supervisor.ts for the delays. */
export class PeerSupervisor {
  readonly #options: PeerSupervisorOptions
  readonly #driver: Driver<SupervisorInput, SupervisorOutput>
  readonly #machine: SupervisorMachine
  readonly #addresses = new Map<string, KnownAddresses>()
  readonly #stopped = new AbortController()

  constructor(options: PeerSupervisorOptions) {
    this.#options = options
    const { random, clock, timers, limits } = options
    this.#machine = new SupervisorMachine({ random, ...(limits === undefined ? {} : { limits }) })
    this.#driver = new Driver<SupervisorInput, SupervisorOutput>(this.#machine, { clock, timers, perform: (output) => void this.#dial(output) })
  }

  /** Peers that are wanted, and of them those that are connected. */
  get counts(): { readonly wanted: number; readonly connected: number } {
    return this.#machine.counts
  }

  start(): void {
    const { libp2p } = this.#options
    libp2p.addEventListener('peer:connect', this.#onConnect)
    libp2p.addEventListener('peer:disconnect', this.#onDisconnect)
    for (const peer of libp2p.getPeers()) this.#driver.input({ type: 'connected', peerId: peer.toString() })
  }

  stop(): void {
    const { libp2p } = this.#options
    libp2p.removeEventListener('peer:connect', this.#onConnect)
    libp2p.removeEventListener('peer:disconnect', this.#onDisconnect)
    this.#driver.stop()
    this.#stopped.abort()
  }

  /** Keeps a connection to `peerId` from now on; `addresses` (with or without /p2p) are tried first, then what is known or found of it. */
  want(peerId: string, addresses: readonly string[] = []): void {
    const { told, heard } = this.#addresses.get(peerId) ?? nothingKnown
    this.#addresses.set(peerId, { told: [...new Set([...addresses, ...told])].slice(0, maxAddresses), heard })
    this.#driver.input({ type: 'want', peerId })
    void this.#tag(peerId)
  }

  unwant(peerId: string): void {
    this.#addresses.delete(peerId)
    this.#driver.input({ type: 'unwant', peerId })
  }

  /** Somebody waits for `peerId`, or heard of it: a wanted peer that is away is dialled now. */
  hint(peerId: string, addresses: readonly string[] = []): void {
    const known = this.#addresses.get(peerId)
    if (known !== undefined) this.#addresses.set(peerId, { ...known, heard: [...new Set([...addresses, ...known.heard])].slice(0, maxHints) })
    this.#driver.input({ type: 'hint', peerId })
  }

  readonly #onConnect = ({ detail }: CustomEvent<PeerId>): void => this.#driver.input({ type: 'connected', peerId: detail.toString() })
  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => this.#driver.input({ type: 'disconnected', peerId: detail.toString() })

  /**
   * Every other attempt goes to the addresses that the peer told, and to no others: anybody can tell libp2p of addresses of a peer,
   * and two that never answer use up its time for a dial. First all of them, later a few at a time.
   */
  #toldAddresses(peerId: string, attempt: number): readonly Multiaddr[] {
    if (attempt % 2 === 1) return []
    const told = parseAll(peerId, this.#addresses.get(peerId)?.told ?? [])
    if (attempt === 0 || told.length <= addressesAtOnce) return told
    const start = ((attempt / 2 - 1) * addressesAtOnce) % told.length
    return [...told, ...told].slice(start, start + addressesAtOnce)
  }

  async #dial({ peerId, attempt }: SupervisorOutput): Promise<void> {
    const { connect, log } = this.#options
    const peer = peerIdFromString(peerId)
    try {
      await this.#offerAddresses(peerId, peer)
      // Its addresses may have changed: every other attempt asks the network first.
      if (attempt % 2 === 1) await this.#lookUp(peer)
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(dialTimeoutMs)])
      const told = this.#toldAddresses(peerId, attempt)
      const connection = await connect(peer, told.length > 0 ? { signal, addresses: told } : { signal })
      // libp2p tells of the first connection only: one that was there already is told here.
      if (connection.status === 'open') this.#driver.input({ type: 'connected', peerId })
      else this.#driver.input({ type: 'dial-failed', peerId })
    } catch (error) {
      if (this.#stopped.signal.aborted) return
      const reason = error instanceof Error ? error.message.slice(0, 200) : 'unknown'
      log({ level: 'debug', event: 'peer.dial-failed', fields: { peer: shortPeerId(peerId), attempt, reason } })
      this.#driver.input({ type: 'dial-failed', peerId })
    }
  }

  /** Puts our addresses into libp2p's peer store, which forgets them after an hour. */
  async #offerAddresses(peerId: string, peer: PeerId): Promise<void> {
    const { told, heard } = this.#addresses.get(peerId) ?? nothingKnown
    const addresses = parseAll(peerId, [...told, ...heard])
    if (addresses.length > 0) await this.#options.libp2p.peerStore.merge(peer, { multiaddrs: addresses })
  }

  async #lookUp(peer: PeerId): Promise<void> {
    const { libp2p } = this.#options
    try {
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(lookUpTimeoutMs)])
      const found = await libp2p.peerRouting.findPeer(peer, { signal })
      if (found.multiaddrs.length > 0) await libp2p.peerStore.merge(peer, { multiaddrs: found.multiaddrs })
    } catch {
      // The network does not know it, or there is no network yet: the addresses at hand are tried.
    }
  }

  async #tag(peerId: string): Promise<void> {
    try {
      await this.#options.libp2p.peerStore.merge(peerIdFromString(peerId), { tags: { [keptTag]: { value: keptValue } } })
    } catch (error) {
      this.#options.log({ level: 'debug', event: 'peer.tag-failed', fields: { peer: shortPeerId(peerId), reason: String(error).slice(0, 200) } })
    }
  }
}

/** Those of `addresses` that are some, each with the peer's id: what a card says was never checked. */
function parseAll(peerId: string, addresses: readonly string[]): Multiaddr[] {
  return addresses.flatMap((address) => {
    try {
      const parsed = multiaddr(addressOfPeer(address, peerId))
      return parsed.getComponents().findLast((part) => part.name === 'p2p')?.value === peerId ? [parsed] : []
    } catch {
      return []
    }
  })
}
