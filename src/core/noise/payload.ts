import { ByteWriter, type Bytes, fromUtf8, MeshError, utf8 } from '../base/index.ts'

/** libp2p's NoiseExtensions, with our own field. */
export interface NoiseExtensions {
  readonly webtransportCerthashes: readonly Uint8Array[]
  readonly streamMuxers: readonly string[]
  /** Every encrypter that this side offers, the best first; empty when the peer sent no list. */
  readonly offers: readonly string[]
}

/** libp2p's NoiseHandshakePayload (libp2p/specs noise/README.md). */
export interface HandshakePayload {
  /** The protobuf of the identity key. */
  readonly identityKey: Uint8Array
  /** A signature over `noise-libp2p-static-key:` and the static key. */
  readonly identitySig: Uint8Array
  readonly extensions: NoiseExtensions
}

/** Limits of what a peer may send. A key or signature of RSA with 8,192 bits fits. */
export const payloadLimits = { payloadBytes: 8_192, keyBytes: 2_048, items: 16, itemBytes: 128 } as const

const fields = { identityKey: 1, identitySig: 2, extensions: 4 } as const
/** Fields from 1,024 up are for experiments (libp2p/specs noise/README.md, Noise Extensions); 21,325 spells SM. */
const extensionFields = { certhashes: 1, streamMuxers: 2, offers: 21_325 } as const

const lengthDelimited = 2

export function encodeHandshakePayload({ identityKey, identitySig, extensions }: HandshakePayload): Bytes {
  const inner = new ByteWriter()
  for (const bytes of extensions.webtransportCerthashes) field(inner, extensionFields.certhashes, bytes)
  for (const text of extensions.streamMuxers) field(inner, extensionFields.streamMuxers, utf8(text))
  for (const text of extensions.offers) field(inner, extensionFields.offers, utf8(text))
  const writer = new ByteWriter()
  field(writer, fields.identityKey, identityKey)
  field(writer, fields.identitySig, identitySig)
  if (inner.length > 0) field(writer, fields.extensions, inner.take())
  return writer.finish()
}

/** @throws {MeshError} MESSAGE_MALFORMED: not protobuf, over a limit, a field twice that may stand once, or no key or signature */
export function decodeHandshakePayload(bytes: Uint8Array): HandshakePayload {
  if (bytes.length > payloadLimits.payloadBytes) throw malformed(`over ${payloadLimits.payloadBytes} bytes`, 0)
  const found = new Map<number, Uint8Array>()
  for (const { number, value } of readFields(bytes)) {
    if (value === undefined || (number !== fields.identityKey && number !== fields.identitySig && number !== fields.extensions)) continue
    if (found.has(number)) throw malformed(`field ${number} twice`, 0)
    found.set(number, value)
  }
  const extensions = found.get(fields.extensions)
  return {
    identityKey: present(found.get(fields.identityKey), 'identity key'),
    identitySig: present(found.get(fields.identitySig), 'signature'),
    extensions: extensions === undefined ? noExtensions : decodeExtensions(extensions)
  }
}

const noExtensions: NoiseExtensions = { webtransportCerthashes: [], streamMuxers: [], offers: [] }

function decodeExtensions(bytes: Uint8Array): NoiseExtensions {
  const certhashes: Uint8Array[] = []
  const muxers: string[] = []
  const offers: string[] = []
  for (const { number, value } of readFields(bytes)) {
    if (value === undefined) continue
    if (number === extensionFields.certhashes) add(certhashes, value)
    else if (number === extensionFields.streamMuxers) add(muxers, fromUtf8(limited(value)))
    else if (number === extensionFields.offers) add(offers, fromUtf8(limited(value)))
  }
  return { webtransportCerthashes: certhashes.map(limited), streamMuxers: muxers, offers }
}

function add<Item>(items: Item[], item: Item): void {
  if (items.length === payloadLimits.items) throw malformed(`more than ${payloadLimits.items} items`, 0)
  items.push(item)
}

function limited(bytes: Uint8Array): Uint8Array {
  if (bytes.length > payloadLimits.itemBytes) throw malformed(`an item over ${payloadLimits.itemBytes} bytes`, 0)
  return bytes
}

function present(bytes: Uint8Array | undefined, what: string): Uint8Array {
  if (bytes === undefined || bytes.length === 0 || bytes.length > payloadLimits.keyBytes) throw malformed(`no ${what}`, 0)
  return bytes
}

interface Field {
  readonly number: number
  /** The bytes of a length-delimited field; undefined for a number. */
  readonly value: Uint8Array | undefined
}

/** The fields of a protobuf message; numbers are read over, groups are refused. */
function* readFields(bytes: Uint8Array): Generator<Field> {
  let offset = 0
  while (offset < bytes.length) {
    const tag = readVarint(bytes, offset)
    offset = tag.end
    const number = Math.floor(tag.value / 8)
    if (number === 0) throw malformed('field 0', offset)
    const wireType = tag.value % 8
    if (wireType === lengthDelimited) {
      const length = readVarint(bytes, offset)
      const end = length.end + length.value
      if (end > bytes.length) throw malformed('a field longer than the message', offset)
      yield { number, value: bytes.subarray(length.end, end) }
      offset = end
    } else {
      offset = skip(bytes, offset, wireType)
      yield { number, value: undefined }
    }
  }
}

function skip(bytes: Uint8Array, offset: number, wireType: number): number {
  if (wireType === 0) return readVarint(bytes, offset).end
  if (wireType !== 1 && wireType !== 5) throw malformed(`wire type ${wireType}`, offset)
  const end = offset + (wireType === 1 ? 8 : 4)
  if (end > bytes.length) throw malformed('a field longer than the message', offset)
  return end
}

/** A varint; what lies over 2^53 loses its low bits, which no length and no tag that we take needs. */
function readVarint(bytes: Uint8Array, start: number): { readonly value: number; readonly end: number } {
  let value = 0
  for (let index = 0; index < 10; index++) {
    const byte = bytes[start + index]
    if (byte === undefined) break
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: start + index + 1 }
  }
  throw malformed('a number without an end', start)
}

function field(writer: ByteWriter, number: number, bytes: Uint8Array): void {
  varint(writer, number * 8 + lengthDelimited)
  varint(writer, bytes.length)
  writer.raw(bytes)
}

function varint(writer: ByteWriter, value: number): void {
  let rest = value
  while (rest > 0x7f) {
    writer.u8((rest & 0x7f) | 0x80)
    rest = Math.floor(rest / 128)
  }
  writer.u8(rest)
}

const malformed = (reason: string, offset: number): MeshError => new MeshError('MESSAGE_MALFORMED', { what: 'handshake payload', reason, offset })
