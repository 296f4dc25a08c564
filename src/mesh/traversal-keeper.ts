import { type Clock, isMeshError, MeshError, type Millis } from '../core/base/index.ts'
import {
  type ConnectionPath,
  isDirectPath,
  type NetworkFacts,
  outcomeOfPath,
  type ReachRate,
  ReachRates,
  type RetryInput,
  type RetryOutput,
  RetrySchedule,
  type TraversalMethod,
  type TraversalReport
} from '../core/nat/index.ts'
import { Driver } from './drive.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'
import type { Tracker } from './tracker.ts'
import { Traversal, type TraversalPorts } from './traversal.ts'

/** One open connection to a peer. */
export interface OpenConnection {
  readonly path: ConnectionPath
  /** Whether we opened it. */
  readonly isOurs: boolean
}

/** A small value that outlives a restart. */
export interface RatesStore {
  load(): Promise<Uint8Array | undefined>
  save(value: Uint8Array): Promise<void>
}

export interface TraversalKeeperOptions {
  readonly ports: TraversalPorts
  readonly connections: {
    /** Calls back when connections to a peer came or went; the returned function ends that. */
    onChange(handler: (peerId: string) => void): () => void
    /** The open ones, the oldest first. */
    of(peerId: string): readonly OpenConnection[]
  }
  /** Whether a better way to a peer that called us is looked for by us as well; it is for every peer that we called. */
  readonly isPaired: (peerId: string) => boolean
  /** Whether better ways are looked for by themselves. */
  readonly upgrades: boolean
  readonly rates: RatesStore
  readonly clock: Clock
  readonly timers: Timers
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** A traversal ended, for the metrics. */
  readonly onReport: (report: TraversalReport) => void
}

interface Running {
  readonly traversal: Traversal
  /** By the operator, not by the schedule. */
  readonly isAsked: boolean
  readonly stop: AbortController
  readonly ended: Promise<TraversalReport>
}

/** From the event of a connection to the end of the try that made it. */
const ownWorkMs = 100

interface RunOptions {
  readonly method: TraversalMethod
  readonly isAsked: boolean
  readonly signal: AbortSignal
}

/**
 * Looks for better ways to the peers that are reached over relays only, by the schedule of core/nat/retry-schedule.ts, and runs the traversals that are asked
 * for: one at a time for a peer. Counts what share of peers is reached, and directly: paired peers when we connect to them, and whoever a traversal is asked for.
 * What comes after, while the peer stays connected, counts only when it found a direct way: asking often about one peer does not move the rates.
 */
export class TraversalKeeper {
  readonly #options: TraversalKeeperOptions
  readonly #schedule = new RetrySchedule()
  readonly #driver: Driver<RetryInput, RetryOutput>
  readonly #running = new Map<string, Running>()
  readonly #stopped = new AbortController()
  /** Peers that have a connection; whether this time was counted. */
  readonly #connected = new Map<string, boolean>()
  #rates = new ReachRates()
  #isSaving = false
  #saveAgain = false
  #off: () => void = () => undefined

  constructor(options: TraversalKeeperOptions) {
    this.#options = options
    const { clock, timers } = options
    this.#driver = new Driver<RetryInput, RetryOutput>(this.#schedule, { clock, timers, perform: (output) => this.#upgrade(output) })
  }

