import { type Millis, toHex } from '../base/index.ts'
import { RateBuckets } from './rate-buckets.ts'
import { cellSizes } from './types.ts'

/** Who is at the other end of a relay's link: another relay, by its proven identity, or somebody of an address prefix. */
export type RelayNeighbour = { readonly kind: 'relay'; readonly publicKey: Uint8Array } | { readonly kind: 'client'; readonly prefix: string }

/** The key under which a neighbour is counted, over all its links. */
export const neighbourKey = (neighbour: RelayNeighbour): string => (neighbour.kind === 'relay' ? toHex(neighbour.publicKey) : neighbour.prefix)

export const relayLimitDefaults = {
  /** At one time, of all. One neighbour, a relay or a prefix, may have a quarter of them. */
  maxCircuits: 1_024,
  clientLinkCircuits: 64,
  clientCreatesPerSecond: 3,
  clientCreateBurst: 90,
  relayCreatesPerSecond: 60,
  relayCreateBurst: 300,
  /** What one neighbour may send, and what is sent to one. */
  bytesPerSecond: 1_048_576
} as const

export type RelayLimitValues = { readonly [Key in keyof typeof relayLimitDefaults]: number }

/** Who asks for a circuit, and over which link. */
export interface CircuitSource {
  readonly link: number
  readonly kind: RelayNeighbour['kind']
  /** Its `neighbourKey`. */
  readonly key: string
}

/** `pay`: a client of a prefix that asks too often; it may go on after some work. */
export type Admission = 'free' | 'pay' | 'refused'

/** Whose limit is in the way of one more circuit. */
export type Fullness = 'link' | 'neighbour' | 'all'

/** What a bucket of bytes holds at least: four frames. */
const minBurstBytes = 262_144
/** What every link may do whatever others of its neighbour do: build circuits, and messages. */
const lightBytes = { perSecond: 32_768, burst: 65_536 } as const

/** What neighbours may take of a relay: rule O4, relays by their identities, all others by address prefix. */
export class RelayLimits {
  readonly #values: RelayLimitValues
  readonly #clientCreates: RateBuckets
  readonly #relayCreates: RateBuckets
  readonly #received: RateBuckets
  readonly #sent: RateBuckets
  readonly #lightReceived = new RateBuckets(lightBytes)
  readonly #lightSent = new RateBuckets(lightBytes)
  readonly #byNeighbour = new Map<string, number>()
  readonly #byLink = new Map<number, number>()
  #circuits = 0

  constructor(values: Partial<RelayLimitValues> = {}) {
    const all = { ...relayLimitDefaults, ...values }
    const bytes = { perSecond: all.bytesPerSecond, burst: Math.max(all.bytesPerSecond, minBurstBytes) }
    this.#values = all
    this.#clientCreates = new RateBuckets({ perSecond: all.clientCreatesPerSecond, burst: all.clientCreateBurst })
    this.#relayCreates = new RateBuckets({ perSecond: all.relayCreatesPerSecond, burst: all.relayCreateBurst })
    this.#received = new RateBuckets(bytes)
    this.#sent = new RateBuckets(bytes)
  }

  /** Circuits that are counted. */
  get circuits(): number {
    return this.#circuits
  }

  /** Whether a CREATE is taken, as far as rates go. */
  rate({ kind, key }: CircuitSource, now: Millis): Admission {
    if (kind === 'relay') return this.#relayCreates.take(key, now) ? 'free' : 'refused'
    return this.#clientCreates.take(key, now) ? 'free' : 'pay'
  }

  /** Whose limit is in the way of one more circuit; undefined when there is room. */
  fullness({ link, kind, key }: CircuitSource): Fullness | undefined {
    const { maxCircuits, clientLinkCircuits } = this.#values
    if (kind === 'client' && (this.#byLink.get(link) ?? 0) >= clientLinkCircuits) return 'link'
    if (this.circuitsOf(key) >= Math.max(1, Math.floor(maxCircuits / 4))) return 'neighbour'
    return this.#circuits >= maxCircuits ? 'all' : undefined
  }

  /** Circuits of a neighbour. */
  circuitsOf(key: string): number {
    return this.#byNeighbour.get(key) ?? 0
  }

  /** The neighbour with the most circuits. */
  heaviest(): string | undefined {
    let heaviest: string | undefined
    for (const key of this.#byNeighbour.keys()) if (heaviest === undefined || this.circuitsOf(key) > this.circuitsOf(heaviest)) heaviest = key
    return heaviest
  }

  /** Counts one more circuit, which `leave` gives back. */
  enter({ link, key }: CircuitSource): void {
    this.#circuits += 1
    this.#byNeighbour.set(key, this.circuitsOf(key) + 1)
    this.#byLink.set(link, (this.#byLink.get(link) ?? 0) + 1)
  }

  leave({ link, key }: CircuitSource): void {
    this.#circuits -= 1
    lower(this.#byNeighbour, key)
    lower(this.#byLink, link)
  }

  /** Counts cells that came over a link; how long (ms) to read nothing more of it. What little every link may send is not counted for its neighbour. */
  receivedMs({ link, key }: { readonly link: number; readonly key: string }, cells: number, now: Millis): number {
    const bytes = cells * cellSizes.cell
    return this.#lightReceived.take(String(link), now, bytes) ? 0 : this.#received.reserveMs(key, now, bytes)
  }

  /** How many cells may be sent over a link now, at most `max`. */
  sendable({ link, key }: { readonly link: number; readonly key: string }, max: number, now: Millis): number {
    const bytes = Math.max(this.#lightSent.available(String(link), now), this.#sent.available(key, now))
    return Math.min(max, Math.floor(bytes / cellSizes.cell))
  }

  /** Counts cells that were sent. */
  sent({ link, key }: { readonly link: number; readonly key: string }, cells: number, now: Millis): void {
    const bytes = cells * cellSizes.cell
    if (!this.#lightSent.take(String(link), now, bytes)) this.#sent.reserveMs(key, now, bytes)
  }
}

function lower<Key>(counts: Map<Key, number>, key: Key): void {
  const left = (counts.get(key) ?? 1) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
