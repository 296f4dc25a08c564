import { ByteReader, type Bytes, ByteWriter, fromUtf8, MeshError, utf8 } from '../base/index.ts'
import { cellSizes, type ExtendFailure, extendFailures, type RelayCommand, relayCommands } from './types.ts'

/** A message inside of RELAY cells, read. Byte arrays of what was received are views of the cell, or of the copy of a message over several. */
export type RelayMessage =
  /** Has no data: the rest of its cell is random anyway. */
  | { readonly type: 'drop' }
  /** The 32-byte identity key of the next hop and the `create` bytes for it. */
  | { readonly type: 'extend'; readonly publicKey: Uint8Array; readonly request: Uint8Array }
  | { readonly type: 'extended'; readonly reply: Uint8Array }
  | { readonly type: 'extendFailed'; readonly reason: ExtendFailure }
  /** 16 bytes. */
  | { readonly type: 'sendme'; readonly tag: Uint8Array }
  /** 8 bytes. */
  | { readonly type: 'ping' | 'pong'; readonly payload: Uint8Array }
  | { readonly type: 'begin'; readonly stream: number; readonly protocol: string }
  | { readonly type: 'connected' | 'xoff' | 'xon'; readonly stream: number }
  | { readonly type: 'data'; readonly stream: number; readonly bytes: Uint8Array }
  /** u8: 0 = nothing more comes from this side; see `streamEndReasons`. */
  | { readonly type: 'end'; readonly stream: number; readonly reason: number }

/** A message as it travels, without its header. */
export interface RawMessage {
  readonly command: RelayCommand
  readonly data: Uint8Array
}

/** The most bytes of a message without its header, which a u16 says. */
export const maxMessageBytes = 65_535

/** The longest name of a protocol in `begin`, in bytes. */
const maxProtocolBytes = 64
const keyBytes = 32

/** The least and the most bytes of each message: what is longer is refused before it is gathered. */
const lengths: Readonly<Record<keyof typeof relayCommands, readonly [number, number]>> = {
  drop: [0, 0],
  extend: [keyBytes + cellSizes.create, keyBytes + cellSizes.create],
  extended: [cellSizes.created, cellSizes.created],
  extendFailed: [1, 1],
  sendme: [16, 16],
  ping: [8, 8],
  pong: [8, 8],
  begin: [3, 2 + maxProtocolBytes],
  connected: [2, 2],
  data: [2, maxMessageBytes],
  end: [3, 3],
  xoff: [2, 2],
  xon: [2, 2]
}

type Name = keyof typeof relayCommands
const names = new Map<number, Name>((Object.keys(relayCommands) as Name[]).map((name) => [relayCommands[name], name]))
const failures = new Map<number, ExtendFailure>((Object.keys(extendFailures) as ExtendFailure[]).map((name) => [extendFailures[name], name]))

const malformed = (reason: string): MeshError => new MeshError('MESSAGE_MALFORMED', { what: 'message of a circuit', reason, offset: 0 })

/** The command of a header. @throws {MeshError} MESSAGE_MALFORMED when it is unknown, or its message cannot have `length` bytes */
export function checkedCommand(command: number, length: number): RelayCommand {
  const name = names.get(command)
  if (name === undefined) throw malformed(`unknown command ${command}`)
  const [least, most] = lengths[name]
  if (length < least || length > most) throw malformed(`${length} bytes of ${name}`)
  return relayCommands[name]
}

/** Reads a message. @throws {MeshError} MESSAGE_MALFORMED */
export function decodeMessage({ command, data }: RawMessage): RelayMessage {
  checkedCommand(command, data.length)
  const type = names.get(command) ?? 'drop'
  const reader = new ByteReader(data, 'message of a circuit')
  switch (type) {
    case 'drop':
      return { type }
    case 'extend':
      return { type, publicKey: reader.raw(keyBytes), request: reader.raw(cellSizes.create) }
    case 'extended':
      return { type, reply: data }
    case 'extendFailed':
      return { type, reason: failureOf(reader.u8()) }
    case 'sendme':
      return { type, tag: data }
    case 'ping':
    case 'pong':
      return { type, payload: data }
    default:
      return decodeStreamMessage(type, reader)
  }
}

function decodeStreamMessage(type: 'begin' | 'connected' | 'data' | 'end' | 'xoff' | 'xon', reader: ByteReader): RelayMessage {
  const stream = reader.u16()
  if (stream === 0) throw malformed('stream 0')
  switch (type) {
    case 'begin':
      return { type, stream, protocol: fromUtf8(reader.raw(reader.remaining)) }
    case 'data':
      return { type, stream, bytes: reader.raw(reader.remaining) }
    case 'end':
      return { type, stream, reason: reader.u8() }
    default:
      return { type, stream }
  }
}

function failureOf(code: number): ExtendFailure {
  const failure = failures.get(code)
  if (failure === undefined) throw malformed(`reason ${code} of a failed EXTEND`)
  return failure
}

/** Writes a message; its lengths are the caller's affair. */
export function encodeMessage(message: RelayMessage): RawMessage {
  return { command: relayCommands[message.type], data: dataOf(message) }
}

function dataOf(message: RelayMessage): Uint8Array {
  switch (message.type) {
    case 'drop':
      return new Uint8Array()
    case 'extend':
      return new ByteWriter(keyBytes + cellSizes.create).raw(message.publicKey).raw(message.request).take()
    case 'extended':
      return message.reply
    case 'extendFailed':
      return Uint8Array.of(extendFailures[message.reason])
    case 'sendme':
      return message.tag
    case 'ping':
    case 'pong':
      return message.payload
    case 'begin':
      return ofStream(message.stream, utf8(message.protocol))
    case 'data':
      return ofStream(message.stream, message.bytes)
    case 'end':
      return ofStream(message.stream, Uint8Array.of(message.reason))
    default:
      return ofStream(message.stream, new Uint8Array())
  }
}

const ofStream = (stream: number, rest: Uint8Array): Bytes => new ByteWriter(2 + rest.length).u16(stream).raw(rest).take()
