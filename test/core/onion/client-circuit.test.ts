import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { after, concat } from '../../../src/core/base/index.ts'
import { type CellCipher, cellCommands, maxRelayEarly } from '../../../src/core/onion/index.ts'
import { echo, quickCrypto, realWorld, sameBytes, thinCells, World } from './circuit-support.ts'

test('a circuit of 1 to 8 relays and the destination is built hop by hop', () => {
  for (let hops = 1; hops <= 9; hops++) {
    const world = new World({ hops }).build()
    assert.deepEqual(
      world.outputs,
      Array.from({ length: hops }, (_, at) => ({ type: 'extended', hop: at + 1, tookMs: 0 }))
    )
    assert.ok(world.client.isReady)
  }
})

test('relays are built first, and the destination is added later', () => {
  const world = new World({ hops: 4, serve: echo }).build(3)
  assert.equal(world.client.hops, 3)
  world.now = after(world.now, 15_000)
  world.build()
  world.input({ type: 'open', stream: 1, protocol: 'pqs' })
  world.input({ type: 'write', stream: 1, bytes: Uint8Array.of(1, 2, 3) })
  world.deliver()
  assert.deepEqual(world.received(1), Uint8Array.of(1, 2, 3))
})

test('with real handshakes of every level, the same cells travel in the same numbers', () => {
  const counts = ([1, 3, 5] as const).map((level) => {
    const world = realWorld(3).build(3, level)
    world.input({ type: 'open', stream: 1, protocol: 'pqs' })
    world.input({ type: 'write', stream: 1, bytes: new Uint8Array(3_000).fill(level) })
    world.deliver()
    sameBytes(world.received(1), new Uint8Array(3_000).fill(level))
    return world.passed.map(({ link, direction, cell }) => [link, direction, cell.command === cellCommands.relayEarly, cell.body.length])
  })
  assert.deepEqual(counts[0], counts[1])
  assert.deepEqual(counts[1], counts[2])
})

test('each hop may have a level of its own', () => {
  const world = realWorld(3)
  world.build(1, 5).build(2, 1).build(3, 3)
  world.input({ type: 'open', stream: 1, protocol: 'pqs' })
  world.input({ type: 'write', stream: 1, bytes: Uint8Array.of(7) })
  world.deliver()
  assert.deepEqual(world.received(1), Uint8Array.of(7))
})

interface Say {
  readonly stream: number
  readonly size: number
  readonly deliver: number
}

const say: fc.Arbitrary<Say> = fc.record(
  { stream: fc.integer({ min: 1, max: 3 }), size: fc.integer({ min: 0, max: 9_000 }), deliver: fc.integer({ min: 0, max: 60 }) },
  { noNullPrototype: true }
)

test('bytes of several streams arrive exactly, both ways, whatever their sizes and the pace of the links', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(say, { maxLength: 14 }), fc.nat(), (hops, says, seed) => {
      const world = new World({ hops, seed, serve: echo, members: hops }).build()
      const sent = new Map<number, Uint8Array[]>([1, 2, 3].map((stream) => [stream, []]))
      for (const stream of sent.keys()) world.input({ type: 'open', stream, protocol: 'pqs' })
      for (const { stream, size, deliver } of says) {
        const bytes = world.random.bytes(size)
        sent.get(stream)?.push(bytes)
        world.input({ type: 'write', stream, bytes })
        world.deliver(deliver)
      }
      for (const stream of sent.keys()) world.input({ type: 'end', stream, reason: 'done' })
      world.deliver()
      for (const [stream, pieces] of sent) {
        sameBytes(world.received(stream), concat(...pieces))
        assert.ok(world.outputs.some((output) => output.type === 'end' && output.stream === stream && output.reason === 'done'))
      }
      assert.equal(world.client.hasEnded, false)
    }),
    { numRuns: 25 }
  )
})

test('much goes through a window of 256 cells, and nothing beyond it before the other end says what arrived', () => {
  const world = new World({ hops: 2, cryptoOf: (random) => quickCrypto(random, thinCells), serve: echo }).build()
  world.input({ type: 'open', stream: 1, protocol: 'pqs' })
  world.deliver()
  let [forward, most] = [0, 0]
  world.intercept = (cell, { link, direction }) => {
    if (link === 0) forward += direction === 'forward' ? 1 : 0
    return [cell]
  }
  const bytes = world.random.bytes(1_000_000)
  world.input({ type: 'write', stream: 1, bytes })
  most = forward
  assert.equal(most, 256)
  world.deliver()
  sameBytes(world.received(1), bytes)
})

