import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { blob, number } from './rows.ts'

/** Epochs remembered of one source, beside those with messages that still wait. */
const keptEpochs = 4
/**
 * Strangers without a waiting message that are remembered; the least recently used one goes. Paired peers always are: identities
 * cost nothing, and a swarm of them must not make the inbox forget which messages of a friend were read.
 */
const keptSources = 10_000
/** How far a floor may rise before the tombstones below it are deleted. */
const pruneStep = 1_024

/** The counts of the whole inbox and of one source, while one call changes them; written back once. */
export interface Tally {
  readonly sourceId: number
  position: number
  unread: number
  held: number
  bytes: number
  messagesOfSource: number
  bytesOfSource: number
}

/** Who sent what stands in the inbox: counts for quotas, epochs and their floors. Used on the storage thread, inside a transaction. */
export class InboxSources {
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database)
  }

  /** The number of a source; undefined when it never sent anything (or was forgotten). */
  find(source: Uint8Array): number | undefined {
    const row = this.#statements.find.get(source)
    return row === undefined ? undefined : number(row, 'source_id')
  }

  /** The counts as they stand; a source that is not known is added. */
  open(source: Uint8Array): Tally {
    const known = this.#statements.find.get(source) ?? this.#add(source)
    const totals = this.totals()
    return { ...totals, sourceId: number(known, 'source_id'), messagesOfSource: number(known, 'messages'), bytesOfSource: number(known, 'bytes') }
  }

  totals(): { readonly position: number; readonly unread: number; readonly held: number; readonly bytes: number } {
    const row = this.#statements.totals.get() ?? {}
    return { position: number(row, 'position'), unread: number(row, 'unread'), held: number(row, 'held'), bytes: number(row, 'bytes') }
  }

  close(tally: Tally): void {
    this.#statements.saveTotals.run(tally.position, tally.unread, tally.held, tally.bytes)
    this.#statements.saveSource.run(tally.messagesOfSource, tally.bytesOfSource, tally.sourceId)
  }

  /** The number of (source, epoch) and its floor, raised to `floor`; an epoch that is not known is added, and the oldest one forgotten. */
  enterEpoch(sourceId: number, epoch: Uint8Array, floor: number): { readonly epochId: number; readonly floor: number } {
    const known = this.#statements.findEpoch.get(sourceId, epoch)
    if (known === undefined) return this.#addEpoch(sourceId, epoch, floor)
    const [epochId, before] = [number(known, 'epoch_id'), number(known, 'floor')]
    if (floor <= before) return { epochId, floor: before }
    this.#statements.raiseFloor.run(floor, epochId)
    if (Math.floor(floor / pruneStep) > Math.floor(before / pruneStep)) this.#statements.pruneEpoch.run(epochId, floor)
    return { epochId, floor }
  }

  /** Deletes every tombstone below its floor, and forgets the sources that have been silent longest. */
  prune(): void {
    for (const row of this.#statements.floors.all()) this.#statements.pruneEpoch.run(number(row, 'epoch_id'), number(row, 'floor'))
    for (const row of this.#statements.idle.all(keptSources)) {
      const sourceId = number(row, 'source_id')
      this.#statements.forgetRows.run(sourceId)
      this.#statements.forgetEpochs.run(sourceId)
      this.#statements.forget.run(sourceId)
    }
  }

  /** Counts anew what stands in the inbox, so that no damaged or interrupted count outlives a start. */
  recount(): void {
    this.#statements.recountSources.run()
    this.#statements.recountTotals.run()
  }

  #add(source: Uint8Array): ReturnType<StatementSync['all']>[number] {
    return this.#statements.add.get(source) ?? {}
  }

  #addEpoch(sourceId: number, epoch: Uint8Array, floor: number): { readonly epochId: number; readonly floor: number } {
    for (const row of this.#statements.oldEpochs.all(sourceId, keptEpochs - 1)) {
      this.#statements.pruneEpoch.run(number(row, 'epoch_id'), Number.MAX_SAFE_INTEGER)
      this.#statements.forgetEpoch.run(number(row, 'epoch_id'))
    }
    const added = this.#statements.addEpoch.get(sourceId, epoch, floor) ?? {}
    return { epochId: number(added, 'epoch_id'), floor }
  }

  /** The raw keys of all sources: for tests. */
  keys(): readonly Uint8Array[] {
    return this.#statements.keys.all().map((row) => blob(row, 'key'))
  }
}

