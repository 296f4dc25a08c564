import { decodeGroupKey, encodeGroupKey, membersDigest, openGroupContent, readGroupFrame, sealGroupFrame } from '../../src/core/group/index.ts'
import { alice, contentBytes, crypto, secret } from '../core/group/gossip-support.ts'
import { fuzzDecoder } from './fuzz.ts'

const anybody = { verify: () => true }
const sealed = sealGroupFrame(crypto, { secret, sender: alice.publicKey }, { counter: 70_000, content: contentBytes() })

fuzzDecoder({ name: 'group frame', decode: readGroupFrame, valid: [sealed] })
fuzzDecoder({
  name: 'group content',
  decode: (bytes) => openGroupContent(bytes, { sender: alice.publicKey, verifier: anybody }),
  valid: [contentBytes(), contentBytes({ sequences: [], template: new Uint8Array(0) })],
  codes: ['MESSAGE_MALFORMED', 'UNSUPPORTED_VERSION', 'SIGNATURE_INVALID']
})
fuzzDecoder({
  name: 'group key',
  decode: decodeGroupKey,
  encode: (value) => encodeGroupKey(value as ReturnType<typeof decodeGroupKey>),
  valid: [encodeGroupKey({ ...secret, members: membersDigest([]), slot: 7 })]
})
