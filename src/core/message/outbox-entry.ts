import type { Millis } from '../base/index.ts'
import type { Destination } from './outbox-destination.ts'
import type { Flight, Lane } from './outbox-lane.ts'
import type { OutboxChange, OutboxEntry, OutboxRow } from './store-port.ts'
import type { OutboxState, RefusalCode } from './types.ts'

/** What the machine is doing with a message. `ended` is for good, also while its last change waits for the commit. */
export type EntryStage = 'enqueuing' | 'parked' | 'ready' | 'preparing' | 'flying' | 'ended'

/** What is known of a message when the machine begins to care for it. */
export interface EntrySeed {
  readonly row: Omit<OutboxRow, 'envelope'> & { readonly bytes: number }
  /** Where it waits: its destination and its route, for good. */
  readonly lane: Lane
  /** When it expires, on this process's monotonic clock. */
  readonly deadline: Millis
}

/** One message whose sending has not ended (or whose end is being committed). Mutable: it belongs to one OutboxMachine. */
export class Entry {
  readonly row: EntrySeed['row']
  readonly lane: Lane
  readonly deadline: Millis
  readonly sequence: number
  readonly priority: number
  readonly bytes: number
  stage: EntryStage = 'enqueuing'
  /** What people are told. */
  state: OutboxState
  /** What the store holds; 'sent' before a transmission can begin. */
  committed: OutboxState
  /** What the store shall hold. */
  wanted: OutboxState
  failure: string
  path: string
  attempts: number
  settledMs: number
  /** How long it waits for a receipt of what went to a whole group at once; 0 for every other message. */
  parkMs = 0
  /** Whether bytes of it may have left this machine, now or in an earlier process. */
  isSent: boolean
  /** The retryable refusal that answered its last transmission. */
  lastRefusal: RefusalCode | undefined
  envelope: Uint8Array | undefined
  /** SHA-256 of the envelope, known once it was sent by this process. */
  envelopeDigest: Uint8Array | undefined
  flight: Flight | undefined
  /** Changes given to the store and not answered. */
  unsettled = 0
  cancelCall: number | undefined
  /** Whether the machine's tables hold it; not so for an upgrade of a message that ended before. */
  isTracked = false
  /** The submits that wait for the commit: the first one, and repeats of it. */
  readonly calls: number[] = []

  constructor(seed: EntrySeed) {
    const { row } = seed
    this.row = row
    this.lane = seed.lane
    this.deadline = seed.deadline
    this.sequence = row.sequence
    this.priority = row.priority
    this.bytes = row.bytes
    this.state = row.state
    this.committed = row.state
    this.wanted = row.state
    this.failure = row.failure
    this.path = row.path
    this.attempts = row.attempts
    this.settledMs = row.settledMs
    this.isSent = row.state === 'sent'
  }

  get id(): string {
    return this.row.id
  }

  get destination(): Destination {
    return this.lane.destination
  }

  /** When it was accepted, on this process's clock: consistent with the deadline. */
  get acceptedAt(): number {
    return this.deadline - this.row.ttlMs
  }

  /** What must be added to the monotonic clock to continue the wall clock that gave the timestamp. */
  get clockOffset(): number {
    return this.row.accepted.wall - this.acceptedAt
  }

  /** The change that brings the store up to date. */
  change(): OutboxChange {
    return { id: this.id, state: this.wanted, attempts: this.attempts, path: this.path, failure: this.failure, settledMs: this.settledMs }
  }

  /** What people are told of it now. */
  snapshot(): OutboxEntry {
    const { state, attempts, path, failure, settledMs } = this
    return { ...this.row, state, attempts, path, failure, settledMs }
  }

  /** What people are told once `change` is committed. */
  after(change: OutboxChange): OutboxEntry {
    const { state, attempts, path, failure, settledMs } = change
    return { ...this.row, state, attempts, path, failure, settledMs }
  }
}

/** Whether the sending has ended in this state. */
export const isEnd = (state: OutboxState): boolean => state !== 'accepted' && state !== 'sent'

/** Which receipts still change a message whose sending has ended. */
export function canUpgrade(from: OutboxState, to: OutboxState): boolean {
  return (from === 'stored' && to === 'read') || (from === 'held' && (to === 'stored' || to === 'read'))
}