// RELAY_EARLY

const earlyCells = (world: World, link: number): number =>
  world.passed.filter((flight) => flight.link === link && flight.cell.command === cellCommands.relayEarly).length

test('never more than 16 cells are RELAY_EARLY, for the longest circuit and for short ones, and each EXTEND is', () => {
  for (let hops = 1; hops <= 9; hops++) {
    const world = new World({ hops, seed: hops, members: hops, serve: echo, cryptoOf: (random) => quickCrypto(random, thinCells) })
    world.build()
    assert.ok(world.client.isReady)
    world.input({ type: 'open', stream: 1, protocol: 'pqs' })
    world.input({ type: 'write', stream: 1, bytes: new Uint8Array(60_000) })
    world.deliver()
    assert.ok(earlyCells(world, 0) <= maxRelayEarly)
    assert.ok(earlyCells(world, 0) >= 2 * (hops - 1))
    assert.equal(world.received(1).length, 60_000)
  }
})

test('how many first cells are RELAY_EARLY without need is drawn for each circuit', () => {
  const counts = new Set<number>()
  for (let seed = 1; seed < 30; seed++) {
    const world = new World({ hops: 3, seed, members: 3 }).build()
    world.input({ type: 'open', stream: 1, protocol: 'pqs' })
    world.input({ type: 'write', stream: 1, bytes: new Uint8Array(15_000) })
    world.deliver()
    counts.add(earlyCells(world, 2))
  }
  assert.ok(counts.size > 4, [...counts].join())
})

// Time

test('a ping tells the round trip to any hop', () => {
  const world = new World({ hops: 3 }).build()
  for (const hop of [3, 1]) {
    world.input({ type: 'ping', ...(hop === 3 ? {} : { hop }) })
    world.now = after(world.now, 70 + hop)
    world.deliver()
    assert.deepEqual(world.outputs.at(-1), { type: 'pong', hop, rttMs: 70 + hop })
  }
})

test('a silent circuit is asked, and ends when its last hop does not answer', () => {
  const world = new World({ hops: 2 }).build()
  const wake = (ms: number): void => {
    world.now = after(world.now, ms)
    world.input({ type: 'wake' })
  }
  wake(19_999)
  assert.equal(world.deliver(), 0)
  wake(1)
  assert.ok(world.deliver() > 0, 'a ping went out')
  wake(10_000)
  assert.equal(world.client.hasEnded, false)
  assert.equal(world.client.wakeAt, after(world.now, 10_000))
  wake(10_000)
  world.intercept = () => []
  world.deliver()
  wake(9_999)
  assert.equal(world.client.hasEnded, false)
  wake(1)
  assert.deepEqual([world.ending.error?.code, world.ending.hop], ['CIRCUIT_DESTROYED', undefined])
})

test('closing says so to the first hop, without a reason, and forgets all keys', () => {
  const wiped = new Set<number>()
  let made = 0
  const cipher: CellCipher = {
    layer: (keys) => {
      const number = made++
      return { ...thinCells.layer(keys), wipe: () => void wiped.add(number) }
    }
  }
  const world = new World({ hops: 2, clientCrypto: quickCrypto(new World({ hops: 0 }).random, cipher) }).build(1)
  world.input({ type: 'close' })
  assert.deepEqual(world.ending, { type: 'ended', error: undefined, hop: undefined })
  assert.deepEqual([...wiped], [0, 1])
  world.deliver(1)
  assert.deepEqual([world.passed.at(-1)?.cell.command, world.passed.at(-1)?.cell.body[0]], [cellCommands.destroy, 0])
  world.input({ type: 'ping' })
  world.input({ type: 'close' })
  assert.equal(world.outputs.length, 2)
})

test('what a driver must not do is told to it', () => {
  const world = new World({ hops: 2 })
  assert.throws(() => world.input({ type: 'open', stream: 1, protocol: 'pqs' }), /not ready/)
  world.build(1)
  world.input({ type: 'open', stream: 1, protocol: 'pqs' })
  assert.throws(() => world.build(2), /in use/)
  world.input({ type: 'end', stream: 1, reason: 'broken' })
  world.failures.set(2, 'silent')
  world.build(2)
  world.input({ type: 'consumed', stream: 1, bytes: 5 })
  assert.equal(world.client.hasEnded, false, 'a late word of a stream that is gone does no harm')
})
