import { fromUtf8, MeshError, wallMillis } from '../base/index.ts'
import { type CborValue, decodeCbor, encodeCbor, malformedCbor, readHead } from './cbor.ts'
import { invalidOption, isContentType, isIntegerIn, isLabel, isMessageId } from './field-rules.ts'
import type { MessageDraft } from './outbox-types.ts'
import type { Sha256 } from './sha256.ts'
import { messageTypeNumber, messageTypeOfNumber } from './type-tables.ts'
import { type Envelope, type GroupMark, messageLimits, messageTypes, type Principal, type ThreadMark } from './types.ts'

const what = 'envelope'
const bounds = { what, maxBytes: messageLimits.envelopeBytes, maxItems: 29, maxDepth: 2 } as const
const envelopeVersion = 1
const keyBytes = 32
const epochBytes = 16
const kindPeer = 0

/** The bytes of an envelope: deterministic CBOR, see docs/wire/envelope.md. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const { thread, group } = envelope
  const marks = thread === undefined && group === undefined ? [] : [threadValue(thread), groupValue(group)]
  return encodeCbor([
    envelope.version,
    envelope.id,
    envelope.epoch,
    envelope.sequence,
    messageTypeNumber(envelope.type),
    principalValue(envelope.source),
    principalValue(envelope.destination),
    envelope.inReplyTo ?? null,
    envelope.expectsReply,
    envelope.priority,
    envelope.ttlS,
    envelope.timestamp,
    envelope.contentType,
    envelope.body,
    ...marks
  ])
}

const threadValue = (thread: ThreadMark | undefined): CborValue => (thread === undefined ? null : [thread.root, thread.hop, thread.automatic])
const groupValue = (group: GroupMark | undefined): CborValue => (group === undefined ? null : [group.id, group.epoch, group.message])
const principalValue = (principal: Principal): CborValue => [kindPeer, principal.key, principal.label]

/**
 * The envelope in `bytes`, every field within its limits. @throws {MeshError} UNSUPPORTED_VERSION when the first four fields can be
 * read and the version is another one; else MESSAGE_MALFORMED.
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const identity = readEnvelopeIdentity(bytes)
  if (identity === undefined) throw malformedCbor(what, 'its first four fields cannot be read')
  if (identity.version !== envelopeVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The envelope', version: identity.version })
  return toEnvelope(decodeCbor(bytes, bounds))
}

function toEnvelope(value: unknown): Envelope {
  if (!Array.isArray(value) || (value.length !== 14 && value.length !== 16)) throw malformedCbor(what, 'not an array of 14 or 16')
  const fields: readonly unknown[] = value
  const type = messageTypeOfNumber(fields[4])
  if (type === undefined) throw malformedCbor(what, 'unknown message type')
  return {
    version: envelopeVersion,
    id: textField(fields[1], 'id', isMessageId),
    type,
    source: principalField(fields[5], 'source'),
    destination: principalField(fields[6], 'destination'),
    epoch: bytesField(fields[2], 'epoch', epochBytes),
    sequence: integerField(fields[3], 'sequence', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    inReplyTo: fields[7] === null ? undefined : textField(fields[7], 'in-reply-to', isMessageId),
    expectsReply: booleanField(fields[8], 'expects-reply'),
    priority: integerField(fields[9], 'priority', { min: 0, max: messageLimits.priority }),
    ttlS: integerField(fields[10], 'ttl', { min: 1, max: messageLimits.ttlS }),
    timestamp: wallMillis(integerField(fields[11], 'timestamp', { min: 0, max: Number.MAX_SAFE_INTEGER })),
    contentType: textField(fields[12], 'content type', isContentType),
    body: bodyField(fields[13]),
    ...marksOf(fields)
  }
}

/** One message has one form: two items more only where at least one of them says something. */
function marksOf(fields: readonly unknown[]): Pick<Envelope, 'thread' | 'group'> {
  if (fields.length === 14) return {}
  const [thread, group] = [threadField(fields[14]), groupField(fields[15])]
  if (thread === undefined && group === undefined) throw malformedCbor(what, 'its last two items say nothing')
  return { ...(thread === undefined ? {} : { thread }), ...(group === undefined ? {} : { group }) }
}

function threadField(value: unknown): ThreadMark | undefined {
  if (value === null) return undefined
  if (!Array.isArray(value) || value.length !== 3) throw malformedCbor(what, 'thread is not an array of 3')
  const fields: readonly unknown[] = value
  return {
    root: textField(fields[0], 'root of the thread', isMessageId),
    hop: integerField(fields[1], 'hop', { min: 0, max: messageLimits.hop }),
    automatic: booleanField(fields[2], 'automatic')
  }
}

function groupField(value: unknown): GroupMark | undefined {
  if (value === null) return undefined
  if (!Array.isArray(value) || value.length !== 3) throw malformedCbor(what, 'group is not an array of 3')
  const fields: readonly unknown[] = value
  return {
    id: bytesField(fields[0], 'group id', messageLimits.groupIdBytes),
    epoch: integerField(fields[1], 'group epoch', { min: 1, max: 2 ** 32 - 1 }),
    message: textField(fields[2], 'message of the group', isMessageId)
  }
}

