import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { groupStates } from '../../core/group/index.ts'
import type { StoredGroup } from '../../mesh/ports.ts'
import { blob, choice, number } from './rows.ts'

/** The groups of one store. Used on the storage thread. */
export class GroupTable {
  readonly #statements: { readonly all: StatementSync; readonly save: StatementSync; readonly delete: StatementSync }

  constructor(database: DatabaseSync) {
    this.#statements = {
      all: database.prepare('SELECT * FROM groups ORDER BY group_id'),
      save: database.prepare(`INSERT INTO groups (group_id, record, before, state, told) VALUES (?, ?, ?, ?, ?) ON CONFLICT (group_id)
        DO UPDATE SET record = excluded.record, before = excluded.before, state = excluded.state, told = excluded.told`),
      delete: database.prepare('DELETE FROM groups WHERE group_id = ?')
    }
  }

  all(): readonly StoredGroup[] {
    return this.#statements.all.all().map((row) => {
      const before = blob(row, 'before')
      return {
        id: blob(row, 'group_id'),
        record: blob(row, 'record'),
        before: before.length === 0 ? undefined : before,
        state: choice(row, 'state', groupStates),
        told: number(row, 'told') === 1
      }
    })
  }

  save({ id, record, before, state, told }: StoredGroup): undefined {
    this.#statements.save.run(id, record, before ?? new Uint8Array(), state, told ? 1 : 0)
  }

  delete(id: Uint8Array): undefined {
    this.#statements.delete.run(id)
  }
}
