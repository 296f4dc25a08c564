import type { Connection, IdentifyResult, Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { dialAddress } from '../core/base/dial-address.ts'
import type { NatFacts } from '../core/nat/index.ts'
import { ipScope } from '../core/base/ip-scope.ts'
import type { DialOutcome } from '../core/nat/nat-frames.ts'
import { AddressKeeper } from './address-keeper.ts'
import { hostOf, isRelayed, type Paths } from './connections.ts'
import type { OwnAddressPort, PortMappingPort } from './mapping-ports.ts'
import type { LogRecord } from './mesh.ts'
import type { DialPurpose } from './dial-rules.ts'
import type { Dialler } from './dialler.ts'
import { NatService } from './nat-service.ts'
import type { PeerBook } from './peer-book.ts'
import type { MappingState } from './port-keeper.ts'
import type { Platform } from './ports.ts'
import type { ProtocolHost } from './protocol-host.ts'
import type { Tracker } from './tracker.ts'

export interface ReachabilityOptions {
  readonly libp2p: Libp2p
  readonly host: ProtocolHost
  readonly book: PeerBook
  readonly platform: Pick<Platform, 'clock' | 'timers'>
  readonly dialler: Pick<Dialler, 'dialAddress'>
  readonly own: OwnAddressPort
  /** undefined: no port is opened in a router. */
  readonly mapping: PortMappingPort | undefined
  readonly paths: Paths
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  readonly onDialled: (purpose: DialPurpose, outcome: DialOutcome) => void
  readonly facts: () => NatFacts | undefined
  readonly showCard: (peerId: string, signal: AbortSignal) => Promise<void>
  readonly abilities: () => { readonly ice: boolean; readonly turn: boolean }
  /** A peer asks about our network: it looks for a way to us. */
  readonly onHello?: (peerId: string) => void
  /** See friends.ts. */
  readonly isFriend: (peerId: string) => boolean
  /** Whether any other peer is believed about our addresses: bootstrap peers and relays. */
  readonly isHelper: (peerId: string) => boolean
}

const overFamilyMs = 3_000

/** How this node is reached from outside, and what it does about it: what peers tell each other, confirmed addresses, a port in the router. */
export class Reachability {
  readonly nat: NatService
  readonly #keeper: AddressKeeper
  readonly #options: ReachabilityOptions

  constructor(options: ReachabilityOptions) {
    this.#options = options
    const { own, mapping, platform, tracker, log, paths } = options
    this.#keeper = new AddressKeeper({
      own,
      mapping,
      timers: platform.timers,
      tracker,
      log,
      helpers: (family) => this.#helpers(family),
      publicHost: () => options.facts()?.publicAddress?.address,
      onHelper: (handler) => this.#onHelper(handler),
      dialBack: (peerId, address, signal) => this.#dialBack(peerId, address, signal)
    })
    this.nat = new NatService({ ...options, mapped: () => this.#keeper.mapped, addresses: () => this.#keeper.candidates() })
    paths.isMapped = this.nat.isMapped
  }

  async start(): Promise<void> {
    await this.nat.start()
    this.#keeper.start()
  }

  async stop(): Promise<void> {
    this.nat.stop()
    await this.#keeper.stop()
  }

  /** How it stands with the port in the router. */
  get mapping(): MappingState {
    return this.#keeper.mapping
  }

  /** Public addresses that a trusted peer has dialled, or that are announced as they were configured. */
  get confirmed(): readonly string[] {
    return this.#options.own.list().flatMap(({ address, isVerified }) => (isVerified && dialAddress(address)?.scope === 'public' ? [address] : []))
  }

  /** Whether anybody can call us: an address of ours is known to answer from outside. */
  get isReachable(): boolean {
    return this.confirmed.length > 0
  }

  /** Another network: everything is asked and mapped again. */
  networkChanged(): void {
    this.#keeper.networkChanged()
  }

  /** A peer that was connected before is trusted from now on. */
  paired(): void {
    this.#keeper.helperCame()
  }

  /** STUN servers were asked anew. */
  measured(): void {
    this.#keeper.measured()
  }

  #isTrusted(peerId: string): boolean {
    return this.#options.isFriend(peerId) || this.#options.isHelper(peerId)
  }

  #onHelper(handler: () => void): () => void {
    const { libp2p } = this.#options
    const onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
      if (this.#isTrusted(detail.peerId.toString())) handler()
    }
    libp2p.addEventListener('peer:identify', onIdentify)
    return () => libp2p.removeEventListener('peer:identify', onIdentify)
  }

  /** Connected ones, first those that see us from outside over this IP version. */
  #helpers(family: 4 | 6): readonly string[] {
    const rank = (peerId: string): number => {
      const hosts = this.#directHosts(peerId)
      if (hosts.some((host) => isOf(host, family) && ipScope(host) === 'public')) return 0
      return hosts.length > 0 ? 1 : 2
    }
    return this.#options.libp2p
      .getPeers()
      .map(String)
      .filter((peerId) => this.#isTrusted(peerId))
      .map((peerId) => ({ peerId, rank: rank(peerId) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ peerId }) => peerId)
  }

  /** Who is not paired with us dials back only to where he sees us: over this IP version, too. */
  async #dialBack(peerId: string, address: string, signal: AbortSignal): Promise<DialOutcome> {
    const family = address.startsWith('/ip6/') ? 6 : 4
    const isSeen = this.#options.isFriend(peerId) || this.#directHosts(peerId).some((host) => isOf(host, family))
    const extra = isSeen ? undefined : await this.#connectOver(family, peerId, signal)
    try {
      return await this.nat.requestDialBack(peerId, address, signal)
    } finally {
      await extra?.close().catch(() => undefined)
    }
  }

  async #connectOver(family: 4 | 6, peerId: string, signal: AbortSignal): Promise<Connection | undefined> {
    const { libp2p, dialler } = this.#options
    const known = await libp2p.peerStore.get(peerIdFromString(peerId)).catch(() => undefined)
    const addresses =
      known?.addresses.map(({ multiaddr: address }) => dialAddress(address.toString())).filter((address) => address !== undefined) ?? []
    const address = addresses.find(({ host, scope }) => isOf(host, family) && scope === 'public')
    if (address === undefined) return undefined
    const limit = AbortSignal.any([signal, AbortSignal.timeout(overFamilyMs)])
    return dialler.dialAddress(multiaddr(`${address.text}/p2p/${peerId}`), limit).catch(() => undefined)
  }

  #directHosts(peerId: string): readonly string[] {
    return this.#options.libp2p
      .getConnections(peerIdFromString(peerId))
      .filter((connection) => connection.status === 'open' && !isRelayed(connection))
      .map(({ remoteAddr }) => hostOf(remoteAddr))
  }
}

const isOf = (host: string, family: 4 | 6): boolean => host.includes(':') === (family === 6)