function principalField(value: unknown, name: string): Principal {
  if (!Array.isArray(value) || value.length !== 3) throw malformedCbor(what, `${name} is no principal`)
  const fields: readonly unknown[] = value
  if (fields[0] !== kindPeer) throw malformedCbor(what, `${name} has an unknown kind`)
  return { kind: 'peer', key: bytesField(fields[1], `${name} key`, keyBytes), label: textField(fields[2], `${name} label`, isLabel) }
}

function textField(value: unknown, name: string, isValid: (text: string) => boolean): string {
  if (typeof value !== 'string' || !isValid(value)) throw malformedCbor(what, `${name} is not valid`)
  return value
}

function bytesField(value: unknown, name: string, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw malformedCbor(what, `${name} is not ${length} bytes`)
  return value
}

function bodyField(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length > messageLimits.bodyBytes)
    throw malformedCbor(what, `body is not at most ${messageLimits.bodyBytes} bytes`)
  return value
}

function integerField(value: unknown, name: string, range: { readonly min: number; readonly max: number }): number {
  if (!isIntegerIn(value, range.min, range.max)) throw malformedCbor(what, `${name} is out of range`)
  return value
}

function booleanField(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw malformedCbor(what, `${name} is not a boolean`)
  return value
}

/** The fields that stand at the head of an envelope of every version, so that a refusal can name the message. */
export interface EnvelopeIdentity {
  readonly version: number
  readonly id: string
  readonly epoch: Uint8Array
  readonly sequence: number
}

/** Reads version, id, epoch and sequence of an envelope of any version; undefined when they are not there or not valid. */
export function readEnvelopeIdentity(bytes: Uint8Array): EnvelopeIdentity | undefined {
  const array = readHead(bytes, 0)
  if (array === undefined || array.major !== 4 || array.value < 4) return undefined
  const version = readHead(bytes, array.next)
  if (version === undefined || version.major !== 0) return undefined
  const id = readHead(bytes, version.next)
  if (id === undefined || id.major !== 3 || id.value > messageLimits.idCharacters) return undefined
  const epoch = readHead(bytes, id.next + id.value)
  if (epoch === undefined || epoch.major !== 2 || epoch.value !== epochBytes) return undefined
  const sequence = readHead(bytes, epoch.next + epochBytes)
  if (sequence === undefined || sequence.major !== 0 || !Number.isSafeInteger(sequence.value)) return undefined
  const text = asciiText(bytes.subarray(id.next, id.next + id.value))
  if (!isMessageId(text)) return undefined
  return { version: version.value, id: text, epoch: bytes.subarray(epoch.next, epoch.next + epochBytes), sequence: sequence.value }
}

const asciiText = (bytes: Uint8Array): string => (bytes.every((byte) => byte < 128) ? fromUtf8(bytes) : '')

/** SHA-256 of what a caller gave, which with the id decides whether a second submit is a repeat or a conflict. */
export function contentDigest(draft: MessageDraft, sha256: Sha256): Uint8Array {
  const { destination } = draft
  return sha256(
    encodeCbor([
      messageTypeNumber(draft.type),
      destination.key,
      destination.label,
      draft.label,
      draft.inReplyTo ?? null,
      draft.expectsReply,
      draft.contentType,
      draft.body,
      ...(draft.group === undefined ? [] : [groupValue(draft.group)])
    ])
  )
}

/** Checks a draft before anything is made of it. @throws {MeshError} OPTION_INVALID, BODY_TOO_LARGE */
export function checkDraft(draft: MessageDraft): void {
  if (!isMessageId(draft.id)) throw invalidOption('id', draft.id, '1 to 64 of A-Z a-z 0-9 . _ -')
  if (!messageTypes.includes(draft.type)) throw invalidOption('type', draft.type, `one of ${messageTypes.join(', ')}`)
  if (draft.destination.key.length !== keyBytes) throw invalidOption('destination', `${draft.destination.key.length} bytes`, 'a key of 32 bytes')
  if (!isLabel(draft.label)) throw invalidOption('label', draft.label, 'at most 64 characters, none of them a control character')
  if (!isLabel(draft.destination.label))
    throw invalidOption('toLabel', draft.destination.label, 'at most 64 characters, none of them a control character')
  if (draft.inReplyTo !== undefined && !isMessageId(draft.inReplyTo)) throw invalidOption('inReplyTo', draft.inReplyTo, 'a message id')
  if (!isIntegerIn(draft.priority, 0, messageLimits.priority))
    throw invalidOption('priority', draft.priority, `an integer from 0 to ${messageLimits.priority}`)
  if (!isIntegerIn(draft.ttlS, 1, messageLimits.ttlS)) throw invalidOption('ttlS', draft.ttlS, `an integer from 1 to ${messageLimits.ttlS}`)
  if (!isContentType(draft.contentType)) throw invalidOption('contentType', draft.contentType, '1 to 127 printable ASCII characters')
  if (draft.body.length > messageLimits.bodyBytes) throw new MeshError('BODY_TOO_LARGE', { bytes: draft.body.length, max: messageLimits.bodyBytes })
  if (draft.thread !== undefined && !isMessageId(draft.thread.root)) throw invalidOption('thread', draft.thread.root, 'a message id')
  if (draft.thread !== undefined && !isIntegerIn(draft.thread.hop, 0, messageLimits.hop))
    throw invalidOption('hop', draft.thread.hop, `an integer from 0 to ${messageLimits.hop}`)
}
