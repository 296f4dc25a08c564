import assert from 'node:assert/strict'
import { test } from 'node:test'
import { millis } from '../../../src/core/base/index.ts'
import { Guards } from '../../../src/core/onion/guards.ts'
import { networkCount } from '../../../src/core/onion/path-member.ts'
import { PathMaker } from '../../../src/core/onion/path-maker.ts'
import { RelayRecord } from '../../../src/core/onion/relay-record.ts'
import type { AnonymityReport } from '../../../src/core/onion/report.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { asker, idOf, keyOf, member, members, wallStart } from './path-support.ts'
import { PoolWorld } from './pool-world.ts'

const endpoint = member(101, { role: 'endpoint' })

/** The report of a circuit to number 101 in a mesh of these relays. */
function reportIn(
  relays: Parameters<typeof members>[0],
  more: ConstructorParameters<typeof PoolWorld>[1] & { readonly local?: boolean } = {}
): AnonymityReport {
  const { local = false, ...options } = more
  const changed = local ? { addresses: ['/ip4/127.0.0.1/tcp/1'], firstSeenAt: wallStart } : {}
  const world = new PoolWorld([member(0, changed), ...members(relays, changed), { ...endpoint, ...changed }], { limits: { spares: 0 }, ...options })
  return world.pool.report(world.ready(world.want(idOf(101))).id) ?? assert.fail('no report')
}

test('a report counts the set, its networks and operators, and how likely both ends are in one hand', () => {
  const report = reportIn(40)
  assert.deepEqual([report.hops, report.wanted, report.policy, report.setSize, report.senders], [3, 3, 'strict', 40, 41])
  assert.deepEqual([report.networks, report.operators, report.waivers, report.hasTrustedEnd], [40, 40, [], false])
  assert.deepEqual(
    report.bothEnds.map(({ share, probability }) => [share, Math.round(1_000 * probability)]),
    [
      [0.1, 10],
      [0.2, 40]
    ]
  )
  assert.deepEqual(report.lines.slice(0, 3), [
    '3 relays, chosen from 40 (40 networks, 40 operators); 41 members could be the sender',
    'both ends in one hand: 1 % if 10 % of all relays work together, 4 % if 20 % of all relays work together',
    'policy strict: different networks and operators, relays known for a day'
  ])
  assert.equal(
    report.doesNotHide.some((text) => text.includes('small a set')),
    false
  )
})

test('in the five nodes of one machine it says how little is hidden, and what was waived', () => {
  const report = reportIn(4, { local: true })
  assert.deepEqual([report.policy, report.setSize, report.senders], ['lan', 4, 5])
  assert.deepEqual(report.waivers, ['network', 'age'])
  const text = report.lines.join('\n')
  for (const said of [
    /policy lan: networks, operators and ages of relays are not asked for/,
    /waived: members of one network are on the path/,
    /waived: relays that have been known for less than a day/,
    /does NOT hide: timing/,
    /does NOT hide: who you are from the destination/,
    /does NOT hide: .*your guard: it sees your address, and may know your peer id/,
    /does NOT hide: much in so small a set: 5 members could be the sender, and 4 relays could be on the path/
  ])
    assert.match(text, said)
})

test('one relay knows both ends, and the report says so', () => {
  const report = reportIn(40, { hops: 1 })
  assert.equal(report.bothEnds[1]?.probability, 0.2)
  assert.match(report.lines.join('\n'), /the one relay knows both/)
  assert.match(report.lines.join('\n'), /does NOT hide: the destination from the one relay/)
})

test('with a trusted relay at an end both ends are in one hand only if the trust is wrong', () => {
  const report = reportIn(40, { asker: asker({ trust: new Set([idOf(5)]) }) })
  assert.equal(report.hasTrustedEnd, true, 'trusted relays are guards first')
  assert.deepEqual(
    report.bothEnds.map(({ probability }) => probability),
    [0, 0]
  )
  assert.match(report.lines[1] ?? '', /one that you trust/)
})

test('the part of circuits with both ends in one hand is what the report says', () => {
  const relays = members(40)
  const hostile = new Set(relays.slice(0, 8).map(({ peerId }) => peerId))
  let both = 0
  for (let seed = 0; seed < 3_000; seed++) {
    const random = new SeededRandom(seed)
    const guards = new Guards({ random })
    const maker = new PathMaker({ random, wall: () => wallStart, asker: asker(), policy: 'strict', guards, record: new RelayRecord() })
    maker.update(relays)
    const { path } = maker.choose({ hops: 3 }, millis(1))
    if ([path[0], path.at(-1)].every((relay) => hostile.has(relay?.peerId ?? ''))) both += 1
  }
  // 20 % of 40 relays: 8/40 · 7/39 = 3.6 %, five standard deviations are 1.7 %; the report says 4 %.
  assert.ok(both / 3_000 > 0.019 && both / 3_000 < 0.053, `${both} of 3,000`)
})

test('no report names a relay, its key or its address', () => {
  const text = JSON.stringify(reportIn(12)) + JSON.stringify(reportIn(4, { local: true }))
  for (let index = 0; index <= 101; index++) {
    assert.ok(!text.includes(idOf(index)))
    assert.ok(!text.includes(String(keyOf(index))))
  }
  assert.doesNotMatch(text, /\/ip4\/|12D3/)
})

test('a relay with addresses of both families is in one place, and so is who shares one of them', () => {
  const at = (number: number, ...addresses: string[]) => member(number, { addresses })
  assert.equal(networkCount([at(1, '/ip4/11.1.0.1/tcp/1', '/ip6/2a01:1::1/tcp/1'), at(2, '/ip4/12.1.0.1/tcp/1')]), 2)
  assert.equal(networkCount([at(1, '/ip4/11.1.0.1/tcp/1'), at(2, '/ip6/2a01:1::2/tcp/1'), at(3, '/ip4/11.1.9.9/tcp/1', '/ip6/2a01:1::3/tcp/1')]), 1)
  assert.equal(networkCount([]), 0)
})
