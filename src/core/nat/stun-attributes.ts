import { type Bytes, ByteReader, ByteWriter, fromUtf8, MeshError, utf8 } from '../base/index.ts'
import { parseIp, type Endpoint, formatIp } from './ip-address.ts'

const addressCodes = { 'mapped-address': 0x0001, 'xor-mapped-address': 0x0020, 'response-origin': 0x802b, 'other-address': 0x802c } as const
const codes = { changeRequest: 0x0003, errorCode: 0x0009, unknownAttributes: 0x000a, software: 0x8022 } as const

type AddressType = keyof typeof addressCodes

/** Attributes of RFC 8489 section 14 and RFC 5780 section 7. `other`: any other, as it stands. */
export type StunAttribute =
  | { readonly [Type in AddressType]: { readonly type: Type; readonly endpoint: Endpoint } }[AddressType]
  | { readonly type: 'change-request'; readonly address: boolean; readonly port: boolean }
  | { readonly type: 'error-code'; readonly code: number; readonly reason: string }
  | { readonly type: 'unknown-attributes'; readonly codes: readonly number[] }
  | { readonly type: 'software'; readonly text: string }
  | { readonly type: 'other'; readonly code: number; readonly value: Uint8Array }

const maxTextBytes = 763
const maxCodes = 32
/** USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, their SHA-256 forms: parts of credentials, which nobody asks for here. */
const credentialCodes: readonly number[] = [0x0006, 0x0008, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e]

/** Whether the receiver must know an attribute to answer, and does not (RFC 8489 section 14, comprehension-required). */
export const isNotUnderstood = (attribute: StunAttribute): attribute is Extract<StunAttribute, { readonly type: 'other' }> =>
  attribute.type === 'other' && attribute.code < 0x8000 && !credentialCodes.includes(attribute.code)

/** @throws {MeshError} MESSAGE_MALFORMED when the value of a known attribute does not fit it */
export function decodeAttribute(code: number, value: Uint8Array, xorKey: Uint8Array): StunAttribute {
  const reader = new ByteReader(value, `STUN attribute 0x${code.toString(16).padStart(4, '0')}`)
  const type = addressType(code)
  if (type !== undefined) return { type, endpoint: readEndpoint(reader, keyOf(type, xorKey)) }
  if (code === codes.changeRequest) return readChangeRequest(reader)
  if (code === codes.errorCode) return readErrorCode(reader)
  if (code === codes.unknownAttributes) return { type: 'unknown-attributes', codes: readCodes(reader) }
  if (code === codes.software) return { type: 'software', text: readText(reader) }
  return { type: 'other', code, value: value.slice() }
}

/** The code and the value, without padding. @throws {MeshError} MESSAGE_MALFORMED */
export function encodeAttribute(attribute: StunAttribute, xorKey: Uint8Array): { readonly code: number; readonly value: Bytes } {
  const writer = new ByteWriter(32)
  switch (attribute.type) {
    case 'change-request':
      return { code: codes.changeRequest, value: writer.u32((attribute.address ? 4 : 0) | (attribute.port ? 2 : 0)).finish() }
    case 'error-code':
      writer.u16(0).u8(Math.floor(attribute.code / 100))
      return {
        code: codes.errorCode,
        value: writer
          .u8(attribute.code % 100)
          .raw(textBytes(attribute.reason))
          .finish()
      }
    case 'unknown-attributes':
      for (const code of attribute.codes.slice(0, maxCodes)) writer.u16(code)
      return { code: codes.unknownAttributes, value: writer.finish() }
    case 'software':
      return { code: codes.software, value: textBytes(attribute.text) }
    case 'other':
      return { code: attribute.code, value: attribute.value.slice() }
    default:
      return { code: addressCodes[attribute.type], value: endpointBytes(attribute.endpoint, keyOf(attribute.type, xorKey)) }
  }
}

const addressType = (code: number): AddressType | undefined =>
  (Object.keys(addressCodes) as readonly AddressType[]).find((type) => addressCodes[type] === code)

const plainKey = new Uint8Array(16)
const keyOf = (type: AddressType, xorKey: Uint8Array): Uint8Array => (type === 'xor-mapped-address' ? xorKey : plainKey)

/** RFC 8489 sections 14.1 and 14.2: the port is mixed with the first half of the cookie, the address with cookie and transaction id. */
function readEndpoint(reader: ByteReader, key: Uint8Array): Endpoint {
  reader.u8()
  const family = reader.u8()
  if (family !== 1 && family !== 2) throw reader.malformed(`address family ${family}`)
  const port = reader.u16() ^ portKey(key)
  const bytes = reader.raw(family === 1 ? 4 : 16)
  reader.end()
  return { address: formatIp(bytes.map((byte, index) => byte ^ (key[index] ?? 0))), port }
}

function endpointBytes({ address, port }: Endpoint, key: Uint8Array): Bytes {
  const bytes = parseIp(address)
  if (bytes === undefined) throw new MeshError('MESSAGE_MALFORMED', { what: 'STUN address', reason: `${address.slice(0, 50)} is no IP address` })
  return new ByteWriter(20)
    .u8(0)
    .u8(bytes.length === 4 ? 1 : 2)
    .u16(port ^ portKey(key))
    .raw(bytes.map((byte, index) => byte ^ (key[index] ?? 0)))
    .finish()
}

const portKey = (key: Uint8Array): number => ((key[0] ?? 0) << 8) | (key[1] ?? 0)

function readChangeRequest(reader: ByteReader): StunAttribute {
  const flags = reader.u32()
  reader.end()
  return { type: 'change-request', address: (flags & 4) !== 0, port: (flags & 2) !== 0 }
}

function readErrorCode(reader: ByteReader): StunAttribute {
  reader.u16()
  const hundreds = reader.u8() & 7
  const rest = reader.u8()
  if (hundreds < 3 || hundreds > 6 || rest > 99) throw reader.malformed(`error ${hundreds}, ${rest}`)
  return { type: 'error-code', code: 100 * hundreds + rest, reason: readText(reader) }
}

function readCodes(reader: ByteReader): readonly number[] {
  if (reader.remaining > 2 * maxCodes) throw reader.malformed(`over ${maxCodes} codes`)
  const found: number[] = []
  while (reader.remaining > 0) found.push(reader.u16())
  return found
}

function readText(reader: ByteReader): string {
  if (reader.remaining > maxTextBytes) throw reader.malformed(`over ${maxTextBytes} bytes of text`)
  return fromUtf8(reader.raw(reader.remaining))
}

function textBytes(text: string): Bytes {
  const bytes = utf8(text)
  if (bytes.length > maxTextBytes) throw new MeshError('MESSAGE_MALFORMED', { what: 'STUN text', reason: `over ${maxTextBytes} bytes` })
  return bytes
}
