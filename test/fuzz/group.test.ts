import { decodeControl, decodeGroup, encodeControl, type GroupControl } from '../../src/core/group/index.ts'
import { groupOf, verifier } from '../core/group/records.ts'
import { fuzzDecoder } from './fuzz.ts'

const group = groupOf('ada', 'ben', 'cyd')
const { id } = group.record

fuzzDecoder({
  name: 'group record',
  decode: (bytes) => decodeGroup(bytes, { verify: () => true }),
  encode: (signed) => (signed as ReturnType<typeof decodeGroup>).bytes,
  valid: [group.bytes, groupOf('ada').bytes]
})
fuzzDecoder({
  name: 'group record, signatures verified',
  decode: (bytes) => decodeGroup(bytes, verifier),
  valid: [group.bytes],
  codes: ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION', 'SIGNATURE_INVALID']
})
fuzzDecoder({
  name: 'group control message',
  decode: decodeControl,
  encode: (value) => encodeControl(value as GroupControl),
  valid: [
    encodeControl({ kind: 'record', record: group.bytes }),
    encodeControl({ kind: 'removed', group: id, sequence: 7 }),
    encodeControl({ kind: 'leave', group: id }),
    encodeControl({ kind: 'ask', group: id })
  ]
})
