import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { addressScope } from '../core/nat/index.ts'
import { parseIceServer } from '../core/options/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import { hostOf, isRelayed } from './connections.ts'
import type { LogRecord } from './mesh.ts'
import type { NatProbe, StunProbePort } from './nat-ports.ts'
import type { PeerBook } from './peer-book.ts'
import type { Timers } from './ports.ts'
import type { Tracker } from './tracker.ts'

/** A STUN server by address or name. */
export interface StunServer {
  readonly host: string
  readonly port: number
}

export interface OwnNetworkOptions {
  readonly libp2p: Libp2p
  readonly probe: StunProbePort
  readonly options: Pick<MeshOptions, 'natTraversal' | 'stunServers'>
  readonly book: PeerBook
  /** See friends.ts. */
  readonly isFriend: (peerId: string) => boolean
  /** Other peers whose cards are believed about a STUN server of theirs: relays and bootstrap peers. */
  readonly isHelper: (peerId: string) => boolean
  readonly timers: Timers
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** The network was measured, for the first time or anew. */
  readonly onMeasured: (facts: NatProbe) => void
}

const measureAgainMs = 600_000
/** When nothing was learned, or UDP seems to be blocked. */
const tryAgainMs = 60_000
/** After a helper came, and after a change of network: others come at the same time. */
const settleMs = 200
/** A classification takes two addresses; more only cost time. */
const maxServers = 4

/** What is known of the network that this node is in: asked of STUN servers at the start, when relays come, every ten minutes and in every new network. */
export class OwnNetwork {
  readonly #options: OwnNetworkOptions
  readonly #stopped = new AbortController()
  #facts: NatProbe | undefined
  #asked = ''
  #running: Promise<NatProbe | undefined> | undefined
  #cancelTimer: () => void = () => undefined

  constructor(options: OwnNetworkOptions) {
    this.#options = options
  }

  /** The last measurement; undefined before the first. */
  get facts(): NatProbe | undefined {
    return this.#facts
  }

  start(): void {
    if (!this.#options.options.natTraversal) return
    this.#options.libp2p.addEventListener('peer:identify', this.#onPeer)
    this.#schedule(settleMs)
  }

  stop(): void {
    this.#options.libp2p.removeEventListener('peer:identify', this.#onPeer)
    this.#cancelTimer()
    this.#stopped.abort()
  }

  /** The configured servers, then those of connected relays, bootstrap and paired peers. */
  servers(): readonly StunServer[] {
    const { options } = this.#options
    const configured = options.stunServers.map((text) => parseIceServer(text, 'stun', 'stun_servers'))
    const all = [...configured, ...this.#peerServers()].map(({ host, port }) => ({ host, port }))
    return all.filter((each, index) => all.findIndex(({ host, port }) => host === each.host && port === each.port) === index).slice(0, maxServers)
  }

  /** Asks now; joins what is being asked. undefined when there is nobody to ask. */
  measure(): Promise<NatProbe | undefined> {
    this.#running ??= this.#measure().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  /** Another network: what was measured is of no use. */
  networkChanged(): void {
    this.#facts = undefined
    this.#asked = ''
    this.#schedule(settleMs)
  }

  /** A card was learned: a relay may have a STUN server. */
  refresh(): void {
    if (this.#options.options.natTraversal && this.servers().length > 0 && keyOf(this.servers()) !== this.#asked) this.#schedule(settleMs)
  }

  readonly #onPeer = (): void => this.refresh()

  #schedule(delayMs: number): void {
    this.#cancelTimer()
    if (this.#stopped.signal.aborted || !this.#options.options.natTraversal) return
    this.#cancelTimer = this.#options.timers.schedule(delayMs, () => this.#options.tracker.track('measuring the own network', this.measure()))
  }

  async #measure(): Promise<NatProbe | undefined> {
    const servers = this.servers()
    const key = keyOf(servers)
    this.#asked = key
    if (servers.length === 0) return undefined
    this.#schedule(tryAgainMs)
    const probe = await this.#options.probe.probe(servers, this.#stopped.signal)
    if (this.#stopped.signal.aborted) return probe
    // Another network since then: what was seen counts for nothing, and whoever wanted to ask has joined this.
    if (this.#asked === key) this.#measured(probe)
    if (this.#asked !== keyOf(this.servers())) this.#schedule(settleMs)
    return probe
  }

  #measured(probe: NatProbe): void {
    if (probe.natClass !== this.#facts?.natClass) this.#logClass(probe)
    this.#facts = probe
    this.#options.onMeasured(probe)
    // Servers that are silent for a moment look like UDP blocked.
    this.#schedule(probe.natClass === 'unknown' || probe.natClass === 'udp-blocked' ? tryAgainMs : measureAgainMs)
  }

  #logClass({ natClass, mapping, filtering, udp, ipv6 }: NatProbe): void {
    this.#options.log({ level: 'info', event: 'nat.measured', fields: { natClass, mapping, filtering, udp, ipv6 } })
  }

  #peerServers(): readonly StunServer[] {
    const { libp2p, book, isFriend, isHelper } = this.#options
    return libp2p
      .getPeers()
      .map(String)
      .filter((peerId) => isFriend(peerId) || isHelper(peerId))
      .flatMap((peerId) => {
        const { features, addresses } = book.info(peerId)
        const port = features.map(stunPortIn).find((each) => each !== undefined)
        const direct = libp2p.getConnections(peerIdFromString(peerId)).find((connection) => connection.status === 'open' && !isRelayed(connection))
        return port === undefined || direct === undefined ? [] : [{ host: natHost(hostOf(direct.remoteAddr), addresses), port }]
      })
  }
}

/** The port in the feature `stun-PORT` of a card; undefined for every other one. */
function stunPortIn(feature: string): number | undefined {
  const port = Number(/^stun-([1-9]\d{0,4})$/.exec(feature)?.[1])
  return port <= 65_535 ? port : undefined
}

/** NATs are in IPv4: a peer that is connected over global IPv6 is asked at the public IPv4 address of its card when there is one. */
function natHost(host: string, addresses: readonly string[]): string {
  if (!host.includes(':') || addressScope(host) !== 'public') return host
  const hosts = addresses.flatMap((address) => /^\/ip4\/([\d.]+)\/tcp\/\d+(?!.*p2p-circuit)/.exec(address)?.[1] ?? [])
  return hosts.find((each) => addressScope(each) === 'public') ?? host
}

const keyOf = (servers: readonly StunServer[]): string => servers.map(({ host, port }) => `${host} ${port}`).join(',')
