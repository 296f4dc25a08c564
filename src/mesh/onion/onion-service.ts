import type { Libp2p } from '@libp2p/interface'
import { type KemLevel, MeshError, toHex, toMeshError, wallMillis } from '../../core/base/index.ts'
import {
  type CellCipher,
  createOnionCrypto,
  maxHops,
  type DirectoryEntry,
  type NtorHashes,
  type OnionKeyRotated,
  OnionKeys,
  type PathAsker,
  type PathMember
} from '../../core/onion/index.ts'
import type { MeshOptions } from '../../core/options/index.ts'
import type { GossipPort } from '../cards.ts'
import { startDeadline, within } from '../deadline.ts'
import { Driver } from '../drive.ts'
import type { FrameStream } from '../frame-stream.ts'
import type { HealthFinding, LogRecord, PeerReference } from '../mesh.ts'
import type { OnionStreams } from '../onion-streams.ts'
import { keyOf } from '../peer-book.ts'
import { peerIdOfKey } from '../peer-keys.ts'
import type { Platform } from '../ports.ts'
import type { ProtocolHost, Refusal } from '../protocol-host.ts'
import type { Tracker } from '../tracker.ts'
import { CellLinks } from './cell-links.ts'
import type { CircuitCall, CircuitInfo, CircuitReport, CircuitState, OnionStatus } from './circuit-report.ts'
import { isPublicAddress } from './descriptor-addresses.ts'
import { type DirectoryCounters, DirectoryService, type DirectoryStore } from './directory-service.ts'
import { EndpointStreams } from './endpoint-streams.ts'
import type { LinkHosts } from './link-host.ts'
import { type KnownCircuit, OnionClient } from './onion-client.ts'
import { onionFindings } from './onion-findings.ts'
import type { OnionLimits } from './onion-limits.ts'
import { RelayService } from './relay-service.ts'

/** What a platform gives for circuits. */
export interface OnionPorts {
  /** Where our links begin. */
  readonly hosts: LinkHosts
  readonly cipher: CellCipher
  /** SHA3, SHAKE and AES of the handshake. */
  readonly hashes: NtorHashes
  readonly directory: DirectoryStore
  readonly guards: DirectoryStore
}

export interface OnionServiceOptions {
  readonly libp2p: Libp2p
  readonly host: ProtocolHost
  readonly gossip: GossipPort
  readonly platform: Platform
  readonly ports: OnionPorts
  readonly options: MeshOptions
  readonly level: KemLevel
  readonly tracker: Tracker
  readonly isPaired: (peerId: string) => boolean
  readonly reference: (peerId: string) => PeerReference
  readonly log: (record: LogRecord) => void
  readonly onRefused: (refusal: Refusal) => void
  /** A part of a circuit of our own was built in `ms`; undefined: it failed. */
  readonly onBuilt: (part: 'relays' | 'destination', ms: number | undefined) => void
  /** What goes to this peer over circuits shall take the newest one. */
  readonly onSucceed: (publicKey: Uint8Array) => Promise<void>
  /** So many circuits more are wanted than there is room for. */
  readonly onCrowded: (count: number) => void
  readonly limits: OnionLimits | undefined
}

const defaultTimeoutMs = 30_000
const pingMs = 10_000

/** Onion circuits of a node: the directory, the relay, the endpoint and its own circuits. */
export class OnionService implements OnionStreams {
  readonly links: CellLinks
  readonly directory: DirectoryService
  readonly relay: RelayService
  readonly #options: OnionServiceOptions
  readonly #keys: OnionKeys
  readonly #keyDriver: Driver<{ readonly type: 'wake' }, OnionKeyRotated>
  readonly #streams: EndpointStreams
  readonly #asker: PathAsker
  readonly #members = new WeakMap<DirectoryEntry, PathMember>()
  readonly #trusted: ReadonlySet<string>
  readonly #crypto: ReturnType<typeof createOnionCrypto>
  #client: OnionClient | undefined
  #guards: ReadonlySet<string> = new Set()

