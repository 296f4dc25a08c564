import { MeshError } from '../base/index.ts'
import type { ThreadMark } from './types.ts'

/** The bounds of the guard against loops of agents. */
export const loopLimits = {
  /** Messages of agents in one thread, sent and received together, with no person's among them. */
  automatic: 30,
  /** How often a matter is handed on without a person. */
  hops: 8,
  /** Messages whose place is remembered, and threads that are counted; those used longest ago are forgotten. */
  places: 20_000,
  threads: 10_000
} as const

/** Where a message stands in its thread. */
export type ThreadPlace = Pick<ThreadMark, 'root' | 'hop'>

/** What outlives a restart: places of messages (one that began its own thread needs none), and the counts of threads (0: forget it). */
export interface SavedThreads {
  readonly places: readonly (ThreadPlace & { readonly id: string })[]
  readonly counts: readonly { readonly root: string; readonly automatic: number }[]
}

/** A message that is about to be sent. */
export interface Sending {
  readonly id: string
  /** An agent sends it, with no person in between. */
  readonly automatic: boolean
  /** Sent also where the guard says no; the thread is counted anew. */
  readonly allow: boolean
  /** The place of the message because of which it is sent; undefined when there is none. */
  readonly cause: ThreadPlace | undefined
  /** Whether it goes to the sender of that message. */
  readonly isAnswer: boolean
}

/**
 * Ends conversations that only agents keep going. It counts the messages of agents in each thread, sent and received, until a person writes into it, and how often a
 * matter was handed on. It believes what senders say of themselves: it guards honest agents, and grants nothing. See docs/decisions/0027.
 */
export class LoopGuard {
  readonly #places: Map<string, ThreadPlace>
  readonly #counts: Map<string, number>
  #changedPlaces = new Map<string, ThreadPlace>()
  #changedCounts = new Set<string>()

  /** @param saved - what was used longest ago first */
  constructor(saved: SavedThreads = { places: [], counts: [] }) {
    this.#places = new Map(saved.places.map(({ id, root, hop }) => [id, { root, hop }]))
    this.#counts = new Map(saved.counts.map(({ root, automatic }) => [root, automatic]))
  }

  /** Where a message stands: one that nothing is known of began its thread. */
  placeOf(id: string): ThreadPlace {
    return this.#places.get(id) ?? { root: id, hop: 0 }
  }

  /** Messages of agents in a thread since a person wrote into it. */
  countOf(root: string): number {
    return this.#counts.get(root) ?? 0
  }

  /**
   * The mark of a message that is to be sent, which is counted from now on; undefined for a person's that begins a thread.
   * @throws {MeshError} LOOP_GUARD, HOP_LIMIT: then nothing was counted
   */
  enter(sending: Sending): ThreadMark | undefined {
    const { id, automatic, allow, cause } = sending
    const root = cause?.root ?? id
    if (allow || !automatic) this.#reset(root)
    if (!automatic && cause === undefined) return undefined
    const hop = automatic && !allow ? hopOf(sending) : 0
    if (hop > loopLimits.hops) throw new MeshError('HOP_LIMIT', { root, hops: loopLimits.hops })
    if (automatic) this.#count(root)
    this.#remember(id, { root, hop })
    return { root, hop, automatic }
  }

  /** Takes back what `enter` counted: the message was not sent after all. */
  takeBack({ root, automatic }: ThreadMark): void {
    if (automatic) this.#set(root, Math.max(0, this.countOf(root) - 1))
  }

  /** Counts a message that arrived. */
  arrived(id: string, mark: ThreadMark | undefined): void {
    const root = mark?.root ?? id
    if (mark !== undefined) this.#remember(id, { root, hop: mark.hop })
    if (mark?.automatic === true) this.#set(root, this.countOf(root) + 1)
    else this.#reset(root)
  }

  /** A message that says nothing of threads itself but answers one that is known here: it stands where that one stands. */
  follows(id: string, inReplyTo: string): void {
    const place = this.#places.get(inReplyTo) ?? (this.#counts.has(inReplyTo) ? { root: inReplyTo, hop: 0 } : undefined)
    if (place !== undefined) this.#remember(id, place)
  }

  /** Whether `takeChanges` has something. */
  get hasChanges(): boolean {
    return this.#changedPlaces.size > 0 || this.#changedCounts.size > 0
  }

  /** What changed since the last call, to be kept; undefined when nothing did. */
  takeChanges(): SavedThreads | undefined {
    if (!this.hasChanges) return undefined
    const places = [...this.#changedPlaces].map(([id, place]) => ({ id, ...place }))
    const counts = [...this.#changedCounts].map((root) => ({ root, automatic: this.countOf(root) }))
    this.#changedPlaces = new Map()
    this.#changedCounts = new Set()
    return { places, counts }
  }

  #count(root: string): void {
    const count = this.countOf(root)
    if (count >= loopLimits.automatic) throw new MeshError('LOOP_GUARD', { root, messages: count })
    this.#set(root, count + 1)
  }

  #reset(root: string): void {
    if (this.#counts.has(root)) this.#set(root, 0)
  }

  #set(root: string, automatic: number): void {
    this.#counts.delete(root)
    if (automatic > 0) this.#counts.set(root, automatic)
    this.#changedCounts.add(root)
    evict(this.#counts, loopLimits.threads)
  }

  /** The first that is said of an id stands: another peer may use the same. */
  #remember(id: string, place: ThreadPlace): void {
    if ((place.root === id && place.hop === 0) || this.#places.has(id)) return
    this.#places.set(id, place)
    this.#changedPlaces.set(id, place)
    evict(this.#places, loopLimits.places)
  }
}

/** An answer to whoever sent the cause hands nothing on. */
function hopOf({ cause, isAnswer }: Sending): number {
  if (cause === undefined) return 0
  return isAnswer ? cause.hop : cause.hop + 1
}

function evict(map: Map<string, unknown>, most: number): void {
  if (map.size <= most) return
  const { value } = map.keys().next()
  if (value !== undefined) map.delete(value)
}
