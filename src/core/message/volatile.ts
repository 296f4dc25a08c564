import { ByteReader, ByteWriter, type Bytes, fromUtf8, MeshError, utf8, type WallMillis, wallMillis } from '../base/index.ts'
import { invalidOption, isContentType, isIntegerIn, isLabel, isMessageId } from './field-rules.ts'
import { type MessageType, messageLimits, messageTypes } from './types.ts'
import { contentTypeCode, contentTypeOfCode, messageTypeNumber } from './type-tables.ts'

/** A message without store, receipt or signature: what is worthless late. Its source is the channel's authenticated peer. */
export interface VolatileMessage {
  readonly id: string
  readonly type: MessageType
  /** The sender's agent label. */
  readonly label: string
  readonly toLabel: string
  readonly inReplyTo: string | undefined
  readonly expectsReply: boolean
  readonly priority: number
  readonly ttlS: number
  /** The sender's wall clock. */
  readonly timestamp: WallMillis
  readonly contentType: string
  readonly body: Uint8Array
}

/** First byte of a VOLATILE frame; see frames.ts. */
export const volatileKind = 3
const volatileVersion = 1
const flagExpectsReply = 1
const flagInReplyTo = 2
const frameHeaderBytes = 4
const countOffset = 2
const high32 = 2 ** 32
const maxTimestamp = 2 ** 48 - 1

/** Bytes of a message in a frame besides body, id and texts: for deciding whether another one fits. */
export const volatileOverheadBytes = 512

/** Fills one VOLATILE frame (docs/wire/message.md), message by message: each is copied when it is added, so that its body is the caller's again. */
export class VolatileFrame {
  readonly #writer: ByteWriter
  #count = 0

  /** @param memory - where it is written; what does not fit is copied into a larger array. */
  constructor(memory: Bytes) {
    this.#writer = new ByteWriter(memory).u8(volatileKind).u8(volatileVersion).u16(0)
  }

  /** Messages so far; a frame takes 65,535. */
  get count(): number {
    return this.#count
  }

  /** Bytes so far; the caller keeps them under `messageLimits.frameBytes`. */
  get bytes(): number {
    return this.#writer.length
  }