  constructor(options: OnionServiceOptions) {
    const { platform, libp2p, host, ports, tracker, log, isPaired, onRefused, gossip } = options
    const { clock, timers, random, signer, verifier, crypto } = platform
    const { network, onionTrust, onionFamily, onionRouting, onionRelay, onionMaxCircuits, onionBytesPerSecond } = options.options
    const { publicKey } = signer
    this.#options = options
    this.#keys = new OnionKeys({ crypto, now: clock.monotonic() })
    this.#keyDriver = new Driver(this.#keys, { clock, timers, perform: () => this.directory.changed() })
    this.#crypto = createOnionCrypto({ crypto, cipher: ports.cipher, hashes: ports.hashes, keys: this.#keys, publicKey })
    this.#asker = { publicKey, family: onionFamily.map(keyOf), trust: new Set(onionTrust) }
    this.#trusted = new Set(onionTrust.map((peerId) => toHex(keyOf(peerId))))
    this.#streams = new EndpointStreams({ clock, timers, tracker })
    this.links = new CellLinks({ libp2p, host, hosts: ports.hosts, signer, verifier, clock, timers, tracker, log, onRefused, isPaired })
    this.directory = new DirectoryService({
      ...{ libp2p, host, gossip, clock, timers, random, signer, verifier, network, log, store: ports.directory },
      describe: () => this.#membership(),
      isProtected: (key) => this.#isProtected(key)
    })
    this.relay = new RelayService({
      ...{ links: this.links, crypto: this.#watchedCrypto(), random, clock, timers, tracker, publicKey },
      relay: onionRouting && onionRelay,
      endpoint: onionRouting,
      lookup: (key) => this.directory.lookup(key),
      isRelay: (key) => this.directory.get(key)?.descriptor.role === 'relay',
      onStream: (stream, from) => this.#streams.take(stream, from),
      limits: { maxCircuits: onionMaxCircuits, bytesPerSecond: onionBytesPerSecond }
    })
  }

  /** Takes over what was saved; publishes this node, carries circuits and makes its own, as the options say. */
  async start(): Promise<void> {
    const { platform, ports, options, level, log, tracker, libp2p } = this.#options
    const { clock, timers, random } = platform
    await this.directory.start()
    this.#client = new OnionClient({
      ...{ links: this.links, crypto: this.#crypto, random, clock, timers, tracker, log, asker: this.#asker, level },
      policy: options.onionPolicy,
      hops: options.onionHops,
      spares: options.onionRouting,
      savedGuards: await ports.guards.load(),
      saveGuards: (bytes) => ports.guards.save(bytes),
      lookup: (key) => this.directory.lookup(key),
      onSucceed: (peerId) => this.#options.onSucceed(keyOf(peerId)),
      onCrowded: this.#options.onCrowded,
      limits: this.#options.limits ?? {},
      onBuilt: this.#options.onBuilt
    })
    this.directory.onChange(() => this.#refresh())
    for (const event of ['peer:connect', 'peer:disconnect'] as const) libp2p.addEventListener(event, this.#onPeers)
    this.#refresh()
    this.#keyDriver.input({ type: 'wake' })
    if (options.onionRouting) await this.relay.start()
  }

  async stop(): Promise<void> {
    for (const event of ['peer:connect', 'peer:disconnect'] as const) this.#options.libp2p.removeEventListener(event, this.#onPeers)
    this.#client?.stop()
    this.relay.stop()
    this.#keyDriver.stop()
    await this.directory.stop()
    await this.links.stop()
  }

  // Streams for sessions

  async open(publicKey: Uint8Array, signal: AbortSignal): Promise<FrameStream> {
    return this.#own.open('pqs', { peerId: peerIdOfKey(publicKey), publicKey }, signal)
  }

  serve(handler: (stream: FrameStream) => Promise<void>): Promise<void> {
    this.#streams.serve(handler)
    return Promise.resolve()
  }

  async check(publicKey: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#own.check(peerIdOfKey(publicKey), undefined, signal)
  }

  // For people

  /** Builds a circuit and measures it. @throws {MeshError} as OnionClient.want; TIMEOUT */
  async circuit(peerId: string, call: CircuitCall): Promise<CircuitReport> {
    const { platform, reference, options } = this.#options
    const { hops = options.onionHops, level, allowShort = false, showPath = false, timeoutMs = defaultTimeoutMs, signal } = call
    if (!Number.isInteger(hops) || hops < 1 || hops > maxHops)
      throw new MeshError('OPTION_INVALID', { path: 'hops', value: String(hops).slice(0, 20), allowed: `1 to ${maxHops}` })
    const startedAt = platform.clock.monotonic()
    using deadline = startDeadline(platform.timers, { operation: 'Building the circuit', timeoutMs, signal })
    if (!allowShort) await this.#own.check(peerId, hops, deadline.signal)
    const wish = { hops, allowShort, isFresh: true, ...(level === undefined ? {} : { level: levelOf(level) }) }
    const { number, circuit, isWarm, attempts } = await within(deadline, this.#own.want(peerId, wish, deadline.signal))
    const buildMs = platform.clock.monotonic() - startedAt
    using answer = startDeadline(platform.timers, { operation: 'The answer of the far end', timeoutMs: pingMs, signal: deadline.signal })
    const rttMs = await within(answer, circuit.ping())
    const known = this.#own.list().find(({ id }) => id === number)
    const anonymity = this.#own.report(number)
    if (known === undefined || anonymity === undefined) throw new MeshError('CIRCUIT_DESTROYED', { reason: 'it ended while it was measured' })
    const stepMs = isWarm ? known.stepMs.slice(-1) : known.stepMs
    const carriesVia = known.path.length >= options.onionHops && known.level === this.#options.level
    const carriesMessages = carriesVia && options.onionRouting
    if (carriesVia) await within(deadline, this.#carry(peerId))
    const measured = { wanted: hops, isWarm, attempts, buildMs, stepMs, rttMs, carriesMessages, carriesVia, anonymity }
    return { ...this.#info(known, showPath), peer: reference(peerId), ...measured }
  }

  /** Messages to the peer that have an older circuit take the newest one; where that fails they stay where they are. */
  async #carry(peerId: string): Promise<void> {
    try {
      await this.#options.onSucceed(keyOf(peerId))
    } catch (error) {
      this.#options.log({ level: 'debug', event: 'onion.not-moved', fields: { code: toMeshError(error).code } })
    }
  }

  list(showPath: boolean): readonly CircuitInfo[] {
    return (this.#client?.list() ?? []).map((known) => this.#info(known, showPath))
  }

  /** @throws {MeshError} CIRCUIT_UNKNOWN */
  close(name: string): string {
    return this.#own.close(name)
  }

  status(): OnionStatus {
    const { options } = this.#options
    const members = this.directory.all().map(({ descriptor }) => descriptor.role)
    const relays = members.filter((role) => role === 'relay').length
    const pool = this.#client?.status
    const { circuits, cellsForward, cellsBackward, queuedBytes } = this.relay.counters
    const { ready = 0, draining = 0, spare = 0 } = pool?.circuits ?? {}
    return {
      routing: options.onionRouting,
      role: !options.onionRouting ? 'none' : (this.directory.ownRole ?? 'none'),
      policy: pool?.policy ?? 'strict',
      known: { relays, endpoints: members.length - relays },
      circuits: { open: ready + draining, spare },
      serving: options.onionRouting ? { links: this.links.acceptedCount, circuits, cells: cellsForward + cellsBackward, queuedBytes } : undefined
    }
  }

  get directoryCounters(): DirectoryCounters {
    return this.directory.counters
  }

  findings(): readonly HealthFinding[] {
    if (!this.#options.options.onionRouting) return []
    const { libp2p, reference } = this.#options
    const pool = this.#client?.status
    if (pool === undefined) return this.directory.findings()
    const facts = {
      options: this.#options.options,
      pool,
      isPublic: libp2p.getMultiaddrs().some((address) => isPublicAddress(String(address))),
      knowsPublic: this.directory.all().some(({ descriptor }) => descriptor.role === 'relay' && descriptor.addresses.some(isPublicAddress)),
      dropped: pool.dropped.map(({ peerId, builds, failed }) => ({ name: reference(peerId).name, builds, failed }))
    }
    return [...this.directory.findings(), ...onionFindings(facts)]
  }

  get #own(): OnionClient {
    if (this.#client === undefined) throw new MeshError('SHUTTING_DOWN')
    return this.#client
  }

  #info({ name, destination, state, path, level, openedAt, expiresAtWall, streams, cells }: KnownCircuit, showPath: boolean): CircuitInfo {
    const { reference } = this.#options
    return {
      id: name,
      peer: destination === undefined ? undefined : reference(destination),
      state: stateOf[state],
      hops: path.length,
      level,
      openedAt,
      expiresAt: wallMillis(Math.round(expiresAtWall)),
      streams,
      cells,
      path: showPath ? path.map(({ peerId }) => reference(peerId)) : undefined
    }
  }

  // The directory

  #membership(): ReturnType<ConstructorParameters<typeof DirectoryService>[0]['describe']> {
    const { onionRouting, onionRelay, onionBytesPerSecond: bytesPerSecond } = this.#options.options
    if (!onionRouting) return undefined
    return { role: onionRelay ? 'relay' : 'endpoint', onionKey: this.#keys.publicKey, family: this.#asker.family, levels: [1, 3, 5], bytesPerSecond }
  }

  #isProtected(publicKey: Uint8Array): boolean {
    const key = toHex(publicKey)
    return this.#trusted.has(key) || this.#guards.has(key) || this.#client?.isUsed(publicKey) === true
  }

  readonly #onPeers = (): void => this.#refresh()

  #refresh(): void {
    const client = this.#client
    if (client === undefined) return
    const { libp2p } = this.#options
    client.online(libp2p.getPeers().some((peer) => !this.links.isLinkPeer(peer.toString())))
    client.members(
      this.directory.all().map((entry) => this.#memberOf(entry)),
      this.directory.isSynced
    )
    this.#guards = new Set(client.guards.map((peerId) => toHex(keyOf(peerId))))
  }

  #memberOf(entry: DirectoryEntry): PathMember {
    const known = this.#members.get(entry)
    if (known !== undefined) return known
    const { publicKey, onionKey, role, addresses, family } = entry.descriptor
    const member: PathMember = {
      ...{ publicKey, onionKey, role, addresses, family, peerId: peerIdOfKey(publicKey) },
      firstSeenAt: entry.firstSeen
    }
    this.#members.set(entry, member)
    return member
  }

  /** A full memory of requests makes a key rotate early: looked at after each answer. */
  #watchedCrypto(): ReturnType<typeof createOnionCrypto> {
    return {
      ...this.#crypto,
      answer: (request) => {
        const answered = this.#crypto.answer(request)
        const { wakeAt } = this.#keys
        if (wakeAt !== undefined && wakeAt <= this.#options.platform.clock.monotonic()) this.#keyDriver.input({ type: 'wake' })
        return answered
      }
    }
  }
}

const stateOf: Readonly<Record<KnownCircuit['state'], CircuitState>> = {
  building: 'building',
  spare: 'ready',
  extending: 'building',
  ready: 'ready',
  draining: 'draining'
}

function levelOf(level: number): KemLevel {
  if (level === 1 || level === 3 || level === 5) return level
  throw new MeshError('OPTION_INVALID', { path: 'level', value: String(level).slice(0, 20), allowed: '1, 3 or 5' })
}
