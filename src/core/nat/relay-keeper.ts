import { after, earliest, type Machine, type Millis, millis, type Random, randomFraction } from '../base/index.ts'

/** A relay that may be asked for a place. */
export interface RelayCandidate {
  readonly peerId: string
  /** Lower ones are asked first. */
  readonly rank: number
  /** Whether a place is kept there whatever the others do. */
  readonly isPinned: boolean
}

export type RelayKeeperInput =
  /** Every relay that may be asked, from now on. */
  | { readonly type: 'candidates'; readonly candidates: readonly RelayCandidate[] }
  | { readonly type: 'reserved'; readonly peerId: string }
  /** `isRefused`: it answered, and gives no place. */
  | { readonly type: 'failed'; readonly peerId: string; readonly isRefused: boolean }
  | { readonly type: 'lost'; readonly peerId: string }
  /** Something changed about the relay: it is connected, or paired. It is asked again now. */
  | { readonly type: 'hint'; readonly peerId: string }
  | { readonly type: 'wake' }

export type RelayKeeperOutput = { readonly type: 'ask' | 'release'; readonly peerId: string }

export const relayKeeperDefaults = {
  /** Places that are kept. */
  wanted: 2,
  firstDelayMs: 1_000,
  maxDelayMs: 60_000,
  /** After a refusal. */
  firstRefusedMs: 30_000,
  maxRefusedMs: 600_000,
  /** A relay that has not answered for so long holds up no other. */
  patienceMs: 750,
  /** An attempt of which nothing was heard for so long is taken for failed. */
  askTimeoutMs: 15_000,
  maxCandidates: 64
} as const

export type RelayKeeperLimits = { readonly [Key in keyof typeof relayKeeperDefaults]: number }

type Place =
  | { readonly state: 'waiting'; readonly at: Millis }
  | { readonly state: 'asking'; readonly since: Millis }
  | { readonly state: 'reserved' }

interface Relay extends RelayCandidate {
  readonly place: Place
  /** In a row. */
  readonly failures: number
  /** No candidate any more: what it has stays until it is lost. */
  readonly isGone: boolean
}

/** Keeps places at two relays: chooses, asks, goes on to the next one when a relay dies or refuses, and comes back after capped, jittered, doubling delays. */
export class RelayKeeperMachine implements Machine<RelayKeeperInput, RelayKeeperOutput> {
  readonly #random: Random
  readonly #limits: RelayKeeperLimits
  readonly #relays = new Map<string, Relay>()
  #now: Millis = millis(0)

  constructor(options: { readonly random: Random; readonly limits?: Partial<RelayKeeperLimits> }) {
    this.#random = options.random
    this.#limits = { ...relayKeeperDefaults, ...options.limits }
  }

