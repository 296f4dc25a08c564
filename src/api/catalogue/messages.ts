import { inboxStates, outboxStates } from '../../core/message/types.ts'
import { command } from '../command.ts'
import {
  circuitErrors,
  consumer,
  content,
  encoding,
  messageBodyBytes,
  messageId,
  messageTypeAlso,
  messageTypeNames,
  priority,
  threadErrors,
  threadFields,
  timeoutMs,
  ttlS,
  via
} from './fields.ts'
import { receivedMessage, sendReport } from './shapes.ts'

export const message = command({
  words: ['message'],
  help: 'send a message to an agent and say what became of it',
  fields: {
    destination: {
      type: 'text',
      min: 1,
      max: 512,
      required: true,
      position: 0,
      flag: false,
      placeholder: 'DEST',
      help: 'alias, name, peer id (or 6 characters of it), address, or a group'
    },
    content,
    msgType: { type: 'choice', choices: messageTypeNames, also: messageTypeAlso, default: 'thought', help: 'what kind of message it is' },
    priority,
    ttlS,
    id: { type: 'text', min: 1, max: 64, help: "the message's id; the same id and content again is no second message" },
    label: { type: 'text', max: 64, help: 'which agent of this node it comes from' },
    toLabel: { type: 'text', max: 64, help: 'which agent of the other node it is for' },
    contentType: { type: 'text', min: 1, max: 127, help: 'media type of the content' },
    inReplyTo: { type: 'text', min: 1, max: 64, help: 'id of the message that this one answers' },
    ...threadFields,
    expectsReply: { type: 'boolean', default: false, help: 'say that an answer is expected' },
    request: { type: 'boolean', default: false, help: 'wait for the answer and print it (implies --msg-type command)' },
    volatile: { type: 'boolean', default: false, help: 'no store and no receipt: for what is worthless late' },
    wait: { type: 'choice', choices: ['accepted', 'stored'], default: 'stored', help: 'return at this state' },
    via,
    encoding,
    timeoutMs: {
      type: 'seconds',
      minMs: 1,
      maxMs: 3_600_000,
      flag: '--timeout',
      placeholder: 'SECONDS',
      help: 'wait this many seconds (default 10; for an answer 30)'
    }
  },
  examples: [
    'synaptic-mesh p2p message agent-001 --msg-type thought --content "Processing sensory data" --priority 8',
    'synaptic-mesh p2p message node-beta --msg-type command --content "Execute task sequence" --priority 10',
    'generate-report | synaptic-mesh p2p message agent-001 -'
  ],
  errors: [
    'PEER_UNKNOWN',
    'NAME_AMBIGUOUS',
    'NOT_STORED_YET',
    'GROUP_UNKNOWN',
    'GROUP_INCOMPLETE',
    'GROUP_NOT_MEMBER',
    'PEER_UNREACHABLE',
    'QUOTA',
    'COMMAND_NOT_ALLOWED',
    'REFUSED',
    'EXPIRED',
    'EXPIRED_UNKNOWN',
    'ID_CONFLICT',
    'BODY_TOO_LARGE',
    'DISK_FULL',
    'TIMEOUT',
    'NOT_ALLOWED',
    'PEER_BLOCKED',
    ...threadErrors,
    ...circuitErrors
  ],
  output: (z) => sendReport(z).extend({ response: receivedMessage(z).optional() }),
  route: { method: 'POST', path: '/v1/messages', scope: 'agent', maxBodyBytes: messageBodyBytes }
})

const query = {
  after: { type: 'integer', min: 0, max: Number.MAX_SAFE_INTEGER, default: 0, help: 'only what arrived after this position' },
  limit: { type: 'integer', min: 1, max: 1_000, default: 50, help: 'at most this many' },
  type: { type: 'list', maxItems: 9, maxCharacters: 16, choices: messageTypeNames, also: messageTypeAlso, help: 'only these kinds' },
  from: { type: 'text', min: 1, max: 512, help: 'only from this peer' },
  consumer
} as const

export const inboxList = command({
  words: ['inbox', 'list'],
  isDefault: true,
  help: 'list messages that arrived, without taking them',
  fields: { ...query, state: { type: 'list', maxItems: 3, maxCharacters: 8, choices: inboxStates, help: 'unread (the default), read or held' } },
  examples: ['synaptic-mesh p2p inbox', 'synaptic-mesh p2p inbox list --type command --json'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'CONSUMER_UNKNOWN'],
  output: (z) => z.strictObject({ messages: z.array(receivedMessage(z)), cursor: z.int(), unread: z.int(), held: z.int() }),
  route: { method: 'GET', path: '/v1/inbox', scope: 'read' }
})

