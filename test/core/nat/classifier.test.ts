import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../../../src/core/nat/ip-address.ts'
import { attributeOf, decodeStun, encodeStun } from '../../../src/core/nat/stun-message.ts'
import type { NatClass, NatFacts } from '../../../src/core/nat/types.ts'
import { type Behaviour, keyOf, type Outcome, responder, surveyServer, World, type WorldOptions } from './simulated-nat.ts'

const coturn: Endpoint = { address: '11.77.2.2', port: 3478 }
const coturnOther: Endpoint = { address: '11.77.2.3', port: 3479 }
const relay1: Endpoint = { address: '11.77.3.2', port: 3478 }
const relay2: Endpoint = { address: '11.77.4.2', port: 3478 }
const relay3: Endpoint = { address: '11.77.5.2', port: 3478 }
const full = new Map<string, Behaviour>([
  ...surveyServer(coturn, coturnOther),
  ...[relay1, relay2, relay3].map((relay) => [keyOf(relay), responder(relay)] as const)
])
const cone = { mapping: 'endpoint-independent', filtering: 'endpoint-independent', network: full } as const
const symmetric = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent', network: full } as const

const run = (options: WorldOptions): Outcome => new World(options).run()

function expectFacts(outcome: Outcome, expected: Partial<NatFacts>): void {
  const found = Object.fromEntries(Object.keys(expected).map((key) => [key, outcome.facts[key as keyof typeof outcome.facts]]))
  assert.deepEqual(found, expected, JSON.stringify(outcome))
}

const kinds: readonly (readonly [WorldOptions['mapping'], WorldOptions['filtering'], NatClass])[] = [
  ['none', 'endpoint-independent', 'open'],
  ['none', 'address-and-port-dependent', 'port-restricted'],
  ['endpoint-independent', 'endpoint-independent', 'full-cone'],
  ['endpoint-independent', 'address-dependent', 'address-restricted'],
  ['endpoint-independent', 'address-and-port-dependent', 'port-restricted'],
  ['address-dependent', 'address-dependent', 'symmetric'],
  ['address-and-port-dependent', 'address-and-port-dependent', 'symmetric'],
  ['address-and-port-dependent', 'endpoint-independent', 'symmetric']
]

for (const [mapping, filtering, natClass] of kinds) {
  test(`one server of RFC 5780 tells mapping ${mapping} and filtering ${filtering}: ${natClass}`, () => {
    const localAddress = mapping === 'none' ? '11.77.9.9' : '192.168.1.2'
    for (const servers of [[coturn], [coturn, relay1, relay2], [coturn, { ...coturnOther, port: 3478 }], [coturn, coturnOther]]) {
      const outcome = run({ mapping, filtering, localAddress, servers, network: full })
      expectFacts(outcome, { mapping, filtering, natClass, udp: 'open' })
      assert.ok(outcome.tookMs <= 800, `${outcome.tookMs} ms`)
    }
  })

  test(`two servers without a second address tell the mapping: ${natClass}, filtering unknown`, () => {
    const localAddress = mapping === 'none' ? '11.77.9.9' : '192.168.1.2'
    const outcome = run({ mapping, filtering, localAddress, servers: [relay1, relay2], network: full })
    const seen = mapping === 'address-dependent' ? 'address-and-port-dependent' : mapping
    const name = mapping === 'none' ? 'open' : mapping === 'endpoint-independent' ? 'cone' : 'symmetric'
    expectFacts(outcome, { mapping: seen, filtering: 'unknown', natClass: name, udp: 'open' })
    assert.equal(outcome.tookMs, 20)
    assert.deepEqual(
      outcome.servers.map(({ result, roundTripMs }) => [result, roundTripMs]),
      [
        ['answered', 20],
        ['answered', 20]
      ]
    )
  })
}

test('one server without a second address tells the public address, and that there is no NAT, but no mapping', () => {
  expectFacts(run({ ...cone, servers: [relay1] }), {
    natClass: 'unknown',
    mapping: 'unknown',
    udp: 'open',
    publicAddress: { address: '11.77.15.2', port: 20_000 }
  })
  expectFacts(run({ ...cone, mapping: 'none', localAddress: '11.77.9.9', servers: [relay1] }), { natClass: 'open', mapping: 'none' })
})

