import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PathMember } from '../../../src/core/onion/path-member.ts'
import { fitsPath, rulesOf } from '../../../src/core/onion/path-policy.ts'
import { drawPath, maxWeight, type PathDraw, weightsFrom } from '../../../src/core/onion/path-select.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { idOf, keyOf, member, members, wallStart } from './path-support.ts'

const strict = rulesOf('strict', [], wallStart)
const lan = rulesOf('lan', [], wallStart)

function draw(relays: readonly PathMember[], more: Partial<PathDraw> = {}): readonly PathMember[] | undefined {
  const guard = relays[0] ?? member(1)
  return drawPath({ relays, guard, hops: 3, rules: strict, trust: new Set(), weightOf: () => 1, random: new SeededRandom(1), ...more })
}

/** How often each relay came at each place, of `runs` paths. */
function tally(relays: readonly PathMember[], runs: number, more: Partial<PathDraw> = {}): readonly ReadonlyMap<string, number>[] {
  const random = new SeededRandom(7)
  const counts = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  for (let run = 0; run < runs; run++)
    for (const [place, { peerId }] of (draw(relays, { ...more, random }) ?? []).entries())
      counts[place]?.set(peerId, (counts[place].get(peerId) ?? 0) + 1)
  return counts
}

test('every relay but the guard is as likely as any other in the middle and at the end', () => {
  const runs = 20_000
  const relays = members(21)
  const [first, ...others] = tally(relays, runs)
  assert.equal(first?.get(idOf(1)), runs, 'the guard is the first')
  for (const place of others) {
    assert.equal(place.size, 20)
    // 1,000 each; five standard deviations are 154.
    for (const [peerId, count] of place) assert.ok(Math.abs(count - runs / 20) < 154, `${peerId}: ${count}`)
    const square = [...place.values()].reduce((sum, count) => sum + (count - runs / 20) ** 2 / (runs / 20), 0)
    assert.ok(square < 43.8, `chi square of 19 degrees, one run in a thousand is above 43.8: ${square}`)
  }
})

test('a relay that was seen to be fast is taken more often, at most four times', () => {
  const observed = new Map(members(20).map(({ peerId }, index) => [peerId, index === 5 ? 1e12 : index === 6 ? 1 : 1_000_000]))
  const weightOf = weightsFrom(observed)
  assert.equal(weightOf(idOf(6)), maxWeight)
  assert.equal(weightOf(idOf(7)), 1 / maxWeight)
  assert.equal(weightOf(idOf(999)), 1, 'of which nothing is known')
  assert.equal(weightsFrom(new Map())(idOf(1)), 1)
  const runs = 10_000
  const [, middle] = tally(members(21), runs, { weightOf })
  const [fast = 0, usual = 0] = [middle?.get(idOf(6)), middle?.get(idOf(9))]
  assert.ok(fast / usual > 3.3 && fast / usual < 4.8, `${fast} and ${usual}`)
})

test('where a drawn relay leaves no way on another is drawn, and where there is none nothing is', () => {
  // Of the six only two networks are left beside the guard's; five relays share one of them.
  const near = [2, 3, 4, 5, 6].map((index) => member(index, { addresses: ['/ip4/77.1.1.1/tcp/1'] }))
  for (let seed = 0; seed < 50; seed++) {
    const path = draw([member(1), ...near, member(7)], { random: new SeededRandom(seed) })
    assert.equal(path?.length, 3)
    assert.ok(path.some(({ peerId }) => peerId === idOf(7)))
  }
  assert.equal(draw([member(1), ...near]), undefined)
  assert.equal(draw(members(2)), undefined)
  assert.equal(draw(members(3))?.length, 3)
})

test('two relays of one operator are taken only where the policy waives it and there is no other path', () => {
  const family = [member(2, { family: [keyOf(3)] }), member(3, { family: [keyOf(2)] })]
  assert.equal(draw([member(1), ...family]), undefined)
  assert.equal(draw([member(1), ...family], { rules: lan })?.length, 3)
  for (let seed = 0; seed < 50; seed++) {
    const path = draw([member(1), ...family, member(4)], { rules: lan, random: new SeededRandom(seed) })
    assert.ok(path?.some(({ peerId }) => peerId === idOf(4)))
  }
})

test('with trusted relays named, each path has one of them and one that is none, at no place more often than at others', () => {
  const trust = new Set([idOf(2), idOf(3)])
  const [, middle, last] = tally(members(21), 4_000, { trust })
  const trustedAt = (place: ReadonlyMap<string, number> | undefined): number => (place?.get(idOf(2)) ?? 0) + (place?.get(idOf(3)) ?? 0)
  assert.ok(trustedAt(middle) + trustedAt(last) >= 4_000)
  assert.ok(Math.abs(trustedAt(middle) - trustedAt(last)) < 4_000 / 15, `${trustedAt(middle)} and ${trustedAt(last)}`)
  assert.equal(draw(members(4), { trust: new Set([idOf(9)]) }), undefined, 'none of them is there')
  assert.equal(draw(members(3), { trust: new Set(members(3).map(({ peerId }) => peerId)) }), undefined, 'none is outside')
  assert.equal(draw(members(3), { trust: new Set([idOf(1)]), hops: 1 })?.length, 1, 'one relay cannot be both')
  assert.equal(draw(members(3), { trust: new Set([idOf(2)]), hops: 1 }), undefined)
})

test('property: no path breaks a rule, and its first relay is the guard', () => {
  const relay = fc.record({ network: fc.integer({ min: 1, max: 12 }), family: fc.integer({ min: 0, max: 6 }) })
  const shapes = fc.array(relay, { minLength: 1, maxLength: 30 })
  const wish = fc.record({ shapes, hops: fc.integer({ min: 1, max: 8 }), seed: fc.nat(), trusted: fc.nat(3) })
  let drawn = 0
  fc.assert(
    fc.property(wish, ({ shapes, hops, seed, trusted }) => {
      const relays = shapes.map(({ network, family }, index) =>
        member(index + 1, {
          addresses: [`/ip4/50.${network}.0.${index + 1}/tcp/1`],
          family: shapes.flatMap((other, at) => (family > 0 && other.family === family ? [keyOf(at + 1)] : []))
        })
      )
      const trust = new Set(relays.slice(0, trusted).map(({ peerId }) => peerId))
      const guard = relays[seed % relays.length] ?? member(1)
      const path = draw(relays, { hops, trust, guard, random: new SeededRandom(seed) })
      if (path === undefined) return
      drawn += 1
      assert.equal(path.length, hops)
      assert.equal(path[0], guard)
      for (const [index, each] of path.entries()) assert.ok(fitsPath(each, path.slice(0, index), strict))
      const isTrusted = path.map(({ peerId }) => trust.has(peerId))
      if (trust.size > 0) assert.ok(isTrusted.includes(true) && (hops === 1 || isTrusted.includes(false)))
    }),
    { numRuns: 300 }
  )
  assert.ok(drawn > 50, `${drawn} paths`)
})
