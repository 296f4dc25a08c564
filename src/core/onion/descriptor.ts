import { decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { dialAddress } from '../base/dial-address.ts'
import { type KemLevel, MeshError, type Signer, type Verifier, type WallMillis, compareBytes, signingDomains, wallMillis } from '../base/index.ts'
import { ipBytes } from '../base/ip-scope.ts'

/** What a member of circuits says of itself, signed by its key. Everything but the key is a claim. See docs/wire/onion.md. */
export interface OnionDescriptor {
  readonly network: string
  /** Raw Ed25519, 32 bytes: from it follows the peer id. */
  readonly publicKey: Uint8Array
  /** X25519, 32 bytes: handshakes of circuits are made with it. A new one each day, and the one before is taken for a day more. */
  readonly onionKey: Uint8Array
  /** `relay`: carries the circuits of others, and takes its own; `endpoint`: is the end of circuits only. */
  readonly role: OnionRole
  /** 1 to 8 multiaddrs without a peer id: IP, TCP and perhaps `/ws`; of an endpoint also `…/p2p/RELAY/p2p-circuit`. The best first. */
  readonly addresses: readonly string[]
  /** Identity keys of relays of the same operator, at most 32, ascending. It counts when both say it. */
  readonly family: readonly Uint8Array[]
  /** Levels of ML-KEM that it takes in a handshake, ascending. */
  readonly levels: readonly KemLevel[]
  /** Ids of cell ciphers that it has, 1 to 255, ascending, at most 8. */
  readonly ciphers: readonly number[]
  /** What it forwards for one neighbour, at most 2^40. A claim that is capped by what is observed. */
  readonly bytesPerSecond: number
  /** Of two descriptors of one key the greater one holds. At most 2^53 - 1. */
  readonly sequence: number
  readonly issuedAt: WallMillis
  /** After `issuedAt`, at most 24 h. */
  readonly expiresAt: WallMillis
}

export type OnionRole = 'relay' | 'endpoint'

export const descriptorLimits = {
  bytes: 1_400,
  addresses: 8,
  family: 32,
  ciphers: 8,
  bytesPerSecond: 2 ** 40,
  lifetimeMs: 86_400_000,
  /** How far the clocks of two nodes may be apart. */
  skewMs: 600_000
} as const

/** The cell cipher of docs/wire/onion.md: LIONESS with chained IVs. */
export const lionessCipher = 1

const descriptorVersion = 1
const what = 'onion descriptor'
const roles: readonly OnionRole[] = ['relay', 'endpoint']
const kemLevels: readonly KemLevel[] = [1, 3, 5]
const networkPattern = /^[a-z0-9][a-z0-9-]{0,39}$/
const circuitPattern = /^(\/[\x21-\x7e]{1,80})\/p2p\/12D3KooW[1-9A-HJ-NP-Za-km-z]{44}\/p2p-circuit$/

/**
 * Whether a descriptor may name `text`: an IP address, a TCP port, perhaps WebSocket, and of an endpoint a place at a circuit relay there. No names:
 * whoever resolves them is led anywhere. Loopback and private addresses are left to the policy of whoever dials.
 */
export function isOnionAddress(text: string, role: OnionRole): boolean {
  const direct = circuitPattern.exec(text)?.[1]
  if (direct !== undefined) return role === 'endpoint' && isDirect(direct)
  return isDirect(text)
}

/** The signed descriptor: CBOR of [body, signature]. Addresses beyond what fits are left out, the last first. @throws {MeshError} MESSAGE_MALFORMED when a field is out of range. */
export function encodeDescriptor(descriptor: OnionDescriptor, signer: Signer): Uint8Array {
  const named = [...new Set(descriptor.addresses)].filter((address) => isOnionAddress(address, descriptor.role))
  const addresses = named.slice(0, descriptorLimits.addresses)
  const family = [...descriptor.family].sort(compareBytes)
  for (;;) {
    const body = encodeBody({ ...descriptor, addresses, family })
    const bytes = encodeCbor([body, signer.sign(signingDomains.onionDescriptor, body)])
    if (bytes.length <= descriptorLimits.bytes || addresses.length <= 1) return checked(bytes)
    addresses.pop()
  }
}

/** A descriptor whose signature was not verified. */
export interface ParsedDescriptor {
  readonly descriptor: OnionDescriptor
  /** What was signed. */
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

/** The fields of a descriptor whose signature was not verified. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function parseDescriptor(bytes: Uint8Array): ParsedDescriptor {
  const outer = fieldsOf(decodeCbor(bytes, { what, maxBytes: descriptorLimits.bytes, maxItems: 3, maxDepth: 1 }))
  const body = outer[0]
  const signature = outer[1]
  if (outer.length !== 2 || !(body instanceof Uint8Array) || !(signature instanceof Uint8Array) || signature.length !== 64)
    throw malformedCbor(what, 'not a body and a signature')
  return { descriptor: decodeBody(body), body, signature }
}

/** Checks that a descriptor is of our network and signed by the key in it. Its times are left to `timeProblem`. @throws {MeshError} NETWORK_MISMATCH, SIGNATURE_INVALID */
export function verifyDescriptor(
  { descriptor, body, signature }: ParsedDescriptor,
  expected: { readonly network: string; readonly verifier: Verifier }
): void {
  if (descriptor.network !== expected.network)
    throw new MeshError('NETWORK_MISMATCH', { what: 'The descriptor', wanted: descriptor.network, own: expected.network })
  if (!expected.verifier.verify(signingDomains.onionDescriptor, descriptor.publicKey, body, signature))
    throw new MeshError('SIGNATURE_INVALID', { what: 'an onion descriptor' })
}

/** Why a descriptor does not hold at wall-clock time `now`, a difference of clocks of ten minutes allowed for; undefined when it does. */
export function timeProblem({ issuedAt, expiresAt }: OnionDescriptor, now: WallMillis): 'future' | 'expired' | undefined {
  if (issuedAt > now + descriptorLimits.skewMs) return 'future'
  return expiresAt <= now - descriptorLimits.skewMs ? 'expired' : undefined
}

/** An IPv4 address is not written as IPv6: its network would not be seen. */
function isDirect(text: string): boolean {
  const address = dialAddress(text)
  if (address === undefined || address.text !== text || ['special', 'link-local'].includes(address.scope)) return false
  const bytes = ipBytes(address.host)
  return bytes?.length === 4 || bytes?.subarray(0, 10).every((byte) => byte === 0) === false || address.host === '::1'
}

const encodeBody = (descriptor: OnionDescriptor): Uint8Array =>
  encodeCbor([
    descriptorVersion,
    descriptor.network,
    descriptor.publicKey,
    descriptor.onionKey,
    roles.indexOf(descriptor.role),
    [...descriptor.addresses],
    [...descriptor.family],
    [...descriptor.levels],
    [...descriptor.ciphers],
    descriptor.bytesPerSecond,
    descriptor.sequence,
    descriptor.issuedAt,
    descriptor.expiresAt
  ])

const checked = (bytes: Uint8Array): Uint8Array => {
  parseDescriptor(bytes)
  return bytes
}

function decodeBody(body: Uint8Array): OnionDescriptor {
  const fields = fieldsOf(decodeCbor(body, { what, maxBytes: descriptorLimits.bytes, maxItems: 80, maxDepth: 2 }))
  const version = fields[0]
  if (typeof version === 'number' && version !== descriptorVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The descriptor', version })
  if (version !== descriptorVersion || fields.length !== 13) throw malformedCbor(what, 'not an array of 13')
  const network = fields[1]
  if (typeof network !== 'string' || !networkPattern.test(network)) throw malformedCbor(what, 'the network is no name of one')
  const role = roles[numberOf(fields[4], 0, roles.length - 1)] ?? 'endpoint'
  const issuedAt = numberOf(fields[11], 0, Number.MAX_SAFE_INTEGER)
  return {
    network,
    publicKey: keyOf(fields[2]),
    onionKey: keyOf(fields[3]),
    role,
    addresses: addressesOf(fields[5], role),
    family: ascending(listOf(fields[6], descriptorLimits.family).map(keyOf), compareBytes),
    levels: levelsOf(fields[7]),
    ciphers: ciphersOf(fields[8]),
    bytesPerSecond: numberOf(fields[9], 0, descriptorLimits.bytesPerSecond),
    sequence: numberOf(fields[10], 0, Number.MAX_SAFE_INTEGER),
    issuedAt: wallMillis(issuedAt),
    expiresAt: wallMillis(numberOf(fields[12], issuedAt + 1, issuedAt + descriptorLimits.lifetimeMs))
  }
}

function fieldsOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformedCbor(what, 'not an array')
  return value
}

function listOf(value: unknown, max: number): readonly unknown[] {
  const list = fieldsOf(value)
  if (list.length > max) throw malformedCbor(what, `a list of ${list.length}, at most ${max}`)
  return list
}

function keyOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== 32) throw malformedCbor(what, 'a key is not 32 bytes')
  return value
}

