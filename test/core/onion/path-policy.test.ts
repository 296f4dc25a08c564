import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wallMillis } from '../../../src/core/base/index.ts'
import { isSameNetwork, isSameOperator, operatorCount, type PathMember, placeOf } from '../../../src/core/onion/path-member.ts'
import { destinationConflict, eligibleRelays, type Exclusion, fitsPath, rulesOf, waiversOf } from '../../../src/core/onion/path-policy.ts'
import { asker, idOf, keyOf, member, members, wallStart } from './path-support.ts'

const strict = rulesOf('strict', [], wallStart)
const lan = rulesOf('lan', [], wallStart)
const young = wallMillis(wallStart - 3_600_000)
const destination = member(50, { role: 'endpoint', addresses: ['/ip4/99.1.2.3/tcp/1'], family: [keyOf(8)] })

/** Why the member is left out of strict paths to the destination. */
function reasonOf(
  changed: PathMember,
  rules = strict,
  who = asker({ family: [keyOf(7), keyOf(6)], trust: new Set([idOf(6)]) })
): Exclusion | undefined {
  const { excluded } = eligibleRelays([changed], { asker: who, rules, now: wallStart, isDropped: (id) => id === idOf(9), destination })
  return excluded[0]?.reason
}

test('each rule leaves out the relays that break it, with its reason', () => {
  const cases: readonly (readonly [PathMember, Exclusion | undefined, Exclusion | undefined])[] = [
    [member(1), undefined, undefined],
    [member(0), 'self', 'self'],
    [member(1, { role: 'endpoint' }), 'endpoint', 'endpoint'],
    [member(50), 'destination', 'destination'],
    [member(1, { addresses: ['/ip4/99.1.77.3/tcp/2'] }), 'destination-network', undefined],
    [member(8, { family: [keyOf(50)] }), 'destination-family', undefined],
    [member(1, { addresses: [`/ip4/9.9.9.9/tcp/1/p2p/${idOf(2)}/p2p-circuit`] }), 'not-dialable', 'not-dialable'],
    [member(1, { addresses: ['/ip4/10.0.0.3/tcp/1'] }), 'not-public', undefined],
    [member(7), 'own-family', undefined],
    [member(6), undefined, undefined],
    [member(1, { firstSeenAt: young }), 'young', undefined],
    [member(9), 'dropped', 'dropped']
  ]
  for (const [changed, inStrict, inLan] of cases) {
    assert.equal(reasonOf(changed), inStrict)
    assert.equal(reasonOf(changed, lan), inLan, `lan: ${inStrict}`)
  }
})

test('whoever carries the connections of the destination is no relay to it, under any policy', () => {
  const behind = member(60, { role: 'endpoint', addresses: [`/ip4/88.1.2.3/tcp/4001/p2p/${idOf(3)}/p2p-circuit`] })
  assert.equal(destinationConflict(member(3), behind, lan), 'destination-carrier')
  assert.equal(destinationConflict(member(4), behind, strict), undefined)
  assert.equal(destinationConflict(member(4, { addresses: ['/ip4/88.1.9.9/tcp/1'] }), behind, strict), 'destination-network')
})

test('networks are the /16 of IPv4 and the /32 of IPv6', () => {
  const at = (...addresses: readonly string[]): PathMember => member(1, { addresses })
  assert.ok(isSameNetwork(at('/ip4/1.2.3.4/tcp/1'), at('/ip4/5.5.5.5/tcp/1', '/ip4/1.2.200.1/tcp/9/ws')))
  assert.ok(!isSameNetwork(at('/ip4/1.2.3.4/tcp/1'), at('/ip4/1.3.3.4/tcp/1')))
  assert.ok(isSameNetwork(at('/ip6/2a01:4f8:1::1/tcp/1'), at('/ip6/2a01:4f8:ffff::9/tcp/1')))
  assert.ok(!isSameNetwork(at('/ip6/2a01:4f8::1/tcp/1'), at('/ip6/2a01:4f9::1/tcp/1')))
  assert.deepEqual([...placeOf(at('/dns4/example.org/tcp/1', 'nonsense')).networks], [])
})

test('a family counts when both say it', () => {
  const [a, b, c] = [member(1, { family: [keyOf(2)] }), member(2, { family: [keyOf(1), keyOf(3)] }), member(3)]
  assert.ok(isSameOperator(a, b))
  assert.ok(!isSameOperator(b, c), 'only one of them says it: it could keep the other out of paths')
  assert.ok(!fitsPath(b, [c, a], strict))
  assert.ok(fitsPath(c, [a], strict))
  assert.ok(!fitsPath(a, [a], lan), 'never twice')
  assert.equal(operatorCount([a, b, c]), 2)
})

test('auto is lan while no relay has a public address, and waives the age while no relay is known for a day', () => {
  const local = members(3, { addresses: ['/ip4/127.0.0.1/tcp/1'] })
  assert.equal(rulesOf('auto', local, wallStart).name, 'lan')
  assert.equal(rulesOf('auto', [...local, member(9, { role: 'endpoint' })], wallStart).name, 'lan', 'endpoints do not count')
  assert.deepEqual(rulesOf('auto', [...local, member(9)], wallStart), strict)
  assert.deepEqual(rulesOf('auto', members(5, { firstSeenAt: young }), wallStart), { ...strict, age: false })
  assert.deepEqual(rulesOf('strict', members(5, { firstSeenAt: young }), wallStart), strict)
})

test('what a path breaks is said, whatever the policy', () => {
  const context = { asker: asker(), now: wallStart, wanted: 2 }
  assert.deepEqual(waiversOf([member(1), member(2)], context), [])
  const near = member(2, { addresses: member(1).addresses, firstSeenAt: young, family: [keyOf(1)] })
  assert.deepEqual(waiversOf([member(1, { family: [keyOf(2)] }), near], { ...context, wanted: 3 }), ['short', 'network', 'family', 'age'])
  assert.deepEqual(waiversOf([member(1)], { ...context, wanted: 1, destination: member(4, { addresses: member(1).addresses }) }), ['network'])
  const trusting = asker({ trust: new Set([idOf(1)]) })
  assert.deepEqual(waiversOf([member(1)], { ...context, wanted: 1, asker: trusting }), ['trust'])
  assert.deepEqual(waiversOf([member(1), member(2)], { ...context, asker: trusting }), [])
})
