import type { Libp2p, PeerId } from '@libp2p/interface'
import { type Clock, type Millis, type Random, randomFraction, randomInteger, toMeshError } from '../../core/base/index.ts'
import type { LogRecord } from '../mesh.ts'
import type { Timers } from '../ports.ts'
import { shortPeerId } from '../protocol-host.ts'
import { protocolTable } from '../protocol-table.ts'

export interface DirectoryPullerOptions {
  readonly libp2p: Libp2p
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: (record: LogRecord) => void
  /** Compares views with one peer. */
  readonly pull: (peerId: string, signal: AbortSignal) => Promise<void>
  /** Between two rounds, default 300,000 ms, a quarter more or less. */
  readonly everyMs?: number
}

/** Peers of one round. */
const peersOfRound = 3
/** After the start, and after a peer came: others come at the same time. */
const settleMs = 200
/** The same peer is not asked again within this because of what it or others did. */
const againMs = 30_000
const maxQueued = 16
const maxRemembered = 256

/** Chooses when views are compared, and with whom: three peers by lot in each round, and as they come while fewer have been asked. One at a time. */
export class DirectoryPuller {
  readonly #options: DirectoryPullerOptions
  readonly #stopped = new AbortController()
  readonly #queue = new Set<string>()
  /** When each peer was asked last, the latest at the end. */
  readonly #asked = new Map<string, Millis>()
  #isRunning = false
  #cancelRound: () => void = () => undefined
  #cancelRun: (() => void) | undefined

  constructor(options: DirectoryPullerOptions) {
    this.#options = options
  }

  start(): void {
    this.#options.libp2p.addEventListener('peer:identify', this.#onIdentify)
    this.#round()
  }

  stop(): void {
    this.#options.libp2p.removeEventListener('peer:identify', this.#onIdentify)
    this.#cancelRound()
    this.#cancelRun?.()
    this.#stopped.abort()
  }

  /** Asks this peer soon, when it was not asked a moment ago. */
  hint(peerId: string): void {
    const at = this.#asked.get(peerId)
    if (at !== undefined && this.#options.clock.monotonic() - at < againMs) return
    this.#enqueue(peerId)
  }

  // The list of what a peer serves comes with its identification, and again when it changes.
  readonly #onIdentify = ({ detail }: CustomEvent<{ readonly peerId: PeerId; readonly protocols: readonly string[] }>): void => {
    if (detail.protocols.includes(protocolTable.onionDirectory.id) && this.#askedLately() < peersOfRound) this.hint(detail.peerId.toString())
  }

  /** How many peers were asked within the time of a round, or will be. */
  #askedLately(): number {
    const { clock, everyMs = 300_000 } = this.#options
    const since = clock.monotonic() - everyMs
    return this.#queue.size + [...this.#asked].filter(([peerId, at]) => at > since && !this.#queue.has(peerId)).length
  }

  #round(): void {
    const { timers, random, everyMs = 300_000 } = this.#options
    void this.#choose().then((peerIds) => {
      for (const peerId of peerIds) this.#enqueue(peerId)
    })
    this.#cancelRound = timers.schedule(everyMs * (0.75 + randomFraction(random) / 2), () => this.#round())
  }

  async #choose(): Promise<readonly string[]> {
    const { libp2p, random } = this.#options
    const serving: string[] = []
    for (const peer of libp2p.getPeers()) if (await this.#isServing(peer)) serving.push(peer.toString())
    const chosen: string[] = []
    while (chosen.length < peersOfRound && serving.length > 0) chosen.push(...serving.splice(randomInteger(random, serving.length), 1))
    return chosen
  }

  async #isServing(peer: PeerId): Promise<boolean> {
    try {
      return (await this.#options.libp2p.peerStore.get(peer)).protocols.includes(protocolTable.onionDirectory.id)
    } catch {
      return false
    }
  }

  #enqueue(peerId: string): void {
    if (this.#stopped.signal.aborted || this.#queue.size >= maxQueued) return
    this.#queue.add(peerId)
    if (!this.#isRunning) this.#cancelRun ??= this.#options.timers.schedule(settleMs, () => void this.#run())
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    this.#cancelRun = undefined
    for (const peerId of this.#queue) {
      this.#queue.delete(peerId)
      this.#remember(peerId)
      await this.#pullFrom(peerId)
      if (this.#stopped.signal.aborted) break
    }
    this.#isRunning = false
  }

  async #pullFrom(peerId: string): Promise<void> {
    const { pull, log } = this.#options
    try {
      await pull(peerId, this.#stopped.signal)
    } catch (thrown) {
      const { code, message } = toMeshError(thrown)
      log({ level: 'debug', event: 'onion.directory-not-pulled', fields: { peer: shortPeerId(peerId), code, reason: message } })
    }
  }

  #remember(peerId: string): void {
    this.#asked.delete(peerId)
    this.#asked.set(peerId, this.#options.clock.monotonic())
    if (this.#asked.size > maxRemembered) this.#asked.delete(this.#asked.keys().next().value ?? '')
  }
}
