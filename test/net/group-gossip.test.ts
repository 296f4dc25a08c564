import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { equalBytes, isMeshError, toHex, wallMillis } from '../../src/core/base/index.ts'
import {
  encodeGroupContent,
  encodeGroupKey,
  memberMessageId,
  membersDigest,
  openGroupFrame,
  readGroupFrame,
  sealGroupFrame
} from '../../src/core/group/index.ts'
import { decodeEnvelope, type Envelope } from '../../src/core/message/index.ts'
import { nodeHandshakeCrypto as crypto } from '../../src/crypto/handshake-crypto.ts'
import { templateOf } from '../../src/mesh/groups/group-template.ts'
import { largeGroup, Member, signerOf, without } from './group-world.ts'

const world = async (): Promise<{ alice: Member; bob: Member; carol: Member; group: Awaited<ReturnType<typeof largeGroup>> }> => {
  const [alice, bob, carol] = [new Member(signerOf(1)), new Member(signerOf(2)), new Member(signerOf(3))]
  return { alice, bob, carol, group: await largeGroup([alice, bob, carol]) }
}

/** What a member can seal and sign in the name of another one, with the key that it has. */
function forged(member: Member, { claimed, template }: { readonly claimed: Member; readonly template: Uint8Array }): Uint8Array {
  const [key] = member.store.rows.values()
  assert.ok(key !== undefined)
  const sequences = Array.from({ length: 40 }, () => 77)
  const content = encodeGroupContent(
    { ...key, message: decodeEnvelope(template).id, sentAt: wallMillis(Date.now()), sequences, template },
    member.signer
  )
  return sealGroupFrame(crypto, { secret: key, sender: claimed.publicKey }, { counter: 900, content })
}

function templateBy(author: Member): Uint8Array {
  const [row] = author.rows.values()
  assert.ok(row !== undefined)
  return templateOf(decodeEnvelope(row.envelope))
}

