import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCbor } from '../../../src/core/base/cbor.ts'
import { isMeshError, signingDomains, toHex } from '../../../src/core/base/index.ts'
import {
  decodeGroup,
  editGroup,
  groupIdOf,
  groupLimits,
  type GroupRecord,
  isGroupName,
  mandateInput,
  memberMessageId
} from '../../../src/core/group/index.ts'
import { groupOf, issuedAt, keyOf, memberOf, signerOf, verifier } from './records.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code
const group = groupOf('ada', 'ben', 'cyd')

/** A record with other fields, signed by whoever is named: its mandate too, by the creator. */
function forged(changes: Partial<Record<keyof GroupRecord, unknown>>, author = 'ada'): Uint8Array {
  const record = { ...group.record, author: keyOf(author), ...changes }
  const { mandate } = record as GroupRecord
  const body = encodeCbor([
    1,
    record.creator,
    record.name,
    record.salt,
    [mandate.version, mandate.admins, mandate.signature],
    record.sequence,
    record.epoch,
    record.previous,
    record.ancestors,
    record.issuedAt,
    (record.members as GroupRecord['members']).map(({ key, name, addresses }) => [key, name, addresses]),
    record.author
  ] as never)
  return encodeCbor([body, signerOf(author).sign(signingDomains.group, body)])
}

test('a record comes back as it was signed, its members in order', () => {
  const { record, hash } = decodeGroup(group.bytes, verifier)
  assert.deepEqual(record, group.record)
  assert.deepEqual(hash, group.hash)
  assert.deepEqual([record.sequence, record.epoch, record.mandate.version, record.name], [1, 1, 1, 'swarm-alpha'])
  const keys = record.members.map(({ key }) => toHex(key))
  assert.deepEqual(keys, keys.toSorted())
  assert.deepEqual(record.members.map(({ name }) => name).toSorted(), ['ada', 'ben', 'cyd'])
})

test('the id of a group says who made it, its name and its salt, and nothing else', () => {
  const { creator, name, salt, id } = group.record
  assert.equal(id.length, groupLimits.idBytes)
  assert.deepEqual(groupIdOf({ creator, name, salt }), id)
  assert.notDeepEqual(groupIdOf({ creator: keyOf('ben'), name, salt }), id)
  assert.notDeepEqual(groupIdOf({ creator, name: 'swarm-beta', salt }), id)
  assert.notDeepEqual(groupIdOf({ creator, name, salt: new Uint8Array(16) }), id)
})

test('every changed byte of a record is noticed', () => {
  for (let index = 0; index < group.bytes.length; index++) {
    const changed = group.bytes.slice()
    changed[index] = (changed[index] ?? 0) ^ 1
    assert.throws(
      () => decodeGroup(changed, verifier),
      (error) => isMeshError(error)
    )
  }
})

test('a record by somebody the mandate does not name is refused, and so is a mandate that the creator did not sign', () => {
  assert.throws(() => decodeGroup(forged({}, 'ben'), verifier), failure('MESSAGE_MALFORMED'))
  const { id, mandate } = group.record
  const own = { version: 2, admins: [keyOf('ben')] }
  const signature = signerOf('ben').sign(signingDomains.group, mandateInput(id, own))
  const later = { sequence: 2, previous: new Uint8Array(32).fill(1) }
  assert.throws(() => decodeGroup(forged({ ...later, mandate: { ...own, signature } }, 'ben'), verifier), failure('SIGNATURE_INVALID'))
  assert.throws(() => decodeGroup(forged({ mandate: { ...mandate, version: 2 } }), verifier), failure('SIGNATURE_INVALID'))
})

test('what is out of range is refused: members twice or out of order, too many, an epoch ahead of its sequence, a first record of somebody else', () => {
  const [first, second, third] = group.record.members
  assert.ok(first && second && third)
  for (const changes of [
    { members: [first, first] },
    { members: [second, first, third] },
    { members: [{ ...first, name: 'two words' }, second] },
    { members: [{ ...first, addresses: ['/ip4/1.2.3.4', '/ip4/1.2.3.4'] }] },
    { members: [{ ...first, addresses: ['no address'] }] },
    { members: [{ ...first, key: first.key.subarray(1) }] },
    { epoch: 2 },
    { sequence: 2 },
    { sequence: 0 },
    { previous: new Uint8Array(32).fill(1) },
    { salt: new Uint8Array(15) },
    { name: 'no\u001bname' },
    { mandate: { ...group.record.mandate, admins: [] } }
  ])
    assert.throws(() => decodeGroup(forged(changes), verifier), failure('MESSAGE_MALFORMED'), JSON.stringify(Object.keys(changes)))
})

test('a record of a version that is not known says so', () => {
  const body = encodeCbor([2, 'whatever'])
  const bytes = encodeCbor([body, signerOf('ada').sign(signingDomains.group, body)])
  assert.throws(() => decodeGroup(bytes, verifier), failure('UNSUPPORTED_VERSION'))
})

test('1,024 members fit into a record, addresses are left out where they do not, and one member more is refused', () => {
  const many = Array.from({ length: groupLimits.members - 1 }, (_, index) => ({
    ...memberOf(`member-${index}`),
    addresses: [1, 2].map((each) => `/ip4/192.0.2.1/tcp/4001/ws/${String(index).padStart(95, '0')}/${each}`)
  }))
  const full = editGroup(groupOf('ada'), { add: many, issuedAt }, signerOf('ada'))
  assert.ok(full !== undefined && full.bytes.length <= groupLimits.recordBytes)
  assert.equal(decodeGroup(full.bytes, verifier).record.members.length, groupLimits.members)
  assert.throws(() => editGroup(full, { add: [memberOf('one more')], issuedAt }, signerOf('ada')), failure('GROUP_FULL'))
})

test('names of groups are names like those of peers', () => {
  for (const name of ['swarm-alpha', 'a', 'A.b_c-9']) assert.ok(isGroupName(name))
  for (const name of ['', '@swarm', '-a', 'two words', 'x'.repeat(64), 'ä']) assert.ok(!isGroupName(name))
})

test('the id of a message for one member differs for each member, message and group, and is the same whenever it is made', () => {
  const id = memberMessageId({ group: group.record.id, message: 'm-1', member: keyOf('ben') })
  assert.match(id, /^grp-[0-9a-f]{32}$/)
  assert.equal(memberMessageId({ group: group.record.id, message: 'm-1', member: keyOf('ben') }), id)
  assert.notEqual(memberMessageId({ group: group.record.id, message: 'm-2', member: keyOf('ben') }), id)
  assert.notEqual(memberMessageId({ group: group.record.id, message: 'm-1', member: keyOf('cyd') }), id)
  assert.notEqual(memberMessageId({ group: new Uint8Array(16), message: 'm-1', member: keyOf('ben') }), id)
})
