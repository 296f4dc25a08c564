import { type WallMillis } from '../core/base/index.ts'
import { decodeEnvelope, type Envelope, type GroupMark, type InboxRow, type ThreadMark, type VolatileMessage } from '../core/message/index.ts'
import type { PeerReference, ReceivedGroup, ReceivedMessage } from './mesh.ts'

/** Who sent a message, as this node knows the peer. */
export interface Sender {
  readonly source: PeerReference
  readonly paired: boolean
  /** What a message says of its group, as this node knows it. */
  readonly groupOf: (mark: GroupMark, id: string) => ReceivedGroup
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

export function receivedFromEnvelope(envelope: Envelope, { source, paired, groupOf }: Sender, arrival: Arrival): ReceivedMessage {
  const { id, type, priority, timestamp, inReplyTo, expectsReply, contentType, body } = envelope
  return {
    ...{ id, type, priority, timestamp, inReplyTo, expectsReply, contentType, body },
    source,
    paired,
    label: envelope.source.label,
    toLabel: envelope.destination.label,
    receivedAt: arrival.receivedAt,
    state: arrival.state,
    redelivered: arrival.handedOut > 0,
    delivery: 'durable',
    position: arrival.position,
    thread: envelope.thread ?? beginning(id),
    group: envelope.group === undefined ? undefined : groupOf(envelope.group, id)
  }
}

export function receivedFromVolatile(message: VolatileMessage, { source, paired }: Sender, receivedAt: WallMillis): ReceivedMessage {
  const { id, type, label, toLabel, priority, timestamp, inReplyTo, expectsReply, contentType, body } = message
  return {
    ...{ id, type, label, toLabel, priority, timestamp, inReplyTo, expectsReply, contentType, body },
    source,
    paired,
    receivedAt,
    state: 'unread',
    redelivered: false,
    delivery: 'volatile',
    position: 0,
    thread: beginning(id),
    group: undefined
  }
}

function receivedTombstone(row: InboxRow, { source, paired }: Sender): ReceivedMessage {
  return {
    id: row.id,
    type: row.type,
    source,
    paired,
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
    thread: beginning(row.id),
    group: undefined
  }
}

/** The thread of a message that says nothing of one: it began its own. */
const beginning = (id: string): ThreadMark => ({ root: id, hop: 0, automatic: false })
