import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { LogRecord, Mesh } from '../../src/mesh/mesh.ts'
import type { MeshSetup } from '../../src/node/create-mesh.ts'
import { createTestnet, type Testnet } from '../../src/testing/testnet.ts'
import { knowsRelays } from '../hostile/onion-scene.ts'
import { allRead, Reader, sendStream } from '../hostile/onion-stream.ts'
import { until } from './support.ts'

type OnionLimits = NonNullable<MeshSetup['onionLimits']>

let net: Testnet
let bob: Mesh

before(async () => {
  net = await createTestnet(4, { config: (index) => ({ onionRouting: true, onionHops: 2, onionRelay: index > 0 }) })
  bob = net.node(0)
  await knowsRelays(bob, 3)
})
after(() => net.stop())

/** One more node, paired with bob. */
async function join(onionLimits: OnionLimits, records: LogRecord[] = []): Promise<Mesh> {
  const node = await net.add({ onionRelay: false }, { onionLimits, onLog: (record) => void records.push(record) })
  await net.pair(node, bob)
  await Promise.all([knowsRelays(node, 3), until(async () => (await bob.status()).onion.known.endpoints > 0, 'bob knows the endpoint', 20_000)])
  return node
}

interface Known {
  readonly id: string
  readonly state: string
  readonly streams: number
}

const to = async (from: Mesh, peer: Mesh): Promise<readonly Known[]> => (await from.circuits()).filter((each) => each.peer?.peerId === peer.peerId)

test('circuits in use get successors before they expire: 300 messages move along, and old circuits end', async () => {
  const lives = { lifeMs: 1_400, lifeSpreadMs: 200, aheadMs: 800, drainMs: 1_500, hardMs: 60_000 }
  const records: LogRecord[] = []
  const alice = await join({ pool: lives }, records)
  await alice.send(bob.peerId, 'the first one', { via: 'onion', timeoutMs: 20_000 })
  const [atBob, atAlice] = [new Reader(bob), new Reader(alice)]
  records.length = 0
  const seen = new Map<string, number>()
  const watched = async (): Promise<void> => {
    for (const { id } of await to(alice, bob)) if (!seen.has(id)) seen.set(id, performance.now())
  }
  // Three rounds, and more where building takes longer.
  for (let round = 0; round < 3 || (round < 12 && seen.size < 6); round++) {
    const [there, back] = await Promise.all([
      sendStream(alice, bob.peerId, { name: `there-${round}`, count: 100, pauseMs: 20, onSent: () => void watched() }),
      sendStream(bob, alice.peerId, { name: `back-${round}`, count: 30, pauseMs: 66 })
    ])
    assert.deepEqual([await allRead(atBob, there, 40_000), await allRead(atAlice, back, 40_000)], [[], []], 'lost')
  }
  assert.deepEqual([await atBob.check(), await atAlice.check()], [[], []], 'handed out again')
  assert.ok(seen.size >= 6, `${seen.size} circuits were used`)
  const failures = records.filter(({ level, event }) => level === 'warn' || level === 'error' || event === 'onion.circuit-ended')
  assert.deepEqual(failures, [], 'no circuit broke off, and every move came about')
  const old = [...seen].filter(([, at]) => at < performance.now() - lives.lifeMs - lives.drainMs).map(([id]) => id)
  assert.ok(old.length >= 3)
  await until(async () => !(await alice.circuits()).some(({ id }) => old.includes(id)), 'old circuits have ended')
  // What relays hold follows.
  const held = async (): Promise<readonly number[]> => Promise.all(net.nodes.map(async (node) => (await node.status()).onion.serving?.circuits ?? 0))
  await until(async () => (await held()).every((count) => count <= 16), 'relays forgot old circuits')
  atBob.stop()
  atAlice.stop()
  await alice.stop()
})

test('a session over a circuit that carries nothing is closed, its circuit ends without successor, and the next message opens both again', async () => {
  const idleMs = 700
  const alice = await join({ pool: { lifeMs: 2_000, lifeSpreadMs: 100, aheadMs: 500, drainMs: 1_000 }, idleMs })
  const reader = new Reader(bob)
  const sessions = async (): Promise<number> =>
    (await alice.detailedStatus()).sessions.filter(
      (each) => each.peerId === bob.peerId && each.direction === 'outbound' && each.endedAt === undefined
    ).length
  for (let round = 0; round < 2; round++) {
    const counts: number[] = []
    const count = async (): Promise<void> => void counts.push(await sessions())
    const sent = await sendStream(alice, bob.peerId, { name: `idle-${round}`, count: 5, pauseMs: 200, onSent: () => void count() })
    assert.deepEqual(await allRead(reader, sent, 20_000), [])
    assert.ok(counts.includes(1) && counts.every((sessions) => sessions < 2), `one session: ${counts.join()}`)
    await until(async () => (await sessions()) === 0, 'the session is closed')
    await until(async () => (await to(alice, bob)).length === 0, 'the circuit is gone, and no other one follows')
  }
  assert.deepEqual(await reader.check(), [])
  reader.stop()
  await alice.stop()
})

test('a node with more contacts than circuits reaches all of them: who was quiet for longest makes room', async () => {
  const alice = await join({ pool: { circuits: 3, spares: 1, patienceMs: 4_000 } })
  const contacts = [bob, net.node(1), net.node(2), net.node(3)]
  for (const contact of contacts.slice(1)) await net.pair(alice, contact)
  let most = 0
  for (const contact of [...contacts, bob]) {
    const { status } = await alice.send(contact.peerId, 'your turn', { via: 'onion', timeoutMs: 20_000 })
    assert.ok(status === 'stored' || status === 'read', status)
    most = Math.max(most, (await alice.circuits()).length)
  }
  assert.ok(most <= 3, `${most} circuits`)
})