describe('group gossip', () => {
  it('gives every member the very envelope that its sender has for it in the outbox', async () => {
    const { alice, bob, carol, group } = await world()
    await bob.send(bob.group(group), 'Sync neural patterns')
    assert.equal(bob.frames.length, 1, 'one frame for 39 members')
    assert.deepEqual(
      bob.gossiped.map(({ ids, isGiven }) => [ids.length, isGiven]),
      [[39, true]]
    )
    assert.ok(bob.parked.every(Boolean))
    for (const member of [alice, carol]) {
      assert.equal(member.hear(bob, bob.frames[0]), 'accept')
      const [arrived] = member.heard
      const row = [...bob.rows.values()].find(({ destination }) => equalBytes(destination, member.publicKey))
      assert.ok(arrived !== undefined && row !== undefined)
      assert.equal(toHex(arrived.message.envelope), toHex(row.envelope))
      assert.equal(toHex(arrived.message.digest), toHex(row.digest))
      assert.equal(arrived.message.standing, 'member')
      assert.equal(
        arrived.envelope.id,
        memberMessageId({ group: group.record.id, message: arrived.envelope.group?.message ?? '', member: member.publicKey })
      )
    }
  })

  it('is passed on unread by who is no member, and by who has no key', async () => {
    const { alice, group } = await world()
    const stranger = new Member(signerOf(9))
    await alice.send(alice.group(group), 'secret')
    assert.equal(stranger.hear(alice, alice.frames[0]), 'accept')
    assert.deepEqual(stranger.events, ['passed'])
    assert.equal(stranger.heard.length, 0)
  })

  it('tells who was removed nothing of the next epoch', async () => {
    const { alice, bob, carol, group } = await world()
    const next = await without([alice, bob, carol], group, carol)
    await alice.send(alice.group(next), 'about carol')
    const [frame] = alice.frames
    assert.equal(bob.hear(alice, frame), 'accept')
    assert.equal(bob.heard.length, 1)
    // Carol heard nothing of her removal, and has every key that she ever got.
    assert.equal(carol.hear(alice, frame), 'accept')
    assert.deepEqual(carol.events, ['passed'])
    const read = readGroupFrame(frame ?? new Uint8Array())
    for (const key of carol.store.rows.values())
      assert.throws(
        () => openGroupFrame(crypto, { secret: key, sender: alice.publicKey }, read),
        (error) => isMeshError(error, 'SESSION_RECORD_INVALID')
      )
  })

  it('takes nothing from who was removed, though it still has the key of an epoch that is read', async () => {
    const { alice, bob, carol, group } = await world()
    await carol.send(carol.group(group), 'I am still here')
    await without([alice, bob, carol], group, carol)
    assert.equal(bob.hear(carol, carol.frames[0]), 'ignore')
    assert.equal(bob.heard.length, 0)
  })

  it('reads what was under way when the members changed, two epochs back and no further', async () => {
    const { alice, bob, carol, group } = await world()
    const gone = [new Member(signerOf(100)), new Member(signerOf(101)), new Member(signerOf(102))]
    await alice.send(alice.group(group), 'late')
    await alice.send(alice.group(group), 'too late')
    let now = group
    for (const [index, each] of gone.entries()) {
      now = await without([alice, bob, carol], now, each)
      if (index === 1) assert.equal(bob.hear(alice, alice.frames[0]), 'accept')
    }
    assert.equal(bob.heard.length, 1)
    assert.equal(bob.hear(alice, alice.frames[1]), 'accept', 'passed on: the key is forgotten')
    assert.equal(bob.heard.length, 1)
  })

  it('is given to nobody over gossip where circuits are the rule, without a key, or when it is too large', async () => {
    const { alice, bob, group } = await world()
    await alice.send(alice.group(group), 'x'.repeat(60_000))
    assert.equal(alice.frames.length, 0)
    assert.ok(
      alice.parked.every((each) => !each),
      'each goes alone at once'
    )
    const keyless = new Member(signerOf(2))
    keyless.book.put(bob.group(group))
    await keyless.send(keyless.group(group), 'hello')
    assert.deepEqual([keyless.frames.length, keyless.parked.some(Boolean)], [0, false])
    const hidden = new Member(signerOf(2), bob.store, { onionRouting: true })
    await hidden.keys.load()
    hidden.book.put(bob.group(group))
    await hidden.send(hidden.group(group), 'hello')
    assert.deepEqual([hidden.frames.length, hidden.parked.some(Boolean)], [0, false])
  })

  it('lets messages go alone at once when there is nobody to give them to', async () => {
    const { alice, group } = await world()
    alice.neighbours = 0
    await alice.send(alice.group(group), 'is anybody there?')
    assert.deepEqual(
      alice.gossiped.map(({ isGiven }) => isGiven),
      [false]
    )
    assert.deepEqual(alice.events, ['unheard'])
  })
})

describe('keys of large groups', () => {
  it('may come before the record that they are for', async () => {
    const { alice, group } = await world()
    const late = new Member(signerOf(100))
    const [key] = alice.store.rows.values()
    const slot = group.record.members.findIndex((member) => equalBytes(member.key, late.publicKey))
    assert.ok(key !== undefined && slot >= 0)
    await late.keys.learn({ source: alice.publicKey, body: encodeGroupKey({ ...key, slot }) })
    await alice.send(alice.group(group), 'before')
    assert.equal(late.hear(alice, alice.frames[0]), 'accept')
    assert.deepEqual(late.events, ['passed'], 'whose it is, is not known yet')
    await late.join(group)
    await alice.send(alice.group(group), 'after')
    late.hear(alice, alice.frames[1])
    assert.equal(late.heard.length, 1)
  })

  it('are told to every other member, and again by the process after one that died before it could', async () => {
    const [alice, group] = [new Member(signerOf(1)), await largeGroup([new Member(signerOf(1))])]
    alice.cannotTell = true
    await assert.rejects(alice.join(group))
    assert.equal(alice.keys.current(alice.group(group)), undefined, 'nothing is sealed with what nobody can open')
    const again = new Member(signerOf(1), alice.store)
    await again.keys.load()
    await again.join(group)
    assert.equal(again.told.length, 39)
    assert.equal(new Set(again.told.map(({ member }) => toHex(member))).size, 39)
    assert.equal(alice.store.rows.size, 1, 'the same key')
    const once = new Member(signerOf(1), alice.store)
    await once.keys.load()
    await once.join(group)
    assert.equal(once.told.length, 0)
  })

  it('are none of a group that is small', async () => {
    const alice = new Member(signerOf(1))
    const small = await largeGroup([alice], 32)
    assert.equal(alice.store.rows.size, 0)
    await alice.send(alice.group(small), 'to each alone')
    assert.equal(alice.frames.length, 0)
  })
})

