import { storeFile } from '../../src/node/sqlite/stores.ts'
import { openDatabase } from '../../src/node/sqlite/open.ts'
import { checkIntegrity } from '../../src/node/sqlite/integrity.ts'
import { join } from 'node:path'

/** What store-child.ts stated over all its lives, and what is wrong with what is on the disk. */
export interface LedgerVerdict {
  readonly accepted: number
  readonly stored: number
  readonly acked: number
  readonly lostAccepted: readonly string[]
  readonly lostStored: readonly string[]
  /** Handed out to the reader after their acknowledgement was confirmed. */
  readonly givenAfterAck: readonly string[]
  readonly damage: readonly string[]
}

/** Adds up the lines of several lives, in their order. */
export class StoreLedger {
  readonly #accepted = new Set<string>()
  readonly #stored = new Set<string>()
  readonly #acked = new Set<string>()
  readonly #givenAfterAck = new Set<string>()

  /** Nothing was confirmed. */
  get isEmpty(): boolean {
    return this.#accepted.size + this.#stored.size + this.#acked.size === 0
  }

  take(lines: readonly string[]): void {
    for (const line of lines) {
      const [verb, id = ''] = line.split(' ')
      if (verb === 'accepted') this.#accepted.add(id)
      if (verb === 'stored') this.#stored.add(id)
      if (verb === 'given' && this.#acked.has(id)) this.#givenAfterAck.add(id)
      if (verb === 'acked') this.#acked.add(id)
    }
  }

  /** The verdict on an empty disk. */
  nothingLeft(): LedgerVerdict {
    return this.#verdict({ outbox: new Set(), inbox: new Set(), damage: [] })
  }

  /** Compares with what is in the store of `folder`. Opens it as a start does. */
  compare(folder: string): LedgerVerdict {
    const database = openDatabase(join(folder, storeFile))
    try {
      const ids = (sql: string): ReadonlySet<unknown> =>
        new Set(
          database
            .prepare(sql)
            .all()
            .map(({ id }) => id)
        )
      const [outbox, inbox] = [ids('SELECT id FROM outbox'), ids(`SELECT id FROM inbox WHERE state IN ('unread', 'read')`)]
      return this.#verdict({ outbox, inbox, damage: checkIntegrity(database) })
    } finally {
      database.close()
    }
  }

  #verdict({
    outbox,
    inbox,
    damage
  }: {
    readonly outbox: ReadonlySet<unknown>
    readonly inbox: ReadonlySet<unknown>
    readonly damage: readonly string[]
  }): LedgerVerdict {
    return {
      accepted: this.#accepted.size,
      stored: this.#stored.size,
      acked: this.#acked.size,
      lostAccepted: [...this.#accepted].filter((id) => !outbox.has(id)),
      lostStored: [...this.#stored].filter((id) => !inbox.has(id)),
      givenAfterAck: [...this.#givenAfterAck],
      damage
    }
  }
}
