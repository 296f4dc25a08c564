import { after, type Millis } from '../base/index.ts'

export const relayRecordDefaults = {
  /** Builds that are remembered of each relay. */
  window: 20,
  /** So long a relay is left out whose circuits fail too often; twice as long the next time, up to the maximum. */
  firstDropMs: 3_600_000,
  maxDropMs: 24 * 3_600_000,
  /** So long the relay is passed over at which a build ended a moment ago; longer each time in a row. */
  firstRestMs: 30_000,
  maxRestMs: 600_000,
  /** So often the relays before it are blamed for builds that end at one relay: one that is gone would drop all others. */
  blameEveryMs: 600_000,
  relays: 8_192
} as const

export type RelayRecordLimits = { readonly [Key in keyof typeof relayRecordDefaults]: number }

/** A relay through which fewer than half of the last builds came about. */
export interface DroppedRelay {
  readonly peerId: string
  readonly failed: number
  readonly builds: number
  readonly until: Millis
}

interface Entry {
  /** The last builds, the newest at the end: whether they came about. */
  readonly outcomes: readonly boolean[]
  readonly drops: number
  readonly droppedUntil: Millis | undefined
  readonly endsInARow: number
  readonly restsUntil: Millis | undefined
  /** When others were blamed last for a build that ended here. */
  readonly blamedAt: Millis | undefined
}

const fresh: Entry = { outcomes: [], drops: 0, droppedUntil: undefined, endsInARow: 0, restsUntil: undefined, blamedAt: undefined }

/**
 * What this node saw of relays: builds through each, and how fast each was. A relay that lets circuits fail, so that those remain which it and its
 * friends have both ends of, is told by that (Tor's path bias detection, proposal 209); one that is gone is passed over for a moment.
 */
export class RelayRecord {
  readonly #limits: RelayRecordLimits
  readonly #entries = new Map<string, Entry>()
  readonly #observed = new Map<string, number>()

  constructor(limits: Partial<RelayRecordLimits> = {}) {
    this.#limits = { ...relayRecordDefaults, ...limits }
  }

  /** Bytes a second that circuits through each relay reached at their busiest. */
  get observed(): ReadonlyMap<string, number> {
    return this.#observed
  }

  /** All relays of `path` were added. */
  built(path: readonly string[], now: Millis): void {
    for (const peerId of path) this.#note(peerId, true, now)
  }

  /**
   * The build of `path` ended at relay `hop` (1 is the guard), or, without it, anywhere: itself and the relays before it had their part, these once in ten
   * minutes for each relay that is not reached. Returns those that are dropped for it.
   */
  failed(path: readonly string[], hop: number | undefined, now: Millis): readonly DroppedRelay[] {
    const last = path[(hop ?? 0) - 1]
    if (last !== undefined) this.#rest(last, now)
    const isOld = last !== undefined && !this.#blame(last, now)
    return (isOld ? [last] : path.slice(0, hop ?? path.length)).flatMap((peerId) => this.#note(peerId, false, now) ?? [])
  }

  /** A circuit over `path` was busy all the time, and carried so much. */
  carried(path: readonly string[], bytesPerSecond: number): void {
    for (const peerId of path) {
      const before = this.#observed.get(peerId)
      this.#observed.delete(peerId)
      // Half of the way, so that one good or bad moment does not count for much.
      this.#observed.set(peerId, before === undefined ? bytesPerSecond : (before + bytesPerSecond) / 2)
    }
    trim(this.#observed, this.#limits.relays)
  }

  isDropped(peerId: string, now: Millis): boolean {
    return isBefore(now, this.#entries.get(peerId)?.droppedUntil)
  }

  /** Whether a build ended at this relay a moment ago: others are better. */
  isResting(peerId: string, now: Millis): boolean {
    return isBefore(now, this.#entries.get(peerId)?.restsUntil)
  }

  /** The relays that are left out now. */
  dropped(now: Millis): readonly DroppedRelay[] {
    return [...this.#entries].flatMap(([peerId, { outcomes, droppedUntil }]) =>
      droppedUntil !== undefined && isBefore(now, droppedUntil) ? [{ peerId, ...countOf(outcomes), until: droppedUntil }] : []
    )
  }

  #note(peerId: string, isBuilt: boolean, now: Millis): DroppedRelay | undefined {
    const known = this.#entries.get(peerId) ?? fresh
    // After it was left out a relay begins anew.
    const isOver = known.droppedUntil !== undefined && known.droppedUntil <= now
    const outcomes = [...(isOver ? [] : known.outcomes), isBuilt].slice(-this.#limits.window)
    const entry: Entry = {
      ...known,
      outcomes,
      droppedUntil: isOver ? undefined : known.droppedUntil,
      ...(isBuilt ? { endsInARow: 0, restsUntil: undefined } : {})
    }
    this.#put(peerId, entry)
    const { failed, builds } = countOf(outcomes)
    // As soon as fewer than half of a full window can be good.
    if (isBuilt || failed <= this.#limits.window / 2 || entry.droppedUntil !== undefined) return undefined
    const { firstDropMs, maxDropMs } = this.#limits
    const until = after(now, Math.min(maxDropMs, firstDropMs * 2 ** Math.min(entry.drops, 20)))
    this.#put(peerId, { ...entry, drops: entry.drops + 1, droppedUntil: until })
    return { peerId, failed, builds, until }
  }

  /** Whether others are blamed for what ended at this relay. */
  #blame(peerId: string, now: Millis): boolean {
    const entry = this.#entries.get(peerId) ?? fresh
    if (entry.blamedAt !== undefined && now < after(entry.blamedAt, this.#limits.blameEveryMs)) return false
    this.#put(peerId, { ...entry, blamedAt: now })
    return true
  }

  #rest(peerId: string, now: Millis): void {
    const entry = this.#entries.get(peerId) ?? fresh
    const { firstRestMs, maxRestMs } = this.#limits
    const restMs = Math.min(maxRestMs, firstRestMs * 2 ** Math.min(entry.endsInARow, 20))
    this.#put(peerId, { ...entry, endsInARow: entry.endsInARow + 1, restsUntil: after(now, restMs) })
  }

  /** Of too many the one goes of which nothing was heard for longest. */
  #put(peerId: string, entry: Entry): void {
    this.#entries.delete(peerId)
    this.#entries.set(peerId, entry)
    trim(this.#entries, this.#limits.relays)
  }
}

const isBefore = (now: Millis, until: Millis | undefined): boolean => until !== undefined && now < until

function countOf(outcomes: readonly boolean[]): { readonly failed: number; readonly builds: number } {
  return { failed: outcomes.filter((isBuilt) => !isBuilt).length, builds: outcomes.length }
}

function trim(map: Map<string, unknown>, max: number): void {
  for (const key of map.keys()) {
    if (map.size <= max) return
    map.delete(key)
  }
}