  get rates(): { readonly lifetime: ReachRate; readonly last100: ReachRate } {
    return { lifetime: this.#rates.lifetime, last100: this.#rates.last100 }
  }

  /** What is known of our own network. */
  ownFacts(): NetworkFacts | undefined {
    return this.#options.ports.ownFacts()
  }

  async start(): Promise<void> {
    const { rates, connections } = this.#options
    this.#rates = ReachRates.decode(await rates.load())
    this.#off = connections.onChange((peerId) => this.#changed(peerId))
  }

  /** Ends what runs; resolves when it has. */
  async stop(): Promise<void> {
    this.#off()
    this.#driver.stop()
    this.#stopped.abort()
    await Promise.allSettled([...this.#running.values()].map(({ ended }) => ended))
  }

  /** When a better way to the peer is looked for next, in milliseconds from now; undefined while that is not planned. */
  retryInMs(peerId: string): number | undefined {
    const at: Millis | undefined = this.#schedule.nextAt(peerId)
    return at === undefined ? undefined : Math.max(0, at - this.#options.clock.monotonic())
  }

  /** This machine moved to another network: every relayed peer is tried anew. */
  networkChanged(): void {
    this.#driver.input({ type: 'network-changed' })
  }

  /** The peer looks for a better way to us. */
  peerTries(peerId: string): void {
    this.#driver.input({ type: 'peer-tries', peerId })
  }

  /** Our own network was measured. */
  measured(facts: NetworkFacts): void {
    for (const { traversal } of this.#running.values()) traversal.measured(facts)
  }

  /**
   * Reaches the peer by `method` and says how it went. It takes the place of one that runs in the background, and waits for one that somebody else has asked for.
   * @throws {MeshError} ABORTED with the signal
   */
  async traverse(peerId: string, method: TraversalMethod, signal: AbortSignal): Promise<TraversalReport> {
    for (let other = this.#running.get(peerId); other !== undefined; other = this.#running.get(peerId)) {
      if (!other.isAsked) other.stop.abort()
      await Promise.race([other.ended.catch(() => undefined), aborted(signal)])
      if (signal.aborted) throw new MeshError('ABORTED', { operation: 'The traversal' })
    }
    const wasDirect = this.#isDirect(peerId)
    this.#driver.input({ type: 'begun', peerId })
    try {
      const report = await this.#run(peerId, { method, isAsked: true, signal })
      const isNews = this.#connected.get(peerId) !== true || (!wasDirect && this.#isDirect(peerId))
      if (method === 'auto' && isNews) this.#count(peerId, report.path)
      return report
    } finally {
      this.#driver.input({ type: 'ended', peerId, wasAsked: true })
    }
  }

  #changed(peerId: string): void {
    const { connections, upgrades, isPaired } = this.#options
    const open = connections.of(peerId)
    const [first] = open
    if (first === undefined) {
      this.#connected.delete(peerId)
      return this.#driver.input({ type: 'settled', peerId })
    }
    const isNew = !this.#connected.has(peerId)
    if (isNew) this.#connected.set(peerId, false)
    for (const { path } of open) if (path !== 'relayed') this.#arrived(peerId, path)
    if (open.some(({ path }) => path !== 'relayed')) {
      if (isNew && first.isOurs && isPaired(peerId) && !this.#running.has(peerId)) this.#count(peerId, first.path)
      return this.#driver.input({ type: 'settled', peerId })
    }
    this.#running.get(peerId)?.traversal.arrived('relayed')
    if (upgrades && (first.isOurs || isPaired(peerId))) this.#driver.input({ type: 'relayed', peerId, isOurs: first.isOurs })
  }

  // The way that made the connection says so itself, a moment after the event: what nobody has made is somebody else's.
  #arrived(peerId: string, path: ConnectionPath): void {
    const traversal = this.#running.get(peerId)?.traversal
    if (traversal !== undefined) this.#options.timers.schedule(ownWorkMs, () => traversal.arrived(path))
  }

  /** A traversal in the background, of a peer that is reached over a relay. */
  #upgrade({ peerId, retry }: RetryOutput): void {
    this.#options.tracker.track(`looking for a better way to ${shortPeerId(peerId)}`, this.#upgradeNow(peerId, retry))
  }

  async #upgradeNow(peerId: string, retry: number): Promise<void> {
    const { log, isPaired } = this.#options
    if (this.#running.has(peerId)) return
    try {
      const report = await this.#run(peerId, { method: 'auto', isAsked: false, signal: this.#stopped.signal })
      const { result, path, own, their, reason, ms } = report
      log({ level: 'debug', event: 'peer.traversed', fields: { peer: shortPeerId(peerId), retry, result, path, own, their, reason, ms } })
      if (isPaired(peerId) && (retry === 0 || report.result === 'direct' || report.result === 'punched')) this.#count(peerId, report.path)
    } catch (error) {
      if (!isMeshError(error, 'ABORTED')) throw error
    } finally {
      this.#driver.input({ type: 'ended', peerId, wasAsked: false })
    }
  }

  async #run(peerId: string, { method, isAsked, signal }: RunOptions): Promise<TraversalReport> {
    const { ports, clock, timers, onReport } = this.#options
    const traversal = new Traversal({ peerId, method, ports, clock, timers, wantsFacts: isAsked })
    const stop = new AbortController()
    const ended = traversal.run(AbortSignal.any([signal, stop.signal, this.#stopped.signal])).finally(() => this.#running.delete(peerId))
    this.#running.set(peerId, { traversal, isAsked, stop, ended })
    const report = await ended
    onReport(report)
    return report
  }

  #isDirect(peerId: string): boolean {
    const path = this.#options.ports.pathTo(peerId)
    return path !== undefined && isDirectPath(path)
  }

  #count(peerId: string, path: ConnectionPath | undefined): void {
    if (this.#connected.has(peerId)) this.#connected.set(peerId, true)
    this.#rates.add(outcomeOfPath(path))
    this.#saveAgain = true
    if (!this.#isSaving) this.#options.tracker.track('keeping the rates', this.#save())
  }

  async #save(): Promise<void> {
    this.#isSaving = true
    try {
      while (this.#saveAgain) {
        this.#saveAgain = false
        await this.#options.rates.save(this.#rates.encode())
      }
    } finally {
      this.#isSaving = false
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
