import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clock, isMeshError, millis, wallMillis } from '../../src/core/base/index.ts'
import { TokenBuckets } from '../../src/mesh/token-buckets.ts'
import { startTestHost, until } from './support.ts'

test('a token bucket gives its burst, then its rate, and the map of buckets has a maximum', () => {
  let now = 0
  const clock: Clock = { monotonic: () => millis(now), wall: () => wallMillis(0), bootId: '' }
  const buckets = new TokenBuckets({ clock, perSecond: 2, burst: 4, maxKeys: 3 })
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => buckets.take('a')),
    [true, true, true, true, false]
  )
  now = 1_000
  assert.deepEqual(
    [1, 2, 3].map(() => buckets.take('a')),
    [true, true, false]
  )
  now = 1_000_000
  assert.equal([...Array.from({ length: 10 }, () => buckets.take('a'))].filter(Boolean).length, 4)
  for (const key of ['b', 'c', 'd', 'e']) buckets.take(key)
  assert.equal(buckets.size, 3)
})

test('a reservation tells how long to wait, and later ones wait longer', () => {
  const clock: Clock = { monotonic: () => millis(0), wall: () => wallMillis(0), bootId: '' }
  const buckets = new TokenBuckets({ clock, perSecond: 10, burst: 2 })
  assert.deepEqual(
    [1, 2, 3, 4].map(() => buckets.reserveMs('a')),
    [0, 0, 100, 200]
  )
})

const large = { pqs: { maxFrameBytes: 1_114_112 } }

test('when too much is unread on the node, the fullest stream of the heaviest peer is reset, and no other', async () => {
  await using victim = await startTestHost({ maxHeldBytes: 900_000, limits: large })
  await using light = await startTestHost({ limits: large })
  await using heavy = await startTestHost({ limits: large })
  await victim.host.serve('pqs', () => new Promise<void>(() => undefined))
  for (const node of [light, heavy]) await node.libp2p.dial(victim.libp2p.getMultiaddrs())
  const modest = await light.host.open(victim.peerId, 'pqs')
  await modest.send(new Uint8Array(300_000))
  await modest.flush()
  const streams = []
  for (let index = 0; index < 4; index++) {
    const stream = await heavy.host.open(victim.peerId, 'pqs')
    streams.push(stream)
    void (async () => {
      for (;;) await stream.send(new Uint8Array(100_000))
    })().catch(() => undefined)
  }
  await until(() => victim.refusals.length > 0, 'something is shed')
  await until(() => victim.host.heldBytes < 1_900_000, 'what is held is bounded')
  assert.ok(victim.refusals.every((refusal) => refusal.peerId === heavy.peerId && isMeshError(refusal.error, 'PROTOCOL_LIMIT')))
  assert.equal(light.host.openStreams, 1)
})

test('a flood of refusals of one peer makes one record, with their number in the next', async () => {
  await using victim = await startTestHost({ limits: { card: { streamsPerSecond: 1 } } })
  await using noisy = await startTestHost()
  await victim.host.serve('card', async (stream) => {
    for await (const frame of stream.frames()) await stream.send(frame)
  })
  await noisy.libp2p.dial(victim.libp2p.getMultiaddrs())
  for (let index = 0; index < 30; index++) {
    const stream = await noisy.host.open(victim.peerId, 'card')
    void stream.close()
  }
  await until(() => victim.refusals.length >= 20, 'the refusals are counted')
  assert.equal(victim.logs.filter((record) => record.event === 'PROTOCOL_LIMIT').length, 1)
  assert.equal(victim.host.counters.refused, victim.refusals.length)
})

test('a protocol is served once', async () => {
  await using node = await startTestHost()
  await node.host.serve('card', async () => undefined)
  await assert.rejects(
    node.host.serve('card', async () => undefined),
    (error) => isMeshError(error, 'INTERNAL')
  )
})
