import { sha256 } from '@noble/hashes/sha2.js'
import { decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { equalBytes, MeshError, type Signer, signingDomains, type Verifier, type WallMillis, wallMillis } from '../base/index.ts'
import { groupFrameLimits } from './group-frames.ts'
import { groupLimits } from './types.ts'

/** What one member says to all others at once. */
export interface GroupContent {
  readonly group: Uint8Array
  readonly epoch: number
  /** The id that the message has for all members. */
  readonly message: string
  /** See `membersDigest`: whose sequences these are. */
  readonly members: Uint8Array
  /** The sender's clock at transmission, continuing the one by which the message got its timestamp. */
  readonly sentAt: WallMillis
  /** For each member, in the order of the record, the sequence of its envelope; 0 for whom there is none. */
  readonly sequences: readonly number[]
  /** The encoded envelope that all have in common: id = `message`, sequence 0, destination key zero. */
  readonly template: Uint8Array
}

/** A content whose sender is proved. */
export interface OpenGroupContent extends GroupContent {
  /** Everything but the template, which follows from the envelope: shows a third party who wrote it. */
  readonly proof: Uint8Array
}

const contentVersion = 1
const proofVersion = 2
const what = 'group content'
const maxEpoch = 0xffff_ffff
const idPattern = /^[A-Za-z0-9._-]{1,64}$/
const statementBounds = { what, maxBytes: 256, maxItems: 9, maxDepth: 1 } as const
const sequencesBounds = { what, maxBytes: 9 * groupLimits.members + 9, maxItems: groupLimits.members + 1, maxDepth: 1 } as const

/** The bytes that are sealed in a frame: CBOR of [statement, signature, sequences, template]. */
export function encodeGroupContent(content: GroupContent, signer: Signer): Uint8Array {
  const sequences = encodeCbor([...content.sequences])
  const { group, epoch, message, members, sentAt, template } = content
  const statement = encodeCbor([contentVersion, group, epoch, message, members, sentAt, sha256(sequences), sha256(template)])
  return encodeCbor([statement, signer.sign(signingDomains.groupMessage, statement), sequences, template])
}

/**
 * Decodes what `sender` sealed and verifies that it signed it, all of it.
 * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, SIGNATURE_INVALID
 */
export function openGroupContent(
  bytes: Uint8Array,
  { sender, verifier }: { readonly sender: Uint8Array; readonly verifier: Verifier }
): OpenGroupContent {
  const [statement, signature, sequences, template] = parts(bytes)
  const said = decodeStatement(statement)
  const isWhole = equalBytes(said.sequencesHash, sha256(sequences)) && equalBytes(said.templateHash, sha256(template))
  if (!isWhole || !verifier.verify(signingDomains.groupMessage, sender, statement, signature))
    throw new MeshError('SIGNATURE_INVALID', { what: 'a group message' })
  const { group, epoch, message, members, sentAt } = said
  return {
    ...{ group, epoch, message, members, sentAt },
    sequences: decodeSequences(sequences),
    template,
    proof: encodeCbor([proofVersion, statement, signature, sequences])
  }
}

function parts(bytes: Uint8Array): readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array] {
  const fields = listOf(decodeCbor(bytes, { what, maxBytes: groupFrameLimits.contentBytes, maxItems: 5, maxDepth: 1 }))
  if (fields.length !== 4) throw malformedCbor(what, 'not an array of 4')
  return [bytesOf(fields[0]), bytesOf(fields[1], 64), bytesOf(fields[2]), bytesOf(fields[3])]
}

function decodeStatement(
  bytes: Uint8Array
): Omit<GroupContent, 'sequences' | 'template'> & { readonly sequencesHash: Uint8Array; readonly templateHash: Uint8Array } {
  const fields = listOf(decodeCbor(bytes, statementBounds))
  const [version, group, epoch, message, members, sentAt, sequencesHash, templateHash] = fields
  if (typeof version === 'number' && version !== contentVersion) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The group message', version })
  if (version !== contentVersion || fields.length !== 8) throw malformedCbor(what, 'not a statement of 8')
  if (typeof message !== 'string' || !idPattern.test(message)) throw malformedCbor(what, 'the id is not valid')
  return {
    group: bytesOf(group, groupLimits.idBytes),
    epoch: numberOf(epoch, { min: 1, max: maxEpoch }),
    message,
    members: bytesOf(members, 32),
    sentAt: wallMillis(numberOf(sentAt, { min: 0, max: Number.MAX_SAFE_INTEGER })),
    sequencesHash: bytesOf(sequencesHash, 32),
    templateHash: bytesOf(templateHash, 32)
  }
}

const decodeSequences = (bytes: Uint8Array): readonly number[] =>
  listOf(decodeCbor(bytes, sequencesBounds)).map((value) => numberOf(value, { min: 0, max: Number.MAX_SAFE_INTEGER }))

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformedCbor(what, 'not an array')
  return value
}

function bytesOf(value: unknown, length?: number): Uint8Array {
  if (!(value instanceof Uint8Array) || (length !== undefined && value.length !== length)) throw malformedCbor(what, 'bytes of another length')
  return value
}

function numberOf(value: unknown, { min, max }: { readonly min: number; readonly max: number }): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) throw malformedCbor(what, 'a number is out of range')
  return value
}
