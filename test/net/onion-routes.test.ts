import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { VolatileMessage } from '../../src/core/message/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import type { SessionStream } from '../../src/mesh/session-stream.ts'
import { draftTo, introduce, type RouteNode, startRouteNode, TestCircuits } from './route-support.ts'
import { until } from './support.ts'

const tooFew = new MeshError('CIRCUIT_TOO_FEW_RELAYS', { need: 3, have: 0 })

const pathsOf = (node: RouteNode): readonly string[] =>
  node.sessions
    .list()
    .filter(({ endedAt }) => endedAt === undefined)
    .map(({ direction, path, peerId }) => `${direction} ${path} ${peerId}`)

test('a message for circuits takes one, and the session inside proves both ends to each other and to nobody else', async () => {
  const circuits = new TestCircuits()
  await using alice = await startRouteNode({ circuits, onionRouting: true })
  await using bob = await startRouteNode({ circuits, onionRouting: true })
  await introduce(alice, bob)
  const stored = alice.reaches('hidden', 'stored')
  await alice.delivery.submit(draftTo(bob, 'hidden', 'onion'))
  assert.equal((await stored).path, 'onion')
  assert.deepEqual(bob.arrived, ['hidden'])
  assert.deepEqual(pathsOf(bob), [`inbound onion ${alice.host.peerId}`], 'counted for the key that the session proved')
  assert.deepEqual(pathsOf(alice), [`outbound onion ${bob.host.peerId}`])
  const read = alice.reaches('hidden', 'read')
  await bob.delivery.ack([{ source: alice.publicKey, id: 'hidden' }])
  await read
  assert.equal(circuits.built, 1, 'receipts come back over the circuit of the message')
  assert.deepEqual([alice.directOpens(), bob.directOpens(), alice.host.libp2p.getPeers().length], [0, 0, 0])
})

test('while no circuit is built, what is for circuits waits beside what goes directly, and neither takes the way of the other', async () => {
  const circuits = new TestCircuits()
  await using alice = await startRouteNode({ circuits })
  await using bob = await startRouteNode({ circuits })
  await introduce(alice, bob)
  circuits.refusal = tooFew
  await alice.delivery.submit(draftTo(bob, 'hidden', 'onion'))
  const plain = alice.reaches('plain', 'stored')
  await alice.delivery.submit(draftTo(bob, 'plain', 'direct'))
  assert.equal((await plain).path, 'direct-lan')
  await assert.rejects(alice.delivery.checkOnion(bob.publicKey), { code: 'CIRCUIT_TOO_FEW_RELAYS', exitCode: 10 })
  assert.deepEqual(bob.arrived, ['plain'])
  assert.deepEqual([alice.delivery.counts.queued, alice.delivery.counts.direct], [1, 0])
  circuits.refusal = undefined
  const hidden = alice.reaches('hidden', 'stored')
  alice.delivery.reachable(bob.publicKey, 'onion')
  assert.equal((await hidden).path, 'onion')
  // The direct connection is cut: what follows over circuits does not notice.
  await alice.host.libp2p.hangUp(bob.host.libp2p.peerId)
  const later = alice.reaches('later', 'stored')
  await alice.delivery.submit(draftTo(bob, 'later', 'onion'))
  assert.equal((await later).path, 'onion')
  assert.deepEqual([alice.directOpens(), circuits.built], [1, 1])
})

test('a circuit that ends loses nothing: the next one carries what had no receipt, once', async () => {
  const circuits = new TestCircuits()
  await using alice = await startRouteNode({ circuits })
  await using bob = await startRouteNode({ circuits })
  for (let number = 1; number <= 8; number++) {
    const stored = alice.reaches(`m-${number}`, 'stored')
    await alice.delivery.submit(draftTo(bob, `m-${number}`, 'onion'))
    if (number % 2 === 0) circuits.breakAll()
    if (number === 4) circuits.refusal = tooFew
    if (number === 4) await alice.delivery.submit(draftTo(bob, 'waits', 'onion'))
    circuits.refusal = undefined
    alice.delivery.reachable(bob.publicKey, 'onion')
    await stored
  }
  await bob.has('waits')
  assert.deepEqual(bob.arrived.toSorted(), ['m-1', 'm-2', 'm-3', 'm-4', 'm-5', 'm-6', 'm-7', 'm-8', 'waits'])
  assert.ok(circuits.built > 1)
  assert.equal(alice.directOpens(), 0)
})

