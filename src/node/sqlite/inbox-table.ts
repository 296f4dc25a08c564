import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { equalBytes, MeshError } from '../../core/base/index.ts'
import {
  type AckOutcome,
  type AdmissionLimits,
  type AdmitOutcome,
  type InboundMessage,
  type InboxFilter,
  type InboxReader,
  type InboxRow,
  type InboxState,
  type Instant,
  type KnownMessage,
  decideAdmission,
  decodeEnvelope,
  routes
} from '../../core/message/index.ts'
import type { Finding } from './calls.ts'
import { ConsumerTable } from './consumer-table.ts'
import { inboxColumns, inboxJoin, readInboxRow, sealedMessage, sharedColumns } from './inbox-rows.ts'
import { InboxSources, type Tally } from './inbox-sources.ts'
import { type Row, blob, choice, number, text } from './rows.ts'
import { seal } from './seal.ts'

/** A list ends early when its envelopes have this many bytes together (after one row at least). */
const listBytes = 8_388_608

/** The inbox of one store. Used on the storage thread, inside its transactions. */
export class InboxTable {
  readonly #statements: ReturnType<typeof prepare>
  readonly #sources: InboxSources
  readonly #report: (finding: Finding) => void
  /** Its named readers. */
  readonly consumers: ConsumerTable

  constructor(database: DatabaseSync, report: (finding: Finding) => void) {
    this.#statements = prepare(database)
    this.consumers = new ConsumerTable(database)
    this.#sources = new InboxSources(database)
    this.#report = report
  }

  recount(): void {
    this.#sources.recount()
  }

  prune(): undefined {
    this.#sources.prune()
    this.consumers.prune()
  }

  counts(): { readonly unread: number; readonly held: number; readonly bytes: number } {
    const { unread, held, bytes } = this.#sources.totals()
    return { unread, held, bytes }
  }

  /** Decides about each message in order and writes what is admitted; counts include what was admitted before it in this call. */
  admit(messages: readonly InboundMessage[], floor: number, limits: AdmissionLimits): readonly AdmitOutcome[] {
    const [first] = messages
    if (first === undefined) return []
    const tally = this.#sources.open(first.source)
    const epoch = this.#sources.enterEpoch(tally.sourceId, first.epoch, floor)
    const outcomes = messages.map((message) => this.#admitOne(message, { tally, epoch, limits }))
    this.#sources.close(tally)
    return outcomes
  }

  list(filter: InboxFilter): readonly InboxRow[] {
    const sourceId = filter.source === undefined ? null : (this.#sources.find(filter.source) ?? -1)
    const types = filter.types === undefined ? null : JSON.stringify(filter.types)
    const reader = this.#enter(filter)
    const found = filter.states.flatMap((state) =>
      this.#readSound(
        this.#statements[state].iterate(filter.after, sourceId, types, filter.limit, reader, filter.control === true ? 1 : 0),
        filter.limit
      )
    )
    const rows = fitting(found.toSorted((a, b) => a.position - b.position).slice(0, filter.limit))
    if (filter.handOut)
      this.#handOut(
        rows.map(({ position }) => position),
        reader
      )
    return rows
  }

  /** Counts messages as given to a reader; one that is new is registered. */
  handOut(positions: readonly number[], { name, at }: InboxReader): undefined {
    if (name !== '') this.consumers.use(name, at)
    this.#handOut(positions, name)
  }

