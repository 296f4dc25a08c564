import type { Libp2p } from '@libp2p/interface'
import { type Clock, compareBytes, isMeshError, type Millis, type Random, type Signer, toMeshError, type Verifier } from '../../core/base/index.ts'
import {
  descriptorLimits,
  type DirectoryEntry,
  OnionDirectory,
  type OnionDescriptor,
  type OnionRole,
  type Partition,
  timeProblem,
  ViewComparison
} from '../../core/onion/index.ts'
import type { GossipPort, GossipVerdict } from '../cards.ts'
import type { FrameStream } from '../frame-stream.ts'
import type { HealthFinding, LogRecord } from '../mesh.ts'
import { gossipTopic } from '../network-ids.ts'
import { keyOf } from '../peer-book.ts'
import { peerIdOfKey } from '../peer-keys.ts'
import type { Timers } from '../ports.ts'
import { type ProtocolHost, shortPeerId } from '../protocol-host.ts'
import { FrameExchange } from '../request.ts'
import { TokenBuckets } from '../token-buckets.ts'
import { ChangeBell } from './change-bell.ts'
import { dialableAddresses } from './descriptor-addresses.ts'
import { DescriptorIntake, type IntakeCounters, isTaken, type Taken } from './descriptor-intake.ts'
import { DescriptorPublisher } from './descriptor-publisher.ts'
import { answerPull, pullView } from './directory-exchange.ts'
import { DirectoryPuller } from './directory-puller.ts'
import { type Issued, OwnDescriptor, type OwnMembership } from './own-descriptor.ts'

/** Where the directory is kept between processes. */
export interface DirectoryStore {
  /** What was saved last; undefined when nothing was. */
  load(): Promise<Uint8Array | undefined>
  save(bytes: Uint8Array): Promise<void>
}

export interface DirectoryServiceOptions {
  readonly libp2p: Libp2p
  readonly host: ProtocolHost
  readonly gossip: GossipPort
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly signer: Signer
  readonly verifier: Verifier
  readonly network: string
  readonly log: (record: LogRecord) => void
  readonly store: DirectoryStore
  /** What we say of ourselves, asked whenever our descriptor is issued; undefined while this node takes no part but in circuits of its own. */
  readonly describe: () => OwnMembership | undefined
  /** Guards, trust roots and relays in use: never make room for others. */
  readonly isProtected: (publicKey: Uint8Array) => boolean
  /** How often our descriptor is published, default 1,800,000 ms, a quarter more or less; the first times come sooner. */
  readonly publishMs?: number
  /** How often views are compared, default 300,000 ms. */
  readonly pullMs?: number
  /** How long one comparison may take, default 60,000 ms. */
  readonly pullTimeoutMs?: number
  /** Default 8,192. */
  readonly maxEntries?: number
}

/** Where a member of circuits is reached. */
export interface Located {
  readonly peerId: string
  /** At least one; without a peer id. */
  readonly addresses: readonly string[]
  readonly descriptor: OnionDescriptor
}

/** Totals since the start. */
export interface DirectoryCounters extends IntakeCounters {
  /** Comparisons of views that were completed. */
  readonly pulls: number
}

/** Descriptors taken from one signer in a second, and from one neighbour with a burst of ten times as many: as cards. */
const publishesPerSecond = 0.2
const neighbourPerSecond = 25
const servedPerSecond = 65_536
/** A whole directory, and half as much again. */
const servedBurst = 16_777_216
const allServedPerSecond = 4_194_304
const allServedBurst = 67_108_864
const answerTimeoutMs = 10_000
const tendMs = 60_000
const saveMs = 600_000
/** What is younger may not have arrived everywhere; and a node that started less ago has yet to learn what there is. */
const settledMs = descriptorLimits.skewMs

