import { decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { MeshError } from '../base/index.ts'
import { dialAddress } from '../base/dial-address.ts'
import { ipScope } from '../base/ip-scope.ts'
import { type NatFacts, natClasses, natFilterings, natMappings } from './types.ts'

/** What a node tells another one about how it can be reached. All of it is a claim. See docs/wire/nat.md. */
export interface NatHello {
  readonly facts: Omit<NatFacts, 'probedAt'>
  /** Multiaddrs of ports that a router opened for it by UPnP or NAT-PMP, at most 4, without /p2p. */
  readonly mapped: readonly string[]
  /** Whether it can run ICE. */
  readonly ice: boolean
  /** Whether it has a TURN server to allocate at. */
  readonly turn: boolean
}

/** How a dial for somebody else ended. `not-allowed`: the address is not his, as far as the helper can tell. `busy`: over a rate, ask later. */
export const dialOutcomes = ['connected', 'failed', 'not-allowed', 'busy'] as const
export type DialOutcome = (typeof dialOutcomes)[number]

/** The frames of /synaptic-mesh/nat/1.0.0: a question, and its answer. */
export type NatFrame =
  | { readonly kind: 'hello'; readonly hello: NatHello }
  /** Dial this address of mine, and tell me whether I answered there. */
  | { readonly kind: 'dial-back'; readonly address: string }
  /** Dial me at one of these, and keep the connection. */
  | { readonly kind: 'reversal'; readonly addresses: readonly string[] }
  | { readonly kind: 'dialled'; readonly outcome: DialOutcome }

export const natFrameLimits = { bytes: 2_048, addresses: 8, mapped: 4, addressCharacters: 160 } as const

const kinds = { hello: 1, dialBack: 2, reversal: 3, dialled: 4 } as const
const version = 1
const what = 'nat frame'
const udpStates = ['open', 'blocked', 'unknown'] as const

/** @throws {MeshError} MESSAGE_MALFORMED when a field is out of range. */
export function encodeNatFrame(frame: NatFrame): Uint8Array {
  const bytes = encode(frame)
  decodeNatFrame(bytes)
  return bytes
}

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeNatFrame(bytes: Uint8Array): NatFrame {
  const fields = listOf(decodeCbor(bytes, { what, maxBytes: natFrameLimits.bytes, maxItems: 24, maxDepth: 2 }))
  switch (fields[0]) {
    case kinds.hello:
      return { kind: 'hello', hello: decodeHello(fields) }
    case kinds.dialBack:
      return { kind: 'dial-back', address: addressOf(exactly(fields, 2)[1]) }
    case kinds.reversal:
      return { kind: 'reversal', addresses: addressesOf(exactly(fields, 2)[1], { least: 1, most: natFrameLimits.addresses }) }
    case kinds.dialled:
      return { kind: 'dialled', outcome: pick(dialOutcomes, exactly(fields, 2)[1]) }
    default:
      throw malformedCbor(what, 'a kind that is not known')
  }
}

function encode(frame: NatFrame): Uint8Array {
  switch (frame.kind) {
    case 'hello':
      return encodeHello(frame.hello)
    case 'dial-back':
      return encodeCbor([kinds.dialBack, frame.address])
    case 'reversal':
      return encodeCbor([kinds.reversal, [...frame.addresses]])
    case 'dialled':
      return encodeCbor([kinds.dialled, dialOutcomes.indexOf(frame.outcome)])
    default:
      return frame satisfies never
  }
}

const encodeHello = ({ facts, mapped, ice, turn }: NatHello): Uint8Array =>
  encodeCbor([
    kinds.hello,
    version,
    natClasses.indexOf(facts.natClass),
    natMappings.indexOf(facts.mapping),
    natFilterings.indexOf(facts.filtering),
    udpStates.indexOf(facts.udp),
    facts.publicAddress?.address ?? null,
    facts.publicAddress?.port ?? 0,
    facts.ipv6,
    [...mapped],
    ice,
    turn
  ])

function decodeHello(fields: readonly unknown[]): NatHello {
  const found = fields[1]
  if (typeof found === 'number' && found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The hello', version: found })
  if (found !== version) throw malformedCbor(what, 'no version')
  exactly(fields, 12)
  return {
    facts: {
      natClass: pick(natClasses, fields[2]),
      mapping: pick(natMappings, fields[3]),
      filtering: pick(natFilterings, fields[4]),
      udp: pick(udpStates, fields[5]),
      publicAddress: publicAddressOf(fields[6], fields[7]),
      ipv6: flagOf(fields[8])
    },
    mapped: addressesOf(fields[9], { least: 0, most: natFrameLimits.mapped }),
    ice: flagOf(fields[10]),
    turn: flagOf(fields[11])
  }
}

function publicAddressOf(address: unknown, port: unknown): NatFacts['publicAddress'] {
  if (address === null && port === 0) return undefined
  if (typeof address !== 'string' || ipScope(address) === undefined) throw malformedCbor(what, 'the public address is none')
  if (typeof port !== 'number' || port > 65_535) throw malformedCbor(what, 'the public port is out of range')
  return { address, port }
}

function addressesOf(value: unknown, { least, most }: { readonly least: number; readonly most: number }): readonly string[] {
  const list = listOf(value)
  if (list.length < least || list.length > most) throw malformedCbor(what, `${list.length} addresses, ${least} to ${most}`)
  const addresses = list.map(addressOf)
  if (new Set(addresses).size !== addresses.length) throw malformedCbor(what, 'an address twice')
  return addresses
}

/** An IP address, a TCP port, perhaps WebSocket; without a peer id, since it is the requester's. */
function addressOf(value: unknown): string {
  if (typeof value !== 'string' || value.length > natFrameLimits.addressCharacters || dialAddress(value)?.text !== value)
    throw malformedCbor(what, 'an address that is not of IP and TCP')
  return value
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformedCbor(what, 'not an array')
  return value
}

function exactly(fields: readonly unknown[], count: number): readonly unknown[] {
  if (fields.length !== count) throw malformedCbor(what, `${fields.length} fields, not ${count}`)
  return fields
}

function pick<Value>(values: readonly Value[], index: unknown): Value {
  const value = typeof index === 'number' ? values[index] : undefined
  if (value === undefined) throw malformedCbor(what, 'a number out of range')
  return value
}

function flagOf(value: unknown): boolean {
  if (typeof value !== 'boolean') throw malformedCbor(what, 'a flag that is neither true nor false')
  return value
}
