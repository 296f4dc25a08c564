import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../src/core/base/index.ts'
import { onionFindings, type OnionFacts } from '../../src/mesh/onion/onion-findings.ts'
import { createTestnet } from '../../src/testing/index.ts'
import { until } from './support.ts'

const healthy: OnionFacts = {
  options: { onionPolicy: 'auto', mdns: false },
  pool: { policy: 'lan', guards: { known: 3, failing: 0 }, shortage: undefined, broken: 0 },
  isPublic: false,
  knowsPublic: false,
  dropped: []
}
const codesOf = (changes: Partial<OnionFacts>): readonly string[] => onionFindings({ ...healthy, ...changes }).map(({ code }) => code)
const guards = (known: number, failing: number): Partial<OnionFacts> => ({ pool: { ...healthy.pool, guards: { known, failing } } })

test('there is nothing to say of circuits in a private network, nor of strict rules on the Internet', () => {
  assert.deepEqual(codesOf({}), [])
  assert.deepEqual(codesOf({ options: { onionPolicy: 'lan', mdns: false } }), [])
  assert.deepEqual(codesOf({ isPublic: true, knowsPublic: true, pool: { ...healthy.pool, policy: 'strict' } }), [])
})

test('mDNS beside circuits is a leak, and each finding says what can be done', () => {
  const findings = onionFindings({ ...healthy, options: { onionPolicy: 'auto', mdns: true }, isPublic: true })
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['ONION_LAN', 'ONION_MDNS']
  )
  assert.match(findings[1]?.message ?? '', /local network sees that this node is here/)
  assert.match(findings[1]?.hint ?? '', /config set mdns false/)
})

test('circuits that break off again and again are told, and nobody is blamed', () => {
  assert.deepEqual(codesOf({ pool: { ...healthy.pool, broken: 4 } }), [])
  const [finding] = onionFindings({ ...healthy, pool: { ...healthy.pool, broken: 5 } })
  assert.equal(finding?.code, 'ONION_CIRCUITS_BREAK')
  assert.match(finding?.message ?? '', /^5 times within ten minutes/)
})

test('waived rules are told where there are public addresses', () => {
  const lan = { onionPolicy: 'lan', mdns: false } as const
  assert.match(onionFindings({ ...healthy, options: lan, knowsPublic: true })[0]?.hint ?? '', /config set onion_policy auto/)
  assert.match(onionFindings({ ...healthy, isPublic: true })[0]?.message ?? '', /no relay that it knows has one/)
  assert.deepEqual(codesOf({ isPublic: true, pool: { ...healthy.pool, policy: 'strict' } }), [])
})

test('guards that are away are told when one is left, and all of them by the error that circuits give', () => {
  assert.deepEqual(
    [codesOf(guards(3, 1)), codesOf(guards(3, 2)), codesOf(guards(2, 1)), codesOf(guards(1, 0))],
    [[], ['ONION_GUARDS'], ['ONION_GUARDS'], []]
  )
  assert.match(onionFindings({ ...healthy, ...guards(3, 2) })[0]?.message ?? '', /^2 of the 3 guards of this node are not reached/)
  const shortage = new MeshError('CIRCUIT_GUARDS_FAILED', { guards: 3, until: 'tomorrow' })
  assert.deepEqual(codesOf({ pool: { ...healthy.pool, guards: { known: 3, failing: 3 }, shortage } }), ['CIRCUIT_GUARDS_FAILED'])
})

test('eight healthy nodes have nothing to say; in a mesh that is too small each says how many are missing and what to do', async () => {
  await using net = await createTestnet(3, { config: { onionRouting: true } })
  const [alone] = net.nodes
  const findings = async () => (await Promise.all(net.nodes.map((node) => node.status()))).flatMap(({ health }) => health)
  await until(async () => (await findings()).length === 3, 'all three say that there are too few', 20_000)
  for (const { code, message, hint } of await findings()) {
    assert.equal(code, 'CIRCUIT_TOO_FEW_RELAYS')
    assert.match(message, /^A circuit needs 3 relays, and 2 can be used here: 2 others are known/)
    assert.match(hint, /more nodes with onion_routing on.*onion_hops/)
  }
  for (let more = 0; more < 5; more++) await net.add()
  await until(async () => (await alone?.status())?.onion.known.relays === 7, 'all are known', 20_000)
  await until(async () => (await findings()).length === 0, 'all are healthy', 20_000)
})