type Name =
  | 'find'
  | 'add'
  | 'totals'
  | 'saveTotals'
  | 'saveSource'
  | 'findEpoch'
  | 'addEpoch'
  | 'raiseFloor'
  | 'pruneEpoch'
  | 'oldEpochs'
  | 'forgetEpoch'
  | 'floors'
  | 'idle'
  | 'forgetRows'
  | 'forgetEpochs'
  | 'forget'
  | 'recountSources'
  | 'recountTotals'
  | 'keys'

function prepare(database: DatabaseSync): Record<Name, StatementSync> {
  return {
    find: database.prepare('SELECT source_id, messages, bytes FROM sources WHERE key = ?'),
    add: database.prepare('INSERT INTO sources (key) VALUES (?) RETURNING source_id, messages, bytes'),
    totals: database.prepare('SELECT * FROM totals'),
    saveTotals: database.prepare('UPDATE totals SET position = ?, unread = ?, held = ?, bytes = ?, used = used + 1'),
    saveSource: database.prepare('UPDATE sources SET messages = ?, bytes = ?, used = (SELECT used FROM totals) WHERE source_id = ?'),
    findEpoch: database.prepare('SELECT epoch_id, floor FROM epochs WHERE source_id = ? AND epoch = ?'),
    addEpoch: database.prepare('INSERT INTO epochs (source_id, epoch, floor, used) VALUES (?, ?, ?, (SELECT used FROM totals)) RETURNING epoch_id'),
    raiseFloor: database.prepare('UPDATE epochs SET floor = ?, used = (SELECT used FROM totals) WHERE epoch_id = ?'),
    pruneEpoch: database.prepare(`DELETE FROM inbox WHERE epoch_id = ? AND sequence < ? AND state IN ('read', 'damaged')`),
    oldEpochs: database.prepare(`SELECT epoch_id FROM epochs AS old WHERE source_id = ? AND epoch_id NOT IN
      (SELECT epoch_id FROM epochs WHERE source_id = old.source_id ORDER BY used DESC, epoch_id DESC LIMIT ?)
      AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.epoch_id = old.epoch_id AND state IN ('unread', 'held'))`),
    forgetEpoch: database.prepare('DELETE FROM epochs WHERE epoch_id = ?'),
    floors: database.prepare('SELECT epoch_id, floor FROM epochs'),
    idle: database.prepare(
      'SELECT source_id FROM sources WHERE messages = 0 AND key NOT IN (SELECT public_key FROM pairs) ORDER BY used DESC LIMIT -1 OFFSET ?'
    ),
    forgetRows: database.prepare('DELETE FROM inbox WHERE source_id = ?'),
    forgetEpochs: database.prepare('DELETE FROM epochs WHERE source_id = ?'),
    forget: database.prepare('DELETE FROM sources WHERE source_id = ?'),
    recountSources:
      database.prepare(`WITH live AS (SELECT source_id, count(*) AS messages, sum(bytes) AS bytes FROM inbox WHERE state IN ('unread', 'held') GROUP BY source_id)
      UPDATE sources SET messages = coalesce((SELECT messages FROM live WHERE live.source_id = sources.source_id), 0),
        bytes = coalesce((SELECT bytes FROM live WHERE live.source_id = sources.source_id), 0)`),
    recountTotals: database.prepare(`UPDATE totals SET position = max(position, coalesce((SELECT max(position) FROM inbox), 0)),
      unread = (SELECT count(*) FROM inbox WHERE state IN ('unread', 'held') AND state = 'unread'), held = (SELECT count(*) FROM inbox WHERE state IN ('unread', 'held') AND state = 'held'),
      bytes = (SELECT coalesce(sum(bytes), 0) FROM inbox WHERE state IN ('unread', 'held'))`),
    keys: database.prepare('SELECT key FROM sources')
  }
}
