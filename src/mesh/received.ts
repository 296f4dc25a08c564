import { type WallMillis } from '../core/base/index.ts'
import { decodeEnvelope, type Envelope, type InboxRow, type ThreadMark, type VolatileMessage } from '../core/message/index.ts'
import type { PeerReference, ReceivedMessage } from './mesh.ts'

/** Who sent a message, as this node knows the peer. */
export interface Sender {
  readonly source: PeerReference
  readonly paired: boolean
}

interface Arrival {
  readonly position: number
  readonly receivedAt: WallMillis
  readonly state: ReceivedMessage['state']
  readonly handedOut: number
}

/** A row of the inbox as an agent gets it. A message that was read has an empty body. */
export function receivedFromRow(row: InboxRow, sender: Sender): ReceivedMessage {
  const arrival = { position: row.position, receivedAt: row.received.wall, state: row.state, handedOut: row.handedOut }
  return row.envelope.length === 0 ? receivedTombstone(row, sender) : receivedFromEnvelope(decodeEnvelope(row.envelope), sender, arrival)
}

export function receivedFromEnvelope(envelope: Envelope, sender: Sender, arrival: Arrival): ReceivedMessage {
  const { id, type, priority, timestamp, inReplyTo, expectsReply, contentType, body } = envelope
  return {
    ...{ id, type, priority, timestamp, inReplyTo, expectsReply, contentType, body },
    ...sender,
    label: envelope.source.label,
    toLabel: envelope.destination.label,
    receivedAt: arrival.receivedAt,
    state: arrival.state,
    redelivered: arrival.handedOut > 0,
    delivery: 'durable',
    position: arrival.position,
    thread: envelope.thread ?? beginning(id)
  }
}

export function receivedFromVolatile(message: VolatileMessage, sender: Sender, receivedAt: WallMillis): ReceivedMessage {
  const { id, type, label, toLabel, priority, timestamp, inReplyTo, expectsReply, contentType, body } = message
  return {
    ...{ id, type, label, toLabel, priority, timestamp, inReplyTo, expectsReply, contentType, body },
    ...sender,
    receivedAt,
    state: 'unread',
    redelivered: false,
    delivery: 'volatile',
    position: 0,
    thread: beginning(id)
  }
}

function receivedTombstone(row: InboxRow, sender: Sender): ReceivedMessage {
  return {
    id: row.id,
    type: row.type,
    ...sender,
    label: '',
    toLabel: '',
    priority: row.priority,
    timestamp: row.received.wall,
    receivedAt: row.received.wall,
    inReplyTo: undefined,
    expectsReply: false,
    contentType: '',
    body: new Uint8Array(0),
    state: row.state,
    redelivered: row.handedOut > 0,
    delivery: 'durable',
    position: row.position,
    thread: beginning(row.id)
  }
}

/** The thread of a message that says nothing of one: it began its own. */
const beginning = (id: string): ThreadMark => ({ root: id, hop: 0, automatic: false })