  /** Adds a message; a wrong one leaves the frame as it was. @throws {MeshError} BODY_TOO_LARGE, OPTION_INVALID for a message that no peer would take. */
  add(message: VolatileMessage): void {
    checkMessage(message)
    writeMessage(this.#writer, message)
    this.#count += 1
  }

  /** The frame of what was added; nothing may be added afterwards. */
  take(): Uint8Array {
    return this.#writer.setU16(countOffset, this.#count).take()
  }
}

/** The VOLATILE frame of 1–65,535 messages. @throws as `VolatileFrame.add` */
export function encodeVolatile(messages: readonly VolatileMessage[]): Uint8Array {
  const frame = new VolatileFrame(new Uint8Array(frameHeaderBytes))
  for (const message of messages) frame.add(message)
  return frame.take()
}

/** @throws {MeshError} BODY_TOO_LARGE, OPTION_INVALID */
function checkMessage(message: VolatileMessage): void {
  const { id, type, inReplyTo, priority, ttlS, timestamp, label, toLabel, contentType, body } = message
  if (body.length > messageLimits.bodyBytes) throw new MeshError('BODY_TOO_LARGE', { bytes: body.length, max: messageLimits.bodyBytes })
  if (messageTypeNumber(type) === 0) throw invalidOption('type', type, `one of ${messageTypes.join(', ')}`)
  if (!isMessageId(id)) throw invalidOption('id', id, '1 to 64 of A-Z a-z 0-9 . _ -')
  if (inReplyTo !== undefined && !isMessageId(inReplyTo)) throw invalidOption('inReplyTo', inReplyTo, 'a message id')
  if (!isIntegerIn(priority, 0, messageLimits.priority)) throw invalidOption('priority', priority, `an integer from 0 to ${messageLimits.priority}`)
  if (!isIntegerIn(ttlS, 1, messageLimits.ttlS)) throw invalidOption('ttlS', ttlS, `an integer from 1 to ${messageLimits.ttlS}`)
  if (!isIntegerIn(timestamp, 0, maxTimestamp)) throw invalidOption('timestamp', timestamp, 'whole milliseconds of 48 bits')
  if (!isLabel(label)) throw invalidOption('label', label, 'at most 64 characters, none of them a control character')
  if (!isLabel(toLabel)) throw invalidOption('toLabel', toLabel, 'at most 64 characters, none of them a control character')
  if (contentTypeCode(contentType) === 0 && !isContentType(contentType))
    throw invalidOption('contentType', contentType, '1 to 127 printable ASCII characters')
}

function writeMessage(writer: ByteWriter, message: VolatileMessage): void {
  const { inReplyTo } = message
  const contentType = contentTypeCode(message.contentType)
  const high = Math.floor(message.timestamp / high32)
  writer
    .u8(messageTypeNumber(message.type))
    .u8((message.expectsReply ? flagExpectsReply : 0) | (inReplyTo === undefined ? 0 : flagInReplyTo))
    .u8(message.priority)
    .u8(contentType)
    .u32(message.ttlS)
    .u16(high)
    .u32(message.timestamp - high * high32)
  writeId(writer, message.id)
  if (inReplyTo !== undefined) writeId(writer, inReplyTo)
  writeText(writer, message.label)
  writeText(writer, message.toLabel)
  if (contentType === 0) writeText(writer, message.contentType)
  writer.prefixed32(message.body)
}

/** Ids are ASCII by their rule (`checkMessage`). */
const writeId = (writer: ByteWriter, id: string): ByteWriter => writer.u8(id.length).ascii(id)

function writeText(writer: ByteWriter, text: string): void {
  if (text.length === 0) {
    writer.u8(0)
    return
  }
  const bytes = utf8(text)
  writer.u8(bytes.length).raw(bytes)
}

/**
 * The messages of a VOLATILE frame; bodies are views into `frame`.
 * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION.
 */
export function decodeVolatile(frame: Uint8Array): readonly VolatileMessage[] {
  const reader = new ByteReader(frame, 'volatile frame')
  const count = readCount(reader)
  const messages: VolatileMessage[] = []
  for (let index = 0; index < count; index++) messages.push(readMessage(reader))
  reader.end()
  return messages
}

/** How many messages a VOLATILE frame says it has, 1–65,535; nothing else of it is read. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION. */
export const countVolatile = (frame: Uint8Array): number => readCount(new ByteReader(frame, 'volatile frame'))

function readCount(reader: ByteReader): number {
  if (reader.u8() !== volatileKind) throw reader.malformed('not a volatile frame')
  const version = reader.u8()
  if (version !== volatileVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The volatile frame', version })
  const count = reader.u16()
  if (count === 0) throw reader.malformed('no message')
  return count
}

function readMessage(reader: ByteReader): VolatileMessage {
  const type = messageTypes[reader.u8() - 1]
  if (type === undefined) throw reader.malformed('unknown message type')
  const flags = reader.u8()
  if (flags > (flagExpectsReply | flagInReplyTo)) throw reader.malformed('unknown flags')
  const priority = reader.u8()
  if (priority > messageLimits.priority) throw reader.malformed('priority over 10')
  const contentType = reader.u8()
  const ttlS = reader.u32()
  if (ttlS < 1 || ttlS > messageLimits.ttlS) throw reader.malformed('ttl out of range')
  const timestamp = wallMillis(reader.u16() * high32 + reader.u32())
  return {
    id: readId(reader),
    type,
    inReplyTo: (flags & flagInReplyTo) === 0 ? undefined : readId(reader),
    label: readLabel(reader),
    toLabel: readLabel(reader),
    expectsReply: (flags & flagExpectsReply) !== 0,
    priority,
    ttlS,
    timestamp,
    contentType: readContentType(reader, contentType),
    body: reader.prefixed32(messageLimits.bodyBytes)
  }
}

function readId(reader: ByteReader): string {
  const id = ascii(reader)
  if (!isMessageId(id)) throw reader.malformed('not a message id')
  return id
}

/** Latin-1 text; both rules that follow allow ASCII only, so nothing else gets through. Eight at a time: a spread is ten times slower. */
function ascii(reader: ByteReader): string {
  const bytes = reader.raw(reader.u8())
  const at = (index: number): number => bytes[index] ?? 0
  const whole = bytes.length - (bytes.length % 8)
  let text = ''
  for (let i = 0; i < whole; i += 8) text += String.fromCharCode(at(i), at(i + 1), at(i + 2), at(i + 3), at(i + 4), at(i + 5), at(i + 6), at(i + 7))
  for (let i = whole; i < bytes.length; i++) text += String.fromCharCode(at(i))
  return text
}

function readLabel(reader: ByteReader): string {
  const length = reader.u8()
  if (length === 0) return ''
  const label = fromUtf8(reader.raw(length))
  if (!isLabel(label)) throw reader.malformed('not a label')
  return label
}

function readContentType(reader: ByteReader, code: number): string {
  if (code === 0) {
    const text = ascii(reader)
    if (!isContentType(text) || contentTypeCode(text) !== 0) throw reader.malformed('not a content type')
    return text
  }
  const known = contentTypeOfCode(code)
  if (known === undefined) throw reader.malformed('unknown content type code')
  return known
}
