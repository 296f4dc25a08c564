import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { millis, wallMillis } from '../../../src/core/base/index.ts'
import {
  backoffCapMs,
  backoffMs,
  elapsedMs,
  expiryOf,
  Heap,
  instantAt,
  isSentBefore,
  messageTypeNumber,
  messageTypeOfNumber,
  messageTypes,
  remainingLifeMs,
  Ulids,
  wallClockGraceMs
} from '../../../src/core/message/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { instant } from './samples.ts'

const tenYearsMs = 10 * 365 * 86_400_000

describe('ulid', () => {
  it('rises strictly, whatever the clock does', () => {
    const ulids = new Ulids(new SeededRandom(1))
    const times = [5, 5, 5, 6, 3, 1_760_000_000_000, 1_760_000_000_000, 4, -1, Number.MAX_SAFE_INTEGER, 9]
    const ids = times.flatMap((time) => Array.from({ length: 50 }, () => ulids.next(wallMillis(time))))
    assert.deepEqual(ids.toSorted(), ids)
    assert.equal(new Set(ids).size, ids.length)
    for (const id of ids) assert.match(id, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/)
  })

  it('begins with the time, as the ULID specification spells it', () => {
    assert.equal(new Ulids(new SeededRandom(1)).next(wallMillis(1_469_918_176_385)).slice(0, 10), '01ARYZ6S41')
  })
})

describe('age', () => {
  it('goes by the monotonic clock within one boot, whatever the wall clock does', () => {
    for (const wall of [0, 1_760_000_000_000 - tenYearsMs, 1_760_000_000_000 + tenYearsMs]) {
      assert.equal(elapsedMs(instant(1_000), instant(6_000, { wall: wallMillis(wall) })), 5_000)
      assert.equal(expiryOf({ accepted: instant(1_000), ttlMs: 60_000 }, instant(6_000, { wall: wallMillis(wall) })), 61_000)
    }
  })

  it('across boots goes by the wall clock, never below zero', () => {
    const accepted = instant(9_000_000)
    const later = (wallDeltaMs: number): ReturnType<typeof instant> =>
      instant(500, { bootId: 'boot-2', wall: wallMillis(accepted.wall + wallDeltaMs) })
    assert.equal(elapsedMs(accepted, later(70_000)), 70_000)
    assert.equal(elapsedMs(accepted, later(-70_000)), 0)
  })

  it('grants an hour after a reboot to what a wall clock that jumped ahead would expire at once', () => {
    const accepted = instant(9_000_000)
    const start = instant(500, { bootId: 'boot-2', wall: wallMillis(accepted.wall + tenYearsMs) })
    assert.equal(expiryOf({ accepted, ttlMs: 86_400_000 }, start), 500 + wallClockGraceMs)
    assert.equal(expiryOf({ accepted, ttlMs: 60_000 }, start), 500 + 60_000)
  })

  it('never grants more than the ttl after a reboot with a wall clock that went back', () => {
    const accepted = instant(9_000_000)
    const start = instant(500, { bootId: 'boot-2', wall: wallMillis(accepted.wall - tenYearsMs) })
    assert.equal(expiryOf({ accepted, ttlMs: 86_400_000 }, start), 500 + 86_400_000)
  })

  it('places a later instant by the monotonic clock alone', () => {
    assert.deepEqual(instantAt(instant(1_000), millis(4_000)), instant(4_000))
  })

  it('at the recipient compares times of the sender only', () => {
    assert.equal(remainingLifeMs({ timestamp: wallMillis(5_000), ttlS: 10 }, wallMillis(8_000)), 7_000)
    assert.equal(remainingLifeMs({ timestamp: wallMillis(5_000), ttlS: 10 }, wallMillis(16_000)), -1_000)
    assert.equal(remainingLifeMs({ timestamp: wallMillis(5_000), ttlS: 10 }, wallMillis(1)), 10_000)
  })
})

describe('backoff', () => {
  it('doubles its cap from half a second to a minute, for any number of failures', () => {
    assert.deepEqual([1, 2, 3, 7, 8, 9, 1_000_000].map(backoffCapMs), [500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000])
  })

  it('draws evenly below the cap, so that senders do not return together', () => {
    const random = new SeededRandom(3)
    const waits = Array.from({ length: 2_000 }, () => backoffMs(8, random))
    assert.ok(waits.every((wait) => wait >= 0 && wait <= 60_000))
    const buckets = new Set(waits.map((wait) => Math.floor(wait / 100)))
    assert.ok(buckets.size > 500)
    for (const bucket of buckets) assert.ok(waits.filter((wait) => Math.floor(wait / 100) === bucket).length < 0.1 * waits.length)
  })
})

describe('priority queue', () => {
  it('gives higher priorities first, then lower sequences', () => {
    const item = fc.record({ priority: fc.integer({ min: 0, max: 10 }), sequence: fc.nat() })
    fc.assert(
      fc.property(fc.array(item), (items) => {
        const heap = new Heap(isSentBefore)
        for (const each of items) heap.push(each)
        const popped = items.map(() => heap.pop())
        assert.deepEqual(
          popped,
          items.toSorted((a, b) => b.priority - a.priority || a.sequence - b.sequence)
        )
        assert.equal(heap.pop(), undefined)
      })
    )
  })

  it('keeps its order when items are dropped', () => {
    const heap = new Heap<number>((a, b) => a < b)
    for (const value of [9, 4, 7, 1, 8, 2]) heap.push(value)
    heap.retain((value) => value % 2 === 0)
    assert.deepEqual([heap.pop(), heap.pop(), heap.pop(), heap.pop()], [2, 4, 8, undefined])
  })
})

describe('message types', () => {
  it('have the wire numbers 1 to 9, both ways', () => {
    assert.deepEqual(messageTypes.map(messageTypeNumber), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    for (const type of messageTypes) assert.equal(messageTypeOfNumber(messageTypeNumber(type)), type)
    for (const value of [0, 10, -1, 1.5, '1', null]) assert.equal(messageTypeOfNumber(value), undefined)
  })
})
