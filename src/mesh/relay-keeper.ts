import type { AbortOptions, Connection, Libp2p, PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { isPrivate } from '@libp2p/utils'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { type Clock, isMeshError, type Random } from '../core/base/index.ts'
import { type RelayCandidate, type RelayKeeperInput, type RelayKeeperLimits, RelayKeeperMachine, type RelayKeeperOutput } from '../core/nat/index.ts'
import type { MeshOptions } from '../core/options/index.ts'
import type { Card } from '../core/peers/index.ts'
import { isCircuit, isRelayed } from './connections.ts'
import { dialReason } from './dial-reason.ts'
import { Driver } from './drive.ts'
import type { HealthFinding, LogRecord, RelayInfo } from './mesh.ts'
import type { PairRecord, Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'
import type { RelayClientPort } from './relay-ports.ts'

export interface RelayKeeperOptions {
  readonly libp2p: Libp2p
  readonly connect: (
    peer: PeerId,
    options: AbortOptions & { readonly addresses?: readonly Multiaddr[]; readonly force?: boolean }
  ) => Promise<Connection>
  readonly port: RelayClientPort
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: (record: LogRecord) => void
  readonly options: Pick<MeshOptions, 'listenAddrs' | 'relays' | 'bootstrapPeers' | 'announceAddrs' | 'natTraversal' | 'relayServe'>
  /** Peers that are paired. */
  readonly pairs: () => readonly PairRecord[]
  /** The last card of a peer that was verified. */
  readonly cardOf: (peerId: string) => Card | undefined
  /** Asks a connected peer for its card, which comes back by `learned`. */
  readonly fetchCard: (peerId: string) => void
  /** Keeps a connection to a relay that the options name. */
  readonly want: (peerId: string, addresses: readonly string[]) => void
  /** A place was taken or lost: the addresses of this node are others now. */
  readonly onChanged: () => void
  /** Other delays than the usual ones, for tests. */
  readonly limits?: Partial<RelayKeeperLimits>
}

/** The feature of a card that says: I am a circuit relay. */
export const relayFeature = 'relay-1'

const askTimeoutMs = 8_000
/** How long the start of a node waits for its first place. */
const firstPlaceMs = 2_000
const maxAddresses = 8
const ranks = { option: 1, bootstrap: 2, paired: 3, throughPeer: 4 } as const

interface Known extends RelayCandidate {
  readonly addresses: readonly string[]
  /** Named by an option, so that its absence is worth a word. */
  readonly isExplicit: boolean
}

/**
 * Keeps this node's places at two circuit relays: those that the options name, then bootstrap and paired peers whose signed cards say that they relay, then the
 * relays over which paired peers are reached. A node that listens on loopback addresses only, or that is publicly reachable, uses named ones only.
 */
export class RelayKeeper {
  readonly #options: RelayKeeperOptions
  readonly #driver: Driver<RelayKeeperInput, RelayKeeperOutput>
  readonly #machine: RelayKeeperMachine
  readonly #known = new Map<string, Known>()
  readonly #latencyMs = new Map<string, number>()
  readonly #lastReason = new Map<string, string>()
  readonly #stopped = new AbortController()
  readonly #answered = Promise.withResolvers<undefined>()
  readonly #unanswered = new Set<string>()
  #isPublic = false
  #ignoreLost: () => void = () => undefined

  constructor(options: RelayKeeperOptions) {
    this.#options = options
    const { random, clock, timers, limits } = options
    this.#machine = new RelayKeeperMachine({ random, ...(limits === undefined ? {} : { limits }) })
    this.#driver = new Driver<RelayKeeperInput, RelayKeeperOutput>(this.#machine, { clock, timers, perform: (output) => this.#perform(output) })
  }

  /** Begins to ask; resolves with the first place at a relay that the options name, or when none of them gave one, 2 s at most. */
  async start(): Promise<void> {
    const { libp2p, port, want, timers } = this.#options
    this.#ignoreLost = port.onLost((peerId) => this.#lost(peerId))
    libp2p.addEventListener('connection:open', this.#onConnection)
    libp2p.addEventListener('self:peer:update', this.#onSelf)
    this.#isPublic = this.#isReachable()
    this.refresh()
    const explicit = [...this.#known.values()].filter(({ isExplicit }) => isExplicit)
    for (const { peerId, addresses } of explicit) want(peerId, addresses)
    for (const connection of libp2p.getConnections()) this.#connected(connection)
    if (explicit.length === 0) return
    const cancel = timers.schedule(firstPlaceMs, () => this.#answered.resolve(undefined))
    await this.#answered.promise
    cancel()
  }

  stop(): void {
    this.#options.libp2p.removeEventListener('connection:open', this.#onConnection)
    this.#options.libp2p.removeEventListener('self:peer:update', this.#onSelf)
    this.#ignoreLost()
    this.#driver.stop()
    this.#stopped.abort()
    this.#answered.resolve(undefined)
  }

  /** Relays at which this node has a place, and those that the options name. */
  get relays(): readonly RelayInfo[] {
    const reserved = new Set(this.#machine.reserved)
    return [...this.#known.values()]
      .filter(({ peerId, isExplicit }) => isExplicit || reserved.has(peerId))
      .map(({ peerId, addresses }) => ({
        peerId,
        address: addresses.find((address) => this.#isInUse(peerId, address)) ?? addresses[0] ?? '',
        reserved: reserved.has(peerId),
        latencyMs: reserved.has(peerId) ? this.#latencyMs.get(peerId) : undefined
      }))
  }

  #isInUse(peerId: string, address: string): boolean {
    return this.#options.libp2p.getConnections(peerIdFromString(peerId)).some(({ remoteAddr }) => remoteAddr.toString() === address)
  }

  /** A node that finds out that it is reachable from everywhere looks for no relays any more, and keeps those that it has. */
  readonly #onSelf = (): void => {
    const isPublic = this.#isReachable()
    if (this.#isPublic === isPublic) return
    this.#isPublic = isPublic
    this.refresh()
  }

  /** Whether it is announced under a public IPv4 address of its own, or one of the options: not everybody has IPv6. */
  #isReachable(): boolean {
    const { libp2p, options } = this.#options
    const isOwn = (address: Multiaddr): boolean => address.getComponents()[0]?.name === 'ip4' && !isCircuit(address) && !isPrivate(address)
    return options.relayServe || options.announceAddrs.length > 0 || libp2p.getMultiaddrs().some(isOwn)
  }

  /** A card was verified, or a peer paired: it may be a relay, or be reached over one. */
  learned(peerId: string, card: Card): void {
    if (card.features.includes(relayFeature) || this.#known.has(peerId) || this.#isOurs(peerId)) this.refresh()
  }

  /** A peer was paired: a relay that had refused is asked again. */
  paired(peerId: string): void {
    this.refresh()
    this.#fetchMissing(peerId)
    this.#driver.input({ type: 'hint', peerId })
  }

  /** Another network: relays that did not answer may do so now. */
  networkChanged(): void {
    this.refresh()
    for (const peerId of this.#known.keys()) this.#driver.input({ type: 'hint', peerId })
  }

  /** Looks for candidates anew. */
  refresh(): void {
    const reserved = new Set(this.#machine.reserved)
    const found = this.#candidates()
    for (const peerId of this.#known.keys()) if (!found.has(peerId) && !reserved.has(peerId)) this.#known.delete(peerId)
    for (const [peerId, relay] of found) this.#known.set(peerId, relay)
    this.#driver.input({ type: 'candidates', candidates: [...found.values()].map(({ peerId, rank, isPinned }) => ({ peerId, rank, isPinned })) })
  }

  findings(): readonly HealthFinding[] {
    const reserved = new Set(this.#machine.reserved)
    const isEnough = reserved.size >= 2
    return [...this.#known.values()]
      .filter(({ peerId, isExplicit, isPinned }) => isExplicit && !reserved.has(peerId) && (isPinned || !isEnough))
      .map(({ peerId }) => ({
        code: 'RELAY_AWAY',
        message: `Nobody can call over the relay ${shortPeerId(peerId)}: ${this.#lastReason.get(peerId) ?? 'it has not answered yet'}`,
        hint: 'It is asked again by itself; look whether it runs, serves as a circuit relay, and is paired with this node or open to all.'
      }))
  }

  #candidates(): ReadonlyMap<string, Known> {
    const { options, pairs, cardOf, libp2p } = this.#options
    const found = new Map<string, Known>()
    const add = (address: string, kind: Pick<Known, 'rank' | 'isPinned' | 'isExplicit'>): void => {
      const peerId = /\/p2p\/([^/]+)$/.exec(address)?.[1]
      if (peerId === undefined || peerId === libp2p.peerId.toString()) return
      const before = found.get(peerId)
      const addresses = [...new Set([...(before?.addresses ?? []), address])].slice(0, maxAddresses)
      found.set(peerId, { peerId, ...kind, ...before, addresses })
    }
    for (const listen of options.listenAddrs)
      if (listen.endsWith('/p2p-circuit')) add(listen.slice(0, -'/p2p-circuit'.length), { rank: 0, isPinned: true, isExplicit: true })
    if (!options.natTraversal || options.relayServe) return found
    for (const address of options.relays) add(address, { rank: ranks.option, isPinned: false, isExplicit: true })
    if (this.#isPublic || isLoopbackOnly(options.listenAddrs)) return found
    const isRelay = (peerId: string): boolean => cardOf(peerId)?.features.includes(relayFeature) === true
    const addCard = (peerId: string, more: readonly string[], rank: number): void => {
      if (!isRelay(peerId)) return
      const direct = [...more, ...(cardOf(peerId)?.addresses ?? [])].filter(
        (address) => !address.includes('/p2p-circuit') && address.endsWith(`/p2p/${peerId}`)
      )
      for (const address of direct) add(address, { rank, isPinned: false, isExplicit: false })
    }
    for (const address of options.bootstrapPeers) addCard(peerAt(address), [address], ranks.bootstrap)
    for (const { peerId, addresses } of pairs()) addCard(peerId, addresses, ranks.paired)
    for (const { addresses } of pairs())
      for (const address of addresses) {
        const [, relay] = /^(.*\/p2p\/[^/]+)\/p2p-circuit/.exec(address) ?? []
        if (relay !== undefined) addCard(peerAt(relay), [relay], ranks.throughPeer)
      }
    return found
  }

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => this.#connected(detail)

  #connected(connection: Connection): void {
    if (isRelayed(connection)) return
    const peerId = connection.remotePeer.toString()
    this.#fetchMissing(peerId)
    this.#driver.input({ type: 'hint', peerId })
  }

  /** Whether a peer relays stands on its card, and where its STUN server is. */
  #fetchMissing(peerId: string): void {
    const { options, cardOf, fetchCard } = this.#options
    if (!options.natTraversal || cardOf(peerId) !== undefined) return
    const isNamed = this.#known.get(peerId)?.isExplicit === true
    const isLooking = !this.#isPublic && !isLoopbackOnly(options.listenAddrs)
    if (isNamed || (isLooking && this.#isOurs(peerId))) fetchCard(peerId)
  }

  /** Whether it is a bootstrap peer, a paired one, or a relay on the way to one. */
  #isOurs(peerId: string): boolean {
    const { options, pairs } = this.#options
    const isRelayOf = (address: string): boolean => address.includes(`/p2p/${peerId}/p2p-circuit`)
    return (
      options.bootstrapPeers.some((address) => peerAt(address) === peerId) ||
      pairs().some((pair) => pair.peerId === peerId || pair.addresses.some(isRelayOf))
    )
  }

  #perform({ type, peerId }: RelayKeeperOutput): void {
    if (type === 'ask') void this.#ask(peerId)
    else this.#options.port.release(peerId)
  }

  async #ask(peerId: string): Promise<void> {
    const { port, log } = this.#options
    const relay = this.#known.get(peerId)
    if (relay === undefined) return
    this.#unanswered.add(peerId)
    const [address = ''] = relay.addresses
    try {
      const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(askTimeoutMs)])
      const connection = await this.#connectionTo(relay, signal)
      this.#latencyMs.set(peerId, await port.reserve({ connection, addresses: relay.addresses }, signal))
      this.#lastReason.delete(peerId)
      log({ level: 'info', event: 'relay.reserved', fields: { address } })
      this.#settled(peerId, true)
      this.#driver.input({ type: 'reserved', peerId })
      this.#options.onChanged()
    } catch (error) {
      if (this.#stopped.signal.aborted) return
      const reason = reasonOf(error)
      log({ level: reason === this.#lastReason.get(peerId) ? 'debug' : 'warn', event: 'relay.not-reserved', fields: { address, reason } })
      this.#lastReason.set(peerId, reason)
      this.#settled(peerId, false)
      this.#driver.input({ type: 'failed', peerId, isRefused: isMeshError(error, 'RELAY_REFUSED') })
    }
  }

  async #connectionTo({ peerId, addresses }: Known, signal: AbortSignal): Promise<Connection> {
    const { libp2p, connect } = this.#options
    const peer = peerIdFromString(peerId)
    const open = libp2p.getConnections(peer).find((connection) => connection.status === 'open' && !isRelayed(connection))
    if (open !== undefined) return open
    const parsed = addresses.flatMap((address) => parse(address))
    const connection = await connect(peer, { addresses: parsed, force: libp2p.getConnections(peer).length > 0, signal })
    if (isRelayed(connection)) throw new Error('it is reached over another relay only')
    return connection
  }

  /** The first place, or that every relay that was asked first gave none. */
  #settled(peerId: string, isReserved: boolean): void {
    this.#unanswered.delete(peerId)
    const isOpen = [...this.#known.values()].some((relay) => relay.isExplicit && !this.#lastReason.has(relay.peerId))
    if (isReserved || (this.#unanswered.size === 0 && !isOpen)) this.#answered.resolve(undefined)
  }

  #lost(peerId: string): void {
    this.#lastReason.set(peerId, 'it is away')
    this.#options.log({ level: 'warn', event: 'relay.lost', fields: { peer: shortPeerId(peerId) } })
    this.#driver.input({ type: 'lost', peerId })
    this.#options.onChanged()
  }
}

const peerAt = (address: string): string => /\/p2p\/([^/]+)$/.exec(address)?.[1] ?? ''

/** Whether nobody outside of this machine could call. */
const isLoopbackOnly = (listenAddrs: readonly string[]): boolean =>
  listenAddrs.every((address) => address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/') || address.endsWith('/p2p-circuit'))

function parse(address: string): readonly Multiaddr[] {
  try {
    return [multiaddr(address)]
  } catch {
    return []
  }
}

function reasonOf(error: unknown): string {
  if (isMeshError(error, 'RELAY_REFUSED')) return String(error.details['reason'])
  return isMeshError(error) ? error.message.slice(0, 200) : dialReason(error)
}
