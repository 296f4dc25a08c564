import {
  type Clock,
  isMeshError,
  type KemLevel,
  MeshError,
  type Random,
  toHex,
  toMeshError,
  type WallMillis,
  wallMillis,
  type Millis
} from '../../core/base/index.ts'
import {
  type AnonymityReport,
  type OnionCrypto,
  type PathAsker,
  type PathMember,
  type PathPolicyName,
  type PoolCircuit,
  type PoolInput,
  PoolMachine,
  type PoolOutput,
  type PoolStatus
} from '../../core/onion/index.ts'
import { startDeadline, within } from '../deadline.ts'
import { Driver } from '../drive.ts'
import type { LogRecord } from '../mesh.ts'
import type { Timers } from '../ports.ts'
import { shortPeerId } from '../protocol-host.ts'
import type { Tracker } from '../tracker.ts'
import type { CellLink, CellLinkPort } from './cell-link.ts'
import type { CircuitStream } from './circuit-stream.ts'
import { ClientLink } from './client-link.ts'
import type { OnionLimits } from './onion-limits.ts'
import { type CircuitEnding, OwnCircuit } from './own-circuit.ts'

/** A member as the client reaches it. */
export interface Reached {
  readonly addresses: readonly string[]
}

export interface OnionClientOptions {
  readonly links: CellLinkPort
  readonly crypto: OnionCrypto
  readonly random: Random
  readonly clock: Clock
  readonly timers: Timers
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  readonly asker: PathAsker
  readonly policy: PathPolicyName
  /** Relays of a circuit at least. */
  readonly hops: number
  readonly level: KemLevel
  /** What `saveGuards` was given last. */
  readonly savedGuards: Uint8Array | undefined
  readonly saveGuards: (bytes: Uint8Array) => Promise<void>
  /** Where a member of the directory is dialled from here. */
  readonly lookup: (publicKey: Uint8Array) => Reached | undefined
  /** What is on a circuit to this peer shall move to its successor. */
  readonly onSucceed: (peerId: string) => Promise<void>
  /** So many circuits more are wanted than there is room for: what needs its circuit least shall let go of it. */
  readonly onCrowded: (count: number) => void
  readonly limits: OnionLimits
  /** A part was built in `ms`; undefined: it failed. */
  readonly onBuilt: (part: 'relays' | 'destination', ms: number | undefined) => void
  /** Without spare circuits a node makes none before it is asked. */
  readonly spares: boolean
}

/** What is asked of a circuit to a destination. */
export interface CircuitWish {
  readonly hops?: number
  readonly level?: KemLevel
  readonly allowShort?: boolean
  readonly isFresh?: boolean
}

/** A circuit that leads where it was asked for. */
export interface ReadyCircuit {
  readonly number: number
  readonly circuit: OwnCircuit
  readonly isWarm: boolean
  readonly attempts: number
}

/** What is known of a circuit, for people. */
export interface KnownCircuit extends PoolCircuit {
  readonly name: string
  readonly cells: { readonly sent: number; readonly received: number }
  readonly openedAt: WallMillis
  readonly expiresAtWall: WallMillis
  readonly stepMs: readonly number[]
}

interface Request {
  readonly resolve: (ready: ReadyCircuit) => void
  readonly reject: (error: MeshError) => void
}

interface Held {
  /** What people call it: 8 hexadecimal digits. */
  readonly name: string
  readonly circuit: OwnCircuit
  readonly openedAt: WallMillis
  stepMs: number[]
}

/** For the far end to take a stream. */
const openMs = 10_000
/** A node that is younger has not heard of all others yet: */
const youngMs = 60_000
/** it waits so long for a circuit to become possible. */
const patienceMs = 10_000
const retryMs = 1_000

/** The circuits of this node: runs the pool, builds what it asks for, and opens streams over what there is. */
export class OnionClient {
  readonly #options: OnionClientOptions
  readonly #pool: PoolMachine
  readonly #driver: Driver<PoolInput, PoolOutput>
  readonly #circuits = new Map<number, Held>()
  /** Circuits of which the pool waits to hear: a failure of theirs is one of the build. */
  readonly #building = new Set<number>()
  readonly #requests = new Map<number, Request>()
  readonly #links = new WeakMap<CellLink, ClientLink>()
  readonly #stopping = new AbortController()
  /** Those who wait for more members. */
  readonly #awaiting = new Set<() => void>()
  readonly #startedAt: Millis
  #lastRequest = 0

