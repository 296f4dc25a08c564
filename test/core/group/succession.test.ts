import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareBytes, isMeshError, toHex } from '../../../src/core/base/index.ts'
import { editGroup, type GroupEdit, isAdmin, memberChange, signGroup, type SignedGroup, succession } from '../../../src/core/group/index.ts'
import { groupOf, issuedAt, keyOf, memberOf, signerOf } from './records.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code
const first = groupOf('ada', 'ben', 'cyd')

function edited(current: SignedGroup, edit: GroupEdit, author = 'ada'): SignedGroup {
  const next = editGroup(current, { ...edit, issuedAt }, signerOf(author))
  assert.ok(next !== undefined)
  return next
}

test('an admin adds and removes members: sequence and epoch count on, and the next record follows the one before', () => {
  const next = edited(first, { add: [memberOf('dan')], remove: [keyOf('ben')] })
  assert.deepEqual([next.record.sequence, next.record.epoch], [2, 2])
  assert.deepEqual(next.record.previous, first.hash)
  assert.deepEqual(memberChange(next.record, first.record), { added: [toHex(keyOf('dan'))], removed: [toHex(keyOf('ben'))] })
  assert.equal(succession(next, first), 'newer')
  assert.equal(succession(first, next), 'older')
  assert.equal(succession(next, next), 'same')
})

test('what changes nothing makes no record, and a change of admins makes no epoch', () => {
  assert.equal(editGroup(first, { add: [], remove: [keyOf('dan')], issuedAt }, signerOf('ada')), undefined)
  const next = edited(first, { promote: [keyOf('ben')] })
  assert.deepEqual([next.record.sequence, next.record.epoch, next.record.mandate.version], [2, 1, 2])
  assert.ok(isAdmin(next.record, keyOf('ben')))
})

test('only admins change a group, and only its creator says who they are', () => {
  assert.throws(() => edited(first, { add: [memberOf('dan')] }, 'ben'), failure('GROUP_NOT_ADMIN'))
  const withBen = edited(first, { promote: [keyOf('ben')] })
  const next = edited(withBen, { add: [memberOf('dan')] }, 'ben')
  assert.equal(succession(next, withBen), 'newer')
  assert.throws(() => edited(next, { promote: [keyOf('dan')] }, 'ben'), failure('GROUP_CREATOR_ONLY'))
  assert.throws(() => edited(next, { remove: [keyOf('ada')] }, 'ben'), failure('GROUP_CREATOR_ONLY'))
})

test('a group is not left without an admin; it can be ended', () => {
  assert.throws(() => edited(first, { remove: [keyOf('ada')] }), failure('GROUP_LAST_ADMIN'))
  const ended = edited(first, { end: true })
  assert.equal(ended.record.members.length, 0)
  assert.equal(succession(ended, first), 'newer')
})

test('a record after the end, or one that does not count on by one, or keeps the epoch though members changed, is broken', () => {
  const ended = edited(first, { end: true })
  const { record } = first
  const sign = (changes: object, current = first): SignedGroup =>
    signGroup({ ...record, sequence: 2, epoch: 2, previous: current.hash, members: [memberOf('ada')], ...changes }, signerOf('ada'))
  assert.equal(succession(sign({}), first), 'newer')
  assert.equal(succession(sign({ epoch: 1 }), first), 'broken')
  assert.equal(succession(sign({ sequence: 3 }), first), 'broken')
  assert.equal(succession(sign({ members: record.members }), first), 'broken')
  assert.equal(succession(sign({ sequence: 3 }, ended), ended), 'broken')
  assert.equal(succession(sign({ sequence: 70_000, previous: new Uint8Array(32).fill(9) }), first), 'broken')
})

test('of two records made at one time all take the same one, whatever comes first: the one with the lower hash', () => {
  const withBen = edited(first, { promote: [keyOf('ben')] })
  const one = edited(withBen, { add: [memberOf('dan')] })
  const other = edited(withBen, { add: [memberOf('eve')] }, 'ben')
  const [low, high] = compareBytes(one.hash, other.hash) < 0 ? [one, other] : [other, one]
  assert.equal(succession(low, high), 'newer')
  assert.equal(succession(high, low), 'older')
})

test('an admin whom the creator struck out cannot run ahead of that', () => {
  const withBen = edited(first, { promote: [keyOf('ben')] })
  let bens = withBen
  for (const name of ['x', 'y', 'z']) bens = edited(bens, { add: [memberOf(name)] }, 'ben')
  const struck = edited(withBen, { remove: [keyOf('ben')] })
  assert.ok(struck.record.sequence < bens.record.sequence)
  assert.equal(succession(struck, bens), 'newer')
  assert.equal(succession(bens, struck), 'older')
})

test('records of another group are never successors', () => {
  const other = signGroup({ ...first.record, salt: new Uint8Array(16), mandate: groupOf('ada').record.mandate }, signerOf('ada'))
  assert.equal(succession(other, first), 'broken')
})
