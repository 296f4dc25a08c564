import { MeshError } from '../core/base/index.ts'
import type {
  AckOutcome,
  AdmissionLimits,
  AdmitOutcome,
  DeliveryStore,
  DestinationRetry,
  EnqueueOutcome,
  InboundMessage,
  InboxFilter,
  InboxRow,
  OutboxChange,
  OutboxEntry,
  OutboxRecovery,
  OutboxRow,
  OutboxState
} from '../core/message/index.ts'
import { MemoryInbox } from './memory-inbox.ts'
import { MemoryOutbox } from './memory-outbox.ts'
import type { Simulator } from './simulator.ts'

interface Work {
  readonly run: () => void
  readonly fail: (error: MeshError) => void
}

/** The disk of a simulated node: it outlives the node's crashes. */
export class MemoryDisk {
  readonly outbox: MemoryOutbox
  readonly inbox = new MemoryInbox()
  /** While true every commit fails with DISK_FULL and changes nothing. */
  isFull = false

  constructor(epoch: Uint8Array) {
    this.outbox = new MemoryOutbox(epoch)
  }
}

/**
 * A DeliveryStore on a MemoryDisk, for one life of a simulated node. Changes wait for a commit that comes after a delay, together with
 * all others that wait; a crash loses what has not been committed, and the answers to what has.
 */
export class MemoryDeliveryStore implements DeliveryStore {
  readonly #simulator: Simulator
  readonly #disk: MemoryDisk
  readonly #maxCommitMs: number
  #waiting: Work[] = []
  #isCommitting = false
  #isDead = false
  #answersAt = 0
  #failure: { readonly isApplied: boolean } | undefined

  /** @param options - `maxCommitMs`: a commit takes 1 ms to this. */
  constructor(simulator: Simulator, disk: MemoryDisk, options: { readonly maxCommitMs: number }) {
    this.#simulator = simulator
    this.#disk = disk
    this.#maxCommitMs = options.maxCommitMs
  }

  /** The process is gone: nothing is committed or answered any more. */
  crash(): void {
    this.#isDead = true
  }

  /** The next commit reports STORE_FAILED; whether it reached the disk is not known to the caller. */
  failNextCommit(isApplied: boolean): void {
    this.#failure = { isApplied }
  }

  recoverOutbox(): Promise<OutboxRecovery> {
    return Promise.resolve(this.#disk.outbox.recover())
  }

  enqueue(row: OutboxRow): Promise<EnqueueOutcome> {
    return this.#change(() => this.#disk.outbox.enqueue(row))
  }

  loadOutbox(ids: readonly string[]): Promise<readonly OutboxRow[]> {
    return this.#read(() => this.#disk.outbox.load(ids))
  }

  listOutbox(filter: {
    readonly states: readonly OutboxState[] | undefined
    readonly destination: Uint8Array | undefined
    readonly groupMessage?: string | undefined
    readonly limit: number
  }): Promise<readonly OutboxEntry[]> {
    return this.#read(() => this.#disk.outbox.list(filter))
  }

  settle(changes: readonly OutboxChange[]): Promise<void> {
    return this.#change(() => this.#disk.outbox.settle(changes))
  }

  saveRetry(retry: DestinationRetry): Promise<void> {
    return this.#change(() => this.#disk.outbox.saveRetry(retry))
  }

  admit(messages: readonly InboundMessage[], floor: number, limits: AdmissionLimits): Promise<readonly AdmitOutcome[]> {
    return this.#change(() => this.#disk.inbox.admit(messages, floor, limits))
  }

  listInbox(filter: InboxFilter): Promise<readonly InboxRow[]> {
    const list = (): readonly InboxRow[] => this.#disk.inbox.list(filter)
    return filter.handOut ? this.#change(list) : this.#read(list)
  }

  getInbox(id: string, source: Uint8Array | undefined): Promise<readonly InboxRow[]> {
    return this.#read(() => this.#disk.inbox.get(id, source))
  }

  ack(messages: readonly { readonly source: Uint8Array; readonly id: string }[]): Promise<readonly AckOutcome[]> {
    return this.#change(() => messages.map(({ source, id }) => this.#disk.inbox.ack(source, id)))
  }

  release(source: Uint8Array): Promise<readonly InboxRow[]> {
    return this.#change(() => this.#disk.inbox.release(source))
  }

  releaseGroup(source: Uint8Array, group: Uint8Array): Promise<readonly InboxRow[]> {
    return this.#change(() => this.#disk.inbox.release(source, group))
  }

  inboxCounts(): Promise<{ readonly unread: number; readonly held: number; readonly bytes: number }> {
    return this.#read(() => {
      const rows = this.#disk.inbox.rows()
      const count = (state: InboxRow['state']): number => rows.filter((row) => row.state === state).length
      return { unread: count('unread'), held: count('held'), bytes: rows.reduce((sum, row) => sum + row.envelope.length, 0) }
    })
  }

  prune(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.crash()
    return Promise.resolve()
  }

  #read<Result>(read: () => Result): Promise<Result> {
    return new Promise((resolve) => {
      this.#simulator.schedule(1, () => {
        if (!this.#isDead) resolve(read())
      })
    })
  }

  #change<Result>(apply: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run: () => this.#answer(resolve, apply()), fail: reject })
      this.#commitSoon()
    })
  }

  #commitSoon(): void {
    if (this.#isCommitting) return
    this.#isCommitting = true
    this.#simulator.schedule(this.#simulator.random.integer(1, this.#maxCommitMs), () => {
      this.#isCommitting = false
      if (this.#isDead) return
      const works = this.#waiting
      this.#waiting = []
      this.#commit(works)
    })
  }

  #commit(works: readonly Work[]): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) {
      if (failure.isApplied) for (const work of works) work.run()
      this.#isDead = true
      for (const work of works) work.fail(new MeshError('STORE_FAILED', { reason: 'injected' }))
    } else if (this.#disk.isFull) for (const work of works) work.fail(new MeshError('DISK_FULL'))
    else for (const work of works) work.run()
  }

  /** Between the commit and its answer a crash can come; answers keep the order of the calls. */
  #answer<Result>(resolve: (result: Result) => void, result: Result): void {
    const { now, random } = this.#simulator
    this.#answersAt = Math.max(this.#answersAt, now + random.integer(0, 2))
    this.#simulator.schedule(this.#answersAt - now, () => {
      if (!this.#isDead) resolve(result)
    })
  }
}