  /** The relays at which there is a place. */
  get reserved(): readonly string[] {
    return [...this.#relays.values()].flatMap(({ peerId, place }) => (place.state === 'reserved' ? [peerId] : []))
  }

  get wakeAt(): Millis | undefined {
    const { patienceMs, askTimeoutMs } = this.#limits
    const isSatisfied = this.#missing(undefined) <= 0
    return earliest(
      ...[...this.#relays.values()]
        .flatMap(({ place, isPinned }) => {
          if (place.state === 'waiting') return isSatisfied && !isPinned ? [] : [place.at]
          return place.state === 'asking' ? [after(place.since, patienceMs), after(place.since, askTimeoutMs)] : []
        })
        // What was due already waits for an answer, not for the time.
        .filter((at) => at > this.#now)
    )
  }

  handle(input: RelayKeeperInput, now: Millis): readonly RelayKeeperOutput[] {
    this.#now = now
    const released = this.#take(input, now)
    for (const relay of this.#relays.values())
      if (relay.place.state === 'asking' && after(relay.place.since, this.#limits.askTimeoutMs) <= now) this.#fail(relay, now)
    return [...released, ...this.#askDue(now)]
  }

  #take(input: RelayKeeperInput, now: Millis): readonly RelayKeeperOutput[] {
    if (input.type === 'wake') return []
    if (input.type === 'candidates') return this.#replace(input.candidates, now)
    const relay = this.#relays.get(input.peerId)
    if (relay === undefined) return input.type === 'reserved' ? [{ type: 'release', peerId: input.peerId }] : []
    switch (input.type) {
      case 'reserved':
        return this.#reserved(relay, now)
      case 'failed':
        if (relay.place.state === 'asking') this.#fail(relay, now, input.isRefused)
        return []
      case 'lost':
        if (relay.place.state === 'reserved') this.#fail(relay, now)
        return []
      case 'hint':
        if (relay.place.state === 'waiting') this.#relays.set(relay.peerId, { ...relay, place: { state: 'waiting', at: now } })
        return []
      default:
        input satisfies never
        return []
    }
  }

  #replace(candidates: readonly RelayCandidate[], now: Millis): readonly RelayKeeperOutput[] {
    const ids = new Set(candidates.map(({ peerId }) => peerId))
    for (const relay of this.#relays.values()) {
      if (ids.has(relay.peerId)) continue
      if (relay.place.state === 'waiting') this.#relays.delete(relay.peerId)
      else this.#relays.set(relay.peerId, { ...relay, isPinned: false, isGone: true })
    }
    for (const candidate of candidates.slice(0, this.#limits.maxCandidates)) {
      const known = this.#relays.get(candidate.peerId)
      const { place, failures } = known ?? { place: { state: 'waiting', at: now } as const, failures: 0 }
      this.#relays.set(candidate.peerId, { ...candidate, place, failures, isGone: false })
    }
    return []
  }

  /** One place too many, since a slow relay answered in the end, is given back. */
  #reserved(relay: Relay, now: Millis): readonly RelayKeeperOutput[] {
    if (relay.place.state === 'reserved') return []
    if (!relay.isPinned && this.reserved.length >= this.#limits.wanted) {
      this.#relays.set(relay.peerId, { ...relay, failures: 0, place: { state: 'waiting', at: now } })
      return [{ type: 'release', peerId: relay.peerId }]
    }
    this.#relays.set(relay.peerId, { ...relay, failures: 0, place: { state: 'reserved' } })
    return []
  }

  #fail(relay: Relay, now: Millis, isRefused = false): void {
    if (relay.isGone) {
      this.#relays.delete(relay.peerId)
      return
    }
    const { firstDelayMs, maxDelayMs, firstRefusedMs, maxRefusedMs } = this.#limits
    const [first, max] = isRefused ? [firstRefusedMs, maxRefusedMs] : [firstDelayMs, maxDelayMs]
    const ceiling = Math.min(max, first * 2 ** Math.min(relay.failures, 20))
    // Between half of the delay and all of it, so that those who lost one relay do not come to the next in step.
    const at = after(now, Math.ceil(ceiling * (0.5 + randomFraction(this.#random) / 2)))
    this.#relays.set(relay.peerId, { ...relay, failures: relay.failures + 1, place: { state: 'waiting', at } })
  }

  #askDue(now: Millis): readonly RelayKeeperOutput[] {
    let missing = this.#missing(now)
    const due = [...this.#relays.values()].filter(({ place, isGone }) => !isGone && place.state === 'waiting' && place.at <= now)
    const outputs: RelayKeeperOutput[] = []
    for (const relay of due.sort(byPreference)) {
      if (missing <= 0 && !relay.isPinned) continue
      missing -= 1
      this.#relays.set(relay.peerId, { ...relay, place: { state: 'asking', since: now } })
      outputs.push({ type: 'ask', peerId: relay.peerId })
    }
    return outputs
  }

  /** How many more relays to ask at `now`; without it, how many places are missing. */
  #missing(now: Millis | undefined): number {
    const { wanted, patienceMs } = this.#limits
    const counts = [...this.#relays.values()].filter(
      ({ place }) => place.state === 'reserved' || (now !== undefined && place.state === 'asking' && now - place.since < patienceMs)
    )
    return wanted - counts.length
  }
}

const byPreference = (a: Relay, b: Relay): number => Number(b.isPinned) - Number(a.isPinned) || a.failures - b.failures || a.rank - b.rank
