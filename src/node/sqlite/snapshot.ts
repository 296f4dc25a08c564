import type { DatabaseSync } from 'node:sqlite'
import { randomBytes, randomInt } from 'node:crypto'
import { createPrivateFile } from '../files.ts'
import { openDatabase } from './open.ts'
import { blob, number } from './rows.ts'

/** What a restored store gave up, so that nothing is sent twice. */
export interface Renewed {
  /** Messages that were under way: whether they arrived is not known here. */
  readonly messages: number
  /** Invites that were given out and not used. */
  readonly invites: number
}

/** Copies the store as it is at this moment, compacted, into a new private file. Not inside of a transaction. @throws {MeshError} PATH_UNSAFE, DISK_FULL */
export function snapshot(database: DatabaseSync, file: string): undefined {
  createPrivateFile(file, new Uint8Array(0))
  database.prepare('VACUUM INTO ?').run(file)
}

/** Copies the store of a daemon that does not run. @throws {MeshError} STATE_IN_USE and all of `openDatabase` */
export function snapshotFile(store: string, file: string): void {
  const database = openDatabase(store)
  try {
    snapshot(database, file)
  } finally {
    database.close()
  }
}

/**
 * Makes a store from a backup fit to go on with. The node that it is a copy of may have sent more since: what was under way then ends as
 * `expired-unknown`, sequences count in a new epoch, invites that were open are burnt, and counters of frames to groups jump far ahead.
 */
export function renewStore(file: string): Renewed {
  const database = openDatabase(file)
  try {
    database.exec('BEGIN IMMEDIATE')
    const invites = number(database.prepare(`SELECT count(*) AS count FROM invites WHERE used_by = ''`).get() ?? {}, 'count')
    const ended = database.prepare(`UPDATE outbox SET state = 'expired-unknown', failure = '' WHERE state IN ('accepted', 'sent', 'held')`).run()
    database
      .prepare(`INSERT INTO meta (name, value) VALUES ('outbox-epoch', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`)
      .run(new Uint8Array(randomBytes(16)))
    database.exec('DELETE FROM retries; DELETE FROM invites')
    skipCounters(database)
    database.exec('COMMIT')
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return { messages: Number(ended.changes), invites }
  } finally {
    database.close()
  }
}

/** More frames than any node sends under one key; with the spread far fewer than the 2^48 that a counter has room for. */
const [leastSkip, spreadSkip] = [2 ** 32, 2 ** 44]

/** A counter is a nonce: whatever was sealed since the backup, and whatever another restore of it seals, must not share one. */
function skipCounters(database: DatabaseSync): void {
  const skip = database.prepare('UPDATE group_keys SET counter = counter + ? WHERE tag = ?')
  for (const row of database.prepare('SELECT tag FROM group_keys').all()) skip.run(leastSkip + randomInt(spreadSkip), blob(row, 'tag'))
}
