import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, toHex } from '../../src/core/base/index.ts'
import { editGroup, encodeControl, type GroupControl, groupContentTypes, signGroup, type SignedGroup } from '../../src/core/group/index.ts'
import { issuedAt } from '../core/group/records.ts'
import { type GroupNode, GroupWorld } from './group-world.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code
const say = (control: GroupControl): { readonly body: Uint8Array; readonly contentType: string } => ({
  body: encodeControl(control),
  contentType: groupContentTypes.record
})
const record = ({ bytes }: SignedGroup) => say({ kind: 'record', record: bytes })
const memberNames = (world: GroupWorld, node: GroupNode): readonly string[] =>
  (node.group()?.signed.record.members ?? []).map(({ key }) => world.nameOf(key)).toSorted()

/** A group that ada made, which all its members know. */
async function made(world: GroupWorld, ...names: readonly string[]): Promise<SignedGroup> {
  const { signed } = await world.node('ada').service.create(
    'crew',
    names.map((name) => world.node(name).key)
  )
  await world.deliverAll()
  return signed
}

const seeds = Array.from({ length: 40 }, (_, index) => Number(process.env['SEED'] ?? 1) + index)

test('whatever admins change at the same time, and in whatever order it is heard, all members end with one record, and nobody’s change is lost', async () => {
  for (const seed of seeds) {
    const world = new GroupWorld(seed)
    const [ada, ben] = ['ada', 'ben'].map((name) => world.node(name))
    assert.ok(ada && ben)
    await made(world, 'ben', 'cyd', 'dan')
    await ada.service.edit('crew', { add: [ben.key], admins: true })
    await world.deliverAll()
    const both = [
      ada.service.edit('crew', { add: [world.node('eve').key] }),
      ben.service.edit('crew', { add: [world.node('fay').key], remove: [world.node('cyd').key] })
    ]
    await Promise.all(both)
    for (let step = world.random.integer(0, 5); step > 0; step--) await world.deliverOne()
    await world.node('dan').service.leave('crew')
    await world.deliverAll()
    const members = ['ada', 'ben', 'eve', 'fay']
    for (const name of members) {
      assert.deepEqual(memberNames(world, world.node(name)), members, `seed ${seed}, ${name}`)
      assert.equal(world.node(name).view(), ada.view(), `seed ${seed}, ${name}`)
    }
    assert.ok(world.node('cyd').group()?.state === 'removed', `seed ${seed}`)
    assert.ok(world.node('dan').group()?.state === 'left', `seed ${seed}`)
  }
})

test('a process that dies before all were told tells the rest when it is back, and nobody twice', async () => {
  const world = new GroupWorld(7)
  const ada = world.node('ada')
  await made(world, 'ben', 'cyd')
  const sent = ada.sent.size
  const letters = world.letters.length
  assert.equal(letters, 0)
  await ada.service.edit('crew', { add: [world.node('dan').key] })
  const [stored] = [...ada.stored.values()]
  assert.ok(stored)
  // As if it had died after the commit of the record, with one word said.
  ada.stored.set(toHex(stored.id), { ...stored, told: false })
  const [kept] = world.letters.splice(0)
  assert.ok(kept)
  const words = [...ada.sent.values()].slice(sent)
  for (const { id } of words) if (id !== kept.draft.id) ada.sent.delete(id)
  world.letters.push(kept)
  await ada.restart()
  assert.equal(world.letters.length, 3)
  await world.deliverAll()
  for (const name of ['ben', 'cyd', 'dan']) assert.deepEqual(memberNames(world, world.node(name)), ['ada', 'ben', 'cyd', 'dan'])
  const again = ada.sent.size
  await ada.restart()
  assert.equal(ada.sent.size, again)
})

test('a record is known after a restart, and one that was not committed was never told', async () => {
  const world = new GroupWorld(8)
  const ada = world.node('ada')
  await made(world, 'ben')
  const before = ada.view()
  ada.failingSaves = 1
  await assert.rejects(ada.service.edit('crew', { add: [world.node('cyd').key] }), /the power is gone/)
  assert.equal(world.letters.length, 0)
  assert.equal(ada.view(), before)
  await ada.restart()
  await world.node('ben').restart()
  assert.equal(ada.view(), before)
  assert.deepEqual(memberNames(world, world.node('ben')), ['ada', 'ben'])
})

