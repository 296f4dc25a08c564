import { type Bytes, ByteReader, ByteWriter } from '../base/index.ts'
import { crc32 } from './crc32.ts'
import { decodeAttribute, encodeAttribute, type StunAttribute } from './stun-attributes.ts'

/** The classes of RFC 8489 section 5, in the order of their bits. */
const stunClasses = ['request', 'indication', 'success', 'error'] as const
export type StunClass = (typeof stunClasses)[number]

/** A STUN message (RFC 8489). Credentials are not checked: attributes behind MESSAGE-INTEGRITY do not count, the rest is as it is. */
export interface StunMessage {
  readonly class: StunClass
  /** 0 to 0xfff; 1 is Binding. */
  readonly method: number
  /** 12 bytes. */
  readonly transactionId: Uint8Array
  /** In their order; of several of one type the first counts. FINGERPRINT is not among them. */
  readonly attributes: readonly StunAttribute[]
  /** Whether FINGERPRINT stands at the end. A wrong one is no message. */
  readonly hasFingerprint: boolean
}

export const stunLimits = { messageBytes: 1_280, attributes: 32 } as const
export const bindingMethod = 1
const stunHeadBytes = 20

const cookie = 0x2112a442
const fingerprintMask = 0x5354554e
const codes = { messageIntegrity: 0x0008, messageIntegritySha256: 0x001c, fingerprint: 0x8028 } as const

/**
 * The message of one datagram: it takes every byte. Messages without the magic cookie (RFC 3489) are refused.
 * @throws {MeshError} MESSAGE_MALFORMED
 */
export function decodeStun(datagram: Uint8Array): StunMessage {
  const reader = new ByteReader(datagram, 'STUN message')
  if (datagram.length > stunLimits.messageBytes) throw reader.malformed(`over ${stunLimits.messageBytes} bytes`)
  const type = reader.u16()
  if (type >= 0x4000) throw reader.malformed('the first two bits are not zero')
  const length = reader.u16()
  if (length !== datagram.length - stunHeadBytes || length % 4 !== 0) throw reader.malformed(`length ${length}`)
  if (reader.u32() !== cookie) throw reader.malformed('no magic cookie')
  const transactionId = reader.raw(12).slice()
  const { attributes, hasFingerprint } = decodeAttributes(datagram, reader, transactionId)
  const stunClass = stunClasses[((type >> 7) & 2) | ((type >> 4) & 1)] ?? 'request'
  return { class: stunClass, method: (type & 0xf) | ((type >> 1) & 0x70) | ((type >> 2) & 0xf80), transactionId, attributes, hasFingerprint }
}

/** The bytes of a message. @throws {MeshError} MESSAGE_MALFORMED when a text is too long or an address is none */
export function encodeStun(message: StunMessage): Bytes {
  const { method, transactionId, attributes, hasFingerprint } = message
  const bits = stunClasses.indexOf(message.class)
  const type = (method & 0xf) | ((bits & 1) << 4) | ((method & 0x70) << 1) | ((bits & 2) << 7) | ((method & 0xf80) << 2)
  const writer = new ByteWriter(128).u16(type).u16(0).u32(cookie).raw(transactionId)
  for (const attribute of attributes) {
    const { code, value } = encodeAttribute(attribute, xorKey(transactionId))
    writer
      .u16(code)
      .prefixed16(value)
      .raw(new Uint8Array(padding(value.length)))
  }
  const length = writer.length - stunHeadBytes + (hasFingerprint ? 8 : 0)
  writer.setU16(2, length)
  if (!hasFingerprint) return writer.finish()
  const sum = fingerprint(writer.finish())
  return writer.u16(codes.fingerprint).u16(4).u32(sum).finish()
}

/** The first attribute of one type. */
export function attributeOf<Type extends StunAttribute['type']>(
  message: Pick<StunMessage, 'attributes'>,
  type: Type
): Extract<StunAttribute, { readonly type: Type }> | undefined {
  return message.attributes.find((attribute): attribute is Extract<StunAttribute, { readonly type: Type }> => attribute.type === type)
}

interface Attributes {
  readonly attributes: readonly StunAttribute[]
  readonly hasFingerprint: boolean
}

function decodeAttributes(datagram: Uint8Array, reader: ByteReader, transactionId: Uint8Array): Attributes {
  const attributes: StunAttribute[] = []
  const key = xorKey(transactionId)
  let isBehindIntegrity = false
  while (reader.remaining > 0) {
    const start = reader.offset
    const code = reader.u16()
    const value = reader.raw(reader.u16())
    if (code === codes.fingerprint) {
      checkFingerprint(datagram.subarray(0, start), value, reader)
      return { attributes, hasFingerprint: true }
    }
    reader.raw(padding(value.length))
    // RFC 8489 section 14.5: what follows MESSAGE-INTEGRITY is not protected by it, and ignored.
    if (!isBehindIntegrity || code === codes.messageIntegritySha256) attributes.push(decodeAttribute(code, value, key))
    if (attributes.length > stunLimits.attributes) throw reader.malformed(`over ${stunLimits.attributes} attributes`)
    isBehindIntegrity ||= code === codes.messageIntegrity || code === codes.messageIntegritySha256
  }
  return { attributes, hasFingerprint: false }
}

function checkFingerprint(before: Uint8Array, value: Uint8Array, reader: ByteReader): void {
  const found = new ByteReader(value, 'STUN FINGERPRINT')
  const isRight = found.u32() === fingerprint(before)
  found.end()
  if (!isRight) throw reader.malformed('wrong FINGERPRINT')
  if (reader.remaining > 0) throw reader.malformed('FINGERPRINT is not the last')
}

const fingerprint = (before: Uint8Array): number => (crc32(before) ^ fingerprintMask) >>> 0

const padding = (length: number): number => -length & 3

/** What the X of XOR-MAPPED-ADDRESS is: the cookie and the transaction id. */
const xorKey = (transactionId: Uint8Array): Bytes => new ByteWriter(16).u32(cookie).raw(transactionId).finish()