test('two ports of one host that see different mappings show a symmetric NAT; the same mapping shows nothing', () => {
  const second = { address: relay1.address, port: 3480 }
  const network = new Map([...full, [keyOf(second), responder(second)]])
  expectFacts(run({ ...symmetric, network, servers: [relay1, second] }), { natClass: 'symmetric' })
  expectFacts(run({ ...cone, network, servers: [relay1, second] }), { natClass: 'unknown', mapping: 'unknown' })
})

test('blocked UDP is found in less than 2 s, after three tries at each server', () => {
  const outcome = run({ ...cone, isBlocked: true, servers: [coturn, relay1] })
  expectFacts(outcome, { natClass: 'udp-blocked', udp: 'blocked', publicAddress: undefined })
  assert.deepEqual(
    outcome.servers.map(({ result }) => result),
    ['silent', 'silent']
  )
  assert.ok(outcome.tookMs < 2_000, `${outcome.tookMs} ms`)
  assert.equal(outcome.sent, 6)
})

test('without a network nothing is said of UDP, at once', () => {
  const world = new World({ ...cone, isBlocked: true, servers: [relay1, relay2] })
  world.classifier.handle({ type: 'start' }, world.now)
  world.classifier.handle({ type: 'unreachable', destination: relay1 }, world.now)
  const [done] = world.classifier.handle({ type: 'unreachable', destination: relay2 }, world.now)
  assert.ok(done?.type === 'done')
  assert.deepEqual([done.facts.natClass, done.facts.udp], ['unknown', 'unknown'])
  assert.deepEqual(
    done.servers.map(({ result }) => result),
    ['unreachable', 'unreachable']
  )
})

test('no servers, no facts', () => {
  expectFacts(run({ ...cone, servers: [] }), { natClass: 'unknown', udp: 'unknown', publicAddress: undefined })
})

test('a dead server among living ones costs time and nothing else', () => {
  const outcome = run({ ...symmetric, servers: [{ address: '11.77.6.6', port: 1 }, coturn] })
  expectFacts(outcome, { natClass: 'symmetric', filtering: 'address-and-port-dependent' })
  assert.ok(outcome.tookMs < 2_000)
})

test('a global IPv6 address of an interface is named', () => {
  expectFacts(run({ ...cone, servers: [relay1], moreAddresses: ['2a0f:7777:2400::2'] }), { ipv6: true })
  expectFacts(run({ ...cone, servers: [relay1], moreAddresses: ['fe80::1', 'fd00::1'] }), { ipv6: false })
})

test('at 250 ms one way and with 5 % loss the classes are the same nearly always, and never after 2 s', () => {
  const wrong: string[] = []
  for (const [mapping, filtering, natClass] of kinds.slice(2)) {
    for (let seed = 1; seed <= 50; seed++) {
      const outcome = run({ mapping, filtering, servers: [coturn, relay1], network: full, oneWayMs: 250, loss: 0.05, seed })
      if (outcome.facts.natClass !== natClass) wrong.push(`${natClass} as ${outcome.facts.natClass} (seed ${seed})`)
      assert.ok(outcome.tookMs <= 2_000, `${outcome.tookMs} ms`)
    }
  }
  assert.ok(wrong.length <= 6, wrong.join(', '))
})

test('far away (450 ms one way) it says less, but nothing wrong', () => {
  const outcome = run({ ...cone, filtering: 'address-and-port-dependent', servers: [coturn], oneWayMs: 450 })
  expectFacts(outcome, { natClass: 'cone', mapping: 'endpoint-independent', filtering: 'unknown' })
  assert.ok(outcome.tookMs <= 2_000)
})

const nobody = new Uint8Array(12).fill(1)

/** A server that says what it likes, under the right id. */
const liar =
  (local: Endpoint, mapped: (source: Endpoint) => Endpoint, other?: Endpoint): Behaviour =>
  ({ bytes, source }) => {
    const { transactionId } = decodeStun(bytes)
    const answer = encodeStun({
      class: 'success',
      method: 1,
      transactionId,
      attributes: [
        { type: 'xor-mapped-address', endpoint: mapped(source) },
        ...(other === undefined ? [] : [{ type: 'other-address', endpoint: other } as const])
      ],
      hasFingerprint: false
    })
    return [{ bytes: answer, from: local }]
  }

