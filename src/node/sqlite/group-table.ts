import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { decodeCbor, encodeCbor } from '../../core/base/cbor.ts'
import { groupStates } from '../../core/group/index.ts'
import type { StoredGroup } from '../../mesh/ports.ts'
import { blob, choice, number } from './rows.ts'

const listBounds = { what: 'records of a group', maxBytes: 16_777_216, maxItems: 64, maxDepth: 1 } as const

function readList(bytes: Uint8Array): readonly Uint8Array[] {
  const list = decodeCbor(bytes, listBounds)
  return Array.isArray(list) ? list.filter((each) => each instanceof Uint8Array) : []
}

/** The groups of one store. Used on the storage thread. */
export class GroupTable {
  readonly #statements: { readonly all: StatementSync; readonly save: StatementSync; readonly delete: StatementSync }

  constructor(database: DatabaseSync) {
    this.#statements = {
      all: database.prepare('SELECT * FROM groups ORDER BY group_id'),
      save: database.prepare(`INSERT INTO groups (group_id, record, before, own, state, gone, told) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id)
        DO UPDATE SET record = excluded.record, before = excluded.before, own = excluded.own, state = excluded.state, gone = excluded.gone, told = excluded.told`),
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
        own: readList(blob(row, 'own')),
        state: choice(row, 'state', groupStates),
        gone: number(row, 'gone'),
        told: number(row, 'told') === 1
      }
    })
  }

  save({ id, record, before, own, state, gone, told }: StoredGroup): undefined {
    this.#statements.save.run(id, record, before ?? new Uint8Array(), encodeCbor([...own]), state, gone, told ? 1 : 0)
  }

  delete(id: Uint8Array): undefined {
    this.#statements.delete.run(id)
  }
}
