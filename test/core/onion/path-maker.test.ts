import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError, millis } from '../../../src/core/base/index.ts'
import { Guards } from '../../../src/core/onion/guards.ts'
import { PathMaker, type PathWish } from '../../../src/core/onion/path-maker.ts'
import type { PathMember } from '../../../src/core/onion/path-member.ts'
import type { PathAsker, PathPolicyName } from '../../../src/core/onion/path-policy.ts'
import { RelayRecord } from '../../../src/core/onion/relay-record.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { asker, idOf, member, members, wallStart } from './path-support.ts'

const now = millis(5_000)

function makerOf(
  directory: readonly PathMember[],
  more: { readonly policy?: PathPolicyName; readonly asker?: PathAsker; readonly seed?: number } = {}
) {
  const random = new SeededRandom(more.seed ?? 1)
  const [guards, record] = [new Guards({ random }), new RelayRecord()]
  const maker = new PathMaker({ random, wall: () => wallStart, asker: more.asker ?? asker(), policy: more.policy ?? 'auto', guards, record })
  maker.update(directory)
  return { maker, guards, record }
}

/** The error with which no path is found. */
function refusal(maker: PathMaker, wish: PathWish): MeshError {
  try {
    maker.choose(wish, now)
  } catch (error) {
    if (error instanceof MeshError) return error
  }
  throw new assert.AssertionError({ message: 'a path was found' })
}

const idsOf = (path: readonly PathMember[]): readonly string[] => path.map(({ peerId }) => peerId)

test('a path begins with the guard, and has one relay more now and then where it may', () => {
  const { maker, guards } = makerOf(members(30))
  const lengths = { 3: 0, 4: 0 } as Record<number, number>
  for (let run = 0; run < 400; run++) {
    const { path } = maker.choose({ hops: 3, mayBeLonger: true }, now)
    assert.equal(path[0]?.peerId, guards.all[0]?.peerId)
    lengths[path.length] = (lengths[path.length] ?? 0) + 1
  }
  assert.ok((lengths[3] ?? 0) > 150 && (lengths[4] ?? 0) > 150, JSON.stringify(lengths))
  assert.equal(maker.choose({ hops: 8, mayBeLonger: true }, now).path.length, 8)
  assert.equal(maker.choose({ hops: 5 }, now).path.length, 5)
  const small = makerOf(members(3)).maker
  for (let run = 0; run < 20; run++) assert.equal(small.choose({ hops: 3, mayBeLonger: true }, now).path.length, 3)
})

test('a mesh that is too small is refused with counts and reasons, unless fewer relays may be taken', () => {
  const near = member(4, { addresses: member(3).addresses })
  const directory = [member(0), member(1), member(2), near, member(3), member(5, { role: 'endpoint' }), member(6, { firstSeenAt: wallStart })]
  const { maker } = makerOf(directory)
  const error = refusal(maker, { hops: 4, destination: member(5, { role: 'endpoint' }) })
  assert.equal(error.code, 'CIRCUIT_TOO_FEW_RELAYS')
  assert.equal(error.exitCode, 10)
  assert.deepEqual(error.details, {
    need: 4,
    have: 3,
    reason: 'besides the destination 5 others are known; known for less than a day: 1; no path of more than 3 with the other 4'
  })
  const { path, wanted } = maker.choose({ hops: 4, allowShort: true }, now)
  assert.equal(path.length, 3)
  assert.deepEqual(maker.waivers(path, wanted), ['short'])
  assert.equal(refusal(makerOf([]).maker, { hops: 1, allowShort: true }).details['have'], 0)
  const trusting = makerOf(members(9), { asker: asker({ trust: new Set([idOf(77)]) }) }).maker
  assert.match(String(refusal(trusting, { hops: 2 }).details['reason']), /none of the trusted relays among the others/)
})

test('in a mesh of one machine auto builds, and says what it waives', () => {
  const directory = members(7, { addresses: ['/ip4/127.0.0.1/tcp/4001'], firstSeenAt: wallStart })
  const { maker } = makerOf(directory)
  const { path, rules, wanted } = maker.choose({ hops: 5, destination: directory[6] }, now)
  assert.equal(rules.name, 'lan')
  assert.ok(!idsOf(path).includes(idOf(7)))
  assert.deepEqual(maker.waivers(path, wanted, directory[6]), ['network', 'age'])
  assert.equal(refusal(makerOf(directory, { policy: 'strict' }).maker, { hops: 1 }).code, 'CIRCUIT_TOO_FEW_RELAYS')
})

test('no path leads over its destination, its network or whoever carries it, though these may be guards', () => {
  for (let seed = 0; seed < 40; seed++) {
    const { maker, guards } = makerOf(members(6), { seed })
    maker.choose({ hops: 3 }, now)
    const guard = guards.all[0]?.peerId ?? ''
    const relay = members(6).find(({ peerId }) => peerId === guard) ?? member(1)
    assert.ok(!idsOf(maker.choose({ hops: 3, destination: relay }, now).path).includes(guard))
    const behind = member(50, { role: 'endpoint', addresses: [`/ip4/99.1.1.1/tcp/1/p2p/${guard}/p2p-circuit`] })
    const { path } = maker.choose({ hops: 3, destination: behind }, now)
    assert.ok(!idsOf(path).includes(guard))
    assert.ok(!maker.suits([relay, ...path], behind) && maker.suits(path, behind))
    assert.equal(path[0]?.peerId, guards.all[1]?.peerId, 'another of the sampled guards, never one that the destination brought about')
  }
})

test('when all guards fail nothing is built before the time that is told', () => {
  const { maker, guards } = makerOf(members(30))
  maker.choose({ hops: 3 }, now)
  for (const { peerId } of guards.all) guards.failed(peerId, wallStart, true)
  const error = refusal(maker, { hops: 3 })
  assert.equal(error.code, 'CIRCUIT_GUARDS_FAILED')
  assert.deepEqual(error.details, { guards: 3, until: '2027-01-16 08:00 UTC' })
})

test('relays that failed a moment ago are passed over, but a third of all at most, and not where there is no other path', () => {
  const { maker, guards, record } = makerOf(members(12))
  maker.choose({ hops: 3 }, now)
  const guard = guards.all[0]?.peerId ?? ''
  const others = idsOf(members(12)).filter((id) => id !== guard)
  for (const id of others) record.failed([guard, id], 2, now)
  const seen = new Set(Array.from({ length: 300 }, () => idsOf(maker.choose({ hops: 3 }, now).path.slice(1))).flat())
  assert.equal(seen.size, 7, 'a guard that refuses to go on to them cannot leave out more')
  const small = makerOf(members(3))
  small.record.failed([idOf(1), idOf(2)], 2, now)
  assert.equal(small.maker.choose({ hops: 3 }, now).path.length, 3)
})
