import type { DatabaseSync } from 'node:sqlite'
import type { SealReport } from './calls.ts'
import { inboxColumns, inboxJoin, readInboxRow } from './inbox-rows.ts'
import { outboxColumns, readOutboxRow } from './outbox-table.ts'
import type { Row } from './rows.ts'

/** Reads every message and compares it with its seal. Nothing is changed: what is damaged is set aside when it is used. */
export function checkSeals(database: DatabaseSync): SealReport {
  let messages = 0
  let damaged = 0
  const judge = (rows: Iterable<Row>, isSound: (row: Row) => boolean): void => {
    for (const row of rows) {
      messages += 1
      if (!isSound(row)) damaged += 1
    }
  }
  judge(database.prepare(`SELECT ${inboxColumns} FROM ${inboxJoin} WHERE state <> 'damaged'`).iterate(), (row) => readInboxRow(row) !== undefined)
  judge(database.prepare(`SELECT ${outboxColumns} FROM outbox`).iterate(), (row) => readOutboxRow(row) !== undefined)
  return { messages, damaged }
}
