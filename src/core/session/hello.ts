import { ByteReader, ByteWriter, type Bytes, type ErrorCode, type KemLevel, MeshError, fromUtf8, utf8 } from '../base/index.ts'
import { type Suite, isLevel, suites } from './suites.ts'

/** First byte of a handshake frame. */
export const frameKinds = { hello: 1, reply: 2, finish: 3, refusal: 4 } as const

/** What the first frame says in clear. All of it, and message A, is in the prologue. */
export interface Hello {
  readonly suite: Suite
  /** Both sides also sign with ML-DSA-65. */
  readonly pqAuth: boolean
  /** The levels that the initiator carries, ascending. */
  readonly offers: readonly KemLevel[]
  readonly network: string
  /** Noise message A. */
  readonly messageA: Uint8Array
}

const version = 1
const flagPqAuth = 1
const maxOffers = suites.length
const maxNetworkBytes = 64
const dhBytes = 32
const kemKeyBytes = { 1: 800, 3: 1_184, 5: 1_568 } as const

export function encodeHello(hello: Hello): Bytes {
  const { suite, pqAuth, offers, network, messageA } = hello
  const writer = new ByteWriter(messageA.length + 96).u8(frameKinds.hello).u8(version).u8(suite.level).u16(suite.id)
  writeLevels(writer.u8(pqAuth ? flagPqAuth : 0), offers)
  const name = utf8(network)
  return writer.u8(name.length).raw(name).raw(messageA).take()
}

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeHello(frame: Uint8Array): Hello {
  const reader = new ByteReader(frame, 'session hello')
  if (reader.u8() !== frameKinds.hello) throw reader.malformed('another frame was expected')
  const found = reader.u8()
  if (found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The session', version: found })
  const level = reader.u8()
  const id = reader.u16()
  const suite = suites.find((known) => known.id === id && known.level === level)
  if (suite === undefined) throw reader.malformed(`level ${level} with suite ${id}`)
  const flags = reader.u8()
  if (flags > flagPqAuth) throw reader.malformed(`flags ${flags}`)
  const offers = readLevels(reader)
  if (!offers.includes(suite.level)) throw reader.malformed(`level ${level} is not offered`)
  const network = readNetwork(reader)
  const messageA = reader.raw(dhBytes + kemKeyBytes[suite.level])
  reader.end()
  return { suite, pqAuth: flags === flagPqAuth, offers, network, messageA }
}

/** Count and levels, which ascend. */
export function writeLevels(writer: ByteWriter, levels: readonly KemLevel[]): ByteWriter {
  writer.u8(levels.length)
  for (const level of levels) writer.u8(level)
  return writer
}

/** @throws {MeshError} MESSAGE_MALFORMED unless there are one to three levels, ascending */
export function readLevels(reader: ByteReader): readonly KemLevel[] {
  const count = reader.u8()
  if (count === 0 || count > maxOffers) throw reader.malformed(`${count} levels`)
  const levels: KemLevel[] = []
  for (let index = 0; index < count; index++) {
    const level = reader.u8()
    if (!isLevel(level) || level <= (levels.at(-1) ?? 0)) throw reader.malformed(`level ${level}`)
    levels.push(level)
  }
  return levels
}

function readNetwork(reader: ByteReader): string {
  const length = reader.u8()
  if (length === 0 || length > maxNetworkBytes) throw reader.malformed(`a network name of ${length} bytes`)
  return fromUtf8(reader.raw(length))
}

/** Why a responder goes no further. Nothing protects it: an initiator that is told so gives up, and never asks for less. */
export const sessionRefusals = [
  'LEVEL_REFUSED',
  'SESSION_AUTH_REFUSED',
  'UNSUPPORTED_VERSION',
  'NETWORK_MISMATCH'
] as const satisfies readonly ErrorCode[]
export type SessionRefusal = (typeof sessionRefusals)[number]

/** The frame that a responder sends in place of message B. */
export interface Refusal {
  readonly code: SessionRefusal
  /** What the responder says that it takes. */
  readonly minimumLevel: KemLevel
}

export const encodeRefusal = ({ code, minimumLevel }: Refusal): Bytes =>
  new Uint8Array([frameKinds.refusal, sessionRefusals.indexOf(code), minimumLevel])

/** @throws {MeshError} MESSAGE_MALFORMED */
export function decodeRefusal(frame: Uint8Array): Refusal {
  const reader = new ByteReader(frame, 'session refusal')
  if (reader.u8() !== frameKinds.refusal) throw reader.malformed('another frame was expected')
  const code = sessionRefusals[reader.u8()]
  const minimumLevel = reader.u8()
  if (code === undefined || !isLevel(minimumLevel)) throw reader.malformed('a refusal that is not known')
  reader.end()
  return { code, minimumLevel }
}

/** A frame of one kind and a Noise message. */
export function wrapMessage(kind: number, message: Uint8Array): Bytes {
  const frame = new Uint8Array(1 + message.length)
  frame[0] = kind
  frame.set(message, 1)
  return frame
}

/** The Noise message of a frame. @throws {MeshError} MESSAGE_MALFORMED for another kind */
export function unwrapMessage(kind: number, frame: Uint8Array): Uint8Array {
  if (frame[0] !== kind)
    throw new MeshError('MESSAGE_MALFORMED', { what: 'session handshake', reason: `kind ${frame[0]} in place of ${kind}`, offset: 0 })
  return frame.subarray(1)
}

/** label ‖ lp(whole first frame) ‖ lp(responder as addressed): rule Q1. */
export function prologueOf(firstFrame: Uint8Array, responder: string): Bytes {
  return new ByteWriter(firstFrame.length + 128).raw(utf8('synaptic-mesh/pqs/1')).prefixed32(firstFrame).prefixed32(utf8(responder)).take()
}
