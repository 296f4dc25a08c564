import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { randomBytes } from 'node:crypto'
import {
  type DestinationRetry,
  type EnqueueOutcome,
  type Instant,
  type OutboxChange,
  type OutboxEntry,
  type OutboxRecovery,
  type OutboxRow,
  messageTypes,
  outboxStates,
  routes
} from '../../core/message/index.ts'
import { equalBytes, millis, wallMillis } from '../../core/base/index.ts'
import type { Finding, OutboxFilter } from './calls.ts'
import { type Row, blob, choice, number, text } from './rows.ts'
import { type Sealed, digestOf, isSealed, seal } from './seal.ts'

const entryColumns = `id, destination, via, sequence, type, priority, ttl_ms, accepted_boot, accepted_monotonic, accepted_wall, digest, bytes, seal, state, attempts, path, failure, settled_ms, control, group_id, group_message`
const weekMs = 7 * 24 * 3_600_000
const keptRows = 10_000

/** The outbox of one store: rows, sequences and retry states. Used on the storage thread, inside its transactions. */
export class OutboxTable {
  readonly #statements: ReturnType<typeof prepare>
  readonly #report: (finding: Finding) => void

  constructor(database: DatabaseSync, report: (finding: Finding) => void) {
    this.#statements = prepare(database)
    this.#report = report
  }

  recover(): OutboxRecovery {
    return {
      epoch: this.#epoch(),
      pending: this.#entries(this.#statements.waiting.all()),
      sequences: this.#statements.destinations.all().map((row) => ({ destination: blob(row, 'destination'), sequence: number(row, 'sequence') })),
      retries: this.#statements.retries.all().flatMap(retryOf)
    }
  }

  enqueue(row: OutboxRow): EnqueueOutcome {
    const standing = this.#statements.entry.get(row.id)
    if (standing !== undefined)
      return equalBytes(blob(standing, 'digest'), row.digest) ? { outcome: 'duplicate', row: entryOf(standing) } : { outcome: 'conflict' }
    const { accepted } = row
    this.#statements.insert.run(
      row.id,
      row.destination,
      row.via,
      row.sequence,
      row.type,
      row.priority,
      row.ttlMs,
      accepted.bootId,
      accepted.monotonic,
      accepted.wall,
      row.envelope,
      row.digest,
      row.envelope.length,
      seal(sealedParts(row, digestOf(row.envelope))),
      row.state,
      row.attempts,
      row.path,
      row.failure,
      row.settledMs,
      row.control === true ? 1 : 0,
      row.group?.id ?? new Uint8Array(),
      row.group?.message ?? ''
    )
    this.#statements.raiseSequence.run(row.destination, row.sequence)
    return { outcome: 'accepted' }
  }

  load(ids: readonly string[]): readonly OutboxRow[] {
    const rows: OutboxRow[] = []
    for (const id of ids) {
      const row = this.#sound(id, this.#statements.row.get(id))
      if (row !== undefined) rows.push(row)
    }
    return rows
  }

  list({ states, destination, groupMessage, limit }: OutboxFilter): readonly OutboxEntry[] {
    const wanted = JSON.stringify(states ?? outboxStates)
    if (groupMessage !== undefined) return this.#entries(this.#statements.listGroup.all(groupMessage, wanted, limit))
    const rows = destination === undefined ? this.#statements.list.all(wanted, limit) : this.#statements.listOf.all(destination, wanted, limit)
    return this.#entries(rows)
  }

  settle(changes: readonly OutboxChange[]): undefined {
    for (const { id, state, attempts, path, failure, settledMs } of changes)
      this.#statements.settle.run(state, attempts, path, failure, settledMs, id)
  }

  saveRetry({ destination, via, attempts, lastAttempt }: DestinationRetry): undefined {
    this.#statements.saveRetry.run(destination, via, attempts, lastAttempt.bootId, lastAttempt.monotonic, lastAttempt.wall)
  }

  /** Deletes rows that ended over a week ago, and of the others that ended all but the newest 10,000. */
  prune(now: Instant): undefined {
    this.#statements.pruneOld.run(now.bootId, now.monotonic, now.wall, weekMs)
    this.#statements.pruneMany.run(keptRows)
  }

  #epoch(): Uint8Array {
    const known = this.#statements.getMeta.get('outbox-epoch')
    if (known !== undefined) return blob(known, 'value')
    const epoch = new Uint8Array(randomBytes(16))
    this.#statements.setMeta.run('outbox-epoch', epoch)
    return epoch
  }

  #entries(rows: readonly Row[]): readonly OutboxEntry[] {
    const entries: OutboxEntry[] = []
    for (const row of rows) {
      try {
        entries.push(entryOf(row))
      } catch {
        this.#damaged(String(row['id']), 'a column has another type')
      }
    }
    return entries
  }

  #sound(id: string, row: Row | undefined): OutboxRow | undefined {
    if (row === undefined) return undefined
    const whole = readOutboxRow(row)
    if (whole !== undefined) return whole
    this.#damaged(id, 'its bytes are not those that were written')
    return undefined
  }

  #damaged(id: string, reason: string): void {
    this.#statements.fail.run(id)
    this.#report({ where: 'outbox', id, reason })
  }
}

