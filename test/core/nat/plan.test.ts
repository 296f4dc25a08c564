import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { millis } from '../../../src/core/base/index.ts'
import {
  hopelessReasons,
  iceHopeless,
  isDirectPath,
  natClasses,
  planTimes,
  punchVerdict,
  type Technique,
  techniques,
  TraversalPlan
} from '../../../src/core/nat/index.ts'
import { type Behaviour, connects, everything, facts, fails, network, nothingWorks, run, type Situation, startedOf } from './plan-world.ts'

const behaviour = (paths: readonly ('direct-lan' | 'direct-public' | 'punched' | 'turn' | 'relayed')[]): fc.Arbitrary<Behaviour> =>
  fc.oneof(
    fc.record({ kind: fc.constant('connects' as const), afterMs: fc.integer({ min: 0, max: 12_000 }), path: fc.constantFrom(...paths) }),
    fc.record({ kind: fc.constant('fails' as const), afterMs: fc.integer({ min: 0, max: 12_000 }), reason: fc.constant('refused') }),
    fc.constant({ kind: 'silent' as const })
  )

const natFacts = fc
  .record({ natClass: fc.constantFrom(...natClasses), ipv6: fc.boolean(), home: fc.integer({ min: 0, max: 3 }) })
  .map(({ natClass, ipv6, home }) => facts(natClass, { ipv6, publicAddress: home === 0 ? undefined : { address: `192.0.2.${home}`, port: 1 } }))

const situations: fc.Arbitrary<Situation> = fc.record({
  method: fc.constantFrom('auto', 'stun', 'turn'),
  means: fc.record({
    connected: fc.constantFrom(undefined, undefined, 'relayed', 'turn', 'direct-public'),
    hasAddresses: fc.boolean(),
    hasRelays: fc.boolean(),
    iceUnavailable: fc.constantFrom(undefined, undefined, undefined, 'no package'),
    hasTurn: fc.boolean(),
    isReachable: fc.boolean()
  }),
  own: fc.option(natFacts, { nil: undefined }),
  peer: fc.option(
    fc.record({
      network: fc.record({ facts: natFacts, ice: fc.boolean(), turn: fc.boolean(), hasNewAddresses: fc.boolean() }),
      afterMs: fc.integer({ min: 0, max: 4_000 })
    }),
    { nil: undefined }
  ),
  ways: fc.record({
    dial: behaviour(['direct-lan', 'direct-public']),
    relay: behaviour(['relayed']),
    reversal: behaviour(['direct-public']),
    ice: behaviour(['direct-lan', 'punched', 'turn']),
    'ice-stun': behaviour(['direct-lan', 'punched']),
    'ice-turn': behaviour(['turn'])
  }),
  arrives: fc.option(
    fc.record({ afterMs: fc.integer({ min: 0, max: 12_000 }), path: fc.constantFrom('relayed', 'turn', 'punched', 'direct-public') }),
    {
      nil: undefined
    }
  ),
  wantsFacts: fc.boolean()
})

const always = (check: (situation: Situation) => void): void => fc.assert(fc.property(situations, check), { numRuns: 1_000 })

test('a traversal always ends in its time: 9.5 s, with a forced method 7.5 s', () => {
  always((situation) => {
    const { endedAt, report } = run(situation)
    assert.ok(endedAt <= (situation.method === 'auto' ? planTimes.autoMs : planTimes.forcedMs))
    assert.equal(report.ms, endedAt)
    for (const { atMs, ms } of report.attempts) assert.ok(atMs >= 0 && ms >= 0 && atMs + ms <= endedAt)
  })
})

test('no way runs twice at a time but the dial of what the peer told, and every way that was begun is in the report, with its end', () => {
  always((situation) => {
    const ran = run(situation)
    for (const [technique, most] of ran.mostAtOnce) assert.ok(most <= (technique === 'dial' ? 2 : 1), technique)
    const iceRuns = startedOf(ran).filter(([technique]) => technique.startsWith('ice'))
    assert.ok(iceRuns.length <= 1, 'one ICE run')
    const begun = ran.report.attempts.filter(({ outcome }) => outcome !== 'skipped')
    assert.deepEqual(
      begun.map(({ technique, atMs }) => `${technique} ${atMs}`).toSorted(compareText),
      startedOf(ran)
        .map(([technique, atMs]) => `${technique} ${atMs}`)
        .toSorted(compareText)
    )
    for (const { outcome, path, reason } of ran.report.attempts) assert.equal(outcome === 'connected', path !== undefined && reason === undefined)
  })
})

