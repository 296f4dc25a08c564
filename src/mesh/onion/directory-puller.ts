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
  /** `isSynced` has become true. */
  readonly onSynced: () => void
  /** Between two rounds, default 300,000 ms, a quarter more or less. */
  readonly everyMs?: number
}

/** Peers of one round; compared with so many, this node knows what there is. */
const peersOfRound = 3
/** In a small mesh there are not so many: then after this. */
const syncedAfterMs = 2_000
/** Before that, rounds are so far apart at first, then each twice as far. */
const firstRoundMs = 3_000
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
  readonly #compared = new Set<string>()
  #isSynced = false
  #rounds = 0
  #isRunning = false
  #cancelSynced: (() => void) | undefined
  #cancelRound: () => void = () => undefined
  #cancelRun: (() => void) | undefined

  constructor(options: DirectoryPullerOptions) {
    this.#options = options
  }

  /** Whether views were compared with three peers since the start, or with fewer when there are no more. */
  get isSynced(): boolean {
    return this.#isSynced
  }

  start(): void {
    this.#options.libp2p.addEventListener('peer:identify', this.#onIdentify)
    this.#round()
  }

  stop(): void {
    this.#options.libp2p.removeEventListener('peer:identify', this.#onIdentify)
    this.#cancelRound()
    this.#cancelRun?.()
    this.#cancelSynced?.()
    this.#stopped.abort()
  }

  /** Asks this peer soon, when it was not asked a moment ago. */
  hint(peerId: string): void {
    if (!this.#wasAsked(peerId)) this.#enqueue(peerId)
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
    const delayMs = this.#isSynced ? everyMs : Math.min(everyMs, firstRoundMs * 2 ** this.#rounds)
    this.#rounds += 1
    this.#cancelRound = timers.schedule(delayMs * (0.75 + randomFraction(random) / 2), () => this.#round())
  }

  /** Peers by lot. Those that are known not to serve come last: a peer that was identified while it started says too little. */
  async #choose(): Promise<readonly string[]> {
    const { libp2p, random } = this.#options
    const serving: string[] = []
    const others: string[] = []
    for (const peer of libp2p.getPeers()) {
      const protocols = await this.#protocolsOf(peer)
      if (protocols.includes(protocolTable.onionDirectory.id)) serving.push(peer.toString())
      else if (protocols.length > 0 && !this.#wasAsked(peer.toString())) others.push(peer.toString())
    }
    return [...shuffled(serving, random), ...shuffled(others, random)].slice(0, peersOfRound)
  }

  /** None of a peer that did not identify itself: links of circuits do not. */
  async #protocolsOf(peer: PeerId): Promise<readonly string[]> {
    try {
      return (await this.#options.libp2p.peerStore.get(peer)).protocols
    } catch {
      return []
    }
  }

  #wasAsked(peerId: string): boolean {
    const at = this.#asked.get(peerId)
    return at !== undefined && this.#options.clock.monotonic() - at < againMs
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
      this.#noteCompared(peerId)
    } catch (thrown) {
      const { code, message } = toMeshError(thrown)
      log({ level: 'debug', event: 'onion.directory-not-pulled', fields: { peer: shortPeerId(peerId), code, reason: message } })
    }
  }

  #noteCompared(peerId: string): void {
    if (this.#isSynced || this.#stopped.signal.aborted) return
    this.#compared.add(peerId)
    if (this.#compared.size >= peersOfRound) this.#synced()
    else this.#cancelSynced ??= this.#options.timers.schedule(syncedAfterMs, () => this.#synced())
  }

  #synced(): void {
    if (this.#isSynced) return
    this.#isSynced = true
    this.#compared.clear()
    this.#cancelSynced?.()
    this.#options.onSynced()
  }

  #remember(peerId: string): void {
    this.#asked.delete(peerId)
    this.#asked.set(peerId, this.#options.clock.monotonic())
    if (this.#asked.size > maxRemembered) this.#asked.delete(this.#asked.keys().next().value ?? '')
  }
}

function shuffled<Value>(values: readonly Value[], random: Random): readonly Value[] {
  const left = [...values]
  const drawn: Value[] = []
  while (left.length > 0) drawn.push(...left.splice(randomInteger(random, left.length), 1))
  return drawn
}
