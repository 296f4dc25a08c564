import { MeshError } from '../core/base/index.ts'
import type { InboxConsumer, InboxReader, InboxRow } from '../core/message/index.ts'
import type { Delivery } from './delivery.ts'
import type { ConsumerInfo, ConsumerOptions, HealthFinding, Inbox, InboxQuery, ReceivedMessage } from './mesh.ts'
import type { PeerBook } from './peer-book.ts'
import type { Platform } from './ports.ts'
import { receivedFromRow } from './received.ts'

const defaultLimit = 50
const maxLimit = 1_000
const maxAcks = 10_000
const consumerPattern = /^[A-Za-z0-9._-]{1,64}$/

export interface MeshInboxOptions {
  readonly platform: Platform
  readonly delivery: Delivery
  readonly book: PeerBook
}

/** Reading: rows of the store, with their senders' names as this node knows them. */
export class MeshInbox implements Inbox {
  readonly #options: MeshInboxOptions
  /** As they were when they were last looked at. */
  #consumers: readonly InboxConsumer[] = []

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
      handOut: query.handOut ?? false,
      reader: this.#reader(query)
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
    messages: readonly { readonly source: string; readonly id: string }[],
    options: ConsumerOptions = {}
  ): Promise<{ readonly acknowledged: number; readonly unknown: readonly string[] }> {
    const { book, delivery } = this.#options
    if (messages.length > maxAcks) throw new MeshError('OPTION_INVALID', { path: 'messages', value: messages.length, allowed: `at most ${maxAcks}` })
    const rows = messages.map(({ source, id }) => ({ source: book.resolve(source).publicKey, id }))
    const outcomes = await delivery.ack(rows, this.#reader(options))
    return {
      acknowledged: outcomes.filter(({ known }) => known).length,
      unknown: outcomes.filter(({ known }) => !known).map(({ id }) => id)
    }
  }

  /** Acknowledges for every reader: the message went to somebody who waited for it. */
  async take({ source, id }: Pick<ReceivedMessage, 'source' | 'id'>): Promise<void> {
    await this.#options.delivery.ack([{ source: this.#options.book.resolve(source.peerId).publicKey, id }])
  }

  handOut(messages: readonly Pick<ReceivedMessage, 'position'>[], options: ConsumerOptions = {}): Promise<void> {
    const positions = messages.map(({ position }) => position)
    return this.#options.platform.readerStore.handOut(positions, this.#reader(options))
  }

  async consumers(): Promise<readonly ConsumerInfo[]> {
    this.#consumers = await this.#options.platform.readerStore.consumers(this.#options.delivery.now())
    return this.#consumers.map(({ name, createdAt, usedAt, isIdle, acknowledged }) => ({ name, createdAt, usedAt, idle: isIdle, acknowledged }))
  }

  async useConsumer(name: string): Promise<boolean> {
    return this.#options.platform.readerStore.useConsumer(this.#reader({ consumer: name }))
  }

  async removeConsumer(name: string): Promise<void> {
    const { delivery, platform } = this.#options
    const { known, outcomes } = await platform.readerStore.removeConsumer(this.#reader({ consumer: name }))
    if (!known) throw new MeshError('CONSUMER_UNKNOWN', { name })
    delivery.tellRead(outcomes)
    await this.consumers()
  }

  /** Ends what waits for readers that have been away for too long; to be called now and then. */
  async settle(): Promise<void> {
    const { delivery, platform } = this.#options
    delivery.tellRead(await platform.readerStore.settleConsumers(delivery.now()))
    await this.consumers()
  }

  /** What a person should know of the readers. */
  findings(): readonly HealthFinding[] {
    return this.#consumers.flatMap(({ name, isIdle }) =>
      isIdle
        ? [
            {
              code: 'CONSUMER_IDLE',
              message: `The reader ${name} of the inbox has been away for 7 days: no message waits for it any more`,
              hint: `Let it read again, or remove it: synaptic-mesh p2p inbox consumers remove ${name}`
            }
          ]
        : []
    )
  }

  counts(): Promise<{ readonly unread: number; readonly held: number; readonly bytes: number }> {
    return this.#options.platform.deliveryStore.inboxCounts()
  }

  #reader({ consumer }: ConsumerOptions): InboxReader {
    if (consumer !== undefined && !consumerPattern.test(consumer))
      throw new MeshError('OPTION_INVALID', {
        path: 'consumer',
        value: JSON.stringify(consumer.slice(0, 80)),
        allowed: '1 to 64 of A-Z a-z 0-9 . _ -'
      })
    return { name: consumer ?? '', at: this.#options.delivery.now() }
  }

  /** Rows as agents get them. */
  received(rows: readonly InboxRow[]): readonly ReceivedMessage[] {
    return rows.map((row) => this.#received(row))
  }

  #received(row: InboxRow): ReceivedMessage {
    return receivedFromRow(row, this.#options.book.sender(row.source))
  }
}
