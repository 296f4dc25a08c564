import { decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { MeshError } from '../base/index.ts'
import { epochKeyBytes } from './epoch-key.ts'
import { groupLimits } from './types.ts'

/** The key of an epoch, as an admin gives it to one member: the body of a message of the media type `groupContentTypes.key`, which travels in that member's session. */
export interface GroupKeyMessage {
  readonly group: Uint8Array
  readonly epoch: number
  /** See `membersDigest`: for whom it was made. */
  readonly members: Uint8Array
  /** The place of its recipient among them, from 0. */
  readonly slot: number
  readonly key: Uint8Array
}

const version = 1
const what = 'group key'

/** Deterministic CBOR of [version, group, epoch, members, slot, key]. */
export const encodeGroupKey = ({ group, epoch, members, slot, key }: GroupKeyMessage): Uint8Array =>
  encodeCbor([version, group, epoch, members, slot, key])

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeGroupKey(bytes: Uint8Array): GroupKeyMessage {
  const fields: unknown = decodeCbor(bytes, { what, maxBytes: 128, maxItems: 7, maxDepth: 1 })
  if (!Array.isArray(fields)) throw malformedCbor(what, 'not an array')
  const [found, group, epoch, members, slot, key]: readonly unknown[] = fields
  if (typeof found === 'number' && found !== version) throw new MeshError('UNSUPPORTED_VERSION', { what: 'The group key', version: found })
  if (found !== version || fields.length !== 6) throw malformedCbor(what, 'not an array of 6')
  return {
    group: bytesOf(group, groupLimits.idBytes),
    epoch: numberOf(epoch, { min: 1, max: 0xffff_ffff }),
    members: bytesOf(members, 32),
    slot: numberOf(slot, { min: 0, max: groupLimits.members - 1 }),
    key: bytesOf(key, epochKeyBytes)
  }
}

function bytesOf(value: unknown, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw malformedCbor(what, 'bytes of another length')
  return value
}

function numberOf(value: unknown, { min, max }: { readonly min: number; readonly max: number }): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) throw malformedCbor(what, 'a number is out of range')
  return value
}