  #handOut(positions: readonly number[], name: string): void {
    for (const position of positions) {
      if (name === '') this.#statements.handOut.run(position)
      else this.consumers.handOut(name, position)
    }
  }

  /** The name of who reads. Taking messages registers a reader, looking at them does not. */
  #enter({ reader, handOut }: InboxFilter): string {
    const { name = '' } = reader ?? {}
    if (reader === undefined || name === '') return name
    if (handOut) this.consumers.use(name, reader.at)
    else if (!this.consumers.has(name)) throw new MeshError('CONSUMER_UNKNOWN', { name })
    return name
  }

  get(id: string, source: Uint8Array | undefined): readonly InboxRow[] {
    const sourceId = source === undefined ? null : (this.#sources.find(source) ?? -1)
    return this.#readSound(this.#statements.byName.iterate(id, sourceId), Number.MAX_SAFE_INTEGER)
  }

  /** For one reader: a message is read when all for whom it waits acknowledged it. Without: for everybody. */
  ack(messages: readonly { readonly source: Uint8Array; readonly id: string }[], reader: InboxReader | undefined): readonly AckOutcome[] {
    if (reader !== undefined && reader.name !== '') this.consumers.use(reader.name, reader.at)
    const required = reader === undefined ? [] : this.consumers.required(reader.at)
    // The usual inbox has one reader: then nobody is asked.
    const waits = required.length === 1 && required[0] === reader?.name ? [] : required
    return messages.map(({ source, id }) => {
      const position = reader === undefined || waits.length === 0 ? undefined : this.#unreadPosition(source, id)
      if (reader === undefined || position === undefined) return this.#ackOne(source, id)
      this.consumers.acknowledge(reader.name, position)
      return this.consumers.isFinished(position, waits) ? this.#ackOne(source, id) : { ...this.#outcomeOf(source, id), known: true }
    })
  }

  /** Forgets a named reader. */
  removeConsumer({ name, at }: InboxReader): { readonly known: boolean; readonly outcomes: readonly AckOutcome[] } {
    const known = this.consumers.remove(name)
    return { known, outcomes: known ? this.settleConsumers(at) : [] }
  }

  /** Ends what waits for nobody any more. */
  settleConsumers(at: Instant): readonly AckOutcome[] {
    const required = this.consumers.required(at)
    return this.consumers
      .waiting()
      .filter((position) => this.consumers.isFinished(position, required))
      .flatMap((position) => {
        const row = this.#statements.byPosition.get(position)
        if (row !== undefined) return [this.#ackOne(blob(row, 'source'), text(row, 'id'))]
        this.consumers.forget(position)
        return []
      })
  }

  /** Where a message that waits for its readers stands; what is held waits for a person, and what is read for nobody. */
  #unreadPosition(source: Uint8Array, id: string): number | undefined {
    const sourceId = this.#sources.find(source)
    const row = this.#known(sourceId === undefined ? undefined : this.#statements.byId.get(sourceId, id))
    return row?.state === 'unread' ? row.position : undefined
  }

  /** Turns what is held of `source`, or what it sent to one group, into unread messages. */
  release(source: Uint8Array, group?: Uint8Array): readonly InboxRow[] {
    if (this.#sources.find(source) === undefined) return []
    const tally = this.#sources.open(source)
    const all = this.#readSound(this.#statements.held.iterate(0, tally.sourceId, null, -1, '', -1), Number.MAX_SAFE_INTEGER)
    const held = group === undefined ? all : all.filter((row) => isOfGroup(row, group))
    for (const row of held) this.#statements.setState.run('unread', row.position)
    const after = this.#sources.open(source)
    this.#sources.close({ ...after, unread: after.unread + held.length, held: after.held - held.length })
    return held.map((row) => ({ ...row, state: 'unread' }))
  }

  #admitOne(message: InboundMessage, batch: Batch): AdmitOutcome {
    const { tally, epoch, limits } = batch
    const bySequence = this.#known(this.#statements.bySequence.get(epoch.epochId, message.sequence))
    const byId = bySequence === undefined ? this.#known(this.#statements.byId.get(tally.sourceId, message.id)) : undefined
    const counts = {
      messages: tally.unread + tally.held,
      bytes: tally.bytes,
      messagesOfSource: tally.messagesOfSource,
      bytesOfSource: tally.bytesOfSource
    }
    const decision = decideAdmission(message, { floor: epoch.floor, bySequence, byId, ...counts }, limits)
    if (decision.action === 'answer') return decision.outcome
    this.#insert(message, decision.state, batch)
    return { outcome: decision.state === 'unread' ? 'stored' : 'held', repeat: false, position: tally.position }
  }

  #insert(message: InboundMessage, state: 'unread' | 'held', { tally, epoch }: Batch): void {
    const { received, envelope } = message
    tally.position += 1
    tally[state] += 1
    tally.bytes += envelope.length
    tally.messagesOfSource += 1
    tally.bytesOfSource += envelope.length
    this.#statements.insert.run(
      tally.position,
      tally.sourceId,
      epoch.epochId,
      message.sequence,
      message.id,
      message.type,
      message.priority,
      message.ttlMs,
      received.bootId,
      received.monotonic,
      received.wall,
      message.digest,
      seal(sealedMessage(message)),
      envelope.length,
      envelope,
      message.proof,
      message.via,
      state,
      message.control === true ? 1 : 0
    )
  }

  // A damaged row is as good as none: the sender has the message still, or has ended it.
  #known(row: Row | undefined): KnownMessage | undefined {
    if (row === undefined) return undefined
    if (row['state'] === 'damaged') {
      this.#statements.delete.run(number(row, 'position'))
      return undefined
    }
    const state = choice(row, 'state', ['unread', 'held', 'read'])
    return {
      epoch: blob(row, 'epoch'),
      sequence: number(row, 'sequence'),
      id: text(row, 'id'),
      digest: blob(row, 'digest'),
      state,
      position: number(row, 'position')
    }
  }

  #ackOne(source: Uint8Array, id: string): AckOutcome {
    const sourceId = this.#sources.find(source)
    const found = sourceId === undefined ? undefined : this.#statements.byId.get(sourceId, id)
    const row = this.#known(found)
    if (found === undefined || row === undefined) return this.#outcomeOf(source, id)
    const changed = row.state !== 'read'
    if (changed) this.#remove(source, row, 'read')
    return { source, via: choice(found, 'via', routes), id, changed, known: true, epoch: row.epoch, sequence: row.sequence, digest: row.digest }
  }

  #outcomeOf(source: Uint8Array, id: string): AckOutcome {
    return { source, via: 'direct', id, changed: false, known: false, epoch: undefined, sequence: 0, digest: undefined }
  }

  /** Takes a waiting row out of the counts; what stays is its identity, so that repeats are known. */
  #remove(source: Uint8Array, row: { readonly position: number; readonly state: InboxState }, state: 'read' | 'damaged'): void {
    const bytes = number(this.#statements.bytes.get(row.position) ?? {}, 'bytes')
    const tally = this.#sources.open(source)
    if (row.state === 'held') tally.held -= 1
    else tally.unread -= 1
    tally.bytes -= bytes
    tally.messagesOfSource -= 1
    tally.bytesOfSource -= bytes
    this.#sources.close(tally)
    this.consumers.forget(row.position)
    if (state === 'read') this.#statements.bury.run(row.position)
    else this.#statements.setState.run('damaged', row.position)
  }

  #readSound(rows: Iterable<Row>, limit: number): readonly InboxRow[] {
    const sound: InboxRow[] = []
    const damaged: Row[] = []
    let bytes = 0
    for (const row of rows) {
      const read = readInboxRow(row)
      if (read === undefined) damaged.push(row)
      else if (sound.push(read) >= limit || (bytes += read.envelope.length) > listBytes) break
    }
    for (const row of damaged) this.#setAside(row)
    return sound
  }

  #setAside(row: Row): void {
    const state = row['state']
    const position = number(row, 'position')
    this.#report({ where: 'inbox', id: String(row['id']), reason: 'its bytes are not those that were written' })
    if (state === 'unread' || state === 'held') this.#remove(blob(row, 'source'), { position, state }, 'damaged')
    else this.#statements.setState.run('damaged', position)
  }
}

