import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Entry, EntryChange } from './calls.ts'
import { blob, number, text } from './rows.ts'

/** What the libp2p datastore keeps at most: entries, and bytes of one value. The entry that was written longest ago goes first. */
export const keptEntries = 20_000
export const entryBytes = 65_536

/** The libp2p datastore's keys and values, and named metadata. Used on the storage thread. */
export class EntryTable {
  readonly #statements: ReturnType<typeof prepare>
  #used: number
  #count: number

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database)
    this.#used = number(this.#statements.lastUsed.get() ?? {}, 'used')
    this.#count = number(this.#statements.count.get() ?? {}, 'count')
  }

  get(key: string): Uint8Array | undefined {
    const row = this.#statements.get.get(key)
    return row === undefined ? undefined : blob(row, 'value')
  }

  has(key: string): boolean {
    return this.#statements.has.get(key) !== undefined
  }

  /** Values over 64 KiB are dropped: nothing of libp2p's is near that, and peers choose what stands here. */
  change(changes: readonly EntryChange[]): undefined {
    for (const change of changes) {
      if (change.type === 'delete') this.#statements.delete.run(change.key)
      else if (change.entry.value.length <= entryBytes) this.#statements.put.run(change.entry.key, change.entry.value, ++this.#used)
    }
    this.#count += changes.length
    if (this.#count > keptEntries) this.#trim()
  }

  list(prefix: string, after: string, limit: number): readonly Entry[] {
    return this.#statements.list.all(prefix, prefix, after, limit).map((row) => ({ key: text(row, 'key'), value: blob(row, 'value') }))
  }

  getMeta(name: string): Uint8Array | undefined {
    const row = this.#statements.getMeta.get(name)
    return row === undefined ? undefined : blob(row, 'value')
  }

  setMeta(name: string, value: Uint8Array): undefined {
    this.#statements.setMeta.run(name, value)
  }

  // `#count` is an upper bound between two trims: an overwritten or rolled-back entry counts too.
  #trim(): void {
    this.#statements.trim.run(keptEntries)
    this.#count = number(this.#statements.count.get() ?? {}, 'count')
  }
}

function prepare(
  database: DatabaseSync
): Record<'get' | 'has' | 'put' | 'delete' | 'list' | 'lastUsed' | 'count' | 'trim' | 'getMeta' | 'setMeta', StatementSync> {
  return {
    get: database.prepare('SELECT value FROM entries WHERE key = ?'),
    has: database.prepare('SELECT 1 FROM entries WHERE key = ?'),
    put: database.prepare(
      'INSERT INTO entries (key, value, used) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, used = excluded.used'
    ),
    delete: database.prepare('DELETE FROM entries WHERE key = ?'),
    list: database.prepare('SELECT key, value FROM entries WHERE substr(key, 1, length(?)) = ? AND key > ? ORDER BY key LIMIT ?'),
    lastUsed: database.prepare('SELECT coalesce(max(used), 0) AS used FROM entries'),
    count: database.prepare('SELECT count(*) AS count FROM entries'),
    trim: database.prepare('DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY used DESC LIMIT -1 OFFSET ?)'),
    getMeta: database.prepare('SELECT value FROM meta WHERE name = ?'),
    setMeta: database.prepare('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value')
  }
}
