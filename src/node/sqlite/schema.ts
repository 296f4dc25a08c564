import type { DatabaseSync } from 'node:sqlite'
import { MeshError } from '../../core/base/index.ts'
import { number } from './rows.ts'
import { agentTables } from './schema-agents.ts'
import { groupKeyTables } from './schema-group-keys.ts'
import { groupTables } from './schema-groups.ts'
import { trustTables } from './schema-trust.ts'

/**
 * The migrations, in order; the state of a file is how many of them ran (`user_version`). One is never changed after a release: a new one follows.
 * State columns hold words, not numbers, so that no flipped bit turns one state into another.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE outbox (
    row_id INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    destination BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    type TEXT NOT NULL,
    priority INTEGER NOT NULL,
    ttl_ms REAL NOT NULL,
    accepted_boot TEXT NOT NULL,
    accepted_monotonic REAL NOT NULL,
    accepted_wall REAL NOT NULL,
    envelope BLOB NOT NULL,
    digest BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    seal BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('accepted', 'sent', 'stored', 'read', 'held', 'failed', 'expired-unknown')),
    attempts INTEGER NOT NULL,
    path TEXT NOT NULL,
    failure TEXT NOT NULL,
    settled_ms REAL NOT NULL
  ) STRICT;
  CREATE INDEX outbox_waiting ON outbox (sequence) WHERE state IN ('accepted', 'sent', 'held');
  CREATE INDEX outbox_destination ON outbox (destination, row_id);

  CREATE TABLE destinations (
    destination BLOB PRIMARY KEY,
    sequence INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    retry_boot TEXT,
    retry_monotonic REAL,
    retry_wall REAL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE sources (
    source_id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    messages INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX sources_used ON sources (used) WHERE messages = 0;

  CREATE TABLE epochs (
    epoch_id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL,
    epoch BLOB NOT NULL,
    floor INTEGER NOT NULL,
    used INTEGER NOT NULL,
    UNIQUE (source_id, epoch)
  ) STRICT;

  CREATE TABLE inbox (
    position INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL,
    epoch_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    priority INTEGER NOT NULL,
    ttl_ms REAL NOT NULL,
    received_boot TEXT NOT NULL,
    received_monotonic REAL NOT NULL,
    received_wall REAL NOT NULL,
    digest BLOB NOT NULL,
    seal BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    envelope BLOB,
    proof BLOB,
    state TEXT NOT NULL CHECK (state IN ('unread', 'read', 'held', 'damaged')),
    handed_out INTEGER NOT NULL DEFAULT 0,
    UNIQUE (epoch_id, sequence),
    UNIQUE (source_id, id)
  ) STRICT;
  CREATE INDEX inbox_live ON inbox (state, position, source_id, bytes) WHERE state IN ('unread', 'held');
  CREATE INDEX inbox_id ON inbox (id);

  CREATE TABLE totals (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    position INTEGER NOT NULL,
    unread INTEGER NOT NULL,
    held INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    used INTEGER NOT NULL
  ) STRICT;
  INSERT INTO totals VALUES (1, 0, 0, 0, 0, 0);

  CREATE TABLE pairs (
    public_key BLOB PRIMARY KEY,
    peer_id TEXT NOT NULL,
    name TEXT NOT NULL,
    alias TEXT NOT NULL,
    addresses TEXT NOT NULL,
    paired_at REAL NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE invites (
    invite_id BLOB PRIMARY KEY,
    secret BLOB NOT NULL,
    expires_at REAL NOT NULL,
    failures INTEGER NOT NULL,
    used_by TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE entries (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    used INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX entries_used ON entries (used);
  `,
  // The route of each message, and the backoff of each route to a destination. What was there before went directly. Without CHECK: a word that is no route is
  // found where it is read, and that row alone is set aside.
  `
  ALTER TABLE outbox ADD COLUMN via TEXT NOT NULL DEFAULT 'direct';
  ALTER TABLE inbox ADD COLUMN via TEXT NOT NULL DEFAULT 'direct';

  CREATE TABLE retries (
    destination BLOB NOT NULL,
    via TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    retry_boot TEXT NOT NULL,
    retry_monotonic REAL NOT NULL,
    retry_wall REAL NOT NULL,
    PRIMARY KEY (destination, via)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO retries SELECT destination, 'direct', attempts, retry_boot, retry_monotonic, retry_wall FROM destinations
    WHERE retry_boot IS NOT NULL AND retry_monotonic IS NOT NULL AND retry_wall IS NOT NULL;
  ALTER TABLE destinations DROP COLUMN attempts;
  ALTER TABLE destinations DROP COLUMN retry_boot;
  ALTER TABLE destinations DROP COLUMN retry_monotonic;
  ALTER TABLE destinations DROP COLUMN retry_wall;
  `,
  `${trustTables}${groupTables}${groupKeyTables}${agentTables}`
]

/** How many migrations ran in `database`. */
export const schemaVersion = (database: DatabaseSync): number => number(database.prepare('PRAGMA user_version').get() ?? {}, 'user_version')

/** Brings `database` to the newest schema, in one transaction. @throws {MeshError} STATE_NEWER, and then nothing was touched. */
export function migrate(database: DatabaseSync, file: string, steps: readonly string[] = migrations): void {
  const found = schemaVersion(database)
  if (found > steps.length) throw new MeshError('STATE_NEWER', { file, found, known: steps.length })
  if (found === steps.length) return
  database.exec('BEGIN IMMEDIATE')
  try {
    for (const step of steps.slice(found)) database.exec(step)
    database.exec(`PRAGMA user_version = ${steps.length}`)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}
