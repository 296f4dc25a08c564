import { sha256 } from '@noble/hashes/sha2.js'
import {
  ByteReader,
  ByteWriter,
  type Bytes,
  MeshError,
  type WallMillis,
  equalBytes,
  fromBase64Url,
  fromUtf8,
  isMeshError,
  toBase64Url,
  utf8,
  wallMillis
} from '../base/index.ts'
import { keyOfPeerIdText, peerIdText } from './peer-id-text.ts'

/** What an invite carries: enough to reach the inviter, to know it by its key, and to prove that the invite was had. */
export interface Invite {
  readonly network: string
  /** The inviter's raw Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** 16 random bytes that never travel: only proofs of knowing them do. */
  readonly secret: Uint8Array
  /** Whole seconds on the wire. */
  readonly expiresAt: WallMillis
  /** Multiaddrs without /p2p; those that do not fit into the text are left out, the last first. */
  readonly addresses: readonly string[]
}

export const inviteLimits = { characters: 300, secretBytes: 16, idBytes: 8, addresses: 8 } as const

const prefix = 'smi1'
const version = 1
const checksumBytes = 4
const what = 'invite'
const ip4Pattern = /^\/ip4\/(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/tcp\/(\d{1,5})(\/ws)?$/
const addressPattern = /^\/[\x21-\x7e]{1,254}$/
const networkPattern = /^[a-z0-9][a-z0-9-]{0,39}$/
const addressKinds = { text: 0, ip4: 1, ip4Ws: 2, relay: 3 } as const
const relayPattern = /^(.+)\/p2p\/([^/]+)\/p2p-circuit$/

/** The public name of an invite: the first 8 bytes of SHA-256 of its secret. */
export const inviteIdOf = (secret: Uint8Array): Bytes => new Uint8Array(sha256(secret).slice(0, inviteLimits.idBytes))

/** The text of an invite: at most 300 characters, one word. See docs/wire/pairing.md. */
export function encodeInvite(invite: Invite): string {
  const addresses = invite.addresses.filter((address) => addressPattern.test(address)).slice(0, inviteLimits.addresses)
  for (;;) {
    const bytes = encodeBytes({ ...invite, addresses })
    const text = prefix + toBase64Url(new ByteWriter().raw(bytes).raw(checksum(bytes)).finish())
    if (text.length <= inviteLimits.characters) return text
    addresses.pop()
  }
}

/** @throws {MeshError} INVITE_INVALID when the text is no invite or was altered, UNSUPPORTED_VERSION */
export function decodeInvite(text: string): Invite {
  const word = text.trim()
  if (word.length > inviteLimits.characters) throw invalid(`it has more than ${inviteLimits.characters} characters`)
  if (!word.startsWith(prefix)) throw invalid(`it does not begin with ${prefix}`)
  try {
    return decodeBytes(fromBase64Url(word.slice(prefix.length)))
  } catch (error) {
    if (isMeshError(error, 'MESSAGE_MALFORMED')) throw invalid('it was cut or altered', error)
    throw error
  }
}

/** @throws {MeshError} INVITE_EXPIRED, NETWORK_MISMATCH when the invite is of no use to this node now. */
export function checkInvite(invite: Invite, node: { readonly network: string; readonly now: WallMillis }): void {
  if (invite.network !== node.network) throw new MeshError('NETWORK_MISMATCH', { wanted: invite.network, own: node.network })
  if (invite.expiresAt <= node.now) throw new MeshError('INVITE_EXPIRED')
}

const invalid = (reason: string, cause?: unknown): MeshError => new MeshError('INVITE_INVALID', { reason }, { cause })
const checksum = (bytes: Uint8Array): Uint8Array => sha256(bytes).subarray(0, checksumBytes)

function encodeBytes(invite: Invite): Bytes {
  const network = utf8(invite.network)
  const writer = new ByteWriter()
    .u8(version)
    .u32(Math.ceil(invite.expiresAt / 1_000))
    .raw(invite.publicKey)
    .raw(invite.secret)
    .u8(network.length)
    .raw(network)
    .u8(invite.addresses.length)
  for (const address of invite.addresses) writeAddress(writer, address)
  return writer.finish()
}

function writeAddress(writer: ByteWriter, address: string): void {
  const [, atRelay, relay = ''] = relayPattern.exec(address) ?? []
  const relayKey = keyOfPeerIdText(relay)
  if (atRelay === undefined || relayKey === undefined) return writePlace(writer, address)
  writer.u8(addressKinds.relay).raw(relayKey)
  writePlace(writer, atRelay)
}

function writePlace(writer: ByteWriter, address: string): void {
  const match = ip4Pattern.exec(address)
  const numbers = match?.slice(1, 6).map(Number) ?? []
  const isCanonical =
    match !== null &&
    numbers.slice(0, 4).every((octet) => octet <= 255) &&
    (numbers[4] ?? 0) <= 65_535 &&
    match.slice(1, 6).every((text, index) => text === String(numbers[index]))
  if (!isCanonical) {
    const text = utf8(address)
    writer.u8(addressKinds.text).u8(text.length).raw(text)
    return
  }
  writer.u8(match[6] === undefined ? addressKinds.ip4 : addressKinds.ip4Ws)
  for (const octet of numbers.slice(0, 4)) writer.u8(octet)
  writer.u16(numbers[4] ?? 0)
}

function decodeBytes(bytes: Uint8Array): Invite {
  if (bytes.length < checksumBytes) throw invalid('it was cut')
  const body = bytes.subarray(0, bytes.length - checksumBytes)
  if (!equalBytes(checksum(body), bytes.subarray(body.length))) throw invalid('it was cut or altered')
  const reader = new ByteReader(body, what)
  const found = reader.u8()
  if (found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The invite', version: found })
  const expiresAt = wallMillis(reader.u32() * 1_000)
  const publicKey = reader.raw(32).slice()
  const secret = reader.raw(inviteLimits.secretBytes).slice()
  const network = fromUtf8(reader.raw(reader.u8()))
  if (!networkPattern.test(network)) throw reader.malformed('not the name of a network')
  const count = reader.u8()
  if (count > inviteLimits.addresses) throw reader.malformed(`${count} addresses`)
  const addresses = Array.from({ length: count }, () => readAddress(reader))
  reader.end()
  return { network, publicKey, secret, expiresAt, addresses }
}

function readAddress(reader: ByteReader): string {
  const kind = reader.u8()
  if (kind !== addressKinds.relay) return readPlace(reader, kind)
  const relay = peerIdText(reader.raw(32))
  const address = `${readPlace(reader, reader.u8())}/p2p/${relay}/p2p-circuit`
  if (!addressPattern.test(address)) throw reader.malformed('not an address')
  return address
}

function readPlace(reader: ByteReader, kind: number): string {
  if (kind === addressKinds.text) {
    const text = fromUtf8(reader.raw(reader.u8()))
    if (!addressPattern.test(text)) throw reader.malformed('not an address')
    return text
  }
  if (kind !== addressKinds.ip4 && kind !== addressKinds.ip4Ws) throw reader.malformed(`address of kind ${kind}`)
  const octets = [reader.u8(), reader.u8(), reader.u8(), reader.u8()].join('.')
  return `/ip4/${octets}/tcp/${reader.u16()}${kind === addressKinds.ip4Ws ? '/ws' : ''}`
}