  constructor(options: OnionClientOptions) {
    const { random, clock, timers, asker, policy, hops, level, savedGuards, spares } = options
    this.#options = options
    this.#startedAt = options.clock.monotonic()
    const { pool, record = {} } = options.limits
    const limits = { ...pool, ...(spares ? {} : { spares: 0 }) }
    this.#pool = new PoolMachine({ random, wall: () => clock.wall(), asker, policy, hops, level, savedGuards, limits, record })
    this.#driver = new Driver<PoolInput, PoolOutput>(this.#pool, { clock, timers, perform: (output) => this.#perform(output) })
  }

  /** Peer ids of the guards. */
  get guards(): readonly string[] {
    return this.#pool.guards
  }

  get status(): PoolStatus {
    return this.#pool.status
  }

  /** The directory as it is now. */
  members(members: readonly PathMember[], isSynced: boolean): void {
    this.#driver.input({ type: 'members', members, isSynced })
    for (const resolve of this.#awaiting) resolve()
    this.#awaiting.clear()
  }

  /** Whether any peer is connected. */
  online(isOnline: boolean): void {
    this.#driver.input({ type: 'online', isOnline })
  }

  /** Whether a key is a relay of one of our circuits. */
  isUsed(publicKey: Uint8Array): boolean {
    const key = toHex(publicKey)
    return this.#pool.circuits.some(({ path }) => path.some((member) => toHex(member.publicKey) === key))
  }

  /**
   * Whether a circuit would lead to a destination now. What was heard of others a moment ago may not be all: waits up to 10 s for more.
   * @throws {MeshError} CIRCUIT_TOO_FEW_RELAYS, CIRCUIT_NO_ENDPOINT, CIRCUIT_GUARDS_FAILED
   */
  async check(destination: string, hops: number | undefined, signal?: AbortSignal): Promise<void> {
    const { clock, timers } = this.#options
    const until = Math.min(clock.monotonic() + patienceMs, Math.max(this.#startedAt + youngMs, clock.monotonic()))
    for (;;) {
      const problem = this.#pool.problem(destination, hops)
      if (problem === undefined) return
      if (clock.monotonic() >= until || signal?.aborted === true) throw problem
      await new Promise<void>((resolve) => {
        this.#awaiting.add(resolve)
        timers.schedule(Math.min(retryMs, until - clock.monotonic()), resolve)
      })
    }
  }

  stop(): void {
    this.#stopping.abort()
    for (const { reject } of this.#requests.values()) reject(new MeshError('SHUTTING_DOWN'))
    this.#requests.clear()
    for (const { circuit } of this.#circuits.values()) circuit.close()
    this.#driver.stop()
  }

  /** A circuit to a destination: one that there is, or a new one. @throws {MeshError} CIRCUIT_TOO_FEW_RELAYS, CIRCUIT_NO_ENDPOINT, CIRCUIT_GUARDS_FAILED, CIRCUIT_BUILD_TIMEOUT, CIRCUIT_EXTEND_REFUSED, ABORTED */
  async want(destination: string, wish: CircuitWish, signal: AbortSignal): Promise<ReadyCircuit> {
    const request = ++this.#lastRequest
    const { promise, resolve, reject } = Promise.withResolvers<ReadyCircuit>()
    const giveUp = (): void => {
      if (!this.#requests.delete(request)) return
      this.#driver.input({ type: 'cancel', request })
      reject(new MeshError('ABORTED', { operation: 'building a circuit' }))
    }
    this.#requests.set(request, { resolve, reject })
    signal.addEventListener('abort', giveUp)
    try {
      this.#driver.input({ type: 'want', request, destination, ...wish })
      if (signal.aborted) giveUp()
      return await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  /** A stream to a destination. @throws {MeshError} as `want`, PEER_UNREACHABLE, TIMEOUT */
  async open(protocol: string, peer: { readonly peerId: string; readonly publicKey: Uint8Array }, signal: AbortSignal): Promise<CircuitStream> {
    for (let attempt = 1; ; attempt++) {
      const { circuit } = await this.want(peer.peerId, {}, signal)
      try {
        const { timers, limits } = this.#options
        using deadline = startDeadline(timers, { operation: 'opening a stream over a circuit', timeoutMs: limits.openMs ?? openMs, signal })
        return await within(deadline, circuit.open(protocol, peer))
      } catch (error) {
        // A far end that says nothing for so long is not there, and would not be for the next one either.
        if (isMeshError(error, 'TIMEOUT')) circuit.close()
        // The circuit that was there had ended, and nobody had noticed yet.
        if (attempt === 2 || signal.aborted || !circuit.hasEnded || isMeshError(error, 'CIRCUIT_EXTEND_REFUSED')) throw error
      }
    }
  }

  /** All circuits, the youngest last. */
  list(): readonly KnownCircuit[] {
    const { clock } = this.#options
    return this.#pool.circuits.flatMap((each) => {
      const held = this.#circuits.get(each.id)
      if (held === undefined) return []
      const { sent, received, streams } = held.circuit.counters
      const expiresAtWall = wallMillis(clock.wall() + Math.round(each.expiresAt - clock.monotonic()))
      return [{ ...each, name: held.name, cells: { sent, received }, streams, openedAt: held.openedAt, expiresAtWall, stepMs: held.stepMs }]
    })
  }

  report(number: number): AnonymityReport | undefined {
    return this.#pool.report(number)
  }

  /** Ends a circuit by its name or the beginning of it. @throws {MeshError} CIRCUIT_UNKNOWN */
  close(name: string): string {
    const found = [...this.#circuits].filter(([, held]) => held.name.startsWith(name.toLowerCase()))
    const [entry] = found
    if (entry === undefined || found.length > 1 || name === '')
      throw new MeshError('CIRCUIT_UNKNOWN', { circuit: name, ...(found.length > 1 ? { matches: found.length } : {}) })
    const [number, held] = entry
    this.#driver.input({ type: 'close', circuit: number })
    held.circuit.close()
    return held.name
  }

  // The pool

  #perform(output: PoolOutput): void {
    switch (output.type) {
      case 'build':
        return this.#options.tracker.track('building a circuit', this.#build(output))
      case 'extend':
        return this.#options.tracker.track('leading a circuit to its destination', this.#extend(output))
      case 'ready':
        return this.#ready(output)
      case 'failed':
        this.#requests.get(output.request)?.reject(output.error)
        this.#requests.delete(output.request)
        return
      case 'succeed':
        return this.#options.tracker.track('moving to the next circuit', this.#options.onSucceed(output.destination))
      case 'crowded':
        return this.#options.onCrowded(output.count)
      case 'close':
        this.#circuits.get(output.circuit)?.circuit.close()
        return
      case 'guards':
        return this.#options.tracker.track('keeping the guards', this.#options.saveGuards(output.bytes))
      case 'dropped':
        return this.#dropped(output)
      default:
        output satisfies never
    }
  }

  #ready({ request, circuit: number, isWarm, attempts }: Extract<PoolOutput, { readonly type: 'ready' }>): void {
    const held = this.#circuits.get(number)
    const waiting = this.#requests.get(request)
    this.#requests.delete(request)
    if (held === undefined) waiting?.reject(new MeshError('CIRCUIT_DESTROYED', { reason: 'it ended at once' }))
    else waiting?.resolve({ number, circuit: held.circuit, isWarm, attempts })
  }

  #dropped({ peerId, builds, failed }: Extract<PoolOutput, { readonly type: 'dropped' }>): void {
    this.#options.log({ level: 'warn', event: 'onion.relay-dropped', fields: { peer: shortPeerId(peerId), builds, failed } })
  }

  // Building

  async #build({ circuit: number, path, level, stepMs }: Extract<PoolOutput, { readonly type: 'build' }>): Promise<void> {
    let hop = 1
    this.#building.add(number)
    try {
      const held = await this.#begin(number, path, stepMs)
      for (const member of path) {
        held.stepMs.push(await held.circuit.extend(member, level, stepMs))
        hop += 1
      }
      this.#building.delete(number)
      this.#options.onBuilt('relays', sumOf(held.stepMs))
      this.#driver.input({ type: 'built', circuit: number })
    } catch (error) {
      this.#fail(number, hop, error)
    }
  }

  async #begin(number: number, path: readonly PathMember[], stepMs: number): Promise<Held> {
    const [guard] = path
    if (guard === undefined) throw new MeshError('INTERNAL', { reason: 'a path without relays' })
    const { crypto, random, clock, timers, limits } = this.#options
    const link = await this.#link(guard, stepMs)
    const circuit = OwnCircuit.over({
      ...{ crypto, random, clock, timers, link, members: path.length + 1, probe: limits.probe },
      onStreams: (streams) => this.#driver.input({ type: 'streams', circuit: number, streams }),
      onEnded: (ending) => this.#ended(number, ending)
    })
    const held: Held = { name: toHex(random.bytes(4)), circuit, openedAt: clock.wall(), stepMs: [] }
    this.#circuits.set(number, held)
    return held
  }

  async #link(guard: PathMember, timeoutMs: number): Promise<ClientLink> {
    const { links, lookup, clock, timers, random } = this.#options
    const located = lookup(guard.publicKey)
    if (located === undefined) throw new MeshError('CIRCUIT_EXTEND_REFUSED', { hop: 1, reason: 'it has no address that this node can call' })
    using deadline = startDeadline(timers, { operation: 'calling the first relay', timeoutMs, signal: this.#stopping.signal })
    const link = await links.open({
      as: 'client',
      publicKey: guard.publicKey,
      addresses: located.addresses,
      make: (made) => {
        const client = new ClientLink({ link: made, guard: guard.publicKey, clock, timers, random })
        this.#links.set(made, client)
        return client
      },
      signal: deadline.signal
    })
    const client = this.#links.get(link)
    if (client === undefined || client.hasEnded) throw new MeshError('CIRCUIT_EXTEND_REFUSED', { hop: 1, reason: 'the connection to it ended' })
    return client
  }

  async #extend({ circuit: number, destination, level, stepMs }: Extract<PoolOutput, { readonly type: 'extend' }>): Promise<void> {
    const held = this.#circuits.get(number)
    const hop = (this.#pool.circuits.find(({ id }) => id === number)?.path.length ?? 0) + 1
    this.#building.add(number)
    try {
      if (held === undefined) throw new MeshError('CIRCUIT_DESTROYED', { reason: 'it ended before it led anywhere' })
      const tookMs = await held.circuit.extend(destination, level, stepMs)
      // A spare one was built at leisure: what counts is what somebody waited for.
      held.stepMs.push(tookMs)
      this.#building.delete(number)
      this.#options.onBuilt('destination', tookMs)
      this.#driver.input({ type: 'extended', circuit: number })
    } catch (error) {
      this.#fail(number, hop, error)
    }
  }

  #fail(number: number, hop: number, error: unknown): void {
    const wasHeld = this.#circuits.get(number)
    this.#options.onBuilt('relays', undefined)
    this.#circuits.delete(number)
    this.#building.delete(number)
    if (!this.#stopping.signal.aborted) this.#driver.input({ type: 'failed', circuit: number, hop, error: toMeshError(error) })
    wasHeld?.circuit.close()
  }

  #ended(number: number, { error }: CircuitEnding): void {
    // The promise of its step fails too, and knows at which hop.
    if (this.#building.has(number)) return
    this.#circuits.delete(number)
    // Relays come and go; cells that were meddled with are something else.
    const level = error?.code === 'CIRCUIT_DESTROYED' ? 'debug' : 'warn'
    if (error !== undefined) this.#options.log({ level, event: 'onion.circuit-ended', fields: { code: error.code, reason: error.message } })
    this.#driver.input({ type: 'ended', circuit: number })
  }
}

const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0)
