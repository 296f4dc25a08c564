import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { MeshError, millis, wallMillis } from '../../core/base/index.ts'
import { type InboxConsumer, type Instant, elapsedMs, wallClockGraceMs } from '../../core/message/index.ts'
import { number, type Row, text } from './rows.ts'

/** Named readers of one inbox at most. */
export const keptConsumers = 32
/** A named reader that was not there for so long holds no message any more: 7 days. */
export const consumerIdleMs = 604_800_000

/** Several readers of one inbox: who they are, and what each of them was given and acknowledged. The reader without a name is ''. Used on the storage thread. */
export class ConsumerTable {
  readonly #statements: ReturnType<typeof prepare>
  #start: Instant | undefined

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database)
  }

  /** All named readers, by name. */
  list(at: Instant): readonly InboxConsumer[] {
    this.#start ??= at
    return this.#statements.list.all().map((row) => this.#consumerOf(row, at))
  }

  has(name: string): boolean {
    return this.#statements.has.get(name) !== undefined
  }

  /** Notes that a named reader is there; one that is new is added. Whether it was new. @throws {MeshError} CONSUMER_LIMIT */
  use(name: string, at: Instant): boolean {
    this.#start ??= at
    const isNew = !this.has(name)
    if (isNew && number(this.#statements.count.get() ?? {}, 'count') >= keptConsumers) throw new MeshError('CONSUMER_LIMIT', { max: keptConsumers })
    this.#statements.use.run(name, at.wall, at.bootId, at.monotonic, at.wall)
    return isNew
  }

  /** Whether there was one. What it acknowledged is forgotten with it. */
  remove(name: string): boolean {
    if (this.#statements.remove.run(name).changes === 0) return false
    this.#statements.forgetReader.run(name)
    return true
  }

  /** Whose acknowledgements a message needs to be read: those of all named readers that are there, or else of the one without a name. */
  required(at: Instant): readonly string[] {
    const names = this.list(at).flatMap(({ name, isIdle }) => (isIdle ? [] : [name]))
    return names.length === 0 ? [''] : names
  }

  handOut(name: string, position: number): void {
    this.#statements.handOut.run(name, position)
  }

  acknowledge(name: string, position: number): void {
    this.#statements.acknowledge.run(name, position)
  }

  /** Whether all of `names` acknowledged the message at `position`. */
  isFinished(position: number, names: readonly string[]): boolean {
    return names.every((name) => this.#statements.isAcknowledged.get(name, position) !== undefined)
  }

  /** Messages that somebody acknowledged and that still wait for another reader. */
  waiting(): readonly number[] {
    return this.#statements.waiting.all().map((row) => number(row, 'position'))
  }

  /** The message at `position` ended for all. */
  forget(position: number): void {
    this.#statements.forget.run(position)
  }

  /** Forgets what was noted of messages that are gone in another way. */
  prune(): void {
    this.#statements.prune.run()
  }

  #consumerOf(row: Row, at: Instant): InboxConsumer {
    const usedAt = wallMillis(number(row, 'used_wall'))
    const used = { bootId: text(row, 'used_boot'), monotonic: millis(number(row, 'used_monotonic')), wall: usedAt }
    return {
      name: text(row, 'name'),
      createdAt: wallMillis(number(row, 'created_at')),
      usedAt,
      isIdle: this.#isIdle(used, at),
      acknowledged: number(row, 'acknowledged')
    }
  }

  /** Where only the wall clock tells, it is not believed in the first hour: one that jumped would take messages from readers that are just about to come back. */
  #isIdle(used: Instant, at: Instant): boolean {
    const isSure = used.bootId === at.bootId || at.monotonic - (this.#start ?? at).monotonic >= wallClockGraceMs
    return isSure && elapsedMs(used, at) >= consumerIdleMs
  }
}

function prepare(
  database: DatabaseSync
): Record<
  'list' | 'has' | 'count' | 'use' | 'remove' | 'forgetReader' | 'handOut' | 'acknowledge' | 'isAcknowledged' | 'waiting' | 'forget' | 'prune',
  StatementSync
> {
  return {
    list: database.prepare(`SELECT consumers.*, (SELECT count(*) FROM consumer_messages WHERE consumer = name AND acknowledged = 1) AS acknowledged
      FROM consumers ORDER BY name`),
    has: database.prepare('SELECT 1 FROM consumers WHERE name = ?'),
    count: database.prepare('SELECT count(*) AS count FROM consumers'),
    use: database.prepare(`INSERT INTO consumers (name, created_at, used_boot, used_monotonic, used_wall) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name)
      DO UPDATE SET used_boot = excluded.used_boot, used_monotonic = excluded.used_monotonic, used_wall = excluded.used_wall`),
    remove: database.prepare('DELETE FROM consumers WHERE name = ?'),
    forgetReader: database.prepare('DELETE FROM consumer_messages WHERE consumer = ?'),
    handOut: database.prepare(`INSERT INTO consumer_messages (consumer, position, handed_out, acknowledged) VALUES (?, ?, 1, 0)
      ON CONFLICT (consumer, position) DO UPDATE SET handed_out = handed_out + 1`),
    acknowledge: database.prepare(`INSERT INTO consumer_messages (consumer, position, handed_out, acknowledged) VALUES (?, ?, 0, 1)
      ON CONFLICT (consumer, position) DO UPDATE SET acknowledged = 1`),
    isAcknowledged: database.prepare('SELECT 1 FROM consumer_messages WHERE consumer = ? AND position = ? AND acknowledged = 1'),
    waiting: database.prepare('SELECT DISTINCT position FROM consumer_messages WHERE acknowledged = 1 ORDER BY position'),
    forget: database.prepare('DELETE FROM consumer_messages WHERE position = ?'),
    prune: database.prepare(`DELETE FROM consumer_messages WHERE position NOT IN (SELECT position FROM inbox WHERE state IN ('unread', 'held'))`)
  }
}
