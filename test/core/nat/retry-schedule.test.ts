import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Millis, millis } from '../../../src/core/base/index.ts'
import { type RetryInput, RetrySchedule } from '../../../src/core/nat/index.ts'

/** The schedule on a virtual clock; each traversal takes `lastsMs` and finds nothing better. */
class World {
  now: Millis = millis(0)
  readonly schedule = new RetrySchedule()
  readonly begun: { readonly at: number; readonly peerId: string; readonly retry: number }[] = []
  readonly #ends: { readonly at: number; readonly peerId: string }[] = []
  readonly #lastsMs: number
  mostAtOnce = 0

  constructor(lastsMs: number) {
    this.#lastsMs = lastsMs
  }

  input(input: RetryInput): void {
    for (const { peerId, retry } of this.schedule.handle(input, this.now)) {
      this.begun.push({ at: this.now, peerId, retry })
      this.#ends.push({ at: this.now + this.#lastsMs, peerId })
      this.mostAtOnce = Math.max(this.mostAtOnce, this.#ends.length)
    }
  }

  until(end: number): void {
    for (;;) {
      const first = this.#ends[0]
      const wakeAt = this.schedule.wakeAt ?? Number.POSITIVE_INFINITY
      const at = Math.min(first?.at ?? Number.POSITIVE_INFINITY, wakeAt)
      if (at > end) break
      this.now = millis(Math.max(this.now, at))
      if (first === undefined || wakeAt < first.at) {
        this.input({ type: 'wake' })
        continue
      }
      this.#ends.shift()
      this.input({ type: 'ended', peerId: first.peerId, wasAsked: false })
    }
    this.now = millis(end)
  }

  timesOf(peerId: string): readonly number[] {
    return this.begun.filter((each) => each.peerId === peerId).map(({ at }) => at)
  }
}

test('the side that opened the relayed connection looks for a better way at once, then after 30 s, 2 min and every 10 min', () => {
  const world = new World(3_000)
  world.input({ type: 'relayed', peerId: 'b', isOurs: true })
  world.until(1_500_000)
  assert.deepEqual(world.timesOf('b'), [0, 33_000, 156_000, 759_000, 1_362_000])
  assert.equal(world.schedule.nextAt('b'), 1_965_000)
})

test('the side that was called leaves it to the other one for 5 s, and 10 s more while that one tries', () => {
  const world = new World(0)
  world.input({ type: 'relayed', peerId: 'b', isOurs: false })
  world.input({ type: 'relayed', peerId: 'c', isOurs: false })
  world.input({ type: 'peer-tries', peerId: 'c' })
  world.until(39_999)
  assert.deepEqual([world.timesOf('b'), world.timesOf('c')], [[5_000], [10_000]])
  world.until(40_000)
  assert.deepEqual(world.timesOf('b'), [5_000, 40_000])
})

test('a change of network begins anew, also for a traversal that was running meanwhile', () => {
  const world = new World(3_000)
  world.input({ type: 'relayed', peerId: 'b', isOurs: true })
  world.until(1_000_000)
  const before = world.timesOf('b').length
  world.input({ type: 'network-changed' })
  world.until(1_002_000)
  world.input({ type: 'network-changed' })
  world.until(1_100_000)
  assert.deepEqual(world.timesOf('b').slice(before), [1_001_000, 1_005_000, 1_038_000])
})

test('a peer that is direct or gone is left alone', () => {
  const world = new World(0)
  world.input({ type: 'relayed', peerId: 'b', isOurs: true })
  world.input({ type: 'settled', peerId: 'b' })
  world.until(10_000_000)
  assert.deepEqual([world.timesOf('b'), world.schedule.wakeAt, world.schedule.nextAt('b')], [[0], undefined, undefined])
})

test('what the operator asks for puts the next one off, and leaves the delays as they are', () => {
  const world = new World(0)
  world.input({ type: 'relayed', peerId: 'b', isOurs: true })
  world.until(20_000)
  world.input({ type: 'begun', peerId: 'b' })
  world.until(40_000)
  assert.deepEqual(world.timesOf('b'), [0], 'none beside the one that runs')
  world.input({ type: 'ended', peerId: 'b', wasAsked: true })
  assert.equal(world.schedule.nextAt('b'), 70_000, 'as long as before, from now on')
  world.until(70_000)
  assert.deepEqual([world.timesOf('b'), world.schedule.nextAt('b')], [[0, 70_000], 190_000])
})

test('a hundred relayed peers after a change of network: four at a time, and each has its turn', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9_500 }), fc.integer({ min: 1, max: 100 }), (lastsMs, peers) => {
      const world = new World(lastsMs)
      for (let peer = 0; peer < peers; peer++) world.input({ type: 'relayed', peerId: `p${peer}`, isOurs: peer % 2 === 0 })
      world.input({ type: 'network-changed' })
      world.until(30_000 + Math.ceil(peers / 4) * lastsMs * 2)
      assert.ok(world.mostAtOnce <= 4)
      for (let peer = 0; peer < peers; peer++) assert.ok(world.timesOf(`p${peer}`).length > 0, `p${peer}`)
    }),
    { numRuns: 50 }
  )
})