function numberOf(value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) throw malformedCbor(what, 'a number is out of range')
  return value
}

function addressesOf(value: unknown, role: OnionRole): readonly string[] {
  const texts = listOf(value, descriptorLimits.addresses).map((each) => {
    if (typeof each !== 'string' || !isOnionAddress(each, role)) throw malformedCbor(what, 'an address is none that can be dialled')
    return each
  })
  if (texts.length === 0 || new Set(texts).size !== texts.length) throw malformedCbor(what, 'no address, or one twice')
  return texts
}

function levelsOf(value: unknown): readonly KemLevel[] {
  const levels = listOf(value, kemLevels.length).map((each) => {
    const level = kemLevels.find((known) => known === each)
    if (level === undefined) throw malformedCbor(what, 'a level is not 1, 3 or 5')
    return level
  })
  if (levels.length === 0) throw malformedCbor(what, 'no level')
  return ascending(levels, (a, b) => a - b)
}

function ciphersOf(value: unknown): readonly number[] {
  const ciphers = listOf(value, descriptorLimits.ciphers).map((each) => numberOf(each, 1, 255))
  if (ciphers.length === 0) throw malformedCbor(what, 'no cipher')
  return ascending(ciphers, (a, b) => a - b)
}

/** The same values have one encoding: in order, none twice. */
function ascending<Value>(values: readonly Value[], compare: (a: Value, b: Value) => number): readonly Value[] {
  const isOrdered = values.every((value, index) => {
    const before = values[index - 1]
    return before === undefined || compare(before, value) < 0
  })
  if (!isOrdered) throw malformedCbor(what, 'a list is not in order')
  return values
}
