import { messageTypes, routes } from '../../core/message/index.ts'
import type { InboundMessage, InboxRow } from '../../core/message/index.ts'
import { equalBytes, millis, wallMillis } from '../../core/base/index.ts'
import { type Row, blob, choice, number, text } from './rows.ts'
import { type Sealed, digestOf, isSealed } from './seal.ts'

const none = new Uint8Array(0)

/** The columns that `readInboxRow` wants, of inbox joined with sources and epochs; besides, `handed_out`. */
export const sharedColumns = `position, sources.key AS source, epoch, sequence, id, type, priority, ttl_ms, received_boot, received_monotonic, received_wall,
  digest, seal, envelope, proof, via, state`
export const inboxColumns = `${sharedColumns}, handed_out`
export const inboxJoin = 'inbox JOIN sources USING (source_id) JOIN epochs USING (epoch_id)'

/** What the seal of an inbox row covers; the envelope is covered by its digest, the proof by the signature in it. */
export function sealedMessage(message: Omit<InboundMessage, 'envelope' | 'proof'>): Sealed {
  const { id, sequence, type, priority, ttlMs, received } = message
  return {
    scalars: [id, sequence, type, priority, ttlMs, received.bootId, received.monotonic, received.wall],
    bytes: [message.source, message.epoch, message.digest]
  }
}

/** The message of a row, checked against its seal and digest; undefined when the row is damaged. */
export function readInboxRow(row: Row): InboxRow | undefined {
  try {
    const message = decode(row)
    const { digest, envelope, state } = message
    if (!isSealed(blob(row, 'seal'), sealedMessage(message))) return undefined
    return state === 'read' || equalBytes(digestOf(envelope), digest) ? message : undefined
  } catch {
    return undefined
  }
}

function decode(row: Row): InboxRow {
  const state = choice(row, 'state', ['unread', 'held', 'read'])
  return {
    source: blob(row, 'source'),
    via: choice(row, 'via', routes),
    epoch: blob(row, 'epoch'),
    sequence: number(row, 'sequence'),
    id: text(row, 'id'),
    type: choice(row, 'type', messageTypes),
    priority: number(row, 'priority'),
    digest: blob(row, 'digest'),
    envelope: state === 'read' ? none : blob(row, 'envelope'),
    proof: state === 'read' ? none : blob(row, 'proof'),
    received: {
      bootId: text(row, 'received_boot'),
      monotonic: millis(number(row, 'received_monotonic')),
      wall: wallMillis(number(row, 'received_wall'))
    },
    ttlMs: number(row, 'ttl_ms'),
    position: number(row, 'position'),
    state,
    handedOut: number(row, 'handed_out')
  }
}
