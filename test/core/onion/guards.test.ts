import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type WallMillis, wallMillis } from '../../../src/core/base/index.ts'
import { guardDefaults, Guards } from '../../../src/core/onion/guards.ts'
import type { PathMember } from '../../../src/core/onion/path-member.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { atDay, dayMs, idOf, keyOf, member, members, wallStart } from './path-support.ts'

const from = (relays: readonly PathMember[], trust: readonly string[] = []) => ({
  relays,
  listed: new Set(relays.map(({ peerId }) => peerId)),
  trust: new Set(trust)
})
const idsOf = (relays: readonly PathMember[]): readonly string[] => relays.map(({ peerId }) => peerId)
const guardsOf = (seed = 1): Guards => new Guards({ random: new SeededRandom(seed) })
const later = (ms: number): WallMillis => wallMillis(wallStart + ms)

/** Has all guards fail at `now`. */
const failAll = (guards: Guards, now: WallMillis): void => guards.all.forEach(({ peerId }) => guards.failed(peerId, now, true))

test('three guards are sampled, and the same ones are given again and again', () => {
  const guards = guardsOf()
  const relays = members(40)
  const first = idsOf(guards.usable(from(relays), wallStart))
  assert.equal(first.length, 3)
  for (let day = 0; day < 40; day++) assert.deepEqual(idsOf(guards.usable(from(relays), atDay(day))), first)
})

test('guards are as likely as each other', () => {
  const counts = new Map<string, number>()
  for (let seed = 0; seed < 3_000; seed++)
    for (const id of idsOf(guardsOf(seed).usable(from(members(30)), wallStart))) counts.set(id, (counts.get(id) ?? 0) + 1)
  assert.equal(counts.size, 30)
  // 300 each; five standard deviations are 82.
  for (const count of counts.values()) assert.ok(Math.abs(count - 300) < 82, `${count}`)
})

test('the one in use is the first that works, and it comes back to its place', () => {
  const guards = guardsOf()
  const relays = members(10)
  const [a = '', b = ''] = idsOf(guards.usable(from(relays), wallStart))
  guards.failed(a, wallStart, true)
  assert.equal(guards.usable(from(relays), later(10))[0]?.peerId, b)
  const retried = guards.usable(from(relays), later(guardDefaults.firstRetryMs))
  assert.equal(retried[0]?.peerId, a, 'it is tried again after some seconds')
  guards.failed(a, later(guardDefaults.firstRetryMs), true)
  assert.equal(guards.usable(from(relays), later(1.45 * guardDefaults.firstRetryMs))[0]?.peerId, b, 'the second delay is longer')
  guards.reached(a)
  assert.equal(guards.usable(from(relays), later(1.5 * guardDefaults.firstRetryMs))[0]?.peerId, a)
  assert.equal(guards.all[0]?.failingSince, undefined)
})

test('three guards that fail: nothing more within a day, then one more behind them', () => {
  const guards = guardsOf()
  const relays = members(40)
  const first = idsOf(guards.usable(from(relays), wallStart))
  failAll(guards, wallStart)
  assert.deepEqual(guards.usable(from(relays), later(1_000)), [])
  assert.equal(guards.nextSampleAt(later(1_000)), wallStart + dayMs)
  // They are retried, and fail, all day long.
  for (let now = wallStart as number; now < wallStart + dayMs; now += 600_000) {
    assert.ok(guards.usable(from(relays), wallMillis(now)).every(({ peerId }) => first.includes(peerId)))
    failAll(guards, wallMillis(now))
  }
  const after = idsOf(guards.usable(from(relays), later(dayMs)))
  assert.equal(guards.all.length, 4)
  assert.deepEqual(idsOf(members(40)).filter((id) => after.includes(id) && !first.includes(id)).length, 1)
  failAll(guards, later(dayMs + 1))
  guards.usable(from(relays), later(dayMs + 3_600_000))
  assert.equal(guards.all.length, 4, 'no fifth within a day')
  guards.reached(first[0] ?? '')
  assert.equal(guards.usable(from(relays), later(dayMs + 3_600_000))[0]?.peerId, first[0])
})

test('a node that is offline blames no guard', () => {
  const guards = guardsOf()
  const relays = members(10)
  const [first] = guards.usable(from(relays), wallStart)
  guards.failed(first?.peerId ?? '', wallStart, false)
  assert.equal(guards.usable(from(relays), later(1))[0], first)
  assert.equal(guards.nextSampleAt(later(1)), undefined)
})

test('in a mesh that grows guards are added up to three, never more than three a day', () => {
  const guards = guardsOf()
  assert.equal(guards.usable(from(members(1)), wallStart).length, 1)
  assert.equal(guards.usable(from(members(2)), later(1_000)).length, 2)
  assert.equal(guards.usable(from(members(9)), later(2_000)).length, 3)
  // All three leave at once, and others come.
  const others = members(40).slice(9)
  assert.deepEqual(guards.usable(from(others), later(60_000)), [])
  assert.deepEqual(guards.usable(from(others), later(dayMs)), [])
  assert.equal(guards.usable(from(others), later(dayMs + 60_000)).length, 1)
})

