import type { Connection, Libp2p } from '@libp2p/interface'
import type { TraversalReport } from '../core/nat/index.ts'
import type { DialOutcome } from '../core/nat/nat-frames.ts'
import type { MeshOptions } from '../core/options/index.ts'
import { isRelayed, type Paths } from './connections.ts'
import type { DialPurpose } from './dial-rules.ts'
import type { Dialler } from './dialler.ts'
import { friendsOf } from './friends.ts'
import { IceService } from './ice/ice-service.ts'
import { LinkCheck } from './link-check.ts'
import type { LogRecord } from './mesh.ts'
import { Mover } from './mover.ts'
import type { NatPorts } from './nat-ports.ts'
import { OwnNetwork } from './own-network.ts'
import type { PeerBook } from './peer-book.ts'
import type { Platform } from './ports.ts'
import { type ProtocolHost, shortPeerId } from './protocol-host.ts'
import { Reachability } from './reachability.ts'
import type { Tracker } from './tracker.ts'
import { TraversalKeeper } from './traversal-keeper.ts'
import { openConnections, traversalPorts } from './traversal-ports.ts'

export interface ReachOptions {
  readonly libp2p: Libp2p
  readonly ports: NatPorts
  readonly platform: Platform
  readonly options: MeshOptions
  readonly host: ProtocolHost
  readonly book: PeerBook
  readonly paths: Paths
  readonly dialler: Dialler
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** A direct connection to a peer stands beside a relayed one: what goes to it shall take the direct one. Resolves when it does. */
  readonly move: (peerId: string) => Promise<void>
  /** Gives a peer our signed card, with our addresses. */
  readonly showCard: (peerId: string, signal: AbortSignal) => Promise<void>
  /** A traversal ended, for the metrics. */
  readonly onReport: (report: TraversalReport) => void
  /** A peer asked to be dialled, for the metrics. */
  readonly onDialled: (purpose: DialPurpose, outcome: DialOutcome) => void
  /** This machine is in another network, or its addresses changed. */
  readonly onNetworkChanged: () => void
  /** Relays of this node, as addresses with /p2p. */
  readonly relays: () => readonly string[]
}

/** Everything about how peers are reached, and how this node is: relays, NATs, mapped ports, punching, and the move from a relayed to a direct connection. */
export class Reach {
  /** What STUN servers say of the own network. */
  readonly network: OwnNetwork
  readonly reachability: Reachability
  readonly ice: IceService
  readonly traversals: TraversalKeeper
  readonly #options: ReachOptions
  readonly #links: LinkCheck
  readonly #mover: Mover
  #stopWatching: () => void = () => undefined

  constructor(options: ReachOptions) {
    this.#options = options
    const { libp2p, ports, platform, host, book, paths, log } = options
    const isPaired = (peerId: string): boolean => book.pairOf(peerId) !== undefined
    const trust = { isFriend: friendsOf({ libp2p, isPaired, onionRouting: options.options.onionRouting }), isHelper: helpersOf(options) }
    this.network = new OwnNetwork({
      ...options,
      probe: ports.stun,
      timers: platform.timers,
      ...trust,
      onMeasured: (facts) => {
        this.traversals.measured(facts)
        this.reachability.measured()
      }
    })
    this.ice = new IceService({
      libp2p,
      upgrader: ports.upgrader,
      host,
      platform,
      port: ports.ice,
      options: options.options,
      stunServers: () => this.network.servers(),
      isPaired,
      facts: () => this.network.facts,
      paths,
      log
    })
    this.reachability = new Reachability({
      ...options,
      own: ports.own,
      mapping: options.options.natTraversal && options.options.portMapping ? ports.mapping : undefined,
      facts: () => this.network.facts,
      abilities: () => ({ ice: this.#usesIce && this.ice.unavailable === undefined, turn: this.ice.hasTurn }),
      onHello: (peerId) => this.traversals.peerTries(peerId),
      ...trust
    })
    this.traversals = new TraversalKeeper({
      ports: traversalPorts({
        ...options,
        nat: this.reachability.nat,
        ice: options.options.natTraversal ? this.ice : 'NAT traversal is off (nat_traversal)',
        ownFacts: () => this.network.facts,
        isReachable: () => this.reachability.isReachable
      }),
      connections: openConnections(libp2p, paths),
      isPaired,
      // With circuits as the rule, a peer that is reached over a relay is not sought directly unless that is asked for.
      upgrades: options.options.natTraversal && !options.options.onionRouting,
      rates: ports.rates,
      clock: platform.clock,
      timers: platform.timers,
      tracker: options.tracker,
      log,
      onReport: options.onReport
    })
    this.#links = new LinkCheck({ ...options, clock: platform.clock, timers: platform.timers, random: platform.random })
    this.#mover = new Mover({ ...options, links: this.#links, timers: platform.timers })
  }

  /** Serves its protocols and begins to look around. */
  async start(): Promise<void> {
    const { libp2p, ports } = this.#options
    libp2p.addEventListener('connection:open', this.#onConnection)
    if (this.#usesIce) await this.ice.start()
    await this.reachability.start()
    await this.traversals.start()
    this.network.start()
    this.#stopWatching = ports.network.onChange(() => this.#networkChanged())
  }

  async stop(): Promise<void> {
    const { libp2p, dialler } = this.#options
    libp2p.removeEventListener('connection:open', this.#onConnection)
    this.#stopWatching()
    this.#mover.stop()
    this.network.stop()
    await this.traversals.stop()
    this.ice.stop()
    await this.reachability.stop()
    dialler.stop()
  }

  get #usesIce(): boolean {
    return this.#options.options.natTraversal
  }

  #networkChanged(): void {
    const { log, tracker, ports, onNetworkChanged } = this.#options
    log({ level: 'info', event: 'network.changed', fields: { addresses: ports.network.addresses().map(({ address }) => address) } })
    this.network.networkChanged()
    this.reachability.networkChanged()
    this.traversals.networkChanged()
    tracker.track('looking which connections still work', this.#links.check())
    onNetworkChanged()
  }

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => {
    const peerId = detail.remotePeer.toString()
    if (detail.direction === 'inbound')
      this.#options.tracker.track(`asking whether older connections of ${shortPeerId(peerId)} answer`, this.#links.checkOlder(detail))
    if (isRelayed(detail) || !this.#options.libp2p.getConnections(detail.remotePeer).some(isRelayed)) return
    this.#options.tracker.track(`the move to a direct connection with ${shortPeerId(peerId)}`, this.#mover.moveTo(detail))
  }
}

/** Peers that are not paired, and believed about our addresses and their STUN servers: those that the options name. */
function helpersOf({ options }: ReachOptions): (peerId: string) => boolean {
  const named = [...options.bootstrapPeers, ...options.relays, ...options.listenAddrs.filter((address) => address.endsWith('/p2p-circuit'))]
  const helpers = new Set(named.map((address) => /\/p2p\/([^/]+)(\/p2p-circuit)?$/.exec(address)?.[1]))
  return (peerId) => helpers.has(peerId)
}
