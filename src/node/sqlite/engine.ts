import type { DatabaseSync } from 'node:sqlite'
import type { MeshError } from '../../core/base/index.ts'
import type { Finding, PlainError, StoreHandlers, StoreReply, StoreRequest } from './calls.ts'
import { storeError } from './errors.ts'
import { createHandlers, isWrite, perform } from './handlers.ts'
import { number } from './rows.ts'

/** The log is written back into the database file once it has this many pages (of 8 KiB). */
const checkpointPages = 1_000
/** SQLite before 3.51 cannot tell how long the log is: it is written back after so many groups. */
const checkpointGroups = 64
const canAskForLog = isAtLeast(process.versions['sqlite'] ?? '', [3, 51])

/** What one group of requests came to. */
export interface GroupResult {
  readonly replies: readonly StoreReply[]
  readonly findings: readonly Finding[]
}

/**
 * Runs groups of requests: one transaction and one fsync for all that arrived together. What `run` returns is committed.
 * After an I/O error nothing is known about the disk any more (an fsync that failed cannot be repeated): from then on every request fails.
 */
export class StoreEngine {
  readonly #database: DatabaseSync
  readonly #file: string
  readonly #handlers: StoreHandlers
  #findings: Finding[] = []
  #failure: MeshError | undefined
  #groups = 0

  constructor(database: DatabaseSync, file: string) {
    this.#database = database
    this.#file = file
    this.#handlers = createHandlers(database, (finding) => this.#findings.push(finding))
  }

  /** Why the store is unusable; undefined while it works. */
  get failure(): MeshError | undefined {
    return this.#failure
  }

  run(requests: readonly StoreRequest[]): GroupResult {
    const replies = requests.some((request) => this.#isWrite(request)) ? this.#together(requests) : requests.map((request) => this.#reply(request))
    const findings = this.#findings
    this.#findings = []
    return { replies, findings }
  }

  /** Moves the log into the database file when it is long. To be called between groups: no request waits for it. */
  checkpointWhenDue(): void {
    if (this.#failure !== undefined) return
    try {
      if (this.#isLogLong()) this.#checkpoint('PASSIVE')
    } catch (error) {
      this.#note(error)
    }
  }

  /** Frees the pages that SQLite keeps for the next request. */
  shrink(): void {
    if (this.#failure === undefined) this.#database.exec('PRAGMA shrink_memory')
  }

  /** Writes the log back and closes the file. */
  close(): void {
    try {
      if (this.#failure === undefined) this.#checkpoint('TRUNCATE')
    } catch (error) {
      this.#note(error)
    } finally {
      this.#database.close()
    }
  }

  /** All requests in one transaction. When one of them fails, each gets a transaction of its own, so that it fails alone. */
  #together(requests: readonly StoreRequest[]): readonly StoreReply[] {
    if (this.#failure !== undefined) return requests.map((request) => this.#failed(request, this.#failure))
    try {
      return this.#transaction(() => requests.map((request) => ({ number: request.number, ok: true, value: this.#perform(request) })))
    } catch (error) {
      this.#note(error)
      if (requests.length === 1 || this.#failure !== undefined) return requests.map((request) => this.#failed(request, error))
      return requests.flatMap((request) => (this.#isWrite(request) ? this.#together([request]) : [this.#reply(request)]))
    }
  }

  #transaction<Result>(work: () => Result): Result {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      // Some errors (a full disk) roll back by themselves.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  #reply(request: StoreRequest): StoreReply {
    if (this.#failure !== undefined) return this.#failed(request, this.#failure)
    try {
      return { number: request.number, ok: true, value: this.#perform(request) }
    } catch (error) {
      this.#note(error)
      return this.#failed(request, error)
    }
  }

  #failed({ number: requestNumber }: StoreRequest, error: unknown): StoreReply {
    return { number: requestNumber, ok: false, error: plainError(this.#failure ?? storeError(error, this.#file)) }
  }

  #perform({ name, args }: StoreRequest): Extract<StoreReply, { readonly ok: true }>['value'] {
    return perform(this.#handlers, name, args)
  }

  #isWrite({ name, args }: StoreRequest): boolean {
    return isWrite(this.#handlers, name, args)
  }

  #note(error: unknown): void {
    const mesh = storeError(error, this.#file)
    if (mesh.code === 'STORE_FAILED') this.#failure ??= mesh
  }

  #isLogLong(): boolean {
    if (canAskForLog) return this.#checkpoint('NOOP').log >= checkpointPages
    this.#groups = (this.#groups + 1) % checkpointGroups
    return this.#groups === 0
  }

  #checkpoint(mode: 'NOOP' | 'PASSIVE' | 'TRUNCATE'): { readonly log: number } {
    return { log: number(this.#database.prepare(`PRAGMA wal_checkpoint(${mode})`).get() ?? {}, 'log') }
  }
}

/** An error as it travels between threads. */
export const plainError = (error: MeshError): PlainError => ({ code: error.code, details: error.details })

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [foundMajor = 0, foundMinor = 0] = version.split('.').map(Number)
  return foundMajor > major || (foundMajor === major && foundMinor >= minor)
}