test('a fresh circuit takes over while messages are under way, and the old one ends when they are through', async () => {
  const circuits = new TestCircuits()
  await using alice = await startRouteNode({ circuits })
  await using bob = await startRouteNode({ circuits })
  const ids = Array.from({ length: 40 }, (_, index) => `m-${index}`)
  const all = Promise.all(ids.map((id) => alice.reaches(id, 'stored')))
  for (const [index, id] of ids.entries()) {
    await alice.delivery.submit(draftTo(bob, id, 'onion'))
    if (index === 10 || index === 25) await alice.delivery.move(bob.publicKey, 'onion')
  }
  await all
  assert.deepEqual(bob.arrived.toSorted(), ids.toSorted())
  assert.equal(circuits.built, 3)
  assert.equal(pathsOf(alice).length, 1)
})

test('a link over a circuit that nobody uses any more is not carried on: it ends with its circuit', async () => {
  const circuits = new TestCircuits()
  let aheadMs = 0
  await using alice = await startRouteNode({ circuits, aheadMs: () => aheadMs })
  await using bob = await startRouteNode({ circuits })
  const first = alice.reaches('first', 'stored')
  await alice.delivery.submit(draftTo(bob, 'first', 'onion'))
  await first
  aheadMs = 299_000
  await alice.delivery.move(bob.publicKey, 'onion')
  assert.deepEqual([circuits.built, pathsOf(alice).length], [2, 1])
  aheadMs = 610_000
  await alice.delivery.move(bob.publicKey, 'onion')
  assert.deepEqual([circuits.built, pathsOf(alice)], [2, []])
  const later = alice.reaches('later', 'stored')
  await alice.delivery.submit(draftTo(bob, 'later', 'onion'))
  await later
  assert.deepEqual([circuits.built, alice.delivery.counts.queued], [3, 0])
})

test('who is asked over a circuit answers over it, also somebody who takes none', async () => {
  const circuits = new TestCircuits()
  await using client = await startRouteNode({ circuits, isEndpoint: false })
  await using bob = await startRouteNode({ circuits, onionRouting: true })
  await introduce(bob, client)
  const asked = client.reaches('question', 'stored')
  await client.delivery.submit(draftTo(bob, 'question', 'onion'))
  await asked
  await bob.delivery.checkOnion(client.publicKey)
  const answered = bob.reaches('answer', 'stored')
  await bob.delivery.submit(draftTo(client, 'answer', 'onion'))
  assert.equal((await answered).path, 'onion')
  const { sent } = bob.delivery.sendVolatile({ peerId: client.host.peerId, publicKey: client.publicKey, via: 'onion' }, volatileMessage('quick'))
  assert.equal(await sent, 'onion')
  await client.has('quick')
  assert.deepEqual([circuits.built, bob.directOpens()], [1, 0])
  // Once that circuit is gone there is no way any more, and no other one is taken.
  circuits.breakAll()
  await bob.delivery.submit(draftTo(client, 'too-late', 'onion'))
  await assert.rejects(
    bob.delivery.sendVolatile({ peerId: client.host.peerId, publicKey: client.publicKey, via: 'onion' }, volatileMessage('v')).sent,
    {
      code: 'CIRCUIT_NO_ENDPOINT'
    }
  )
  assert.deepEqual([client.arrived, bob.directOpens()], [['answer', 'quick'], 0])
})

test('where circuits are the rule, what came directly is answered on its own stream and nowhere else: no direct session is opened for a receipt', async () => {
  const circuits = new TestCircuits()
  await using alice = await startRouteNode({ circuits })
  await using bob = await startRouteNode({ circuits, onionRouting: true })
  await introduce(alice, bob)
  await introduce(bob, alice)
  const stored = alice.reaches('plain', 'stored')
  await alice.delivery.submit(draftTo(bob, 'plain', 'direct'))
  await stored
  const read = alice.reaches('plain', 'read')
  await bob.delivery.ack([{ source: alice.publicKey, id: 'plain' }])
  await read
  const second = alice.reaches('second', 'stored')
  await alice.delivery.submit(draftTo(bob, 'second', 'direct'))
  await second
  const [session] = bob.sessions.list()
  assert.equal(session?.path, 'direct-lan')
  const gone = new Promise((resolve) => bob.host.libp2p.addEventListener('peer:disconnect', resolve, { once: true }))
  await alice.host.libp2p.hangUp(bob.host.libp2p.peerId)
  await gone
  await bob.delivery.ack([{ source: alice.publicKey, id: 'second' }])
  // As when the peer connects again for something else: what waits is not told over that.
  bob.delivery.peerConnected(alice.publicKey)
  const third = alice.reaches('second', 'read')
  await alice.delivery.submit(draftTo(bob, 'third', 'direct'))
  await third
  assert.equal(bob.directOpens(), 0)
})

