import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { Mesh } from '../../src/node/index.ts'
import { createTestnet, type Testnet } from '../../src/testing/index.ts'
import { until } from './support.ts'

const count = 8
const hasCode =
  (code: string) =>
  (error: unknown): boolean =>
    isMeshError(error) && error.code === code
const text = (body: Uint8Array): string => new TextDecoder().decode(body)
const members = async (mesh: Mesh): Promise<number> => (await mesh.status()).onion.known.relays

describe('circuits between eight nodes', () => {
  let net: Testnet
  let alice: Mesh
  let bob: Mesh
  before(async () => {
    net = await createTestnet(count, { config: { onionRouting: true } })
    alice = net.node(0)
    bob = net.node(5)
    await net.pair(alice, bob)
    await until(async () => (await Promise.all(net.nodes.map(members))).every((known) => known === count - 1), 'everybody knows all relays', 20_000)
  })
  after(() => net.stop())

  for (const hops of [1, 3, 5])
    test(`a circuit of ${hops} relays is built, measured, and carries a message`, async () => {
      const circuit = await alice.circuit('node-5', { hops, showPath: true })
      assert.equal(circuit.peer.peerId, bob.peerId)
      assert.ok(circuit.hops >= hops && circuit.hops <= hops + 1, `${circuit.hops} relays`)
      assert.ok(circuit.rttMs > 0 && circuit.buildMs > 0)
      const path = (circuit.path ?? []).map(({ peerId }) => peerId)
      assert.equal(new Set([alice.peerId, ...path, bob.peerId]).size, circuit.hops + 2, 'nobody is on the path twice')
      // A relay that failed a moment ago is passed over for a while, and then no part of the set.
      const { setSize, policy } = circuit.anonymity
      assert.ok(setSize >= circuit.hops && setSize <= count - 2, `chosen from ${setSize}`)
      assert.equal(policy, 'lan')
      const report = await alice.send('node-5', `over ${hops}`)
      assert.deepEqual([report.status, report.path], ['stored', 'onion'])
      const { messages } = await bob.inbox.list({ limit: 100 })
      const arrived = messages.find(({ id }) => id === report.id)
      assert.deepEqual([arrived?.source.peerId, text(arrived?.body ?? new Uint8Array()), arrived?.paired], [alice.peerId, `over ${hops}`, true])
    })

  test('levels 1, 3 and 5 of ML-KEM build the same circuit', async () => {
    for (const level of [1, 3, 5]) {
      const circuit = await alice.circuit('node-5', { hops: 2, level })
      assert.equal(circuit.level, level)
      assert.equal(circuit.path, undefined, 'relays are named only where they are asked for')
    }
  })

  test('no session and no connection for messages goes directly to the peer', async () => {
    const { sessions } = await alice.detailedStatus()
    assert.ok(sessions.some(({ peerId }) => peerId === bob.peerId))
    for (const { peerId, path } of sessions) if (peerId === bob.peerId) assert.equal(path, 'onion')
  })

  test('links of circuits are no peers of the mesh', async () => {
    const known = new Set(net.nodes.map(({ peerId }) => peerId))
    for (const node of net.nodes) for (const { peerId } of await node.peers()) assert.ok(known.has(peerId), `${peerId} is nobody's`)
  })

  test('a request is answered over circuits in both directions', async () => {
    const off = bob.on('message', (message) => {
      if (message.expectsReply) void bob.reply(message, 'done')
    })
    const response = await alice.request('node-5', 'do it')
    off()
    assert.equal(text(response.body), 'done')
    await until(async () => {
      const [answer] = (await bob.outbox.list({ limit: 10 })).filter(({ type }) => type === 'Response')
      return (answer?.status === 'stored' || answer?.status === 'read') && answer.path === 'onion'
    }, 'the answer is stored over a circuit')
  })

  test('messages that have a circuit move to one that is asked for, and never to one that is shorter than onion_hops or of another level', async () => {
    const carrying = async (): Promise<readonly string[]> => {
      const circuits = await alice.circuits()
      return circuits.filter(({ peer, streams }) => peer?.peerId === bob.peerId && streams > 0).map(({ id }) => id)
    }
    await alice.send('node-5', 'over some circuit')
    const before = await carrying()
    assert.equal(before.length, 1)
    for (const other of [
      { hops: 1, level: 3 },
      { hops: 3, level: 5 }
    ]) {
      assert.equal((await alice.circuit('node-5', other)).carriesMessages, other.hops > 1 && other.level === 3)
      await alice.send('node-5', 'over the same')
      assert.deepEqual(await carrying(), before)
    }
    const asked = await alice.circuit('node-5', { hops: 4 })
    assert.equal(asked.carriesMessages, true)
    await alice.send('node-5', 'over the one that was asked for')
    await until(async () => (await carrying()).join() === asked.id, 'nothing else carries messages')
  })

  test('a circuit is listed and closed by the beginning of its name; the next message takes another one', async () => {
    const { id } = await alice.circuit('node-5', { hops: 2 })
    assert.ok((await alice.circuits()).some((each) => each.id === id && each.peer?.peerId === bob.peerId))
    assert.equal(await alice.closeCircuit(id.slice(0, 7)), id)
    assert.ok(!(await alice.circuits()).some((each) => each.id === id))
    await assert.rejects(alice.closeCircuit(id), hasCode('CIRCUIT_UNKNOWN'))
    for (const each of await alice.circuits()) if (each.peer !== undefined) await alice.closeCircuit(each.id)
    const report = await alice.send('node-5', 'after the end of all')
    assert.deepEqual([report.status, report.path], ['stored', 'onion'])
  })

  test('what is no number of relays and no route is refused at once', async () => {
    for (const hops of [0, -1, 2.5, 9, Number.NaN]) await assert.rejects(alice.circuit('node-5', { hops }), hasCode('OPTION_INVALID'))
    await assert.rejects(
      Promise.resolve().then(() => alice.send('node-5', 'x', { via: 'elsewhere' as 'onion' })),
      hasCode('OPTION_INVALID')
    )
    await assert.rejects(alice.circuit('node-5', { level: 2 }), hasCode('OPTION_INVALID'))
  })

  test('more relays than there are: refused with counts, or fewer taken when that is allowed', async () => {
    await assert.rejects(alice.circuit('node-5', { hops: 7, timeoutMs: 20_000 }), hasCode('CIRCUIT_TOO_FEW_RELAYS'))
    const short = await alice.circuit('node-5', { hops: 7, allowShort: true })
    assert.deepEqual([short.hops, short.wanted], [count - 2, 7])
    assert.ok(short.anonymity.waivers.includes('short'))
  })

  test('a peer without circuits is refused, before anything is accepted', async () => {
    const plain = await net.add({ onionRouting: false })
    await net.pair(alice, plain)
    await assert.rejects(alice.send(plain.peerId, 'hello'), hasCode('CIRCUIT_NO_ENDPOINT'))
    assert.equal((await alice.outbox.counts()).queued, 0)
    const direct = await alice.send(plain.peerId, 'hello', { via: 'direct' })
    assert.equal(direct.status, 'stored')
    const circuit = await plain.circuit(alice.peerId)
    assert.deepEqual([circuit.carriesMessages, circuit.carriesVia], [false, true], 'where circuits are not the rule they are asked for')
    assert.deepEqual(
      [(await plain.send(alice.peerId, 'a')).path, (await plain.send(alice.peerId, 'b', { via: 'onion' })).path],
      ['direct-lan', 'onion']
    )
  })
})
