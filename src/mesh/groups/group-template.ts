import { isControlType } from '../../core/base/control-type.ts'
import { equalBytes, MeshError } from '../../core/base/index.ts'
import { memberMessageId } from '../../core/group/index.ts'
import { decodeEnvelope, encodeEnvelope, type Envelope } from '../../core/message/index.ts'

/** In place of a member's key in what all members have in common. */
const noKey = new Uint8Array(32)

/** What the envelopes of all members have in common, encoded: made from the one of any member. */
export function templateOf(envelope: Envelope): Uint8Array {
  const { group, destination } = envelope
  if (group === undefined) throw new MeshError('INTERNAL', { reason: 'a message of a group without its mark' })
  return encodeEnvelope({ ...envelope, id: group.message, sequence: 0, destination: { ...destination, key: noKey } })
}

/** What a template must say to be taken. */
export interface ExpectedTemplate {
  readonly source: Uint8Array
  readonly group: Uint8Array
  readonly epoch: number
  readonly message: string
}

/** The envelope of one member: byte for byte the one that its sender has in the outbox for it. */
export function memberEnvelope(template: Envelope, member: { readonly key: Uint8Array; readonly sequence: number }): Envelope {
  const { group, destination } = template
  if (group === undefined) throw new MeshError('MESSAGE_MALFORMED', { what: 'group message', reason: 'it names no group' })
  const id = memberMessageId({ group: group.id, message: group.message, member: member.key })
  return { ...template, id, sequence: member.sequence, destination: { ...destination, key: member.key } }
}

/** The template in `bytes`. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION; also when it says something else than the statement that came with it, or is a word between nodes */
export function openTemplate(bytes: Uint8Array, expected: ExpectedTemplate): Envelope {
  const envelope = decodeEnvelope(bytes)
  const { group, source, id, sequence, destination, contentType } = envelope
  const says =
    group !== undefined &&
    equalBytes(group.id, expected.group) &&
    group.epoch === expected.epoch &&
    group.message === expected.message &&
    id === expected.message &&
    sequence === 0 &&
    equalBytes(source.key, expected.source) &&
    equalBytes(destination.key, noKey)
  if (!says) throw new MeshError('MESSAGE_MALFORMED', { what: 'group message', reason: 'its template says something else than its sender signed' })
  if (isControlType(contentType)) throw new MeshError('MESSAGE_MALFORMED', { what: 'group message', reason: 'control messages are not gossiped' })
  return envelope
}
