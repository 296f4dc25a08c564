import type { DatabaseSync } from 'node:sqlite'
import { MeshError } from '../../core/base/index.ts'
import { text } from './rows.ts'

/** What SQLite's own check finds: structure, indexes, types and constraints of everything. Empty when all is well. */
export function checkIntegrity(database: DatabaseSync): readonly string[] {
  const found = database
    .prepare('PRAGMA integrity_check(20)')
    .all()
    .map((row) => text(row, 'integrity_check'))
  return found.length === 1 && found[0] === 'ok' ? [] : found
}

/**
 * Checks a store before it is used. Damaged indexes are made anew from their tables, rows with an impossible state are set aside.
 * @throws {MeshError} STATE_CORRUPT when more than that is damaged; nothing is thrown away.
 */
export function mend(database: DatabaseSync, file: string): void {
  if (checkIntegrity(database).length === 0) return
  database.exec(`BEGIN IMMEDIATE;
    UPDATE OR IGNORE inbox SET state = 'damaged' WHERE state NOT IN ('unread', 'read', 'held', 'damaged');
    UPDATE OR IGNORE outbox SET state = 'failed', failure = 'STATE_CORRUPT' WHERE state NOT IN ('accepted', 'sent', 'stored', 'read', 'held', 'failed', 'expired-unknown');
    REINDEX`)
  const left = checkIntegrity(database)
  database.exec(left.length === 0 ? 'COMMIT' : 'ROLLBACK')
  if (left.length > 0) throw new MeshError('STATE_CORRUPT', { file, reason: left[0] ?? 'the check failed' })
}