interface Batch {
  readonly tally: Tally
  readonly epoch: { readonly epochId: number; readonly floor: number }
  readonly limits: AdmissionLimits
}

function isOfGroup({ envelope }: InboxRow, id: Uint8Array): boolean {
  const { group } = decodeEnvelope(envelope)
  return group !== undefined && equalBytes(group.id, id)
}

function fitting(rows: readonly InboxRow[]): readonly InboxRow[] {
  let bytes = 0
  const end = rows.findIndex((row, index) => (bytes += row.envelope.length) > listBytes && index > 0)
  return end < 0 ? rows : rows.slice(0, end)
}

function prepare(
  database: DatabaseSync
): Record<
  'insert' | 'bySequence' | 'byId' | 'byPosition' | 'bytes' | 'bury' | 'setState' | 'delete' | 'handOut' | 'byName' | InboxState,
  StatementSync
> {
  // Only with the very words of its WHERE clause, and no parameter for the state, SQLite uses the index of waiting messages: tombstones are not looked at.
  const waiting = `state IN ('unread', 'held') AND`
  const list = (state: InboxState): StatementSync =>
    database.prepare(`SELECT ${sharedColumns}, ${handedOut} FROM ${inboxJoin} WHERE ${state === 'read' ? '' : waiting} state = '${state}' AND position > ?1
      AND (?2 IS NULL OR inbox.source_id = ?2) AND (?3 IS NULL OR type IN (SELECT value FROM json_each(?3))) AND (?6 < 0 OR control = ?6)${state === 'read' ? '' : open} ORDER BY position LIMIT ?4`)
  // A reader gets what it did not acknowledge itself; how often it was given one is its own affair.
  const open = ' AND NOT EXISTS (SELECT 1 FROM consumer_messages AS c WHERE c.consumer = ?5 AND c.position = inbox.position AND c.acknowledged = 1)'
  const handedOut = `CASE WHEN ?5 = '' THEN handed_out ELSE coalesce(
    (SELECT c.handed_out FROM consumer_messages AS c WHERE c.consumer = ?5 AND c.position = inbox.position), 0) END AS handed_out`
  const known = 'SELECT epoch, sequence, id, digest, via, state, position FROM inbox JOIN epochs USING (epoch_id)'
  return {
    insert:
      database.prepare(`INSERT INTO inbox (position, source_id, epoch_id, sequence, id, type, priority, ttl_ms, received_boot, received_monotonic, received_wall,
      digest, seal, bytes, envelope, proof, via, state, control) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    bySequence: database.prepare(`${known} WHERE epoch_id = ? AND sequence = ?`),
    byId: database.prepare(`${known} WHERE inbox.source_id = ? AND id = ?`),
    byPosition: database.prepare('SELECT key AS source, id FROM inbox JOIN sources USING (source_id) WHERE position = ?'),
    bytes: database.prepare('SELECT bytes FROM inbox WHERE position = ?'),
    bury: database.prepare(`UPDATE inbox SET state = 'read', envelope = NULL, proof = NULL WHERE position = ?`),
    setState: database.prepare('UPDATE inbox SET state = ? WHERE position = ?'),
    delete: database.prepare('DELETE FROM inbox WHERE position = ?'),
    handOut: database.prepare('UPDATE inbox SET handed_out = handed_out + 1 WHERE position = ?'),
    byName: database.prepare(
      `SELECT ${inboxColumns} FROM ${inboxJoin} WHERE id = ?1 AND (?2 IS NULL OR inbox.source_id = ?2) AND state <> 'damaged' ORDER BY position`
    ),
    unread: list('unread'),
    held: list('held'),
    read: list('read')
  }
}
