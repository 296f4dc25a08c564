import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { wallMillis } from '../../core/base/index.ts'
import { type MessageType, messageTypes } from '../../core/message/index.ts'
import type { BlockedRecord, HeldSource } from '../../mesh/ports.ts'
import { InboxSources } from './inbox-sources.ts'
import { type Row, blob, number, text } from './rows.ts'

/** Who is blocked, and what is held of strangers. Used on the storage thread. */
export class TrustTable {
  readonly #statements: ReturnType<typeof prepare>
  readonly #sources: InboxSources

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database)
    this.#sources = new InboxSources(database)
  }

  removePair(publicKey: Uint8Array): undefined {
    this.#statements.removePair.run(publicKey)
  }

  blocked(): readonly BlockedRecord[] {
    return this.#statements.blocked.all().map(blockedOf)
  }

  block({ publicKey, peerId, name, blockedAt }: BlockedRecord): undefined {
    this.#statements.block.run(publicKey, peerId, name, blockedAt)
  }

  unblock(publicKey: Uint8Array): undefined {
    this.#statements.unblock.run(publicKey)
  }

  heldSources(): readonly HeldSource[] {
    return this.#statements.heldSources.all().map(heldOf)
  }

  /** What was deleted is not known any more: the same message again would be judged as a new one. */
  dropHeld(source: Uint8Array): number {
    const sourceId = this.#sources.find(source)
    if (sourceId === undefined) return 0
    const dropped = this.#statements.dropHeld.all(sourceId)
    if (dropped.length === 0) return 0
    const bytes = dropped.reduce((sum, row) => sum + number(row, 'bytes'), 0)
    const tally = this.#sources.open(source)
    tally.held -= dropped.length
    tally.bytes -= bytes
    tally.messagesOfSource -= dropped.length
    tally.bytesOfSource -= bytes
    this.#sources.close(tally)
    return dropped.length
  }
}

function prepare(database: DatabaseSync): Record<'removePair' | 'blocked' | 'block' | 'unblock' | 'heldSources' | 'dropHeld', StatementSync> {
  return {
    removePair: database.prepare('DELETE FROM pairs WHERE public_key = ?'),
    blocked: database.prepare('SELECT * FROM blocked ORDER BY blocked_at, public_key'),
    block: database.prepare('INSERT INTO blocked (public_key, peer_id, name, blocked_at) VALUES (?, ?, ?, ?) ON CONFLICT (public_key) DO NOTHING'),
    unblock: database.prepare('DELETE FROM blocked WHERE public_key = ?'),
    // The very words of the index of waiting messages: tombstones are not looked at.
    heldSources: database.prepare(`SELECT sources.key AS source, count(*) AS messages, sum(inbox.bytes) AS bytes, min(received_wall) AS since,
      group_concat(DISTINCT type) AS types FROM inbox JOIN sources USING (source_id) WHERE state IN ('unread', 'held') AND state = 'held'
      GROUP BY source_id ORDER BY min(position)`),
    dropHeld: database.prepare(`DELETE FROM inbox WHERE state IN ('unread', 'held') AND state = 'held' AND source_id = ? RETURNING bytes`)
  }
}

function blockedOf(row: Row): BlockedRecord {
  return {
    publicKey: blob(row, 'public_key'),
    peerId: text(row, 'peer_id'),
    name: text(row, 'name'),
    blockedAt: wallMillis(number(row, 'blocked_at'))
  }
}

function heldOf(row: Row): HeldSource {
  const named = new Set(text(row, 'types').split(','))
  return {
    source: blob(row, 'source'),
    messages: number(row, 'messages'),
    bytes: number(row, 'bytes'),
    since: wallMillis(number(row, 'since')),
    types: messageTypes.filter((type: MessageType) => named.has(type))
  }
}