describe('hostile group gossip', () => {
  it('is not taken in the name of another member, though every member can derive that one\u2019s key', async () => {
    const { alice, bob, carol, group } = await world()
    await alice.send(alice.group(group), 'from alice')
    const template = templateBy(alice)
    // Bob seals under Alice's key what he signed himself; gossip says that it is from Bob, or he has Alice's libp2p signature forged.
    const frame = forged(bob, { claimed: alice, template })
    // Who passed it on has no key and could not know.
    assert.equal(carol.hear(bob, frame), 'ignore')
    assert.equal(carol.hear(alice, frame), 'ignore')
    // His own signature and key, but a template in Alice's name.
    assert.equal(carol.hear(bob, forged(bob, { claimed: bob, template })), 'ignore')
    assert.equal(carol.hear(bob, frame.subarray(0, 10)), 'reject', 'everybody sees that this is no frame')
    assert.equal(carol.heard.length, 0)
    // None of it used up a counter of Alice's.
    assert.equal(carol.hear(alice, alice.frames[0]), 'accept')
    assert.equal(carol.heard.length, 1)
  })

  it('is opened once, whoever repeats it', async () => {
    const { alice, bob, group } = await world()
    await alice.send(alice.group(group), 'once')
    assert.equal(bob.hear(alice, alice.frames[0]), 'accept')
    assert.equal(bob.hear(alice, alice.frames[0]), 'ignore')
    assert.equal(bob.hear(new Member(signerOf(9)), alice.frames[0]), 'ignore', 'a stranger signed the same bytes')
    assert.deepEqual(bob.events, ['opened', 'repeated', 'refused'])
  })

  it('never has a counter twice, also after a process that died', async () => {
    const { alice, group } = await world()
    for (let count = 0; count < 3; count++) await alice.send(alice.group(group), `before ${count}`)
    const again = new Member(signerOf(1), alice.store)
    await again.keys.load()
    again.book.put(alice.group(group))
    for (let count = 0; count < 3; count++) await again.send(again.group(group), `after ${count}`)
    const counters = [...alice.frames, ...again.frames].map((frame) => readGroupFrame(frame).counter)
    assert.equal(counters.length, 6)
    assert.equal(new Set(counters).size, 6)
    // A counter that is used twice nevertheless is refused by who saw the first.
    const bob = new Member(signerOf(2))
    bob.book.put(alice.group(group))
    const [key] = alice.store.rows.values()
    assert.ok(key !== undefined)
    await bob.keys.learn({ source: alice.publicKey, body: encodeGroupKey({ ...key, slot: 1 }) })
    const both = ['one', 'two'].map((message) => sealed(alice, key, message))
    assert.deepEqual(
      both.map((frame) => bob.hear(alice, frame)),
      ['accept', 'ignore']
    )
  })

  it('in a flood costs its signer and the neighbour who passes it on, and nobody else', async () => {
    const { alice, bob, carol, group } = await world()
    await carol.send(carol.group(group), 'an honest word')
    const noise = new Uint8Array(60_000).fill(1)
    const verdicts = new Map<string, number>()
    for (let count = 0; count < 300; count++) {
      const verdict = bob.gossip.heard({ from: alice.peerId, via: 'flooder' }, noise)
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
    }
    assert.ok((verdicts.get('accept') ?? 0) <= 15, 'a burst of one signer is let through')
    assert.ok((verdicts.get('ignore') ?? 0) >= 285)
    assert.equal(bob.hear(carol, carol.frames[0]), 'accept')
    assert.equal(bob.heard.length, 1)
  })

  it('has a key from an admin only, a bounded number of them, and none for a group that this node left', async () => {
    const { alice, bob, carol, group } = await world()
    const rogue = { group: group.record.id, epoch: 1, members: membersDigest(group.record.members), slot: 1, key: new Uint8Array(32).fill(5) }
    await assert.rejects(bob.keys.learn({ source: carol.publicKey, body: encodeGroupKey(rogue) }), (error) => isMeshError(error, 'GROUP_NOT_ADMIN'))
    for (let count = 0; count < 200; count++) {
      const unknown = { ...rogue, group: signerOf(200).publicKey.slice(0, 16), key: new Uint8Array(32).fill(count), epoch: count + 1 }
      await bob.keys.learn({ source: carol.publicKey, body: encodeGroupKey(unknown) })
    }
    assert.ok(bob.store.rows.size <= 64 + 1)
    for (let count = 0; count < 30; count++)
      await bob.keys.learn({ source: alice.publicKey, body: encodeGroupKey({ ...rogue, key: new Uint8Array(32).fill(count) }) })
    assert.ok([...bob.store.rows.values()].filter((key) => equalBytes(key.group, group.record.id)).length <= 8)
    bob.book.put({ ...bob.group(group), state: 'left' })
    await bob.keys.changed({ group: { signed: group, state: 'left', before: undefined }, before: undefined, isOwn: false })
    assert.equal([...bob.store.rows.values()].filter((key) => equalBytes(key.group, group.record.id)).length, 0)
  })

  it('keeps the key that is in use, whatever keys of epochs to come a member sends who is no admin', async () => {
    const { alice, bob, carol, group } = await world()
    const rogue = { group: group.record.id, members: membersDigest(group.record.members), slot: 1, key: new Uint8Array(32).fill(5) }
    for (let count = 0; count < 30; count++) {
      const early = { ...rogue, epoch: group.record.epoch + 1 + count }
      await bob.keys.learn({ source: carol.publicKey, body: encodeGroupKey(early) })
    }
    assert.ok(bob.store.rows.size <= 16)
    await alice.send(alice.group(group), 'still heard')
    assert.equal(bob.hear(alice, alice.frames[0]), 'accept')
    assert.equal(bob.heard.length, 1)
    await bob.send(bob.group(group), 'still gossiped')
    assert.equal(bob.frames.length, 1)
  })

  it('of a member that was told too often goes to the outbox of each, not to the network', async () => {
    const { alice, group } = await world()
    for (let count = 0; count < 60; count++) await alice.send(alice.group(group), `message ${count}`)
    assert.ok(alice.frames.length >= 20 && alice.frames.length < 40, `${alice.frames.length} frames`)
    assert.equal(alice.rows.size, 60 * 39)
  })
})

function sealed(author: Member, key: Parameters<typeof encodeGroupKey>[0], message: string): Uint8Array {
  const [row] = author.rows.values()
  assert.ok(row !== undefined)
  const before = decodeEnvelope(row.envelope)
  const envelope: Envelope = { ...before, group: before.group === undefined ? undefined : { ...before.group, message } }
  const content = encodeGroupContent(
    {
      ...key,
      message,
      sentAt: wallMillis(Date.now()),
      sequences: Array.from({ length: 40 }, (_, index) => 500 + index),
      template: templateOf(envelope)
    },
    author.signer
  )
  return sealGroupFrame(crypto, { secret: key, sender: author.publicKey }, { counter: 4_000, content })
}
