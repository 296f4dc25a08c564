import { decodeCbor, encodeCbor, malformedCbor } from '../base/cbor.ts'
import { MeshError } from '../base/index.ts'
import { groupLimits } from './types.ts'

/** What nodes tell each other about groups: the body of a message of the media type `groupContentTypes.record`. See docs/wire/group.md. */
export type GroupControl =
  /** A signed record, for its members. */
  | { readonly kind: 'record'; readonly record: Uint8Array }
  /** To a member that is one no longer, from an admin: the members of the record `sequence` are no business of it. */
  | { readonly kind: 'removed'; readonly group: Uint8Array; readonly sequence: number }
  /** To the admins: its sender wants to be out. */
  | { readonly kind: 'leave'; readonly group: Uint8Array }
  /** To a member: send me your record, I lack one. */
  | { readonly kind: 'ask'; readonly group: Uint8Array }

const version = 1
const what = 'group control message'
const kinds = { record: 1, removed: 2, leave: 3, ask: 4 } as const

/** Deterministic CBOR of [version, kind, …]. */
export function encodeControl(control: GroupControl): Uint8Array {
  switch (control.kind) {
    case 'record':
      return encodeCbor([version, kinds.record, control.record])
    case 'removed':
      return encodeCbor([version, kinds.removed, control.group, control.sequence])
    case 'leave':
    case 'ask':
      return encodeCbor([version, kinds[control.kind], control.group])
  }
}

/** @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeControl(bytes: Uint8Array): GroupControl {
  const fields = decodeCbor(bytes, { what, maxBytes: groupLimits.recordBytes + 16, maxItems: 5, maxDepth: 1 })
  if (!Array.isArray(fields)) throw malformedCbor(what, 'not an array')
  const [found, kind, subject, sequence]: readonly unknown[] = fields
  if (typeof found === 'number' && found !== version)
    throw new MeshError('UNSUPPORTED_VERSION', { what: 'The group control message', version: found })
  if (found !== version || fields.length !== (kind === kinds.removed ? 4 : 3)) throw malformedCbor(what, 'not an array of 3, or of 4')
  if (!(subject instanceof Uint8Array)) throw malformedCbor(what, 'neither a record nor a group')
  if (kind === kinds.record) return { kind: 'record', record: subject }
  if (subject.length !== groupLimits.idBytes) throw malformedCbor(what, 'the id of a group is 16 bytes')
  switch (kind) {
    case kinds.removed:
      if (typeof sequence !== 'number' || !Number.isSafeInteger(sequence) || sequence < 1) throw malformedCbor(what, 'a sequence out of range')
      return { kind: 'removed', group: subject, sequence }
    case kinds.leave:
      return { kind: 'leave', group: subject }
    case kinds.ask:
      return { kind: 'ask', group: subject }
    default:
      throw malformedCbor(what, 'an unknown kind')
  }
}
