import { decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { MeshError, type Signer, type Verifier, type WallMillis, equalBytes, signingDomains, wallMillis } from '../base/index.ts'

/** What a peer says of itself, signed by its key. Everything but the key is a claim. See docs/wire/card.md. */
export interface Card {
  readonly network: string
  /** Raw Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array
  /** '' or 1–63 of A-Z a-z 0-9 . _ - */
  readonly name: string
  /** Agents behind this peer: at most 16, each 1–64 of the same characters. */
  readonly labels: readonly string[]
  /** What it can do: at most 16, each 1–32 of a-z 0-9 and -. */
  readonly features: readonly string[]
  /** Multiaddrs with /p2p: at most 12, each at most 256 printable ASCII characters. */
  readonly addresses: readonly string[]
  /** The peer's own clock; of two cards of one peer the later one holds. */
  readonly issuedAt: WallMillis
}

export const cardLimits = {
  bytes: 3_584,
  nameCharacters: 63,
  labels: 16,
  labelCharacters: 64,
  features: 16,
  featureCharacters: 32,
  addresses: 12,
  addressCharacters: 256
} as const

const cardVersion = 1
const what = 'card'
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const labelPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const featurePattern = /^[a-z0-9][a-z0-9-]{0,31}$/
const addressPattern = /^\/[\x21-\x7e]{1,255}$/
const networkPattern = /^[a-z0-9][a-z0-9-]{0,39}$/

/** Whether `text` can be the name on a card. */
export const isPeerName = (text: string): boolean => namePattern.test(text)

/** Whether `text` can be the label of an agent on a card. */
export const isAgentLabel = (text: string): boolean => labelPattern.test(text)

/** The signed card: CBOR of [body, signature]. Addresses beyond what fits are left out, the last first. @throws {MeshError} MESSAGE_MALFORMED when a field is out of range. */
export function encodeCard(card: Card, signer: Signer): Uint8Array {
  const addresses = [...new Set(card.addresses)].filter((address) => addressPattern.test(address)).slice(0, cardLimits.addresses)
  for (;;) {
    const body = encodeBody({ ...card, addresses })
    const bytes = encodeCbor([body, signer.sign(signingDomains.card, body)])
    if (bytes.length <= cardLimits.bytes || addresses.length === 0) return checked(bytes)
    addresses.pop()
  }
}

/**
 * Decodes a card and verifies its signature by the key on it, and that it is `expectedKey`, the key of the authenticated peer.
 * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, NETWORK_MISMATCH, IDENTITY_MISMATCH, SIGNATURE_INVALID
 */
export function decodeCard(
  bytes: Uint8Array,
  expected: { readonly network: string; readonly publicKey: Uint8Array; readonly verifier: Verifier }
): Card {
  const { card, body, signature } = parseCard(bytes)
  if (card.network !== expected.network) throw new MeshError('NETWORK_MISMATCH', { what: 'The card', wanted: card.network, own: expected.network })
  if (!equalBytes(card.publicKey, expected.publicKey))
    throw new MeshError('IDENTITY_MISMATCH', { what: 'The card', claimed: 'another key', actual: 'the key that was expected' })
  if (!expected.verifier.verify(signingDomains.card, card.publicKey, body, signature)) throw new MeshError('SIGNATURE_INVALID', { what: 'a card' })
  return card
}

/** The fields of a card whose signature was not verified. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function parseCard(bytes: Uint8Array): { readonly card: Card; readonly body: Uint8Array; readonly signature: Uint8Array } {
  const outer = fieldsOf(decodeCbor(bytes, { what, maxBytes: cardLimits.bytes, maxItems: 3, maxDepth: 1 }))
  const body = outer[0]
  const signature = outer[1]
  if (outer.length !== 2 || !(body instanceof Uint8Array) || !(signature instanceof Uint8Array) || signature.length !== 64)
    throw malformedCbor(what, 'not a body and a signature')
  return { card: decodeBody(body), body, signature }
}

const encodeBody = (card: Card): Uint8Array =>
  encodeCbor([cardVersion, card.network, card.publicKey, card.name, [...card.labels], [...card.features], [...card.addresses], card.issuedAt])

const checked = (bytes: Uint8Array): Uint8Array => {
  parseCard(bytes)
  return bytes
}

function decodeBody(body: Uint8Array): Card {
  const fields = fieldsOf(decodeCbor(body, { what, maxBytes: cardLimits.bytes, maxItems: 64, maxDepth: 2 }))
  const version = fields[0]
  if (typeof version === 'number' && version !== cardVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The card', version })
  if (version !== cardVersion || fields.length !== 8) throw malformedCbor(what, 'not an array of 8')
  const issuedAt = fields[7]
  const publicKey = fields[2]
  if (!(publicKey instanceof Uint8Array) || publicKey.length !== 32) throw malformedCbor(what, 'the key is not 32 bytes')
  if (typeof issuedAt !== 'number' || !Number.isSafeInteger(issuedAt)) throw malformedCbor(what, 'the time is out of range')
  const name = fields[3] === '' ? '' : textOf(fields[3], namePattern)
  return {
    network: textOf(fields[1], networkPattern),
    publicKey,
    name,
    labels: listOf(fields[4], labelPattern, cardLimits.labels),
    features: listOf(fields[5], featurePattern, cardLimits.features),
    addresses: listOf(fields[6], addressPattern, cardLimits.addresses),
    issuedAt: wallMillis(issuedAt)
  }
}

function fieldsOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformedCbor(what, 'not an array')
  return value
}

function textOf(value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw malformedCbor(what, 'a text has other characters or another length than it may')
  return value
}

function listOf(value: unknown, pattern: RegExp, max: number): readonly string[] {
  const list = fieldsOf(value)
  if (list.length > max) throw malformedCbor(what, `a list of ${list.length}, at most ${max}`)
  const texts = list.map((entry) => textOf(entry, pattern))
  if (new Set(texts).size !== texts.length) throw malformedCbor(what, 'a list names something twice')
  return texts
}
