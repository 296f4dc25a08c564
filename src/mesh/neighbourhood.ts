import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { type ErrorCode, isMeshError } from '../core/base/index.ts'
import { dialAddress } from '../core/base/dial-address.ts'
import type { Via } from '../core/message/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import { type Card, isPeerName } from '../core/peers/index.ts'
import { CardPush } from './card-push.ts'
import { CardService, type GossipPort } from './cards.ts'
import { ClockWatch } from './clock-watch.ts'
import type { Dialler } from './dialler.ts'
import { type DhtPort, Discovery, type MdnsPort } from './discovery.ts'
import { GossipWatchdog } from './gossip-watchdog.ts'
import type { CallOptions, DiscoverReport, DiscoveryMethod, HealthFinding, LogRecord } from './mesh.ts'
import type { NatPorts } from './nat-ports.ts'
import { networkIds } from './network-ids.ts'
import { pairedPeerOf } from './invite-info.ts'
import { InviteService } from './invites.ts'
import { type Joined, type JoinOptions, PairingService } from './pairing.ts'
import type { PairingWords } from './pairing-words.ts'
import type { PeerBook, Resolved } from './peer-book.ts'
import { Pinger } from './ping.ts'
import type { PairRecord, Platform } from './ports.ts'
import type { ProtocolHost } from './protocol-host.ts'
import { RelayKeeper } from './relay-keeper.ts'
import type { Sessions } from './sessions.ts'
import { PeerSupervisor } from './supervisor.ts'
import type { Tracker } from './tracker.ts'
import { TwinWatch } from './twin-watch.ts'

export interface NeighbourhoodOptions {
  readonly libp2p: Libp2p
  readonly dialler: Dialler
  readonly nat: Pick<NatPorts, 'own' | 'relays' | 'relayServer'>
  readonly gossip: GossipPort
  /** undefined while mDNS is off. */
  readonly mdns: MdnsPort | undefined
  readonly dht: DhtPort
  readonly platform: Platform
  readonly options: MeshOptions
  readonly host: ProtocolHost
  readonly sessions: Pick<Sessions, 'openPairing' | 'acceptPairing'>
  readonly words: PairingWords
  readonly book: PeerBook
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  readonly onDiscovered: (peerId: string) => void
  /** Resolves with how many messages were held of the peer, once they are released. */
  /** A pairing by invite succeeded or failed. */
  readonly onPairing: (role: 'inviter' | 'joiner', outcome: 'paired' | ErrorCode) => void
  readonly onPaired: (pair: PairRecord) => Promise<number>
  /** The agents of this node, as its card says them. */
  readonly labels: () => readonly string[]
  /** A card was verified: its peer may offer something new. */
  readonly onCard: () => void
  /** Whether a key is one of a link of circuits, and no peer; left out while this node takes none. */
  readonly isLinkPeer?: (peerId: string) => boolean
}

/** What this version can do, as the card says it. */
const ownFeatures = ['message-1', 'pair-2'] as const
/** Below this many connections a stranger that mDNS hears of is visited, so that a network without a bootstrap node comes together. */
const sociableBelow = 8
const findTimeoutMs = 8_000

/** Everything about other peers but their messages: who they are, where they are, who is kept connected, who is paired. */
export class Neighbourhood {
  readonly #options: NeighbourhoodOptions
  readonly #cards: CardService
  readonly #discovery: Discovery
  readonly #pairing: PairingService
  readonly #pinger: Pinger
  readonly #supervisor: PeerSupervisor
  readonly #watchdog: GossipWatchdog
  readonly #cardPush: CardPush
  /** Keeps places at circuit relays. */
  readonly relays: RelayKeeper
  readonly invites: InviteService
  readonly #twins: TwinWatch
  /** How the clocks of peers stand to ours. */
  readonly clocks: ClockWatch
  #ignoreMdns: () => void = () => undefined

