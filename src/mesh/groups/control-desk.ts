import { isMeshError, type MeshError, toMeshError } from '../../core/base/index.ts'
import { decodeEnvelope, type InboxRow } from '../../core/message/index.ts'
import type { Delivery } from '../delivery.ts'
import type { Platform } from '../ports.ts'
import type { Tracker } from '../tracker.ts'
import type { ControlHandler } from './group-types.ts'

const rowsAtOnce = 100
const retryMs = 5_000

export interface ControlDeskOptions {
  readonly platform: Pick<Platform, 'deliveryStore' | 'timers'>
  readonly delivery: Pick<Delivery, 'ack'>
  readonly tracker: Tracker
  /** A message that was wrong, or of a kind that is not known here. */
  readonly onRefused: (source: Uint8Array, error: MeshError) => void
}

/** What holds a message up without being the message's fault: it is handled later. */
const passing: readonly string[] = ['SHUTTING_DOWN', 'STORE_FAILED', 'DISK_FULL', 'QUOTA']

/**
 * Handles this software's own words in the inbox, in the order of their arrival, and acknowledges each after what it changed was committed: a process that dies in between handles it
 * again, which changes nothing. Rows are read from the store, so that what an earlier process left, and what was held until its sender was paired, comes the same way.
 */
export class ControlDesk {
  readonly #options: ControlDeskOptions
  readonly #handlers = new Map<string, ControlHandler>()
  #isWorking = false
  #isAskedAgain = false
  #isStopped = false
  #cancelRetry: () => void = () => undefined

  constructor(options: ControlDeskOptions) {
    this.#options = options
  }

  /** Names who handles messages of a media type. */
  assign(contentType: string, handler: ControlHandler): void {
    this.#handlers.set(contentType, handler)
  }

  /** There may be something to handle. */
  poke(): void {
    if (this.#isStopped) return
    this.#isAskedAgain = true
    if (!this.#isWorking) this.#options.tracker.track("handling this software's own messages", this.#work())
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelRetry()
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    try {
      while (this.#isAskedAgain && !this.#isStopped) {
        this.#isAskedAgain = false
        if (await this.#handleSome()) this.#isAskedAgain = true
      }
    } catch (error) {
      if (!isMeshError(error, 'SHUTTING_DOWN')) this.#retryLater()
      throw error
    } finally {
      this.#isWorking = false
    }
  }

  #retryLater(): void {
    this.#cancelRetry()
    this.#cancelRetry = this.#options.platform.timers.schedule(retryMs, () => this.poke())
  }

  /** Whether there may be more. */
  async #handleSome(): Promise<boolean> {
    const { platform, delivery } = this.#options
    const rows = await platform.deliveryStore.listInbox({
      after: 0,
      limit: rowsAtOnce,
      types: undefined,
      source: undefined,
      states: ['unread'],
      handOut: false,
      control: true
    })
    const done: InboxRow[] = []
    try {
      for (const row of rows) {
        await this.#handleOne(row)
        done.push(row)
      }
    } finally {
      await delivery.ack(done)
    }
    return rows.length > 0
  }

  async #handleOne(row: InboxRow): Promise<void> {
    try {
      const envelope = decodeEnvelope(row.envelope)
      // What only a later version knows is acknowledged and forgotten: it must not wait here for ever.
      await this.#handlers.get(envelope.contentType)?.({ source: row.source, envelope })
    } catch (thrown) {
      const error = toMeshError(thrown)
      if (passing.includes(error.code)) throw error
      this.#options.onRefused(row.source, error)
    }
  }
}