export const inboxRead = command({
  words: ['inbox', 'read'],
  help: 'take unread messages; without --ack they are given out again, marked as redelivered',
  fields: {
    id: { type: 'text', min: 1, max: 64, position: 0, flag: false, help: 'this message only' },
    ...query,
    ack: { type: 'boolean', default: false, local: true, help: 'acknowledge them once they are printed' }
  },
  examples: ['synaptic-mesh p2p inbox read --ack', 'synaptic-mesh p2p inbox read 01JD8X…'],
  errors: ['MESSAGE_UNKNOWN', 'PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'CONSUMER_LIMIT'],
  output: (z) => z.strictObject({ messages: z.array(receivedMessage(z)), cursor: z.int() }),
  route: { method: 'POST', path: '/v1/inbox/read', scope: 'agent' }
})

export const inboxAck = command({
  words: ['inbox', 'ack'],
  help: 'acknowledge messages: their senders learn that they were read, and they are never given out again',
  fields: {
    id: { type: 'list', maxItems: 1_000, maxCharacters: 64, required: true, position: 0, flag: false, help: 'ids of messages' },
    from: { type: 'text', min: 1, max: 512, help: 'their sender, where an id is not unique' },
    consumer
  },
  examples: ['synaptic-mesh p2p inbox ack 01JD8X…'],
  errors: ['MESSAGE_UNKNOWN', 'PEER_UNKNOWN', 'DISK_FULL'],
  output: (z) => z.strictObject({ acknowledged: z.int(), unknown: z.array(z.string()) }),
  route: { method: 'POST', path: '/v1/inbox/ack', scope: 'agent' }
})

export const inboxReply = command({
  words: ['inbox', 'reply'],
  help: 'answer a message with a Response',
  fields: {
    id: messageId,
    content,
    from: { type: 'text', min: 1, max: 512, help: 'its sender, where the id is not unique' },
    priority,
    ttlS,
    contentType: { type: 'text', min: 1, max: 127, help: 'media type of the content' },
    ack: { type: 'boolean', default: false, help: 'acknowledge the message that is answered' },
    consumer,
    all: { type: 'boolean', default: false, help: 'answer to the whole group that the message was sent to, not to its sender alone' },
    automatic: threadFields.automatic,
    allow: threadFields.allow,
    via,
    encoding,
    timeoutMs: timeoutMs(10_000)
  },
  examples: ['synaptic-mesh p2p inbox reply 01JD8X… "done" --ack'],
  errors: [
    'MESSAGE_UNKNOWN',
    'NOT_STORED_YET',
    'GROUP_UNKNOWN',
    'GROUP_INCOMPLETE',
    'QUOTA',
    'REFUSED',
    'DISK_FULL',
    'PEER_BLOCKED',
    ...threadErrors,
    ...circuitErrors
  ],
  output: (z) => sendReport(z),
  route: { method: 'POST', path: '/v1/inbox/reply', scope: 'agent', maxBodyBytes: messageBodyBytes }
})

export const outboxList = command({
  words: ['outbox', 'list'],
  isDefault: true,
  help: 'list messages that were sent, with what became of them',
  fields: {
    state: { type: 'list', maxItems: 7, maxCharacters: 16, choices: outboxStates, help: 'only these states' },
    to: { type: 'text', min: 1, max: 512, help: 'only to this peer' },
    limit: { type: 'integer', min: 1, max: 1_000, default: 50, help: 'at most this many, the newest' },
    id: { type: 'text', min: 1, max: 64, help: 'this message only' }
  },
  examples: ['synaptic-mesh p2p outbox', 'synaptic-mesh p2p outbox list --state accepted,sent'],
  errors: ['MESSAGE_UNKNOWN', 'PEER_UNKNOWN'],
  output: (z) => z.strictObject({ messages: z.array(sendReport(z)), queued: z.int(), bytes: z.number() }),
  route: { method: 'GET', path: '/v1/outbox', scope: 'read' }
})

export const outboxRetry = command({
  words: ['outbox', 'retry'],
  help: 'try now what waits for its next attempt',
  fields: { id: { type: 'text', min: 1, max: 64, position: 0, flag: false, help: 'this message only' } },
  examples: ['synaptic-mesh p2p outbox retry'],
  errors: ['MESSAGE_UNKNOWN'],
  output: (z) => z.strictObject({ retried: z.int() }),
  route: { method: 'POST', path: '/v1/outbox/retry', scope: 'agent' }
})

export const outboxCancel = command({
  words: ['outbox', 'cancel'],
  help: 'give up a message that the recipient has not confirmed',
  fields: { id: messageId },
  examples: ['synaptic-mesh p2p outbox cancel 01JD8X…'],
  errors: ['MESSAGE_UNKNOWN', 'NOT_CANCELLABLE'],
  output: (z) => sendReport(z),
  route: { method: 'POST', path: '/v1/outbox/cancel', scope: 'agent' }
})