test('answers with ids that nobody waits for, from elsewhere, twice, or of noise change nothing', () => {
  const noisy: Behaviour = (request) => {
    const [honest] = responder(relay1)(request)
    assert.ok(honest !== undefined)
    const lie = liar(relay1, () => ({ address: '11.1.1.1', port: 1 }))(request)[0]?.bytes ?? new Uint8Array()
    const other = encodeStun({ ...decodeStun(lie), transactionId: nobody })
    return [
      { bytes: new Uint8Array(20), from: relay1 },
      { bytes: other, from: relay1 },
      { bytes: lie, from: { address: relay1.address, port: 9 } },
      { bytes: lie, from: relay2 },
      { bytes: request.bytes, from: relay1 },
      honest,
      { bytes: lie, from: relay1 }
    ]
  }
  const network = new Map([...full, [keyOf(relay1), noisy]])
  const outcome = run({ ...cone, network, servers: [relay1, relay2] })
  expectFacts(outcome, { natClass: 'cone', publicAddress: { address: '11.77.15.2', port: 20_000 } })
})

test('two servers that name what cannot be (nothing, multicast, our private address, port 0) are not believed', () => {
  const lies: readonly ((source: Endpoint) => Endpoint)[] = [
    () => ({ address: '192.168.1.2', port: 5_000 }),
    () => ({ address: '0.0.0.0', port: 5_000 }),
    () => ({ address: '224.0.0.1', port: 5_000 }),
    () => ({ address: '127.0.0.1', port: 5_000 }),
    ({ address }) => ({ address, port: 0 }),
    () => ({ address: '2a0f:7777::1', port: 5_000 })
  ]
  for (const lie of lies) {
    const network = new Map([...full, [keyOf(relay1), liar(relay1, lie)], [keyOf(relay2), liar(relay2, lie)]])
    const alone = run({ ...cone, network, servers: [relay1, relay2] })
    expectFacts(alone, { natClass: 'unknown', udp: 'open', publicAddress: undefined })
    assert.deepEqual(
      alone.servers.map(({ result }) => result),
      ['implausible', 'implausible']
    )
    expectFacts(run({ ...cone, network, servers: [relay1, relay2, coturn] }), { natClass: 'full-cone' })
  }
})

test('one liar is outvoted by two, also when it answers first and surveys', () => {
  const invented = liar(relay1, () => ({ address: '11.9.9.9', port: 9 }))
  const network = new Map([...full, [keyOf(relay1), invented]])
  const address = { address: '11.77.15.2', port: 20_000 }
  expectFacts(run({ ...cone, network, servers: [relay1, relay2, relay3] }), { natClass: 'cone', publicAddress: address })
  expectFacts(run({ ...cone, network, servers: [relay1, relay2, coturn] }), { natClass: 'full-cone', publicAddress: address })

  let count = 0
  const other = { address: '11.77.3.3', port: 3479 }
  const dizzy = liar(relay1, () => ({ address: '11.9.9.9', port: ++count }), other)
  const surveyed = new Map([...full, [keyOf(relay1), dizzy], [keyOf(other), liar(other, () => ({ address: '11.9.9.9', port: ++count }))]])
  expectFacts(run({ ...cone, network: surveyed, servers: [relay1, relay2, relay3] }), { natClass: 'cone', publicAddress: address })
})

test('servers of this network do not speak for the internet', () => {
  const near = { address: '192.168.1.1', port: 3478 }
  const seesUs = liar(near, () => ({ address: '192.168.1.2', port: 5_000 }))
  const network = new Map([...full, [keyOf(near), seesUs]])
  expectFacts(run({ ...cone, network, servers: [near, relay1, relay2] }), {
    natClass: 'cone',
    publicAddress: { address: '11.77.15.2', port: 20_000 }
  })
  const dead = { address: '11.77.8.8', port: 3478 }
  expectFacts(run({ ...cone, network, servers: [near, dead] }), { natClass: 'unknown', udp: 'unknown', publicAddress: undefined })
  expectFacts(run({ ...cone, network, servers: [near] }), { natClass: 'open', udp: 'open', publicAddress: { address: '192.168.1.2', port: 5_000 } })
})