test('a guard is replaced after twenty days out of the directory, and after sixty days, twelve more or less', () => {
  const guards = guardsOf()
  const relays = members(40)
  const [first, ...others] = guards.usable(from(relays), wallStart)
  const without = relays.filter((relay) => relay !== first)
  assert.deepEqual(guards.usable(from(without), atDay(1)), others)
  assert.equal(guards.usable(from(relays), atDay(15))[0], first, 'back in time')
  guards.usable(from(without), atDay(16))
  assert.deepEqual(guards.usable(from(without), atDay(35)), others)
  assert.equal(guards.usable(from(without), atDay(36.1)).length, 3)
  assert.ok(!idsOf(guards.usable(from(relays), atDay(37))).includes(first?.peerId ?? ''))
  const lives = Array.from({ length: 300 }, (_, seed) => {
    const one = guardsOf(seed)
    one.usable(from(relays), wallStart)
    return ((one.all[0]?.expiresAt ?? wallStart) - wallStart) / dayMs
  })
  assert.ok(Math.min(...lives) >= 48 && Math.min(...lives) < 49 && Math.max(...lives) <= 72 && Math.max(...lives) > 71)
})

test('over a year with relays that come and go a node has few guards', () => {
  const random = new SeededRandom(3)
  const guards = guardsOf(4)
  const relays = members(60)
  const used = new Map<string, number>()
  const everSampled = new Set<string>()
  for (let hour = 0; hour < 365 * 24; hour++) {
    // One relay in twenty is away, most of them for hours.
    const present = relays.filter((_, index) => (Math.imul(index + 1, 2_654_435_761) ^ Math.imul(hour >> 3, 40_503)) % 20 !== 0)
    const now = wallMillis(wallStart + hour * 3_600_000)
    const [guard] = guards.usable(from(present), now)
    for (const { peerId } of guards.all) everSampled.add(peerId)
    if (guard === undefined) continue
    if (random.chance(0.02)) guards.failed(guard.peerId, now, true)
    else {
      guards.reached(guard.peerId)
      used.set(guard.peerId, (used.get(guard.peerId) ?? 0) + 1)
    }
  }
  // Three at a time, each for some sixty days: about eighteen in a year, of which nearly all serve now and then.
  assert.ok(everSampled.size >= 12 && everSampled.size <= 26, `${everSampled.size} sampled`)
  const most = [...used.values()].sort((a, b) => b - a).slice(0, 8)
  assert.ok(most.reduce((sum, hours) => sum + hours, 0) > 0.8 * 365 * 24, 'and eight of them see four fifths of the year')
})

test('guards are of different networks and operators, and of trusted ones first, as far as there are any', () => {
  const near = members(8).map((relay) => ({ ...relay, addresses: ['/ip4/70.1.1.1/tcp/1'] }))
  const family = [member(11, { family: [keyOf(12)] }), member(12, { family: [keyOf(11)] })]
  for (let seed = 0; seed < 30; seed++) {
    const sampled = guardsOf(seed).usable(from([...near, ...family, member(13)]), wallStart)
    assert.ok(sampled.filter((relay) => near.some(({ peerId }) => peerId === relay.peerId)).length <= 1)
    assert.ok(!idsOf(family).every((id) => idsOf(sampled).includes(id)))
    const trusting = guardsOf(seed).usable(from(members(40), [idOf(33)]), wallStart)
    assert.equal(trusting[0]?.peerId, idOf(33))
    assert.equal(trusting.length, 3)
  }
})

test('guards are saved and come back, with what they went through', () => {
  const guards = guardsOf()
  const relays = members(40)
  assert.ok(!guards.isChanged)
  const first = guards.usable(from(relays), wallStart)
  assert.ok(guards.isChanged)
  failAll(guards, later(5_000))
  const saved = guards.encode()
  assert.ok(!guards.isChanged)
  const again = new Guards({ random: new SeededRandom(99), saved })
  assert.deepEqual(
    again.all.map(({ peerId, sampledAt, expiresAt, failingSince }) => ({ peerId, sampledAt, expiresAt, failingSince })),
    guards.all.map(({ peerId, sampledAt, expiresAt, failingSince }) => ({ peerId, sampledAt, expiresAt, failingSince }))
  )
  assert.deepEqual(again.usable(from(relays), later(6_000)), first, 'after a start they are tried at once')
  assert.equal(again.nextSampleAt(later(6_000)), wallStart + 5_000 + dayMs, 'and still no other before the day is over')
  assert.deepEqual(again.encode(), saved)
  assert.throws(() => new Guards({ random: new SeededRandom(1), saved: saved.subarray(1) }), { code: 'MESSAGE_MALFORMED' })
})

test('after many bad days the list is bounded', () => {
  const guards = guardsOf()
  const relays = members(60)
  for (let day = 0; day < 40; day++) {
    guards.usable(from(relays), atDay(day))
    failAll(guards, atDay(day))
  }
  assert.ok(guards.all.length <= guardDefaults.kept)
  assert.equal(new Guards({ random: new SeededRandom(1), saved: guards.encode() }).all.length, guards.all.length)
})
