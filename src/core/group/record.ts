import { sha256 } from '@noble/hashes/sha2.js'
import { ByteWriter, compareBytes, MeshError, type Signer, signingDomains, toHex, utf8, type Verifier, wallMillis } from '../base/index.ts'
import { type CborValue, decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { type GroupMandate, type GroupMember, type GroupRecord, type SignedGroup, groupLimits } from './types.ts'

const recordVersion = 1
const what = 'group record'
const maxNumber = 0xffff_ffff
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
const addressPattern = /^\/[\x21-\x7e]{1,127}$/
const bounds = {
  what,
  maxBytes: groupLimits.recordBytes,
  maxItems: 14 + groupLimits.ancestors + groupLimits.admins + groupLimits.members * 6,
  maxDepth: 4
} as const

/** Whether `text` can be the name of a group: 1–63 of A-Z a-z 0-9 . _ -, the first a letter or digit. */
export const isGroupName = (text: string): boolean => namePattern.test(text)

/** Whether `text` can be the address of a member. */
export const isMemberAddress = (text: string): boolean => addressPattern.test(text)

/** The id of a group: the first 16 bytes of SHA-256 over its creator, its name and its salt, each with its length. */
export function groupIdOf({ creator, name, salt }: Pick<GroupRecord, 'creator' | 'name' | 'salt'>): Uint8Array {
  const bytes = new ByteWriter(160).raw(utf8('synaptic-mesh group/1')).prefixed32(creator).prefixed32(utf8(name)).prefixed32(salt).finish()
  return sha256(bytes).slice(0, groupLimits.idBytes)
}

/** The id that a group's message has in the outbox of its sender and in the inbox of one member: 36 characters, the same whenever it is derived. */
export function memberMessageId({
  group,
  message,
  member
}: {
  readonly group: Uint8Array
  readonly message: string
  readonly member: Uint8Array
}): string {
  const bytes = new ByteWriter(160).raw(utf8('synaptic-mesh group message/1')).prefixed32(group).prefixed32(utf8(message)).prefixed32(member).finish()
  return `grp-${toHex(sha256(bytes).subarray(0, 16))}`
}

/** What the creator signs to say who may change the group; the first item tells it from a record. */
export function mandateInput(id: Uint8Array, { version, admins }: Pick<GroupMandate, 'version' | 'admins'>): Uint8Array {
  return encodeCbor(['mandate', id, version, [...admins]])
}

/** Signs a record as its author. @throws {MeshError} MESSAGE_MALFORMED when a field is out of range */
export function signGroup(record: Omit<GroupRecord, 'id' | 'author'>, signer: Signer): SignedGroup {
  const body = encodeCbor(bodyOf({ ...record, author: signer.publicKey }))
  const bytes = encodeCbor([body, signer.sign(signingDomains.group, body)])
  return { record: parse(bytes).record, bytes, hash: sha256(bytes) }
}

/**
 * Decodes a record and verifies both signatures in it: the author's over the record, the creator's over the mandate that makes the author an admin.
 * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, SIGNATURE_INVALID
 */
export function decodeGroup(bytes: Uint8Array, verifier: Verifier): SignedGroup {
  const { record, body, signature } = parse(bytes)
  const { id, creator, mandate, author } = record
  if (!verifier.verify(signingDomains.group, creator, mandateInput(id, mandate), mandate.signature))
    throw new MeshError('SIGNATURE_INVALID', { what: 'the mandate of a group' })
  if (!verifier.verify(signingDomains.group, author, body, signature)) throw new MeshError('SIGNATURE_INVALID', { what: 'a group record' })
  return { record, bytes, hash: sha256(bytes) }
}

const hasKey = (keys: readonly Uint8Array[], key: Uint8Array): boolean => keys.some((each) => compareBytes(each, key) === 0)

const bodyOf = (record: Omit<GroupRecord, 'id'>): CborValue => [
  recordVersion,
  record.creator,
  record.name,
  record.salt,
  [record.mandate.version, [...record.mandate.admins], record.mandate.signature],
  record.sequence,
  record.epoch,
  record.previous,
  record.ancestors.slice(),
  record.issuedAt,
  record.members.map(({ key, name, addresses }) => [key, name, [...addresses]]),
  record.author
]

function parse(bytes: Uint8Array): { readonly record: GroupRecord; readonly body: Uint8Array; readonly signature: Uint8Array } {
  const outer = listOf(decodeCbor(bytes, { what, maxBytes: groupLimits.recordBytes, maxItems: 3, maxDepth: 1 }))
  if (outer.length !== 2) throw malformedCbor(what, 'not a body and a signature')
  const body = bytesOf(outer[0], undefined)
  return { record: checked(decodeBody(body)), body, signature: bytesOf(outer[1], 64) }
}

function decodeBody(body: Uint8Array): GroupRecord {
  const fields = listOf(decodeCbor(body, bounds))
  const version = fields[0]
  if (typeof version === 'number' && version !== recordVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The group record', version })
  if (version !== recordVersion || fields.length !== 12) throw malformedCbor(what, 'not an array of 12')
  const identity = { creator: bytesOf(fields[1], 32), name: textOf(fields[2], namePattern), salt: bytesOf(fields[3], groupLimits.saltBytes) }
  return {
    id: groupIdOf(identity),
    ...identity,
    mandate: mandateOf(fields[4]),
    sequence: numberOf(fields[5], maxNumber),
    epoch: numberOf(fields[6], maxNumber),
    previous: bytesOf(fields[7], 32),
    ancestors: ancestorsOf(fields[8]),
    issuedAt: wallMillis(numberOf(fields[9], Number.MAX_SAFE_INTEGER)),
    members: membersOf(fields[10]),
    author: bytesOf(fields[11], 32)
  }
}

/** What holds in any record, whatever came before it. */
function checked(record: GroupRecord): GroupRecord {
  const { creator, mandate, sequence, epoch, previous, author } = record
  if (!hasKey([...mandate.admins, creator], author)) throw malformedCbor(what, 'its author is no admin')
  if (epoch > sequence) throw malformedCbor(what, 'its epoch is ahead of its sequence')
  const isFirst = sequence === 1
  if (isFirst !== previous.every((byte) => byte === 0)) throw malformedCbor(what, 'its sequence does not fit the record before')
  if (isFirst && compareBytes(creator, author) !== 0) throw malformedCbor(what, 'the first one is not of its creator')
  return record
}

function mandateOf(value: unknown): GroupMandate {
  const fields = listOf(value)
  if (fields.length !== 3) throw malformedCbor(what, 'the mandate is not an array of 3')
  const admins = listOf(fields[1]).map((key) => bytesOf(key, 32))
  if (admins.length < 1 || admins.length > groupLimits.admins) throw malformedCbor(what, `${admins.length} admins, 1 to ${groupLimits.admins}`)
  checkAscending(admins)
  return { version: numberOf(fields[0], maxNumber), admins, signature: bytesOf(fields[2], 64) }
}

function ancestorsOf(value: unknown): readonly Uint8Array[] {
  const list = listOf(value)
  if (list.length > groupLimits.ancestors) throw malformedCbor(what, `${list.length} ancestors, at most ${groupLimits.ancestors}`)
  return list.map((each) => bytesOf(each, groupLimits.ancestorBytes))
}

function membersOf(value: unknown): readonly GroupMember[] {
  const list = listOf(value)
  if (list.length > groupLimits.members) throw malformedCbor(what, `${list.length} members, at most ${groupLimits.members}`)
  const members = list.map(memberOf)
  checkAscending(members.map(({ key }) => key))
  return members
}

function memberOf(value: unknown): GroupMember {
  const fields = listOf(value)
  if (fields.length !== 3) throw malformedCbor(what, 'a member is not an array of 3')
  const addresses = listOf(fields[2]).map((address) => textOf(address, addressPattern))
  if (addresses.length > groupLimits.addressesOfMember || new Set(addresses).size !== addresses.length)
    throw malformedCbor(what, 'a member has too many addresses, or one twice')
  return { key: bytesOf(fields[0], 32), name: fields[1] === '' ? '' : textOf(fields[1], namePattern), addresses }
}

function checkAscending(keys: readonly Uint8Array[]): void {
  for (const [index, key] of keys.entries()) {
    const before = keys[index - 1]
    if (before !== undefined && compareBytes(before, key) >= 0) throw malformedCbor(what, 'keys are not in order, or one is there twice')
  }
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformedCbor(what, 'not an array')
  return value
}

function bytesOf(value: unknown, length: number | undefined): Uint8Array {
  if (!(value instanceof Uint8Array) || (length !== undefined && value.length !== length)) throw malformedCbor(what, 'bytes of another length')
  return value
}

function textOf(value: unknown, pattern: RegExp): string {
  if (typeof value !== 'string' || !pattern.test(value)) throw malformedCbor(what, 'a text has other characters or another length than it may')
  return value
}

function numberOf(value: unknown, max: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1 || value > max) throw malformedCbor(what, 'a number is out of range')
  return value
}
