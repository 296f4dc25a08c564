import { decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { type Random, randomFraction, randomInteger, type WallMillis, wallMillis } from '../base/index.ts'
import { isSameNetwork, isSameOperator, type PathMember } from './path-member.ts'
import { retryDelayMs } from './retry-delay.ts'

/** A relay that is the first of circuits for weeks (Tor guard-spec): whoever watches many of them sees this node only if one of few is his. */
export interface Guard {
  readonly peerId: string
  readonly sampledAt: WallMillis
  /** When another takes its place. */
  readonly expiresAt: WallMillis
  /** Since when it has not been in the directory. */
  readonly unlistedSince: WallMillis | undefined
  /** Since when it has not been reached, though this node was online. */
  readonly failingSince: WallMillis | undefined
}

export const guardDefaults = {
  sample: 3,
  lifetimeMs: 60 * 86_400_000,
  /** The lifetime is longer or shorter by up to this. */
  lifetimeSpreadMs: 12 * 86_400_000,
  unlistedMs: 20 * 86_400_000,
  /** While all are failing, one more is taken after this, and no sooner after any other. */
  noMoreMs: 86_400_000,
  firstRetryMs: 15_000,
  maxRetryMs: 600_000,
  /** Among them those that are failing or unlisted; the oldest of these goes for another one. */
  kept: 16
} as const

export type GuardLimits = { readonly [Key in keyof typeof guardDefaults]: number }

/** From whom guards are taken. */
export interface GuardCandidates {
  /** Eligible relays, without regard to a destination. */
  readonly relays: readonly PathMember[]
  /** Peer ids of all relays whose descriptor holds. */
  readonly listed: ReadonlySet<string>
  /** Peer ids of trusted relays: they are sampled before others. */
  readonly trust: ReadonlySet<string>
}

interface Entry extends Guard {
  /** In a row, since the node started. */
  readonly failures: number
  readonly retryAt: WallMillis
}

const savedVersion = 1
const what = 'guards'
const maxBytes = 4_096
const peerIdPattern = /^[1-9A-HJ-NP-Za-km-z]{40,60}$/

/**
 * The guards of this node: three sampled, the first that works in use. One is replaced after 60 ± 12 days or 20 days out of the directory, never because
 * it fails: when all fail, nothing is built, and after a day one more is sampled behind them. Ask it for guards once the directory is synchronised only.
 */
export class Guards {
  readonly #random: Random
  readonly #limits: GuardLimits
  #entries: readonly Entry[] = []
  /** Times of the last samplings, as many as are sampled at first. */
  #sampledAt: readonly WallMillis[] = []
  #isChanged = false

  /** @param options - `saved`: what `encode` gave. @throws {MeshError} MESSAGE_MALFORMED when it is something else */
  constructor(options: { readonly random: Random; readonly saved?: Uint8Array | undefined; readonly limits?: Partial<GuardLimits> }) {
    this.#random = options.random
    this.#limits = { ...guardDefaults, ...options.limits }
    if (options.saved === undefined) return
    const { guards, sampledAt } = decodeGuards(options.saved)
    this.#entries = guards.map((guard) => ({ ...guard, failures: 0, retryAt: wallMillis(0) }))
    this.#sampledAt = sampledAt
  }

  /** In the order in which they are used. */
  get all(): readonly Guard[] {
    return this.#entries
  }

  /** Whether `encode` would give something else than at the last call. */
  get isChanged(): boolean {
    return this.#isChanged
  }

  /** To be saved. */
  encode(): Uint8Array {
    this.#isChanged = false
    return encodeCbor([
      savedVersion,
      this.#entries.map((guard) => [guard.peerId, guard.sampledAt, guard.expiresAt, guard.unlistedSince ?? 0, guard.failingSince ?? 0]),
      [...this.#sampledAt]
    ])
  }

  /** The guards that may be used now, the preferred one first; none when all fail. Samples where some are missing. */
  usable(candidates: GuardCandidates, now: WallMillis): readonly PathMember[] {
    this.#renew(candidates.listed, now)
    this.#fill(candidates, now)
    const byId = new Map(candidates.relays.map((relay) => [relay.peerId, relay]))
    return this.#entries.flatMap((entry) => {
      const relay = byId.get(entry.peerId)
      return relay === undefined || isResting(entry, now, this.#limits) ? [] : [relay]
    })
  }

  /** The guard was reached. */
  reached(peerId: string): void {
    this.#set(peerId, (entry) => ({ ...entry, failures: 0, failingSince: undefined, retryAt: wallMillis(0) }))
  }

  /** The guard was not reached. `isOnline`: somebody else is, so that it is the guard's fault. */
  failed(peerId: string, now: WallMillis, isOnline: boolean): void {
    if (!isOnline) return
    const { firstRetryMs: firstMs, maxRetryMs: maxMs } = this.#limits
    this.#set(peerId, (entry) => {
      const delayMs = retryDelayMs(this.#random, entry.failures, { firstMs, maxMs })
      return { ...entry, failures: entry.failures + 1, failingSince: entry.failingSince ?? now, retryAt: wallMillis(now + delayMs) }
    })
  }

  /** The guard says something new of itself: it was started again, or has moved. It is tried again at once; that it fails is known until it is reached. */
  changed(peerId: string): void {
    this.#set(peerId, (entry) => ({ ...entry, failures: 0, retryAt: wallMillis(0) }))
  }

  /** When one more guard is taken if none of these comes back; undefined while one is neither failing nor unlisted. */
  nextSampleAt(now: WallMillis): WallMillis | undefined {
    if (this.#entries.length < this.#limits.sample || this.#entries.some((entry) => awaySince(entry) === undefined)) return undefined
    const since = this.#entries.map((entry) => awaySince(entry) ?? now)
    return wallMillis(Math.max(...since, ...this.#sampledAt) + this.#limits.noMoreMs)
  }

  #set(peerId: string, change: (entry: Entry) => Entry): void {
    this.#replace(this.#entries.map((entry) => (entry.peerId === peerId ? change(entry) : entry)))
  }

  #replace(entries: readonly Entry[]): void {
    const isSame = entries.length === this.#entries.length && entries.every((entry, index) => isSameSaved(entry, this.#entries[index]))
    this.#isChanged ||= !isSame
    this.#entries = entries
  }

  /** Notes who is listed, and lets go of those whose time is over. */
  #renew(listed: ReadonlySet<string>, now: WallMillis): void {
    const noted = this.#entries.map((entry) => ({ ...entry, unlistedSince: listed.has(entry.peerId) ? undefined : (entry.unlistedSince ?? now) }))
    this.#replace(
      noted.filter(
        ({ expiresAt, unlistedSince }) => expiresAt > now && (unlistedSince === undefined || now - unlistedSince < this.#limits.unlistedMs)
      )
    )
  }

  #fill(candidates: GuardCandidates, now: WallMillis): void {
    while (this.#maySample(now)) {
      const relay = this.#draw(candidates)
      if (relay === undefined) return
      const { lifetimeMs, lifetimeSpreadMs, sample, kept } = this.#limits
      const lifeMs = lifetimeMs - lifetimeSpreadMs + Math.floor(randomFraction(this.#random) * 2 * lifetimeSpreadMs)
      const entry: Entry = {
        peerId: relay.peerId,
        sampledAt: now,
        expiresAt: wallMillis(now + lifeMs),
        unlistedSince: undefined,
        failingSince: undefined,
        failures: 0,
        retryAt: wallMillis(0)
      }
      this.#sampledAt = [...this.#sampledAt, now].slice(-sample)
      this.#replace([...this.#entries, entry].slice(-kept))
    }
  }

  /** At first three; never a fourth within a day, whatever the reason. */
  #maySample(now: WallMillis): boolean {
    const { sample, noMoreMs } = this.#limits
    const [oldest] = this.#sampledAt
    const isSpent = this.#sampledAt.length >= sample && oldest !== undefined && now - oldest < noMoreMs && now >= oldest
    if (isSpent) return false
    if (this.#entries.length < sample) return true
    const at = this.nextSampleAt(now)
    return at !== undefined && now >= at
  }

  /** A trusted relay if there is one, and of another network and operator than the other guards if there is one. */
  #draw({ relays, trust }: GuardCandidates): PathMember | undefined {
    const taken = new Set(this.#entries.map(({ peerId }) => peerId))
    const free = relays.filter(({ peerId }) => !taken.has(peerId))
    const others = relays.filter(({ peerId }) => taken.has(peerId))
    const trusted = free.filter(({ peerId }) => trust.has(peerId))
    const pool = trusted.length > 0 ? trusted : free
    const apart = pool.filter((relay) => !others.some((other) => isSameNetwork(relay, other) || isSameOperator(relay, other)))
    const choice = apart.length > 0 ? apart : pool
    return choice.length === 0 ? undefined : choice[randomInteger(this.#random, choice.length)]
  }
}

const awaySince = ({ failingSince, unlistedSince }: Guard): WallMillis | undefined => failingSince ?? unlistedSince

/** A wall clock that was set back must not keep a guard away. */
const isResting = ({ retryAt }: Entry, now: WallMillis, { maxRetryMs }: GuardLimits): boolean => retryAt > now && retryAt - now <= maxRetryMs

const isSameSaved = (a: Entry, b: Entry | undefined): boolean =>
  a.peerId === b?.peerId && a.unlistedSince === b.unlistedSince && a.failingSince === b.failingSince

interface Saved {
  readonly guards: readonly Guard[]
  readonly sampledAt: readonly WallMillis[]
}

/** @throws {MeshError} MESSAGE_MALFORMED */
function decodeGuards(bytes: Uint8Array): Saved {
  const fields = listOf(decodeCbor(bytes, { what, maxBytes, maxItems: 256, maxDepth: 3 }))
  if (fields.length !== 3 || fields[0] !== savedVersion) throw malformedCbor(what, 'not an array of 3, or of another version')
  const guards = listOf(fields[1]).map(decodeGuard)
  if (new Set(guards.map(({ peerId }) => peerId)).size !== guards.length) throw malformedCbor(what, 'one is named twice')
  return { guards, sampledAt: listOf(fields[2]).map(timeOf) }
}

function decodeGuard(value: unknown): Guard {
  const [peerId, sampledAt, expiresAt, unlisted, failing, ...more] = listOf(value)
  if (typeof peerId !== 'string' || !peerIdPattern.test(peerId) || more.length > 0) throw malformedCbor(what, 'a guard has no peer id')
  return {
    peerId,
    sampledAt: timeOf(sampledAt),
    expiresAt: timeOf(expiresAt),
    unlistedSince: unlisted === 0 ? undefined : timeOf(unlisted),
    failingSince: failing === 0 ? undefined : timeOf(failing)
  }
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value) || value.length > guardDefaults.kept) throw malformedCbor(what, 'not a list, or too long a one')
  return value
}

function timeOf(value: unknown): WallMillis {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformedCbor(what, 'a time is out of range')
  return wallMillis(value)
}