test('a member cannot make itself an admin, remove others, or bring back an old record', async () => {
  const world = new GroupWorld(9)
  const [ada, ben, cyd] = ['ada', 'ben', 'cyd'].map((name) => world.node(name))
  assert.ok(ada && ben && cyd)
  const first = await made(world, 'ben', 'cyd')
  await ada.service.edit('crew', { add: [world.node('dan').key] })
  await world.deliverAll()
  const before = cyd.view()
  const current = cyd.group()?.signed
  assert.ok(current)
  // Replayed: harmless, whoever says it again.
  await cyd.receive(ben.key, record(first))
  // Signed by a member who is no admin.
  assert.throws(() => editGroup(current, { remove: [ada.key], issuedAt }, ben.signer), failure('GROUP_NOT_ADMIN'))
  assert.throws(() => signGroup({ ...current.record, sequence: 3, previous: current.hash, members: [] }, ben.signer), failure('MESSAGE_MALFORMED'))
  const self = { ...current.record, sequence: 3, mandate: { ...current.record.mandate, version: 9, admins: [ben.key] }, previous: current.hash }
  await assert.rejects(cyd.receive(ben.key, record(signGroup(self, ben.signer))), failure('SIGNATURE_INVALID'))
  const [other] = [signGroup({ ...current.record, sequence: 3, previous: current.hash, members: current.record.members.slice(1) }, ada.signer)]
  const changed = other?.bytes.slice() ?? new Uint8Array()
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
  await assert.rejects(cyd.receive(ben.key, { ...say({ kind: 'record', record: changed }) }), failure('SIGNATURE_INVALID'))
  await assert.rejects(cyd.receive(ben.key, say({ kind: 'removed', group: current.record.id, sequence: 99 })), failure('GROUP_NOT_ADMIN'))
  await assert.rejects(cyd.receive(ben.key, say({ kind: 'leave', group: current.record.id })), failure('GROUP_NOT_ADMIN'))
  await ada.receive(world.node('eve').key, say({ kind: 'leave', group: current.record.id }))
  assert.equal(cyd.view(), before)
  assert.equal(ada.view(), before)
})

test('a stranger to a group learns nothing of it and changes nothing, and nobody is put into a group that does not name it', async () => {
  const world = new GroupWorld(10)
  const [ada, ben, eve] = ['ada', 'ben', 'eve'].map((name) => world.node(name))
  assert.ok(ada && ben && eve)
  const first = await made(world, 'ben')
  await ada.receive(eve.key, say({ kind: 'ask', group: first.record.id }))
  assert.equal(world.letters.length, 0)
  await assert.rejects(eve.receive(ada.key, record(first)), failure('GROUP_NOT_MEMBER'))
  const withEve = editGroup(first, { add: [{ key: eve.key, name: '', addresses: [] }], issuedAt }, ada.signer)
  assert.ok(withEve)
  await assert.rejects(eve.receive(world.node('mal').key, record(withEve)), failure('GROUP_NOT_MEMBER'))
  assert.equal(eve.view(), 'none')
  await ben.receive(ada.key, say({ kind: 'ask', group: first.record.id }))
  assert.equal(world.letters.length, 1)
})

test('what a member sent before it was known as one is released when its record comes, and what those who go know is removed', async () => {
  const world = new GroupWorld(11)
  const [ada, ben, cyd] = ['ada', 'ben', 'cyd'].map((name) => world.node(name))
  assert.ok(ada && ben && cyd)
  const first = await made(world, 'ben')
  assert.deepEqual(ben.released, ['ada'])
  const id = first.record.id
  assert.equal(ben.book.standing({ id, epoch: 1, message: 'm' }, cyd.key), 'outside')
  assert.equal(ben.book.standing({ id, epoch: 2, message: 'm' }, cyd.key), 'unknown')
  assert.equal(ben.book.standing({ id: new Uint8Array(16), epoch: 1, message: 'm' }, ada.key), 'unknown')
  await ada.service.edit('crew', { add: [cyd.key] })
  await world.deliverAll()
  assert.deepEqual(ben.released, ['ada', 'cyd'])
  assert.equal(ben.book.standing({ id, epoch: 2, message: 'm' }, cyd.key), 'member')
  await ada.service.edit('crew', { remove: [ben.key] })
  await world.deliverAll()
  assert.equal(ben.group()?.state, 'removed')
  assert.equal(cyd.book.standing({ id, epoch: 2, message: 'm' }, ben.key), 'outside')
  assert.equal(ben.book.standing({ id, epoch: 3, message: 'm' }, ada.key), 'unknown')
  assert.equal(ben.book.standing({ id, epoch: 2, message: 'm' }, ada.key), 'outside')
  const [notice] = [...ada.sent.values()].filter(({ destination }) => toHex(destination.key) === toHex(ben.key)).slice(-1)
  assert.ok(notice && notice.body.length < 64, 'who was removed is not told who is in the group')
  await ada.service.edit('crew', { add: [ben.key] })
  await world.deliverAll()
  assert.deepEqual([ben.group()?.state, ben.view()], ['joined', ada.view()])
})