test('where circuits are the rule, a receipt for a direct stream that is gone opens no other', async () => {
  const circuits = new TestCircuits()
  await using alice = await startRouteNode({ circuits })
  await using bob = await startRouteNode({ circuits, onionRouting: true })
  await introduce(alice, bob)
  await introduce(bob, alice)
  const { deliveryStore } = bob.stores
  const admit = deliveryStore.admit.bind(deliveryStore)
  const [asked, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  deliveryStore.admit = async (...args) => {
    asked.resolve()
    await go.promise
    return admit(...args)
  }
  await alice.delivery.submit(draftTo(bob, 'plain', 'direct'))
  await asked.promise
  const gone = new Promise((resolve) => bob.host.libp2p.addEventListener('peer:disconnect', resolve, { once: true }))
  await alice.host.libp2p.hangUp(bob.host.libp2p.peerId)
  await gone
  go.resolve()
  await bob.has('plain')
  // The sender asks again, over a stream of its own.
  const stored = alice.reaches('plain', 'stored')
  await alice.delivery.retry(undefined)
  await stored
  assert.deepEqual([bob.directOpens(), bob.arrived], [0, ['plain']])
})

test('those who come over circuits are bounded: handshakes for all of them together, sessions for each key that was proved', async () => {
  const circuits = new TestCircuits()
  await using alice = await startRouteNode({ circuits })
  await using bob = await startRouteNode({ circuits })
  const { signal } = new AbortController()
  const sessions: SessionStream[] = []
  for (let number = 0; number < 6; number++) sessions.push(await alice.sessions.open(bob.publicKey, 'onion', signal))
  await Promise.all(sessions.slice(0, 2).map(({ closed }) => closed))
  const inbound = pathsOf(bob).filter((path) => path === `inbound onion ${alice.host.peerId}`)
  assert.equal(inbound.length, 4, 'the newest ones stay')
  // A flood of streams over which nobody says who it is: beyond the burst they are ended before a handshake begins.
  const flood = await Promise.all(Array.from({ length: 400 }, () => circuits.open(bob.publicKey)))
  const ended = new Set<FrameStream>()
  for (const stream of flood) void stream.closed.then(() => ended.add(stream))
  await until(() => ended.size >= 150, 'the streams beyond the burst are ended')
  assert.ok(ended.size < 250, `${ended.size} were ended`)
})

test('a node without circuits says so, and goes no other way', async () => {
  await using alice = await startRouteNode({ circuits: undefined })
  await using bob = await startRouteNode({ circuits: undefined })
  await introduce(alice, bob)
  await assert.rejects(alice.delivery.checkOnion(bob.publicKey), { code: 'CIRCUIT_TOO_FEW_RELAYS' })
  await alice.delivery.submit(draftTo(bob, 'hidden', 'onion'))
  const { sent } = alice.delivery.sendVolatile({ peerId: bob.host.peerId, publicKey: bob.publicKey, via: 'onion' }, volatileMessage('v'))
  await assert.rejects(sent, { code: 'CIRCUIT_TOO_FEW_RELAYS' })
  const plain = alice.reaches('plain', 'stored')
  await alice.delivery.submit(draftTo(bob, 'plain', 'direct'))
  await plain
  assert.deepEqual(bob.arrived, ['plain'])
})

const volatileMessage = (id: string): VolatileMessage => ({
  ...{ id, type: 'Thought', label: '', toLabel: '', inReplyTo: undefined, expectsReply: false, priority: 5, ttlS: 60 },
  ...{ timestamp: wallMillis(Date.now()), contentType: 'text/plain', body: new Uint8Array(3) }
})
