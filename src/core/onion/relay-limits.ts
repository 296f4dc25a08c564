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

/** What a bucket of bytes holds at least: the cells of one frame. */
const minBurstBytes = 262_144

/** What neighbours may take of a relay: rule O4, relays by their identities, all others by address prefix. */
export class RelayLimits {
  readonly #values: RelayLimitValues
  readonly #clientCreates: RateBuckets
  readonly #relayCreates: RateBuckets
  readonly #received: RateBuckets
  readonly #sent: RateBuckets
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

  /** Counts one more circuit, when there is room for it. Every `true` is given back with `leave`. */
  enter({ link, kind, key }: CircuitSource): boolean {
    const ofNeighbour = this.#byNeighbour.get(key) ?? 0
    const ofLink = this.#byLink.get(link) ?? 0
    const { maxCircuits, clientLinkCircuits } = this.#values
    if (this.#circuits >= maxCircuits || ofNeighbour >= Math.max(1, Math.floor(maxCircuits / 4))) return false
    if (kind === 'client' && ofLink >= clientLinkCircuits) return false
    this.#circuits += 1
    this.#byNeighbour.set(key, ofNeighbour + 1)
    this.#byLink.set(link, ofLink + 1)
    return true
  }

  leave({ link, key }: CircuitSource): void {
    this.#circuits -= 1
    lower(this.#byNeighbour, key)
    lower(this.#byLink, link)
  }

  /** Counts cells of a neighbour; how long (ms) to read nothing more of it. */
  receivedMs(key: string, cells: number, now: Millis): number {
    return this.#received.reserveMs(key, now, cells * cellSizes.cell)
  }

  /** How many cells may be sent to a neighbour now, at most `max`. */
  sendable(key: string, max: number, now: Millis): number {
    return Math.min(max, Math.floor(this.#sent.available(key, now) / cellSizes.cell))
  }

  /** Counts cells that were sent. */
  sent(key: string, cells: number, now: Millis): void {
    this.#sent.reserveMs(key, now, cells * cellSizes.cell)
  }
}

function lower<Key>(counts: Map<Key, number>, key: Key): void {
  const left = (counts.get(key) ?? 1) - 1
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
