import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { StoredGroupKey } from '../../mesh/groups/group-keys.ts'
import { blob, number } from './rows.ts'

/** The keys of large groups. Used on the storage thread. */
export class GroupKeyTable {
  readonly #statements: { readonly all: StatementSync; readonly save: StatementSync; readonly drop: StatementSync }

  constructor(database: DatabaseSync) {
    this.#statements = {
      all: database.prepare('SELECT * FROM group_keys ORDER BY rowid'),
      // A counter never falls: what was used under a key is never used again, whatever the caller believes.
      save: database.prepare(`INSERT INTO group_keys (tag, group_id, epoch, members, slot, key, maker, counter, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (tag) DO UPDATE SET counter = max(counter, excluded.counter), told = max(told, excluded.told)`),
      drop: database.prepare('DELETE FROM group_keys WHERE tag = ?')
    }
  }

  all(): readonly StoredGroupKey[] {
    return this.#statements.all.all().map((row) => ({
      tag: blob(row, 'tag'),
      group: blob(row, 'group_id'),
      epoch: number(row, 'epoch'),
      members: blob(row, 'members'),
      slot: number(row, 'slot'),
      key: blob(row, 'key'),
      maker: blob(row, 'maker'),
      counter: number(row, 'counter'),
      isTold: number(row, 'told') === 1
    }))
  }

  save({ tag, group, epoch, members, slot, key, maker, counter, isTold }: StoredGroupKey): undefined {
    this.#statements.save.run(tag, group, epoch, members, slot, key, maker, counter, isTold ? 1 : 0)
  }

  drop(tags: readonly Uint8Array[]): undefined {
    for (const tag of tags) this.#statements.drop.run(tag)
  }
}
