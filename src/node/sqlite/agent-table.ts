import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { wallMillis } from '../../core/base/index.ts'
import type { AgentRecord } from '../../mesh/ports.ts'
import { number, text } from './rows.ts'

/** The agents behind this node. Used on the storage thread. */
export class AgentTable {
  readonly #statements: Record<'list' | 'save' | 'remove', StatementSync>

  constructor(database: DatabaseSync) {
    this.#statements = {
      list: database.prepare('SELECT label, created_at FROM agents ORDER BY label'),
      save: database.prepare('INSERT INTO agents (label, created_at) VALUES (?, ?) ON CONFLICT (label) DO NOTHING'),
      remove: database.prepare('DELETE FROM agents WHERE label = ?')
    }
  }

  list(): readonly AgentRecord[] {
    return this.#statements.list.all().map((row) => ({ label: text(row, 'label'), createdAt: wallMillis(number(row, 'created_at')) }))
  }

  save({ label, createdAt }: AgentRecord): undefined {
    this.#statements.save.run(label, createdAt)
  }

  remove(label: string): boolean {
    return this.#statements.remove.run(label).changes > 0
  }
}