test('a node is in 64 groups at most, and a group of a name that is taken is refused', async () => {
  const world = new GroupWorld(12)
  const ada = world.node('ada')
  for (let index = 0; index < 64; index++) await ada.service.create(`crew-${index}`, [])
  await assert.rejects(ada.service.create('one-more', []), failure('GROUP_FULL'))
  const ben = world.node('ben')
  await assert.rejects(ben.service.create('peer', []), failure('GROUP_EXISTS'))
  const { signed } = await ben.service.create('bens', [ada.key])
  await assert.rejects(ada.receive(ben.key, record(signed)), failure('GROUP_FULL'))
})

test('a word about a group that comes as a message to another one is refused: whoever shares that one could so bring a node into groups of strangers', async () => {
  const world = new GroupWorld(13)
  const [ada, ben, eve] = ['ada', 'ben', 'eve'].map((name) => world.node(name))
  assert.ok(ada && ben && eve)
  const shared = await made(world, 'ben', 'eve')
  // Eve is a stranger to Ben, and admitted as a member of what they share: with its mark she sends the record of a group of her own.
  const { signed } = await eve.service.create('trap', [ben.key])
  const mark = { id: shared.record.id, epoch: shared.record.epoch, message: 'm' }
  await assert.rejects(ben.receive(eve.key, { ...record(signed), group: mark }), failure('MESSAGE_MALFORMED'))
  assert.deepEqual(
    ben.book.all.map(({ signed: { record: known } }) => known.name),
    ['crew']
  )
  const ask = say({ kind: 'ask', group: shared.record.id })
  await assert.rejects(ben.receive(eve.key, { ...ask, group: { ...mark, id: signed.record.id } }), failure('MESSAGE_MALFORMED'))
})

test('groups that somebody makes and ends without end take no room without end', async () => {
  const world = new GroupWorld(14)
  const [eve, ben] = ['eve', 'ben'].map((name) => world.node(name))
  assert.ok(eve && ben)
  for (let index = 0; index < 100; index++) {
    const { signed } = await eve.service.create('crew', [ben.key])
    await ben.receive(eve.key, record(signed))
    await eve.service.edit('crew', { end: true })
    const ended = eve.book.find(toHex(signed.record.id))?.signed ?? signed
    await ben.receive(eve.key, record(ended))
    assert.notEqual(ben.book.find(toHex(signed.record.id))?.state, 'joined')
  }
  assert.equal(ben.book.all.length, 64)
  assert.equal(ben.stored.size, 64)
})

test('a peer that names groups without end is asked about few of them', async () => {
  const world = new GroupWorld(15)
  const [ada, eve] = ['ada', 'eve'].map((name) => world.node(name))
  assert.ok(ada && eve)
  for (let index = 0; index < 500; index++) ada.service.saw(eve.key, { id: world.random.bytes(16), epoch: 1, message: 'm' })
  await ada.tracker.settle()
  assert.ok(ada.sent.size > 0 && ada.sent.size <= 16, `${ada.sent.size} questions wait in the outbox`)
  ada.service.saw(world.node('ben').key, { id: world.random.bytes(16), epoch: 1, message: 'm' })
  await ada.tracker.settle()
  assert.equal([...ada.sent.values()].filter(({ destination }) => toHex(destination.key) === toHex(world.node('ben').key)).length, 1)
  assert.ok([...ada.sent.values()].every(({ ttlS }) => ttlS <= 3_600))
})

test('an outbox that is full holds no words about groups up, and what could not be told is told later', async () => {
  const world = new GroupWorld(16)
  const [ada, ben, cyd] = ['ada', 'ben', 'cyd'].map((name) => world.node(name))
  assert.ok(ada && ben && cyd)
  const first = await made(world, 'ben', 'cyd')
  const leave = say({ kind: 'leave', group: first.record.id })
  ada.isFull = true
  await ada.receive(ben.key, say({ kind: 'ask', group: first.record.id }))
  // Committed, and not told: the desk hands the word over once more.
  await assert.rejects(ada.receive(ben.key, leave), failure('QUOTA'))
  await ada.receive(ben.key, leave)
  assert.deepEqual(memberNames(world, ada), ['ada', 'cyd'])
  ada.isFull = false
  await ada.receive(cyd.key, say({ kind: 'ask', group: first.record.id }))
  await world.deliverAll()
  assert.deepEqual(memberNames(world, cyd), ['ada', 'cyd'])
  assert.equal(cyd.view(), ada.view())
  assert.equal(ben.group()?.state, 'removed', 'nobody but who made the record tells it that')
})
