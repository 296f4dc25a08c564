import { ByteReader, ByteWriter, type Bytes } from '../base/index.ts'

/** The UDP port of a router that speaks NAT-PMP (RFC 6886 section 3.1). */
export const natPmpPort = 5_351

/** What is asked: RFC 6886 sections 3.2 and 3.3. A lifetime of 0 s and an external port of 0 take a mapping back (section 3.4). */
export type NatPmpRequest =
  | { readonly kind: 'address' }
  | { readonly kind: 'map'; readonly internalPort: number; readonly externalPort: number; readonly lifetimeS: number }

export type NatPmpAnswer =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'map'; readonly internalPort: number; readonly externalPort: number; readonly lifetimeS: number }
  | { readonly kind: 'refused'; readonly request: NatPmpRequest['kind']; readonly reason: string }

const version = 0
const opcodes = { address: 0, map: 2 } as const
/** What is added to the opcode in an answer. */
const answerBit = 128
const results = [
  'ok',
  'the version is not supported',
  'not authorised',
  'the router has no address itself',
  'no ports are left',
  'not supported'
] as const

export function encodeNatPmp(request: NatPmpRequest): Bytes {
  const writer = new ByteWriter().u8(version).u8(opcodes[request.kind])
  if (request.kind === 'address') return writer.finish()
  return writer.u16(0).u16(request.internalPort).u16(request.externalPort).u32(request.lifetimeS).finish()
}

/** @throws {MeshError} MESSAGE_MALFORMED for whatever is no answer to one of the two questions. */
export function decodeNatPmp(bytes: Uint8Array): NatPmpAnswer {
  const reader = new ByteReader(bytes, 'NAT-PMP answer')
  const found = reader.u8()
  const opcode = reader.u8()
  const result = reader.u16()
  const request = opcode === answerBit + opcodes.address ? 'address' : opcode === answerBit + opcodes.map ? 'map' : undefined
  if (request === undefined || (found !== version && result === 0)) throw reader.malformed(`opcode ${opcode} of version ${found}`)
  // Routers of the successor protocol answer in its version, with an error (RFC 6887 section 9).
  if (result !== 0) return { kind: 'refused', request, reason: results[result] ?? `result ${result}` }
  reader.u32()
  const answer = request === 'address' ? readAddress(reader) : readMapping(reader)
  reader.end()
  return answer
}

const readAddress = (reader: ByteReader): NatPmpAnswer => ({ kind: 'address', address: reader.raw(4).join('.') })

const readMapping = (reader: ByteReader): NatPmpAnswer => ({
  kind: 'map',
  internalPort: reader.u16(),
  externalPort: reader.u16(),
  lifetimeS: reader.u32()
})
