import { MeshError } from '../core/base/index.ts'
import type { InboxRow } from '../core/message/index.ts'
import type { Delivery } from './delivery.ts'
import type { Inbox, InboxQuery, ReceivedMessage } from './mesh.ts'
import type { PeerBook } from './peer-book.ts'
import type { Platform } from './ports.ts'
import { receivedFromRow } from './received.ts'

const defaultLimit = 50
const maxLimit = 1_000
const maxAcks = 10_000

export interface MeshInboxOptions {
  readonly platform: Platform
  readonly delivery: Delivery
  readonly book: PeerBook
}

/** Reading: rows of the store, with their senders' names as this node knows them. */
export class MeshInbox implements Inbox {
  readonly #options: MeshInboxOptions

  constructor(options: MeshInboxOptions) {
    this.#options = options
  }

  async list(query: InboxQuery = {}): Promise<{ readonly messages: readonly ReceivedMessage[]; readonly cursor: number }> {
    const after = query.after ?? 0
    const rows = await this.#options.platform.deliveryStore.listInbox({
      after,
      limit: Math.min(maxLimit, Math.max(1, query.limit ?? defaultLimit)),
      types: query.types,
      source: query.from === undefined ? undefined : this.#options.book.resolve(query.from).publicKey,
      states: query.states ?? ['unread'],
      handOut: query.handOut ?? false
    })
    const cursor = rows.reduce((last, row) => Math.max(last, row.position), after)
    return { messages: rows.map((row) => this.#received(row)), cursor }
  }

  /** @throws {MeshError} MESSAGE_UNKNOWN; NAME_AMBIGUOUS when several peers used that id and `from` is missing. */
  async get(id: string, from?: string): Promise<ReceivedMessage> {
    const { book, platform } = this.#options
    const rows = await platform.deliveryStore.getInbox(id, from === undefined ? undefined : book.resolve(from).publicKey)
    const [row] = rows
    if (row === undefined) throw new MeshError('MESSAGE_UNKNOWN', { id })
    if (rows.length > 1) throw new MeshError('NAME_AMBIGUOUS', { name: id, candidates: rows.map(({ source }) => book.reference(source).peerId) })
    return this.#received(row)
  }

  async ack(
    messages: readonly { readonly source: string; readonly id: string }[]
  ): Promise<{ readonly acknowledged: number; readonly unknown: readonly string[] }> {
    const { book, delivery } = this.#options
    if (messages.length > maxAcks) throw new MeshError('OPTION_INVALID', { path: 'messages', value: messages.length, allowed: `at most ${maxAcks}` })
    const outcomes = await delivery.ack(messages.map(({ source, id }) => ({ source: book.resolve(source).publicKey, id })))
    return {
      acknowledged: outcomes.filter(({ known }) => known).length,
      unknown: outcomes.filter(({ known }) => !known).map(({ id }) => id)
    }
  }

  counts(): Promise<{ readonly unread: number; readonly held: number; readonly bytes: number }> {
    return this.#options.platform.deliveryStore.inboxCounts()
  }

  #received(row: InboxRow): ReceivedMessage {
    return receivedFromRow(row, this.#options.book.sender(row.source))
  }
}
