import type { Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type Clock, type Millis, MeshError, type Random, after } from '../core/base/index.ts'
import type { Card } from '../core/peers/index.ts'
import type { CardService } from './cards.ts'
import { startDeadline } from './deadline.ts'
import type { DiscoveryMethod, LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'

/** Peers that mDNS hears of. */
export interface MdnsPort {
  /** Calls `handler` for every announcement; the returned function ends that. */
  onPeer(handler: (peerId: string, addresses: readonly string[]) => void): () => void
}

/** The DHT, as far as discovery uses it. */
export interface DhtPort {
  /**
   * Walks towards `key` and yields everybody that is heard of on the way, in any order, some twice. libp2p's own lookup yields the nearest only, at its
   * end: for them twenty peers are asked, while the first one that is asked knows most of a small network.
   */
  walk(key: Uint8Array, signal: AbortSignal): AsyncIterable<{ readonly id: PeerId; readonly multiaddrs: readonly Multiaddr[] }>
}

export interface DiscoveryOptions {
  readonly libp2p: Libp2p
  readonly cards: Pick<CardService, 'visit'>
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly dht: DhtPort
  /** undefined when mDNS is off. */
  readonly mdns: MdnsPort | undefined
  /** Multiaddrs with /p2p. */
  readonly bootstrap: readonly string[]
  /** The DHT protocol id of the network: who speaks it is in the network. */
  readonly dhtProtocol: string
  readonly log: (record: LogRecord) => void
}

export interface DiscoverOptions {
  readonly method?: DiscoveryMethod | 'all'
  /** 1–1,000, default 10. */
  readonly count?: number
  /** Default 15,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** A peer that answered: its identity is proved, its card verified. */
export interface DiscoveredPeer {
  readonly peerId: string
  readonly card: Card
  /** How long it took to answer on an open stream. */
  readonly rttMs: number
  readonly foundBy: readonly DiscoveryMethod[]
}

const maxSeen = 1_024
const visitTimeoutMs = 6_000
const visitsAtOnce = 8
const maxVisits = 4
/** mDNS asks every 5 s (node/host.ts): after one question more nobody new is to be expected. */
const mdnsPatienceMs = 6_500
/** A walk has converged when nobody new was heard of for so long: a network that just started needs a moment. */
const quietMs = 2_500
const minQuietRounds = 3
const firstRoundMs = 500
const maxRoundMs = 2_000
/** Without a bootstrap peer somebody may still call. With one, the walk waits for it until the time is over. */
const lonelyMs = 5_000

/** Finds peers, and visits each one: only who answers with a card of its own counts. libp2p does not dial what it discovers. */
export class Discovery {
  readonly #options: DiscoveryOptions
  readonly #seen = new Map<string, { readonly addresses: readonly string[]; readonly at: Millis }>()
  #unsubscribe: () => void = () => undefined

  constructor(options: DiscoveryOptions) {
    this.#options = options
  }

  /** Begins to remember what mDNS hears. */
  start(): void {
    const { mdns, libp2p } = this.#options
    this.#unsubscribe =
      mdns?.onPeer((peerId, addresses) => {
        if (peerId === libp2p.peerId.toString()) return
        this.#seen.delete(peerId)
        if (this.#seen.size >= maxSeen) this.#seen.delete(this.#seen.keys().next().value ?? '')
        this.#seen.set(peerId, { addresses: addresses.slice(0, 16), at: this.#options.clock.monotonic() })
      }) ?? this.#unsubscribe
  }

  stop(): void {
    this.#unsubscribe()
  }

  /** Returns as soon as `count` peers answered, or nobody new turns up any more, or the time is over: then with what there is. @throws {MeshError} OPTION_INVALID, ABORTED */
  async discover(options: DiscoverOptions = {}): Promise<readonly DiscoveredPeer[]> {
    const { method = 'all', count = 10, timeoutMs = 15_000, signal } = options
    if (method === 'mdns' && this.#options.mdns === undefined)
      throw new MeshError('OPTION_INVALID', { path: 'method', value: 'mdns', allowed: 'kademlia, bootstrap or all while the option mdns is false' })
    using deadline = startDeadline(this.#options.timers, { operation: 'discover', timeoutMs, signal })
    const search = new Search(this.#options, { count, signal: deadline.signal })
    const methods: readonly DiscoveryMethod[] = method === 'all' ? ['bootstrap', 'mdns', 'kademlia'] : [method]
    await Promise.all(methods.map((each) => this.#search(each, search)))
    await search.settled()
    if (signal?.aborted === true) throw new MeshError('ABORTED', { operation: 'discover' })
    return search.found
  }

  async #search(method: DiscoveryMethod, search: Search): Promise<void> {
    if (method === 'bootstrap') this.#bootstrap(search)
    else if (method === 'mdns') await this.#listen(search)
    else await this.#walk(search)
  }

  #bootstrap(search: Search): void {
    for (const text of this.#options.bootstrap) {
      const address = multiaddr(text)
      const peerId = address.getComponents().findLast((part) => part.name === 'p2p')?.value
      if (peerId !== undefined) search.offer(peerIdFromString(peerId), [address], 'bootstrap')
    }
  }

  async #listen(search: Search): Promise<void> {
    const { clock, timers } = this.#options
    const end = after(clock.monotonic(), mdnsPatienceMs)
    while (!search.done && clock.monotonic() < end) {
      for (const [peerId, { addresses }] of this.#seen)
        search.offer(
          peerIdFromString(peerId),
          addresses.map((address) => multiaddr(address)),
          'mdns'
        )
      await pause(timers, 100)
    }
  }

  /** Looks for the neighbours of our own id and of random ids, again and again, until nobody new turned up for a while. */
  async #walk(search: Search): Promise<void> {
    const { libp2p, random, clock, timers, bootstrap } = this.#options
    let heard = 0
    let newsAt = clock.monotonic()
    // Rounds count as well as time: on a busy machine one round may take longer than the patience.
    let quietRounds = 0
    const patienceMs = (): number => (heard > 0 ? quietMs : bootstrap.length > 0 ? Number.POSITIVE_INFINITY : lonelyMs)
    for (let round = 0; !search.done && (quietRounds < minQuietRounds || clock.monotonic() - newsAt < patienceMs()); round++) {
      await this.#offerConnected(search)
      await search.settled()
      if (!search.done) await this.#lookUp(round === 0 ? libp2p.peerId.toMultihash().bytes : random.bytes(32), search)
      await search.settled()
      quietRounds = search.visits > heard ? 0 : quietRounds + 1
      if (search.visits > heard) newsAt = clock.monotonic()
      heard = search.visits
      if (!search.done) await pause(timers, Math.min(maxRoundMs, firstRoundMs * 2 ** round))
    }
  }

  /** One lookup, which ends early when as many were heard of as are still wanted. */
  async #lookUp(key: Uint8Array, search: Search): Promise<void> {
    const { dht, log } = this.#options
    const enough = search.offered + search.missing
    const stop = new AbortController()
    try {
      for await (const peer of dht.walk(key, AbortSignal.any([search.signal, stop.signal]))) {
        search.offer(peer.id, peer.multiaddrs, 'kademlia')
        if (search.done || search.offered >= enough) return
      }
    } catch (error) {
      if (!search.signal.aborted) log({ level: 'debug', event: 'dht.lookup-ended', fields: { reason: String(error).slice(0, 200) } })
    } finally {
      stop.abort()
    }
  }

  /** Who is connected and speaks the DHT of this network was found by it, or can be found by it. */
  async #offerConnected(search: Search): Promise<void> {
    const { libp2p, dhtProtocol } = this.#options
    for (const peer of libp2p.getPeers()) {
      const known = await libp2p.peerStore.get(peer).catch(() => undefined)
      if (known?.protocols.includes(dhtProtocol) === true) search.offer(peer, [], 'kademlia')
    }
  }
}

/** One call of `discover`: whom it heard of, and who of them answered. */
class Search {
  readonly signal: AbortSignal
  readonly #options: DiscoveryOptions
  readonly #count: number
  readonly #enough = new AbortController()
  readonly #methods = new Map<string, Set<DiscoveryMethod>>()
  readonly #found = new Map<string, { readonly card: Card; readonly rttMs: number }>()
  readonly #waiting: { readonly peer: PeerId; readonly addresses: readonly Multiaddr[] }[] = []
  readonly #visits = new Map<string, number>()
  readonly #failed = new Set<string>()
  readonly #running = new Set<Promise<void>>()

  constructor(options: DiscoveryOptions, { count, signal }: { readonly count: number; readonly signal: AbortSignal }) {
    this.#options = options
    this.#count = count
    this.signal = AbortSignal.any([signal, this.#enough.signal])
  }

  get done(): boolean {
    return this.signal.aborted
  }

  /** How many different peers were heard of. */
  get offered(): number {
    return this.#methods.size
  }

  /** Grows whenever there is somebody to visit. */
  get visits(): number {
    let visits = 0
    for (const count of this.#visits.values()) visits += count
    return visits
  }

  /** How many are still to be found. */
  get missing(): number {
    return this.#count - this.#found.size
  }

  get found(): readonly DiscoveredPeer[] {
    return [...this.#found].map(([peerId, peer]) => ({ peerId, ...peer, foundBy: [...(this.#methods.get(peerId) ?? [])] }))
  }

  offer(peer: PeerId, addresses: readonly Multiaddr[], method: DiscoveryMethod): void {
    const peerId = peer.toString()
    if (this.done || peerId === this.#options.libp2p.peerId.toString()) return
    const methods = this.#methods.get(peerId)
    if (methods === undefined && this.#methods.size >= maxSeen) return
    this.#methods.set(peerId, (methods ?? new Set()).add(method))
    const visits = this.#visits.get(peerId) ?? 0
    // Who did not answer is visited again when it is heard of again: a busy machine may be slow once.
    if (visits >= maxVisits || (methods !== undefined && !this.#failed.delete(peerId))) return
    this.#visits.set(peerId, visits + 1)
    this.#waiting.push({ peer, addresses })
    this.#next()
  }

  /** Resolves when everybody who was heard of was visited. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #next(): void {
    while (this.#running.size < visitsAtOnce && !this.done) {
      const candidate = this.#waiting.shift()
      if (candidate === undefined) return
      const visit = this.#visit(candidate.peer, candidate.addresses).finally(() => {
        this.#running.delete(visit)
        this.#next()
      })
      this.#running.add(visit)
    }
  }

  async #visit(peer: PeerId, addresses: readonly Multiaddr[]): Promise<void> {
    const { libp2p, cards, log } = this.#options
    const peerId = peer.toString()
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(visitTimeoutMs)])
    try {
      if (addresses.length > 0) await libp2p.peerStore.merge(peer, { multiaddrs: addresses.slice(0, 16) })
      const { card, rttMs } = await cards.visit(peerId, signal)
      if (this.#found.size < this.#count) this.#found.set(peerId, { card, rttMs })
    } catch (error) {
      this.#failed.add(peerId)
      log({ level: 'debug', event: 'discovery.no-answer', fields: { peer: peerId, reason: String(error).slice(0, 200) } })
    }
    if (this.#found.size >= this.#count) this.#enough.abort()
  }
}

const pause = (timers: Timers, delayMs: number): Promise<void> => new Promise((resolve) => timers.schedule(delayMs, resolve))
