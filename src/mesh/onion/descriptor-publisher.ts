import { type Clock, compareBytes, type Millis, type Random, randomFraction, toMeshError } from '../../core/base/index.ts'
import type { LogRecord } from '../mesh.ts'
import type { Timers } from '../ports.ts'
import type { Issued, OwnDescriptor } from './own-descriptor.ts'

export interface DescriptorPublisherOptions {
  readonly own: OwnDescriptor
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: (record: LogRecord) => void
  /** Gives our descriptor to neighbours; to how many. */
  readonly give: (issued: Issued) => Promise<number>
  /** Default 1,800,000 ms, a quarter more or less. */
  readonly everyMs?: number
}

const firstMs = [1_000, 5_000, 30_000] as const
const overtakeMs = 60_000

/** Publishes our descriptor: soon after the start, when the first peers are there, soon after it has changed, then now and then. */
export class DescriptorPublisher {
  readonly #options: DescriptorPublisherOptions
  #published: Uint8Array | undefined
  /** Since the start or the last change. */
  #times = 0
  #overtakenAt: Millis | undefined
  #isStopped = false
  #cancel: () => void = () => undefined

  constructor(options: DescriptorPublisherOptions) {
    this.#options = options
  }

  start(): void {
    this.#schedule()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  /** Publishes now; to how many neighbours it was given, 0 while there is none, and while this node is no member. */
  async publish(): Promise<number> {
    const { own, give } = this.#options
    const issued = own.issue()
    if (issued === undefined) return 0
    this.#published = issued.bytes
    return give(issued)
  }

  /** What it says may have changed: it is published soon if it has. */
  changed(): void {
    const issued = this.#options.own.issue()
    const isSame = issued !== undefined && this.#published !== undefined && compareBytes(issued.bytes, this.#published) === 0
    if (isSame || this.#isStopped) return
    this.#times = 0
    this.#schedule()
  }

  /** Somebody has a descriptor of ours with this number. Heeded seldom: two nodes with one key would go on for ever. */
  overtake(sequence: number): void {
    const { own, clock } = this.#options
    const now = clock.monotonic()
    if (this.#overtakenAt !== undefined && now - this.#overtakenAt < overtakeMs) return
    this.#overtakenAt = now
    own.overtake(sequence)
    this.changed()
  }

  #schedule(): void {
    const { timers, random, everyMs = 1_800_000 } = this.#options
    this.#cancel()
    const soon = firstMs[this.#times]
    this.#times += 1
    const delayMs = soon === undefined ? everyMs * (0.75 + randomFraction(random) / 2) : Math.min(soon, everyMs)
    this.#cancel = timers.schedule(delayMs, () => void this.#publishAndGoOn())
  }

  async #publishAndGoOn(): Promise<void> {
    try {
      // Nobody to give it to, or no address yet: again after some seconds.
      if ((await this.publish()) === 0) this.#times = Math.min(this.#times, 1)
    } catch (error) {
      const { code, message } = toMeshError(error)
      this.#options.log({ level: 'debug', event: 'onion.descriptor-not-published', fields: { code, reason: message } })
    }
    if (!this.#isStopped) this.#schedule()
  }
}