/** The columns that `readOutboxRow` wants. */
export const outboxColumns = `${entryColumns}, envelope`

/** The message of a row; undefined when it is not what was written, such as when a column cannot be read. */
export function readOutboxRow(row: Row): OutboxRow | undefined {
  try {
    const whole = { ...headOf(row), envelope: blob(row, 'envelope') }
    return isSealed(blob(row, 'seal'), sealedParts(whole, digestOf(whole.envelope))) ? whole : undefined
  } catch {
    return undefined
  }
}

function prepare(
  database: DatabaseSync
): Record<
  | 'destinations'
  | 'retries'
  | 'waiting'
  | 'entry'
  | 'row'
  | 'insert'
  | 'raiseSequence'
  | 'list'
  | 'listOf'
  | 'listGroup'
  | 'settle'
  | 'saveRetry'
  | 'pruneOld'
  | 'pruneMany'
  | 'getMeta'
  | 'setMeta'
  | 'fail',
  StatementSync
> {
  return {
    destinations: database.prepare('SELECT destination, sequence FROM destinations WHERE sequence > 0'),
    retries: database.prepare('SELECT * FROM retries'),
    waiting: database.prepare(`SELECT ${entryColumns} FROM outbox WHERE state IN ('accepted', 'sent', 'held') ORDER BY sequence, row_id`),
    entry: database.prepare(`SELECT ${entryColumns} FROM outbox WHERE id = ?`),
    row: database.prepare(`SELECT ${entryColumns}, envelope FROM outbox WHERE id = ?`),
    insert:
      database.prepare(`INSERT INTO outbox (id, destination, via, sequence, type, priority, ttl_ms, accepted_boot, accepted_monotonic, accepted_wall,
      envelope, digest, bytes, seal, state, attempts, path, failure, settled_ms, control, group_id, group_message)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    raiseSequence: database.prepare(
      'INSERT INTO destinations (destination, sequence) VALUES (?, ?) ON CONFLICT (destination) DO UPDATE SET sequence = max(sequence, excluded.sequence)'
    ),
    list: database.prepare(
      `SELECT ${entryColumns} FROM outbox WHERE control = 0 AND state IN (SELECT value FROM json_each(?)) ORDER BY row_id DESC LIMIT ?`
    ),
    listGroup: database.prepare(
      `SELECT ${entryColumns} FROM outbox WHERE group_message <> '' AND group_message = ? AND state IN (SELECT value FROM json_each(?)) ORDER BY row_id LIMIT ?`
    ),
    listOf: database.prepare(
      `SELECT ${entryColumns} FROM outbox WHERE destination = ? AND control = 0 AND state IN (SELECT value FROM json_each(?)) ORDER BY row_id DESC LIMIT ?`
    ),
    settle: database.prepare('UPDATE outbox SET state = ?, attempts = ?, path = ?, failure = ?, settled_ms = ? WHERE id = ?'),
    saveRetry: database.prepare(`INSERT INTO retries (destination, via, attempts, retry_boot, retry_monotonic, retry_wall) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (destination, via) DO UPDATE SET attempts = excluded.attempts, retry_boot = excluded.retry_boot, retry_monotonic = excluded.retry_monotonic, retry_wall = excluded.retry_wall`),
    pruneOld: database.prepare(`DELETE FROM outbox WHERE state IN ('stored', 'read', 'failed', 'expired-unknown')
      AND (CASE accepted_boot WHEN ? THEN ? - accepted_monotonic ELSE ? - accepted_wall END) - settled_ms > ?`),
    pruneMany: database.prepare(
      `DELETE FROM outbox WHERE row_id IN (SELECT row_id FROM outbox WHERE state IN ('stored', 'read', 'failed', 'expired-unknown') ORDER BY row_id DESC LIMIT -1 OFFSET ?)`
    ),
    getMeta: database.prepare('SELECT value FROM meta WHERE name = ?'),
    setMeta: database.prepare('INSERT INTO meta (name, value) VALUES (?, ?)'),
    fail: database.prepare(`UPDATE outbox SET state = 'failed', failure = 'STATE_CORRUPT' WHERE id = ?`)
  }
}

function sealedParts(row: Omit<OutboxRow, 'envelope'>, envelopeDigest: Uint8Array): Sealed {
  const { id, sequence, type, priority, ttlMs, accepted } = row
  return {
    scalars: [id, sequence, type, priority, ttlMs, accepted.bootId, accepted.monotonic, accepted.wall],
    bytes: [row.destination, row.digest, envelopeDigest]
  }
}

const entryOf = (row: Row): OutboxEntry => ({ ...headOf(row), bytes: number(row, 'bytes') })

function headOf(row: Row): Omit<OutboxRow, 'envelope'> {
  return {
    id: text(row, 'id'),
    destination: blob(row, 'destination'),
    via: choice(row, 'via', routes),
    sequence: number(row, 'sequence'),
    type: choice(row, 'type', messageTypes),
    priority: number(row, 'priority'),
    ttlMs: number(row, 'ttl_ms'),
    accepted: {
      bootId: text(row, 'accepted_boot'),
      monotonic: millis(number(row, 'accepted_monotonic')),
      wall: wallMillis(number(row, 'accepted_wall'))
    },
    digest: blob(row, 'digest'),
    state: choice(row, 'state', outboxStates),
    attempts: number(row, 'attempts'),
    path: text(row, 'path'),
    failure: text(row, 'failure'),
    settledMs: number(row, 'settled_ms'),
    ...groupOf(row)
  }
}

/** What only rows of groups, and this software's own words, have. */
function groupOf(row: Row): Pick<OutboxRow, 'group' | 'control'> {
  const message = text(row, 'group_message')
  const control = number(row, 'control') === 1
  return { ...(message === '' ? {} : { group: { id: blob(row, 'group_id'), message } }), ...(control ? { control } : {}) }
}

/** Of a damaged row none: the backoff begins anew, no more is lost. */
function retryOf(row: Row): readonly DestinationRetry[] {
  try {
    const lastAttempt = {
      bootId: text(row, 'retry_boot'),
      monotonic: millis(number(row, 'retry_monotonic')),
      wall: wallMillis(number(row, 'retry_wall'))
    }
    return [{ destination: blob(row, 'destination'), via: choice(row, 'via', routes), attempts: number(row, 'attempts'), lastAttempt }]
  } catch {
    return []
  }
}
