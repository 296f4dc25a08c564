import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { loopLimits, type SavedThreads } from '../../core/message/index.ts'
import { number, text } from './rows.ts'

/** Rows that are written between two looks for those that are too many. */
const trimEvery = 128

/** Conversations that are counted, and which messages belong to them: what the guard against loops remembers. Used on the storage thread. */
export class ThreadTable {
  readonly #statements: ReturnType<typeof prepare>
  #used: number
  #untrimmed = trimEvery

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database)
    this.#used = number(this.#statements.lastUsed.get() ?? {}, 'used')
  }

  /** What was used longest ago first. */
  load(): SavedThreads {
    return {
      places: this.#statements.places.all().map((row) => ({ id: text(row, 'message_id'), root: text(row, 'root'), hop: number(row, 'hop') })),
      counts: this.#statements.counts.all().map((row) => ({ root: text(row, 'root'), automatic: number(row, 'automatic') }))
    }
  }

  save({ places, counts }: SavedThreads): undefined {
    for (const { id, root, hop } of places) this.#statements.savePlace.run(id, root, hop, ++this.#used)
    for (const { root, automatic } of counts) {
      if (automatic === 0) this.#statements.forgetCount.run(root)
      else this.#statements.saveCount.run(root, automatic, ++this.#used)
    }
    this.#untrimmed += places.length + counts.length
    if (this.#untrimmed >= trimEvery) this.#trim()
  }

  #trim(): void {
    this.#untrimmed = 0
    this.#statements.trimPlaces.run(loopLimits.places)
    this.#statements.trimCounts.run(loopLimits.threads)
  }
}

function prepare(
  database: DatabaseSync
): Record<'lastUsed' | 'places' | 'counts' | 'savePlace' | 'saveCount' | 'forgetCount' | 'trimPlaces' | 'trimCounts', StatementSync> {
  return {
    lastUsed: database.prepare(
      'SELECT max((SELECT coalesce(max(used), 0) FROM threads), (SELECT coalesce(max(used), 0) FROM thread_counts)) AS used'
    ),
    places: database.prepare('SELECT message_id, root, hop FROM threads ORDER BY used'),
    counts: database.prepare('SELECT root, automatic FROM thread_counts ORDER BY used'),
    savePlace: database.prepare('INSERT INTO threads (message_id, root, hop, used) VALUES (?, ?, ?, ?) ON CONFLICT (message_id) DO NOTHING'),
    saveCount: database.prepare(
      'INSERT INTO thread_counts (root, automatic, used) VALUES (?, ?, ?) ON CONFLICT (root) DO UPDATE SET automatic = excluded.automatic, used = excluded.used'
    ),
    forgetCount: database.prepare('DELETE FROM thread_counts WHERE root = ?'),
    // The rows that were used longest ago, found by the index: as many as there are too many.
    trimPlaces: database.prepare('DELETE FROM threads WHERE used <= (SELECT used FROM threads ORDER BY used DESC LIMIT 1 OFFSET ?)'),
    trimCounts: database.prepare('DELETE FROM thread_counts WHERE used <= (SELECT used FROM thread_counts ORDER BY used DESC LIMIT 1 OFFSET ?)')
  }
}
