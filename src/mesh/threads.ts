import { MeshError } from '../core/base/index.ts'
import { decodeEnvelope, LoopGuard, type SavedThreads, type ThreadMark, type ThreadPlace } from '../core/message/index.ts'
import type { LogRecord } from './mesh.ts'
import type { Platform, ThreadStore, Timers } from './ports.ts'
import type { Tracker } from './tracker.ts'

/** What changed is stored after so long, together: a crash may lose the counts of that time. */
const keepWithinMs = 50

export interface ThreadsOptions {
  readonly platform: {
    readonly deliveryStore: Pick<Platform['deliveryStore'], 'getInbox'>
    readonly threadStore: ThreadStore
    readonly timers: Timers
  }
  /** What an earlier process left. */
  readonly saved: SavedThreads
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** A message of an agent was not sent. */
  readonly onRefused: (code: 'LOOP_GUARD' | 'HOP_LIMIT') => void
}

/** The message because of which another one is sent. */
export interface Cause {
  readonly place: ThreadPlace
  /** Whether it came from whoever the other one goes to. */
  readonly isAnswer: boolean
}

/** A message that is about to be sent, as far as the guard against loops must know it. */
export interface ThreadRequest {
  readonly id: string
  readonly automatic: boolean
  readonly allow: boolean
  readonly cause: Cause | undefined
}

/** Keeps the guard against loops: asks it before a message is sent, tells it of what arrives, and stores what it remembers. */
export class Threads {
  readonly #options: ThreadsOptions
  readonly #guard: LoopGuard
  #isScheduled = false

  constructor(options: ThreadsOptions) {
    this.#options = options
    this.#guard = new LoopGuard(options.saved)
  }

  /** Where the message with this id stands, for one that is sent to `destination`: as it said itself when it is in the inbox, else as it is remembered. */
  async causeOf(id: string, destination: Uint8Array): Promise<Cause> {
    const { deliveryStore } = this.#options.platform
    const own = await deliveryStore.getInbox(id, destination)
    const [row] = own.length > 0 ? own : await deliveryStore.getInbox(id, undefined)
    const thread = row === undefined || row.envelope.length === 0 ? undefined : decodeEnvelope(row.envelope).thread
    return { place: thread ?? this.#guard.placeOf(id), isAnswer: own.length > 0 }
  }

  /** As `causeOf`, of a message that is answered and at hand. What says nothing of a thread, or was read since, stands where it is remembered. */
  answerTo({ id, thread }: { readonly id: string; readonly thread: ThreadMark }): Cause {
    return { place: thread.root === id ? this.#guard.placeOf(id) : thread, isAnswer: true }
  }

  /** As `causeOf`, of a volatile message: what is remembered of it alone. */
  volatileCauseOf(id: string): Cause {
    return { place: this.#guard.placeOf(id), isAnswer: true }
  }

  /** The mark for a message that is sent now, which counts from here on: once for a message to a group. @throws {MeshError} LOOP_GUARD, HOP_LIMIT */
  enter({ id, automatic, allow, cause }: ThreadRequest): ThreadMark | undefined {
    if (!automatic && cause === undefined) return undefined
    try {
      const mark = this.#guard.enter({ id, automatic, allow, cause: cause?.place, isAnswer: cause?.isAnswer === true })
      this.#keep()
      return mark
    } catch (error) {
      if (error instanceof MeshError && (error.code === 'LOOP_GUARD' || error.code === 'HOP_LIMIT'))
        this.#refused(error.code, cause?.place.root ?? id)
      throw error
    }
  }

  /** The message was not sent after all, or had been before. */
  takeBack(mark: ThreadMark | undefined): void {
    if (mark === undefined) return
    this.#guard.takeBack(mark)
    this.#keep()
  }

  /** A durable message is in the inbox, or was released to it. */
  arrived(messages: readonly { readonly id: string; readonly thread?: ThreadMark | undefined }[]): void {
    for (const { id, thread } of messages) this.#guard.arrived(id, thread)
    this.#keep()
  }

  /** A volatile message says nothing of its thread; what it answers does. */
  arrivedVolatile(id: string, inReplyTo: string): void {
    this.#guard.follows(id, inReplyTo)
  }

  /** Stores what waits to be stored: to be called before the node stops. */
  flush(): void {
    this.#isScheduled = false
    const changes = this.#guard.takeChanges()
    if (changes !== undefined) this.#options.tracker.track('saving what threads count', this.#options.platform.threadStore.save(changes))
  }

  /** Answers come by the thousand: a commit of its own for each would take half of what the disk can do. */
  #keep(): void {
    if (this.#isScheduled || !this.#guard.hasChanges) return
    this.#isScheduled = true
    this.#options.platform.timers.schedule(keepWithinMs, () => this.flush())
  }

  #refused(code: 'LOOP_GUARD' | 'HOP_LIMIT', root: string): void {
    this.#options.onRefused(code)
    this.#options.log({ level: 'warn', event: code, fields: { root } })
  }
}
