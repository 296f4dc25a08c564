import type { Clock } from '../core/base/index.ts'

/** The node's database, as far as it can be looked after. */
export interface UpkeepPort {
  /** SQLite's own check of everything; empty when all is well. Takes about a second for each GiB. */
  checkIntegrity(): Promise<readonly string[]>
  /** Compares every message with its seal; changes nothing. */
  checkSeals(): Promise<{ readonly messages: number; readonly damaged: number }>
  /** Copies the database as it is now into a new private file. @throws {MeshError} PATH_UNSAFE, DISK_FULL */
  snapshot(file: string): Promise<void>
}

/** How a peer's clock stands to ours, as far as its cards tell. */
export interface PeerClock {
  readonly peerId: string
  readonly name: string
  /** At least so many milliseconds ahead of ours; negative: behind. */
  readonly aheadMs: number
}

/** What a node knows about its clock and its store. */
export interface UpkeepReport {
  /** By how much the wall clock was set, forwards or backwards, since the start: its way less that of the monotonic clock, in milliseconds. */
  readonly clockStepMs: number
  /** Peers whose clock cannot be the same as ours: more than two minutes apart. */
  readonly clocks: readonly PeerClock[]
  /** Peers whose clocks could be compared. */
  readonly comparedClocks: number
  readonly inbox: { readonly messages: number; readonly bytes: number }
  readonly outbox: { readonly messages: number; readonly bytes: number }
  /** With `deep` only. */
  readonly store: { readonly problems: readonly string[]; readonly messages: number; readonly damaged: number } | undefined
}

/** What keeps a node healthy, and what shows whether it is. */
export interface Upkeep {
  /** Looks at clocks and boxes; `deep`: reads the whole store besides. */
  check(options?: { readonly deep?: boolean }): Promise<UpkeepReport>
  /** Copies everything that the node keeps into a new private file, for a backup. @throws {MeshError} PATH_UNSAFE, DISK_FULL, NOT_AVAILABLE for a node in memory */
  snapshot(file: string): Promise<void>
}

export interface UpkeepParts {
  readonly clock: Clock
  readonly port: UpkeepPort
  readonly inboxCounts: () => Promise<{ readonly unread: number; readonly held: number; readonly bytes: number }>
  readonly outboxCounts: () => { readonly queued: number; readonly bytes: number }
  readonly clocks: () => ReadonlyMap<string, number>
  readonly nameOf: (peerId: string) => string
}

/** Clocks this far apart cannot be called the same any more. */
const clockToleranceMs = 120_000
const shownClocks = 16

/** Looks after the store of a running node, and compares its clock. */
export class NodeUpkeep implements Upkeep {
  readonly #parts: UpkeepParts
  readonly #started: { readonly wall: number; readonly monotonic: number }

  constructor(parts: UpkeepParts) {
    this.#parts = parts
    this.#started = { wall: parts.clock.wall(), monotonic: parts.clock.monotonic() }
  }

  async check({ deep = false }: { readonly deep?: boolean } = {}): Promise<UpkeepReport> {
    const { port, inboxCounts, outboxCounts, clocks } = this.#parts
    const { unread, held, bytes } = await inboxCounts()
    const outbox = outboxCounts()
    return {
      clockStepMs: this.#clockStep(),
      clocks: this.#clocks(),
      comparedClocks: clocks().size,
      inbox: { messages: unread + held, bytes },
      outbox: { messages: outbox.queued, bytes: outbox.bytes },
      store: deep ? { problems: await port.checkIntegrity(), ...(await port.checkSeals()) } : undefined
    }
  }

  snapshot(file: string): Promise<void> {
    return this.#parts.port.snapshot(file)
  }

  #clockStep(): number {
    const { clock } = this.#parts
    return Math.round(clock.wall() - this.#started.wall - (clock.monotonic() - this.#started.monotonic))
  }

  #clocks(): readonly PeerClock[] {
    const { clocks, nameOf } = this.#parts
    return [...clocks()]
      .filter(([, aheadMs]) => Math.abs(aheadMs) > clockToleranceMs)
      .slice(0, shownClocks)
      .map(([peerId, aheadMs]) => ({ peerId, name: nameOf(peerId), aheadMs: Math.round(aheadMs) }))
  }
}