test('a second address that is dead, or that does not fit, is no evidence of a filter', () => {
  const dead = { address: '11.77.7.7', port: 3479 }
  const others: readonly Endpoint[] = [
    dead,
    { address: '11.77.7.7', port: 3478 },
    { address: relay1.address, port: 3479 },
    { address: '192.168.1.1', port: 3479 },
    { address: '255.255.255.255', port: 9 },
    { address: '2a0f::1', port: 9 }
  ]
  for (const other of others) {
    const network = new Map([...full, [keyOf(relay1), liar(relay1, (source) => source, other)]])
    const outcome = run({ ...cone, filtering: 'address-and-port-dependent', network, servers: [relay1, relay2] })
    expectFacts(outcome, { natClass: 'cone', filtering: 'unknown', mapping: 'endpoint-independent' })
    assert.ok(outcome.tookMs <= 2_000)
    // Whoever is named there gets no more than three requests at each of two ports.
    assert.ok(outcome.sent <= 2 + 2 * 3 + 2 * 3, `${outcome.sent} sent`)
  }
})

test('silence is no filter while the other address answers nothing at all', () => {
  const dead = { address: '11.77.7.7', port: 3479 }
  const firstOnly: Behaviour = (request) => {
    const isChange = attributeOf(decodeStun(request.bytes), 'change-request') !== undefined
    return isChange ? [] : liar(relay1, (source) => source, dead)(request)
  }
  const network = new Map([...full, [keyOf(relay1), firstOnly]])
  expectFacts(run({ ...cone, network, servers: [relay1, relay2] }), { natClass: 'cone', filtering: 'unknown' })
})

test('a server that ignores or refuses CHANGE-REQUEST tells nothing of the filter', () => {
  const ignores: Behaviour = liar(coturn, (source) => source, coturnOther)
  const refuses: Behaviour = (request) => {
    const message = decodeStun(request.bytes)
    if (attributeOf(message, 'change-request') === undefined) return ignores(request)
    return responder(coturn)(request)
  }
  for (const behaviour of [ignores, refuses]) {
    const network = new Map([...full, [keyOf(coturn), behaviour]])
    const outcome = run({ ...cone, filtering: 'address-and-port-dependent', network, servers: [coturn] })
    expectFacts(outcome, { natClass: 'cone', filtering: 'unknown', mapping: 'endpoint-independent' })
  }
})

test('an answer that is an error, or has what must be understood, is heard and not believed', () => {
  const strange: Behaviour = ({ bytes, source }) => {
    const { transactionId } = decodeStun(bytes)
    const attributes = [{ type: 'xor-mapped-address', endpoint: source } as const, { type: 'other', code: 0x77, value: new Uint8Array() } as const]
    return [{ bytes: encodeStun({ class: 'success', method: 1, transactionId, attributes, hasFingerprint: false }), from: relay1 }]
  }
  const error: Behaviour = ({ bytes }) => {
    const { transactionId } = decodeStun(bytes)
    const attributes = [{ type: 'error-code', code: 500, reason: 'no' } as const]
    return [{ bytes: encodeStun({ class: 'error', method: 1, transactionId, attributes, hasFingerprint: false }), from: relay1 }]
  }
  for (const behaviour of [strange, error]) {
    const network = new Map([...full, [keyOf(relay1), behaviour]])
    expectFacts(run({ ...cone, network, servers: [relay1] }), { natClass: 'unknown', udp: 'open', publicAddress: undefined })
  }
})

test('nothing is asked before the start, nothing happens after the end', () => {
  const world = new World({ ...cone, servers: [relay1] })
  assert.equal(world.classifier.wakeAt, undefined)
  assert.deepEqual(world.classifier.handle({ type: 'wake' }, world.now), [])
  world.run()
  assert.equal(world.classifier.wakeAt, undefined)
  assert.deepEqual(world.classifier.handle({ type: 'wake' }, world.now), [])
  assert.deepEqual(world.classifier.handle({ type: 'start' }, world.now), [])
})