/** The directory of onion circuits: our descriptor is published, those of others are heard and compared with peers. Everybody keeps all of it, and nobody asks for a single one. */
export class DirectoryService {
  readonly #options: DirectoryServiceOptions
  readonly #directory: OnionDirectory
  readonly #own: OwnDescriptor
  readonly #intake: DescriptorIntake
  readonly #puller: DirectoryPuller
  readonly #views = new ViewComparison()
  readonly #bell: ChangeBell
  readonly #publisher: DescriptorPublisher
  readonly #signerRate: TokenBuckets
  readonly #neighbourRate: TokenBuckets
  readonly #servedRate: TokenBuckets
  readonly #allServedRate: TokenBuckets
  #pulls = 0
  #startedAt: Millis
  #savedAt: Millis
  #isChanged = false
  #cancelTend: () => void = () => undefined

  constructor(options: DirectoryServiceOptions) {
    this.#options = options
    const { clock, signer, isProtected, maxEntries, libp2p, pullMs, publishMs } = options
    this.#directory = new OnionDirectory({
      isProtected: (key) => compareBytes(key, signer.publicKey) === 0 || isProtected(key),
      ...(maxEntries === undefined ? {} : { maxEntries })
    })
    this.#bell = new ChangeBell(options.timers)
    this.#own = new OwnDescriptor({ ...options, multiaddrs: () => this.#multiaddrs() })
    this.#publisher = new DescriptorPublisher({
      ...{ own: this.#own, clock, timers: options.timers, random: options.random, log: options.log },
      give: (issued) => this.#give(issued),
      ...(publishMs === undefined ? {} : { everyMs: publishMs })
    })
    this.#intake = new DescriptorIntake({
      ...{ directory: this.#directory, verifier: options.verifier, network: options.network, clock, ownKey: signer.publicKey },
      onOwn: ({ sequence }) => this.#publisher.overtake(sequence)
    })
    this.#puller = new DirectoryPuller({
      ...{ libp2p, clock, timers: options.timers, random: options.random, log: options.log },
      pull: (peerId, signal) => this.pull(peerId, signal),
      onSynced: () => this.#emit(),
      ...(pullMs === undefined ? {} : { everyMs: pullMs })
    })
    this.#signerRate = new TokenBuckets({ clock, perSecond: publishesPerSecond, burst: 5 })
    this.#neighbourRate = new TokenBuckets({ clock, perSecond: neighbourPerSecond, burst: 10 * neighbourPerSecond })
    this.#servedRate = new TokenBuckets({ clock, perSecond: servedPerSecond, burst: servedBurst })
    this.#allServedRate = new TokenBuckets({ clock, perSecond: allServedPerSecond, burst: allServedBurst })
    this.#startedAt = clock.monotonic()
    this.#savedAt = this.#startedAt
  }

  /** Takes over what was saved, serves our view, and begins to publish and to compare. */
  async start(): Promise<void> {
    const { host, gossip, network, libp2p, clock } = this.#options
    await this.#restore()
    this.#startedAt = clock.monotonic()
    await host.serve('onionDirectory', (stream) => this.#serve(stream))
    gossip.subscribe(gossipTopic(network, 'onion'), (from, data, via) => this.#heard({ from, via }, data))
    libp2p.addEventListener('self:peer:update', this.#onSelfUpdate)
    this.#publisher.start()
    this.#scheduleTend()
    this.#puller.start()
  }

  /** Saves the directory. */
  async stop(): Promise<void> {
    this.#options.libp2p.removeEventListener('self:peer:update', this.#onSelfUpdate)
    this.#publisher.stop()
    this.#cancelTend()
    this.#bell.stop()
    this.#puller.stop()
    await this.#save()
  }

  get counters(): DirectoryCounters {
    return { ...this.#intake.counters, pulls: this.#pulls }
  }

  /** Everybody else whose descriptor holds now. */
  all(): readonly DirectoryEntry[] {
    return this.#directory.entries().filter((entry) => this.#isUsable(entry))
  }

  /** What others are told that this node is; undefined when nothing. */
  get ownRole(): OnionRole | undefined {
    return this.#own.issue()?.descriptor.role
  }

  /** The entry of a member whose descriptor holds now, ourselves left out. */
  get(publicKey: Uint8Array): DirectoryEntry | undefined {
    const entry = this.#directory.get(publicKey)
    return entry !== undefined && this.#isUsable(entry) ? entry : undefined
  }

  /** Whether views were compared with other nodes since the start: before, whoever answers first would say what there is. */
  get isSynced(): boolean {
    return this.#puller.isSynced
  }

  /** When a key was listed first and last; also of one that is away for less than 30 days. */
  seen(publicKey: Uint8Array): ReturnType<OnionDirectory['seen']> {
    return this.#directory.seen(publicKey)
  }

  /** Where a member is dialled from here; undefined when it is not known, or has no address that this node dials. */
  lookup(publicKey: Uint8Array): Located | undefined {
    const entry = this.get(publicKey)
    if (entry === undefined) return undefined
    const addresses = dialableAddresses(entry.descriptor.addresses, this.#multiaddrs())
    return addresses.length === 0 ? undefined : { peerId: peerIdOfKey(publicKey), addresses, descriptor: entry.descriptor }
  }

  /** Calls `listener` when members came, changed or went, and once when `isSynced` has become true. The returned function ends it. */
  onChange(listener: () => void): () => void {
    return this.#bell.listen(listener)
  }

  /** Our onion key, role, family or addresses may have changed: others are told when they have. */
  changed(): void {
    this.#publisher.changed()
  }

  /** Publishes our descriptor now; how many neighbours it was given to, 0 while there is none. */
  publish(): Promise<number> {
    return this.#publisher.publish()
  }

  /** Compares views with a peer, and takes what it has and we have not. @throws {MeshError} PEER_UNREACHABLE, TIMEOUT, ABORTED, MESSAGE_MALFORMED, SIGNATURE_INVALID, NETWORK_MISMATCH, PROTOCOL_LIMIT */
  async pull(peerId: string, signal: AbortSignal): Promise<void> {
    const { host, timers, pullTimeoutMs = 60_000 } = this.#options
    const limited = AbortSignal.any([signal, AbortSignal.timeout(pullTimeoutMs)])
    const stream = await host.open(peerId, 'onionDirectory', limited)
    const came: Taken[] = []
    try {
      const exchange = new FrameExchange(stream, { operation: 'comparing directories', timeoutMs: answerTimeoutMs, timers, signal: limited })
      const unknown = await pullView(exchange, {
        directory: this.#directory,
        take: (bytes) => void came.push(this.#intake.take(bytes)),
        pause: () => new Promise((resolve) => void timers.schedule(0, resolve))
      })
      this.#pulls += 1
      this.#noteView(peerId, came, unknown)
    } finally {
      if (came.some(({ verdict }) => isTaken(verdict))) this.#emit()
      void stream.close()
    }
  }

  findings(): readonly HealthFinding[] {
    const partition = this.#views.partition(this.#options.clock.wall())
    const { untimelyKeys } = this.#intake
    const isClockWrong = untimelyKeys >= 2 && untimelyKeys > this.all().length
    return [...(partition === undefined ? [] : [partitioned(partition)]), ...(isClockWrong ? [clockFinding] : [])]
  }

  #multiaddrs(): readonly string[] {
    return this.#options.libp2p.getMultiaddrs().map(String)
  }

  #isUsable({ descriptor }: DirectoryEntry): boolean {
    const { clock, signer } = this.#options
    return timeProblem(descriptor, clock.wall()) === undefined && compareBytes(descriptor.publicKey, signer.publicKey) !== 0
  }

  #noteView(peerId: string, came: readonly Taken[], unknown: readonly Uint8Array[]): void {
    const { clock } = this.#options
    if (clock.monotonic() - this.#startedAt < settledMs || this.#directory.isFull) return
    const lackedHere = came.filter(({ verdict, descriptor }) => verdict === 'new' && this.#isSettled(descriptor)).length
    const lackedThere = unknown.filter((id) => this.#isSettled(this.#directory.entryOf(id)?.descriptor)).length
    this.#views.note(peerId, { differing: lackedHere + lackedThere, all: this.#directory.size }, clock.wall())
  }

  #isSettled(descriptor: OnionDescriptor | undefined): boolean {
    return descriptor !== undefined && descriptor.issuedAt + settledMs <= this.#options.clock.wall()
  }

  #serve(stream: FrameStream): Promise<void> {
    return answerPull(stream, {
      directory: this.#directory,
      maySend: (bytes) => this.#servedRate.take(stream.peerId, bytes) && this.#allServedRate.take('all', bytes),
      onBehind: () => this.#puller.hint(stream.peerId)
    })
  }

  #heard({ from, via }: { readonly from: string; readonly via: string }, data: Uint8Array): GossipVerdict {
    if (data.length > descriptorLimits.bytes) return 'reject'
    if (!this.#neighbourRate.take(via) || !this.#signerRate.take(from)) return 'ignore'
    try {
      const { verdict } = this.#intake.take(data, keyOf(from))
      if (isTaken(verdict)) this.#emit()
      // What comes late is no offence of whoever hands it on, and need not go round again.
      return isTaken(verdict) ? 'accept' : 'ignore'
    } catch (error) {
      const code = isMeshError(error) ? error.code : 'INTERNAL'
      this.#options.log({ level: 'debug', event: 'gossip.descriptor-refused', fields: { peer: shortPeerId(from), code } })
      return 'reject'
    }
  }

  readonly #onSelfUpdate = (): void => this.changed()

  #give({ descriptor, bytes }: Issued): Promise<number> {
    const { gossip, network, clock } = this.#options
    this.#directory.add(descriptor, bytes, clock.wall())
    return gossip.publish(gossipTopic(network, 'onion'), bytes)
  }

  #scheduleTend(): void {
    this.#cancelTend = this.#options.timers.schedule(tendMs, () => {
      this.#scheduleTend()
      const { clock } = this.#options
      if (this.#directory.expire(clock.wall()).length > 0) this.#emit()
      if (this.#isChanged && clock.monotonic() - this.#savedAt >= saveMs) void this.#save()
    })
  }

  #emit(): void {
    this.#isChanged = true
    this.#bell.ring()
  }

  async #restore(): Promise<void> {
    const { store, clock } = this.#options
    try {
      const saved = await store.load()
      if (saved !== undefined) this.#directory.restore(saved, clock.wall())
    } catch (error) {
      // Without it this node asks its peers, and waits a day until relays count as known.
      this.#logFailure('onion.directory-not-restored', error)
    }
  }

  async #save(): Promise<void> {
    this.#savedAt = this.#options.clock.monotonic()
    this.#isChanged = false
    try {
      await this.#options.store.save(this.#directory.save())
    } catch (error) {
      this.#logFailure('onion.directory-not-saved', error)
    }
  }

  #logFailure(event: string, error: unknown): void {
    const { code, message } = toMeshError(error)
    this.#options.log({ level: 'warn', event, fields: { code, reason: message } })
  }
}

const partitioned = ({ peers, compared, share }: Partition): HealthFinding => ({
  code: 'PARTITIONED_VIEW',
  message: `${peers} of ${compared} peers know other members of circuits than this node does; up to ${Math.round(100 * share)} % differ`,
  hint: 'The network was split, or somebody shows different nodes different relays. It mends itself within minutes in the first case; otherwise connect to peers that you trust (bootstrap_peers), and name relays of theirs with onion_trust.'
})

const clockFinding: HealthFinding = {
  code: 'ONION_CLOCK',
  message: 'Most of what is heard of members of circuits is over ten minutes off by the clock of this machine',
  hint: 'Set the clock: while it is wrong, circuits have no relays here, and others do not see this node.'
}
