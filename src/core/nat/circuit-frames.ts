import { type Bytes, ByteReader, ByteWriter, concat } from '../base/index.ts'

/** Status codes of circuit relay v2 (libp2p specs, relay/circuit-v2.md). */
export const circuitStatus = {
  ok: 100,
  reservationRefused: 200,
  resourceLimitExceeded: 201,
  permissionDenied: 202,
  connectionFailed: 203,
  noReservation: 204,
  malformed: 400,
  unexpected: 401
} as const
export type CircuitStatus = (typeof circuitStatus)[keyof typeof circuitStatus]

/** What the far end of a circuit is told that it may have. */
export interface CircuitLimit {
  readonly seconds: number
  /** In each direction. */
  readonly bytes: number
}

/** What a peer asks of a relay. */
export type HopRequest = { readonly type: 'reserve' } | { readonly type: 'connect'; readonly peer: Uint8Array } | { readonly type: 'other' }

/** Longest message of the protocol that a relay reads; addresses that a peer sends along are not used. */
export const maxCircuitFrame = 4_096

const hop = 'HOP message'
const maxVarintBytes = 10
const maxIdBytes = 64
const maxAddresses = 16
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** A HOP request (HopMessage, protobuf without its length). Fields that are not known are skipped. @throws {MeshError} MESSAGE_MALFORMED */
export function decodeHopRequest(bytes: Uint8Array): HopRequest {
  const { numbers, blobs } = readFields(bytes, hop)
  const type = numbers.get(1)
  if (type === 0) return { type: 'reserve' }
  if (type !== 1) return { type: 'other' }
  const peer = blobs.get(2)
  const id = peer === undefined ? undefined : readFields(peer, hop).blobs.get(1)
  if (id === undefined || id.length === 0 || id.length > maxIdBytes) throw new ByteReader(bytes, hop).malformed('it names no peer')
  return { type: 'connect', peer: id }
}

/** What a relay answers to a reservation (HopMessage). */
export interface HopAnswer {
  /** One of `circuitStatus`, or what a relay invented. */
  readonly status: number | undefined
  /** When the place is lost, in seconds since 1970 by the relay's clock; undefined when there is none. */
  readonly expires: number | undefined
  /** The relay's own addresses as bytes of multiaddrs, at most 16. */
  readonly addresses: readonly Uint8Array[]
}

/** HopMessage { type: STATUS, … }. @throws {MeshError} MESSAGE_MALFORMED */
export function decodeHopAnswer(bytes: Uint8Array): HopAnswer {
  const { numbers, blobs } = readFields(bytes, hop)
  if (numbers.get(1) !== 2) throw new ByteReader(bytes, hop).malformed('it is no answer')
  const place = blobs.get(3)
  if (place === undefined) return { status: numbers.get(5), expires: undefined, addresses: [] }
  const addresses: Uint8Array[] = []
  const fields = readFields(place, hop, (field, value) => {
    if (field === 2 && addresses.length < maxAddresses) addresses.push(value)
  })
  return { status: numbers.get(5), expires: fields.numbers.get(1), addresses }
}

/** HopMessage { type: RESERVE }. */
export const encodeHopReserve = (): Bytes => number(1, 0)

/** The status of a STOP answer (StopMessage); undefined when it is no status. @throws {MeshError} MESSAGE_MALFORMED */
export function decodeStopStatus(bytes: Uint8Array): number | undefined {
  const { numbers } = readFields(bytes, 'STOP message')
  return numbers.get(1) === 1 ? numbers.get(4) : undefined
}

/** HopMessage { type: STATUS, status, limit }. */
export function encodeHopStatus(status: CircuitStatus, limit?: CircuitLimit): Bytes {
  return concat(number(1, 2), limit === undefined ? none : blob(4, encodeLimit(limit)), number(5, status))
}

/** StopMessage { type: CONNECT, peer, limit }. */
export function encodeStopConnect(peer: Uint8Array, limit: CircuitLimit): Bytes {
  return concat(number(1, 0), blob(2, blob(1, peer)), blob(3, encodeLimit(limit)))
}

const none = new Uint8Array(0)
const encodeLimit = ({ seconds, bytes }: CircuitLimit): Bytes => concat(number(1, seconds), number(2, bytes))
const number = (field: number, value: number): Bytes => concat(varint(field * 8 + wire.varint), varint(value))
const blob = (field: number, bytes: Uint8Array): Bytes => concat(varint(field * 8 + wire.bytes), varint(bytes.length), bytes)

/** At most 2^53 - 1. */
function varint(value: number): Bytes {
  const writer = new ByteWriter(10)
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) writer.u8((rest % 128) + 128)
  return writer.u8(rest).finish()
}

interface Fields {
  readonly numbers: ReadonlyMap<number, number>
  readonly blobs: ReadonlyMap<number, Uint8Array>
}

/** The numbers and byte strings of one protobuf message; of a field that comes twice the last one holds, as protobuf says. */
function readFields(bytes: Uint8Array, what: string, onBlob: (field: number, value: Uint8Array) => void = () => undefined): Fields {
  const reader = new ByteReader(bytes, what)
  const numbers = new Map<number, number>()
  const blobs = new Map<number, Uint8Array>()
  while (reader.remaining > 0) {
    const tag = readVarint(reader)
    const field = Math.floor(tag / 8)
    const kind = tag % 8
    if (kind === wire.varint) numbers.set(field, readVarint(reader))
    else if (kind === wire.bytes) {
      const value = reader.raw(readVarint(reader))
      blobs.set(field, value)
      onBlob(field, value)
    } else if (kind === wire.fixed64) reader.raw(8)
    else if (kind === wire.fixed32) reader.raw(4)
    else throw reader.malformed(`wire type ${kind}`)
  }
  return { numbers, blobs }
}

/** What is over 2^53 - 1 comes out inexact: no such number is used here. */
function readVarint(reader: ByteReader): number {
  let value = 0
  for (let index = 0; index < maxVarintBytes; index++) {
    const byte = reader.u8()
    value += (byte & 127) * 128 ** index
    if (byte < 128) return value
  }
  throw reader.malformed('a number of more than ten bytes')
}
