import { ByteReader, ByteWriter, type Bytes, MeshError, utf8 } from '../base/index.ts'
import { type Endpoint, formatIp, parseIp } from './ip-address.ts'

/** Which addresses a run uses. all: every kind; stun: none of a TURN server; turn: of the initiator's addresses only those of its TURN server. */
export const icePolicies = ['all', 'stun', 'turn'] as const
export type IcePolicy = (typeof icePolicies)[number]

/** Where an address comes from (RFC 8445 section 4): an interface, a STUN server, a TURN server. Peer-reflexive ones are found, never told. */
export const candidateTypes = ['host', 'srflx', 'relay'] as const
export type CandidateType = (typeof candidateTypes)[number]

/** One address at which a side may be reached over UDP. */
export interface IceCandidate extends Endpoint {
  readonly type: CandidateType
  /** 1 to 2^31 - 1 (RFC 8445 section 5.1.2). */
  readonly priority: number
}

/** What a side needs to know of the other one before checks can begin. */
export interface IceCredentials {
  /** 4 to 32 characters of letters, digits, + and / (RFC 8839 section 5.4). */
  readonly fragment: string
  /** 22 to 64 of the same. */
  readonly password: string
  /** SHA-256 of the DTLS certificate, 32 bytes. */
  readonly fingerprint: Uint8Array
}

/** Who begins the DTLS handshake: `client` (RFC 8842 section 5.3, active), or the other side. */
export const dtlsRoles = ['client', 'server'] as const
export type DtlsRole = (typeof dtlsRoles)[number]

/** Why a side ends a run. `glare`: both began one, and the other one goes on. */
export const iceRefusals = ['failed', 'busy', 'glare', 'unavailable', 'refused'] as const
export type IceRefusal = (typeof iceRefusals)[number]

/** The frames of /synaptic-mesh/ice/1.0.0. See docs/wire/ice.md. */
export type IceFrame =
  /** `isSymmetric`: the initiator's NAT is known to map each destination to another port. */
  | { readonly kind: 'offer'; readonly policy: IcePolicy; readonly isSymmetric: boolean; readonly credentials: IceCredentials }
  /** `dtls`: which part of its handshake the side that answers takes. */
  | { readonly kind: 'answer'; readonly dtls: DtlsRole; readonly credentials: IceCredentials }
  | { readonly kind: 'candidate'; readonly candidate: IceCandidate }
  /** There are no more candidates. */
  | { readonly kind: 'gathered' }
  | { readonly kind: 'ended'; readonly refusal: IceRefusal }

/** Candidates of one side in a run; of them those of its interfaces, so that there is room for the others, which come later. */
export const iceLimits = { candidates: 16, hostCandidates: 10, fingerprintBytes: 32 } as const

const version = 1
const flags = ['no', 'yes'] as const
const kinds = { offer: 1, answer: 2, candidate: 3, gathered: 4, ended: 5 } as const
const fragmentPattern = /^[A-Za-z0-9+/]{4,32}$/
const passwordPattern = /^[A-Za-z0-9+/]{22,64}$/

export function encodeIceFrame(frame: IceFrame): Bytes {
  const writer = new ByteWriter().u8(kinds[frame.kind])
  switch (frame.kind) {
    case 'offer':
      return writeCredentials(
        writer
          .u8(version)
          .u8(icePolicies.indexOf(frame.policy))
          .u8(frame.isSymmetric ? 1 : 0),
        frame.credentials
      )
    case 'answer':
      return writeCredentials(writer.u8(dtlsRoles.indexOf(frame.dtls)), frame.credentials)
    case 'candidate':
      return writeCandidate(writer, frame.candidate)
    case 'gathered':
      return writer.finish()
    case 'ended':
      return writer.u8(iceRefusals.indexOf(frame.refusal)).finish()
    default:
      return frame satisfies never
  }
}

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeIceFrame(bytes: Uint8Array): IceFrame {
  const reader = new ByteReader(bytes, 'ICE frame')
  const frame = readFrame(reader)
  reader.end()
  return frame
}

/** Whether texts are what ICE allows: nothing that could end a line of a session description. */
export const areCredentials = ({ fragment, password, fingerprint }: IceCredentials): boolean =>
  fragmentPattern.test(fragment) && passwordPattern.test(password) && fingerprint.length === iceLimits.fingerprintBytes

function readFrame(reader: ByteReader): IceFrame {
  const kind = reader.u8()
  switch (kind) {
    case kinds.offer: {
      const found = reader.u8()
      if (found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The ICE offer', version: found })
      return {
        kind: 'offer',
        policy: readChoice(reader, icePolicies),
        isSymmetric: readChoice(reader, flags) === 'yes',
        credentials: readCredentials(reader)
      }
    }
    case kinds.answer:
      return { kind: 'answer', dtls: readChoice(reader, dtlsRoles), credentials: readCredentials(reader) }
    case kinds.candidate:
      return { kind: 'candidate', candidate: readCandidate(reader) }
    case kinds.gathered:
      return { kind: 'gathered' }
    case kinds.ended:
      return { kind: 'ended', refusal: readChoice(reader, iceRefusals) }
    default:
      throw reader.malformed(`kind ${kind}`)
  }
}

function readChoice<const Choice extends string>(reader: ByteReader, choices: readonly Choice[]): Choice {
  const choice = choices[reader.u8()]
  if (choice === undefined) throw reader.malformed('a value that is not known')
  return choice
}

function readCredentials(reader: ByteReader): IceCredentials {
  const credentials: IceCredentials = {
    fragment: readAscii(reader),
    password: readAscii(reader),
    fingerprint: reader.raw(iceLimits.fingerprintBytes).slice()
  }
  if (!areCredentials(credentials)) throw reader.malformed('not the characters of ICE credentials')
  return credentials
}

const readAscii = (reader: ByteReader): string => String.fromCharCode(...reader.raw(reader.u8()))

const writeCredentials = (writer: ByteWriter, { fragment, password, fingerprint }: IceCredentials): Bytes =>
  writer.u8(fragment.length).raw(utf8(fragment)).u8(password.length).raw(utf8(password)).raw(fingerprint).finish()

function readCandidate(reader: ByteReader): IceCandidate {
  const type = readChoice(reader, candidateTypes)
  const priority = reader.u32()
  const length = reader.u8()
  if (length !== 4 && length !== 16) throw reader.malformed(`an address of ${length} bytes`)
  const bytes = reader.raw(length)
  const address = formatIp(bytes)
  const port = reader.u16()
  if (priority === 0 || priority > 0x7fffffff) throw reader.malformed('a priority out of range')
  if (port === 0) throw reader.malformed('port 0')
  // An IPv4 address has one form, not two.
  if (parseIp(address)?.length !== length) throw reader.malformed('an IPv4 address as IPv6')
  return { type, priority, address, port }
}

function writeCandidate(writer: ByteWriter, { type, priority, address, port }: IceCandidate): Bytes {
  const bytes = parseIp(address)
  if (bytes === undefined) throw new MeshError('INTERNAL', { reason: 'a candidate without an IP address' })
  return writer.u8(candidateTypes.indexOf(type)).u32(priority).u8(bytes.length).raw(bytes).u16(port).finish()
}