test('what is hopeless by what is known at that moment is never begun', () => {
  always((situation) => {
    const { method, means, own, peer } = situation
    const ran = run(situation)
    const asked = ran.outputs.find(({ output }) => output.type === 'ask')?.at
    for (const { at, output } of ran.outputs) {
      if (output.type !== 'start') continue
      const told = peer !== undefined && asked !== undefined && asked + peer.afterMs <= at ? peer.network : undefined
      if (output.technique === 'dial') assert.ok(output.round === 1 ? means.hasAddresses : told?.hasNewAddresses)
      if (output.technique === 'relay') assert.ok(means.hasRelays && means.connected === undefined)
      if (!output.technique.startsWith('ice')) continue
      const policy = method === 'auto' ? 'all' : method
      const turn = { own: means.hasTurn, their: told?.turn ?? false }
      const question = { policy, own, their: told?.facts, iceUnavailable: means.iceUnavailable, theirIce: told?.ice, turn } as const
      assert.equal(iceHopeless(question), undefined)
    }
  })
})

test('a direct connection always wins over the relay and the TURN server, whichever was there first', () => {
  always((situation) => {
    const { report, outputs } = run({ ...situation, method: 'auto' })
    const direct = report.attempts.find(({ path }) => path !== undefined && isDirectPath(path))
    const arrived = situation.arrives !== undefined && isDirectPath(situation.arrives.path) && situation.arrives.afterMs < report.ms
    const before = situation.means.connected !== undefined && isDirectPath(situation.means.connected)
    if (direct !== undefined || arrived || before) assert.ok(report.path !== undefined && isDirectPath(report.path), report.path ?? 'none')
    const usable = outputs.find(({ output }) => output.type === 'usable')
    assert.equal(usable?.at, report.usableMs)
    assert.equal(report.result === 'failed', usable === undefined)
  })
})

test('a forced method reports what its own ICE run reached, and nothing else', () => {
  always((situation) => {
    if (situation.method === 'auto') return
    const { report, outputs } = run(situation)
    const technique: Technique = situation.method === 'stun' ? 'ice-stun' : 'ice-turn'
    const own = report.attempts.filter((attempt) => attempt.technique === technique)
    assert.equal(own.length, 1)
    assert.equal(report.path, own[0]?.path)
    assert.equal(report.result === 'failed', own[0]?.outcome !== 'connected')
    if (report.result === 'failed') assert.ok((report.reason ?? '') !== '')
    for (const { output } of outputs) if (output.type === 'start') assert.ok(['dial', 'relay', technique].includes(output.technique))
  })
})

const base: Situation = {
  method: 'auto',
  means: everything,
  own: facts('port-restricted'),
  peer: { network: network('full-cone'), afterMs: 20 },
  ways: { ...nothingWorks, relay: connects('relayed', 50) }
}

test('direct addresses and a relay begin at once, side by side; the relay is usable at once, and ICE follows when the peer has told of its network', () => {
  const ran = run({ ...base, ways: { ...base.ways, ice: connects('punched', 300) } })
  assert.deepEqual(startedOf(ran), [
    ['dial', 0],
    ['relay', 0],
    ['ice', 70]
  ])
  assert.deepEqual([ran.report.result, ran.report.path, ran.report.usableMs, ran.report.ms], ['punched', 'punched', 50, 370])
  assert.deepEqual([ran.report.own, ran.report.their, ran.report.reason], ['port-restricted', 'full-cone', undefined])
  const reasons = ran.report.attempts.map(({ technique, outcome, reason }) => [technique, outcome, reason])
  assert.deepEqual(reasons, [
    ['relay', 'connected', undefined],
    ['dial', 'ended', 'another way was there first'],
    ['reversal', 'skipped', hopelessReasons.notReachable],
    ['ice', 'connected', undefined]
  ])
})

test('between two symmetric NATs without TURN nothing is punched: the relay stays, and the report says why, within the time of the dial', () => {
  const own = facts('symmetric')
  const { report } = run({ ...base, own, peer: { network: network('symmetric'), afterMs: 20 } })
  assert.deepEqual([report.result, report.path, report.reason], ['relayed', 'relayed', 'both NATs are symmetric'])
  assert.equal(report.ms, planTimes.dialMs)
  assert.equal(report.attempts.find(({ technique }) => technique === 'ice')?.outcome, 'skipped')
  assert.equal(report.attempts.find(({ technique }) => technique === 'dial')?.reason, 'no answer in 3 s')
})