  constructor(options: NeighbourhoodOptions) {
    this.#options = options
    const { libp2p, dialler, platform, host, log, gossip, mdns, dht } = options
    const { network, name, bootstrapPeers } = options.options
    const ids = networkIds(network)
    const connect = dialler.connect.bind(dialler)
    const common = { libp2p, connect, log, ...platform }
    this.#cards = new CardService({
      ...common,
      host,
      gossip,
      network,
      describe: () => ({ name, labels: options.labels(), features: [...ownFeatures, ...(options.nat.relayServer?.features ?? [])] }),
      onCard: (peerId, card) => this.#onCard(peerId, card)
    })
    this.clocks = new ClockWatch(platform.clock)
    this.#twins = new TwinWatch({ ...common, cards: this.#cards, peers: () => this.#askable() })
    this.#pinger = new Pinger(common)
    this.#discovery = new Discovery({ ...common, cards: this.#cards, mdns, dht, bootstrap: bootstrapPeers, dhtProtocol: ids.dht })
    this.#pairing = new PairingService({
      ...{ libp2p, log, host, platform, network },
      sessions: options.sessions,
      words: options.words,
      isBlocked: (peerId) => options.book.isBlocked(peerId),
      cards: this.#cards,
      onPaired: (pair) => void this.paired(pair),
      onInvite: (inviteId) => this.invites.changed(inviteId),
      onEnded: options.onPairing
    })
    this.invites = this.#makeInvites()
    this.#supervisor = new PeerSupervisor(common)
    this.#watchdog = new GossipWatchdog({ ...common, protocol: ids.gossip })
    this.#cardPush = new CardPush({ libp2p, cards: this.#cards, pairs: () => options.book.pairs, timers: platform.timers, log })
    this.relays = this.#makeRelayKeeper()
  }

  /** Serves cards and pairings, and begins to connect. */
  async start(): Promise<void> {
    await this.#cards.start()
    await this.#pairing.start()
    this.#discovery.start()
    this.#supervisor.start()
    this.#watchdog.start()
    if (this.#seeksPairs) this.#cardPush.start()
    this.#twins.start()
    this.#ignoreMdns = this.#options.mdns?.onPeer((peerId, addresses) => this.#onMdns(peerId, addresses)) ?? this.#ignoreMdns
    for (const { peerId, addresses } of this.#options.book.pairs) this.#wantPair(peerId, addresses)
    for (const address of this.#options.options.bootstrapPeers) {
      const peerId = multiaddr(address)
        .getComponents()
        .findLast((part) => part.name === 'p2p')?.value
      if (peerId !== undefined && peerId !== this.#options.libp2p.peerId.toString()) this.#supervisor.want(peerId, [address])
    }
    await this.relays.start()
  }

  /** With `onion_routing` on, whom this node is paired with shows in nothing that it does: bootstrap peers alone are kept connected, and nobody is looked for. */
  get #seeksPairs(): boolean {
    return !this.#options.options.onionRouting
  }

  #wantPair(peerId: string, addresses: readonly string[]): void {
    if (this.#seeksPairs) this.#supervisor.want(peerId, addresses)
  }

  #makeRelayKeeper(): RelayKeeper {
    const { libp2p, dialler, nat, platform, log, options, book, tracker } = this.#options
    const isPaired = (peerId: string): boolean => book.pairOf(peerId) !== undefined
    nat.relays.prefer(isPaired)
    nat.relayServer?.serve(isPaired)
    return new RelayKeeper({
      libp2p,
      connect: dialler.connect.bind(dialler),
      port: nat.relays,
      ...platform,
      log,
      options,
      pairs: () => (this.#seeksPairs ? book.pairs : []),
      cardOf: (peerId) => this.#cards.get(peerId),
      fetchCard: (peerId) => tracker.track('asking a peer for its card', this.#cards.fetch(peerId)),
      want: (peerId, addresses) => this.#supervisor.want(peerId, addresses),
      onChanged: () => this.#cardPush.changed()
    })
  }

  #makeInvites(): InviteService {
    const { libp2p, platform, options, nat, book, words } = this.#options
    return new InviteService({
      libp2p,
      platform,
      network: options.network,
      // With circuits on, what is only perhaps our address leads others to call where nobody shall see that we belong together.
      unconfirmed: () => (options.onionRouting ? [] : unconfirmedOf(nat.own)),
      reference: (peerId) => book.referenceOf(peerId),
      paired: (peerId) => {
        const pair = book.pairOf(peerId)
        return pair === undefined ? undefined : { ...pairedPeerOf(pair), words: words.of(peerId) }
      }
    })
  }

  stop(): void {
    this.#ignoreMdns()
    this.relays.stop()
    this.#cardPush.stop()
    this.#twins.stop()
    this.#watchdog.stop()
    this.#supervisor.stop()
    this.#discovery.stop()
    this.#cards.stop()
  }

  /** Our card says something new: everyone who is connected shall know soon. */
  cardChanged(): void {
    this.#cards.changed()
    this.#cardPush.changed()
  }

  /** This machine is in another network: whoever waits to be tried again is tried now. */
  networkChanged(): void {
    this.relays.networkChanged()
    for (const { peerId } of this.#options.book.pairs) this.#supervisor.hint(peerId)
  }

  /** Connected peers, paired ones first. */
  #askable(): readonly string[] {
    const { libp2p, book, isLinkPeer } = this.#options
    const isPaired = (peerId: string): boolean => book.pairOf(peerId) !== undefined
    return libp2p
      .getPeers()
      .map(String)
      .filter((peerId) => isLinkPeer?.(peerId) !== true)
      .toSorted((one, other) => Number(isPaired(other)) - Number(isPaired(one)))
  }

  findings(): readonly HealthFinding[] {
    const healed = this.#watchdog.healed
    const gossip = {
      code: 'GOSSIP_HEALED',
      message: `${healed} connections were renewed because their gossip had stopped`,
      hint: 'Nothing to do: it was mended.'
    }
    return [...this.#twins.findings(), ...(healed === 0 ? [] : [gossip]), ...this.relays.findings()]
  }

  /** Gives a peer our card, and takes its own. @throws {MeshError} as a visit: PEER_UNREACHABLE, TIMEOUT, … */
  async showCard(peerId: string, signal: AbortSignal): Promise<void> {
    this.#learn(peerId, { card: await this.#cards.fetch(peerId, signal) })
  }

  /**
   * Whom a text means or who claims it; a name that nobody here knows is looked for in the DHT, unless the way to the peer is to stay hidden: who asks for a name
   * tells whom it is about to call. @throws {MeshError} PEER_UNKNOWN, NAME_AMBIGUOUS, ADDRESS_INVALID
   */
  async find(name: string, via: Via = this.#seeksPairs ? 'direct' : 'onion'): Promise<Resolved> {
    const { book, libp2p } = this.#options
    try {
      return book.find(name)
    } catch (error) {
      if (!isMeshError(error, 'PEER_UNKNOWN') || !isPeerName(name) || via === 'onion' || libp2p.getPeers().length === 0) throw error
    }
    await this.#cards.find(name, { signal: AbortSignal.timeout(findTimeoutMs) }).catch((error: unknown) => {
      if (!isMeshError(error, 'ABORTED')) throw error
    })
    return book.find(name)
  }

  async discover(options: CallOptions & { readonly method?: DiscoveryMethod | 'all'; readonly count?: number }): Promise<DiscoverReport> {
    const { book, platform } = this.#options
    const start = platform.clock.monotonic()
    const found = await this.#discovery.discover(options)
    for (const { peerId, card, rttMs, foundBy } of found) {
      for (const method of foundBy) this.#learn(peerId, { card, foundBy: method, ...(rttMs === undefined ? {} : { rttMs }) })
    }
    return {
      method: options.method ?? 'all',
      wanted: options.count ?? 10,
      found: found.length,
      elapsedMs: Math.round(platform.clock.monotonic() - start),
      peers: found.map(({ peerId }) => book.info(peerId))
    }
  }

  join(invite: string, options: JoinOptions): Promise<Joined> {
    return this.#pairing.join(invite, options)
  }

  async ping(peerId: string, options: CallOptions & { readonly count?: number }): Promise<readonly number[]> {
    const rttMs = await this.#pinger.ping(peerId, options)
    this.#learn(peerId, { rttMs: Math.min(...rttMs) })
    return rttMs
  }

  #learn(peerId: string, facts: Parameters<PeerBook['learn']>[1]): void {
    if (this.#options.book.learn(peerId, facts)) this.#options.onDiscovered(peerId)
  }

  #onCard(peerId: string, card: Card): void {
    const { book, platform, tracker } = this.#options
    this.#learn(peerId, { card })
    this.clocks.heard(peerId, card.issuedAt)
    this.relays.learned(peerId, card)
    this.#options.onCard()
    const pair = book.pairOf(peerId)
    if (pair === undefined || card.addresses.length === 0 || card.addresses.join() === pair.addresses.join()) return
    // The name stays as it was when the peer was paired; where it is may change.
    const moved = { ...pair, addresses: card.addresses }
    book.pair(moved)
    this.#wantPair(peerId, moved.addresses)
    tracker.track('saving the addresses of a peer', platform.peerStore.savePair(moved))
  }

  /** A peer is paired, or its block was lifted: it is kept connected, and what was held of it is released; resolves with how many messages that were. */
  paired(pair: PairRecord): Promise<number> {
    if (!this.#options.book.isBlocked(pair.peerId)) this.#wantPair(pair.peerId, pair.addresses)
    const released = this.#options.onPaired(pair)
    this.relays.paired(pair.peerId)
    return released
  }

  /** A peer is no longer paired, or is blocked: it is kept connected only where the configuration names it as a bootstrap peer and it is not blocked. */
  unpaired(peerId: string): void {
    const { book, options } = this.#options
    const isNamed = options.bootstrapPeers.some((address) => address.endsWith(`/p2p/${peerId}`))
    if (!isNamed || book.isBlocked(peerId)) this.#supervisor.unwant(peerId)
  }

  #onMdns(peerId: string, addresses: readonly string[]): void {
    const { libp2p, book, tracker } = this.#options
    if (book.isBlocked(peerId)) return
    // With circuits as the rule a paired peer is visited as strangers are: leaving it out would show it.
    if (this.#seeksPairs && book.pairOf(peerId) !== undefined) return this.#supervisor.hint(peerId, addresses)
    if (libp2p.getPeers().length < sociableBelow) tracker.track('visiting a peer of the local network', this.#visit(peerId, addresses))
  }

  async #visit(peerId: string, addresses: readonly string[]): Promise<void> {
    await this.#options.libp2p.peerStore.merge(peerIdFromString(peerId), { multiaddrs: addresses.slice(0, 16).map((address) => multiaddr(address)) })
    this.#learn(peerId, { card: await this.#cards.fetch(peerId), foundBy: 'mdns' })
  }
}

/** Public addresses where this node listens, or that are mapped to it, which nobody has dialled yet. */
const unconfirmedOf = (own: NatPorts['own']): readonly string[] =>
  own.list().flatMap(({ address, isVerified }) => (!isVerified && dialAddress(address)?.scope === 'public' ? [address] : []))
