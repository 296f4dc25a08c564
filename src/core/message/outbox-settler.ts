import { after, type Millis } from '../base/index.ts'
import type { Entry } from './outbox-entry.ts'
import type { OutboxOutput } from './outbox-types.ts'
import type { OutboxChange } from './store-port.ts'

/** After the store was full, the changes are given again after so long. */
export const storeRetryMs = 1_000

export interface SettledChange {
  readonly entry: Entry
  readonly change: OutboxChange
}

/** Carries changes of state to the store: those of one input together, again after DISK_FULL, and always the newest of a message. */
export class Settler {
  readonly #dirty = new Set<Entry>()
  readonly #waiting = new Map<number, readonly SettledChange[]>()
  #blockedUntil: Millis | undefined

  /** The store could not take a change a moment ago. */
  isBlocked(now: Millis): boolean {
    return this.#blockedUntil !== undefined && this.#blockedUntil > now
  }

  get wakeAt(): Millis | undefined {
    return this.#blockedUntil
  }

  /** The entry's state as it is when the input was handled will be settled. */
  mark(entry: Entry): void {
    this.#dirty.add(entry)
  }

  isMarked(entry: Entry): boolean {
    return this.#dirty.has(entry)
  }

  block(now: Millis): void {
    this.#blockedUntil = after(now, storeRetryMs)
  }

  /** The output that settles what is marked, unless there is none or the store is blocked. */
  flush(token: number, now: Millis): Extract<OutboxOutput, { type: 'settle' }> | undefined {
    if (this.isBlocked(now)) return undefined
    this.#blockedUntil = undefined
    if (this.#dirty.size === 0) return undefined
    const changes: SettledChange[] = []
    for (const entry of this.#dirty) {
      entry.unsettled++
      changes.push({ entry, change: entry.change() })
    }
    this.#dirty.clear()
    this.#waiting.set(token, changes)
    return { type: 'settle', token, changes: changes.map(({ change }) => change) }
  }

  /** The changes of a settle that was answered, in their order. */
  take(token: number): readonly SettledChange[] {
    const changes = this.#waiting.get(token) ?? []
    this.#waiting.delete(token)
    for (const { entry } of changes) entry.unsettled--
    return changes
  }
}