test('with a TURN server of either side two symmetric NATs are worth an ICE run, and so are IPv6 on both sides and one home for both', () => {
  const own = facts('symmetric')
  const ways = { ...base.ways, ice: connects('turn', 600), dial: fails(10) }
  const symmetric = network('symmetric')
  const here = { ...base, own, ways }
  assert.equal(run({ ...here, means: { ...everything, hasTurn: true }, peer: { network: symmetric, afterMs: 5 } }).report.result, 'turn')
  assert.equal(run({ ...here, peer: { network: { ...symmetric, turn: true }, afterMs: 5 } }).report.result, 'turn')
  assert.equal(punchVerdict(facts('symmetric', { ipv6: true }), facts('symmetric', { ipv6: true })), 'possible')
  const home = { publicAddress: { address: '192.0.2.1', port: 9 } }
  assert.equal(punchVerdict(facts('symmetric', home), facts('symmetric', home)), 'possible')
  assert.equal(punchVerdict(facts('symmetric', home), facts('port-restricted')), 'by-chance')
  assert.equal(punchVerdict(facts('port-restricted'), facts('symmetric')), 'by-chance')
  assert.equal(punchVerdict(facts('symmetric'), facts('address-restricted')), 'possible')
  assert.equal(punchVerdict(facts('symmetric'), facts('cone')), 'possible', 'a filtering that was not measured counts for nothing')
  assert.equal(punchVerdict(undefined, facts('symmetric')), 'possible')
})

test('a TURN server found leaves a dial that still runs one second to beat it', () => {
  const means = { ...everything, hasTurn: true }
  const slow = run({ ...base, means, ways: { ...base.ways, ice: connects('turn', 100) } })
  assert.deepEqual([slow.report.path, slow.report.ms], ['turn', 170 + planTimes.turnGraceMs])
  const fast = run({ ...base, means, ways: { ...base.ways, ice: connects('turn', 100), dial: connects('direct-public', 900) } })
  assert.deepEqual([fast.report.path, fast.report.ms], ['direct-public', 900])
})

test('the peer dials us as soon as there is a connection when others can dial us, and within one home once that is known', () => {
  const reachable = run({ ...base, means: { ...everything, isReachable: true }, ways: { ...base.ways, reversal: connects('direct-public', 10) } })
  assert.deepEqual(startedOf(reachable).at(-1), ['reversal', 50])
  assert.equal(reachable.report.result, 'direct')
  const home = { publicAddress: { address: '192.0.2.1', port: 9 } }
  const peer = { network: network('port-restricted', { facts: facts('port-restricted', home) }), afterMs: 20 }
  const atHome = run({ ...base, own: facts('port-restricted', home), peer, ways: { ...base.ways, reversal: connects('direct-lan', 30) } })
  assert.deepEqual([startedOf(atHome).find(([technique]) => technique === 'reversal'), atHome.report.path], [['reversal', 70], 'direct-lan'])
})

test('addresses that only the peer can tell, such as a mapped port, are dialled over the news of the relay', () => {
  const peer = { network: network('port-restricted', { hasNewAddresses: true }), afterMs: 20 }
  const ran = run({ ...base, means: { ...everything, hasAddresses: false }, peer, ways: { ...base.ways, dial: connects('direct-mapped', 10) } })
  assert.deepEqual([ran.report.path, ran.report.ms], ['direct-mapped', 80])
})

test('a peer that does not tell of its network is punched to all the same, a moment later', () => {
  const ran = run({ ...base, peer: undefined, ways: { ...base.ways, ice: connects('punched', 10) } })
  assert.deepEqual(startedOf(ran).at(-1), ['ice', 50 + planTimes.askMs])
  assert.equal(ran.report.their, 'unknown')
})

test('a forced method that cannot work says so at once: no package, no TURN server, UDP blocked', () => {
  const blocked = facts('udp-blocked')
  const missing = { ...everything, iceUnavailable: 'the package node-datachannel is missing' }
  const reasonsOf = (changes: Partial<Situation>): unknown => {
    const { report } = run({ ...base, ...changes })
    return [report.result, report.ms, report.reason]
  }
  assert.deepEqual(reasonsOf({ method: 'stun', means: missing }), ['failed', 0, 'the package node-datachannel is missing'])
  assert.deepEqual(reasonsOf({ method: 'turn' }), ['failed', 0, 'no TURN server is configured'])
  assert.deepEqual(reasonsOf({ method: 'stun', own: blocked }), ['failed', 0, 'UDP is blocked on our side'])
  assert.deepEqual(reasonsOf({ method: 'turn', own: blocked, means: { ...everything, hasTurn: true } }), [
    'failed',
    0,
    'UDP is blocked on our side, and TURN over TCP is not possible in Node'
  ])
  assert.deepEqual(reasonsOf({ method: 'stun', peer: { network: network('udp-blocked'), afterMs: 5 } }), [
    'failed',
    55,
    'UDP is blocked on their side'
  ])
  assert.deepEqual(reasonsOf({ method: 'stun', ways: nothingWorks }), ['failed', 5_000, 'dial: no answer in 3 s; relay: no answer in 5 s'])
})

test('a peer that had not measured its network yet is asked once more at the end, for the report', () => {
  const plan = new TraversalPlan({ method: 'stun', means: { ...everything, connected: 'relayed' }, own: facts('symmetric'), wantsFacts: true })
  plan.handle({ type: 'begin' }, millis(0))
  plan.handle({ type: 'told', peer: network('unknown') }, millis(20))
  const again = plan.handle({ type: 'failed', id: 1, reason: 'no pair of addresses works' }, millis(5_000))
  assert.deepEqual(again, [{ type: 'ask', budgetMs: 1_500 }])
  const [done] = plan.handle({ type: 'told', peer: network('symmetric') }, millis(5_040))
  assert.ok(done?.type === 'done')
  assert.deepEqual([done.report.their, done.report.reason], ['symmetric', 'both NATs are symmetric'])
})

test('a TURN server that did not help is named beside what the two NATs rule out', () => {
  const { report } = run({
    ...base,
    own: facts('symmetric'),
    means: { ...everything, hasTurn: true },
    peer: { network: network('symmetric'), afterMs: 5 },
    ways: { ...base.ways, ice: fails(900, 'no pair of addresses works') }
  })
  assert.deepEqual([report.result, report.reason], ['relayed', 'both NATs are symmetric, and no TURN server connected them'])
})

test('what is measured while ICE runs in vain explains it', () => {
  const plan = new TraversalPlan({ method: 'stun', means: { ...everything, connected: 'relayed' }, peer: network('symmetric') })
  assert.deepEqual(
    plan.handle({ type: 'begin' }, millis(0)).map(({ type }) => type),
    ['usable', 'start']
  )
  plan.handle({ type: 'own', facts: facts('symmetric') }, millis(2_000))
  const outputs = plan.handle({ type: 'failed', id: 1, reason: 'no pair of addresses works' }, millis(3_000))
  const done = outputs.find((output) => output.type === 'done')
  assert.deepEqual([done?.report.own, done?.report.reason, done?.report.now], ['symmetric', 'both NATs are symmetric', 'relayed'])
  assert.equal(done?.report.attempts[0]?.reason, 'no pair of addresses works')
})

test('a peer that is connected directly already is left alone; its class is asked for when it is wanted', () => {
  const means = { ...everything, connected: 'direct-public' } as const
  const quick = run({ ...base, means })
  assert.deepEqual([quick.report.result, quick.report.ms, quick.report.attempts, quick.report.their], ['direct', 0, [], 'unknown'])
  const curious = run({ ...base, means, wantsFacts: true })
  assert.deepEqual([curious.report.result, curious.report.ms, curious.report.their], ['direct', 20, 'full-cone'])
})

test('every technique that there is has a place in the plan', () => {
  const seen = new Set<Technique>()
  for (const method of ['auto', 'stun', 'turn'] as const)
    for (const [technique] of startedOf(run({ ...base, method, means: { ...everything, hasTurn: true, isReachable: true } }))) seen.add(technique)
  assert.deepEqual([...seen].toSorted(), [...techniques].toSorted())
})

test('UDP that is blocked over IPv4 says nothing of two nodes with IPv6', () => {
  const blocked = facts('udp-blocked')
  const question = { policy: 'stun', iceUnavailable: undefined, theirIce: true, turn: { own: false, their: false } } as const
  const overIp6 = { ...blocked, ipv6: true }
  assert.equal(iceHopeless({ ...question, own: overIp6, their: overIp6 }), undefined)
  assert.equal(iceHopeless({ ...question, own: overIp6, their: blocked }), 'UDP is blocked on our side')
  assert.equal(iceHopeless({ ...question, own: facts('cone'), their: overIp6 }), 'UDP is blocked on their side')
})

const compareText = (a: string, b: string): number => a.localeCompare(b)
