import assert from 'node:assert/strict'
import { test } from 'node:test'
import { after, millis, wallMillis } from '../../../src/core/base/index.ts'
import { BuildTimeout, paretoQuantile } from '../../../src/core/onion/build-timeout.ts'
import { RelayRecord, relayRecordDefaults } from '../../../src/core/onion/relay-record.ts'
import { utcText } from '../../../src/core/onion/utc-text.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const start = millis(1_000)
const { firstDropMs } = relayRecordDefaults

test('a relay through which fewer than half of the last twenty builds came about is left out for a while, and told', () => {
  const record = new RelayRecord()
  for (let build = 0; build < 9; build++) record.built(['guard', 'bad', `c${build}`], start)
  for (let build = 0; build < 10; build++) assert.deepEqual(record.failed(['guard', 'bad', 'x'], 2, start), [])
  assert.ok(!record.isDropped('bad', start), 'ten of nineteen: the twentieth may save it')
  const dropped = record.failed(['other', 'bad', 'x'], 2, start)
  assert.deepEqual(dropped, [{ peerId: 'bad', failed: 11, builds: 20, until: after(start, firstDropMs) }])
  assert.ok(record.isDropped('bad', after(start, firstDropMs - 1)))
  assert.equal(record.dropped(start).length, 1)
  assert.ok(!record.isDropped('x', start), 'the build did not come to it')
  // It begins anew, and is left out for twice as long.
  const back = after(start, firstDropMs)
  assert.ok(!record.isDropped('bad', back))
  for (let build = 0; build < 10; build++) assert.deepEqual(record.failed([`g${build}`, 'bad'], 2, back), [])
  assert.equal(record.failed(['g', 'bad'], 2, back)[0]?.until, after(back, 2 * firstDropMs))
})

test('a few relays that are gone do not have those before them left out', () => {
  const record = new RelayRecord()
  for (let build = 0; build < 60; build++) {
    const now = after(start, 5_000 * build)
    // Twice in three builds the next relay is one of three that were stopped.
    if (build % 3 === 0) record.built(['guard', 'middle', 'last'], now)
    else record.failed(['guard', `gone${build % 4}`, 'last'], 2, now)
    assert.ok(!record.isDropped('guard', now), `after ${build + 1} builds`)
  }
  assert.ok(record.isResting('gone1', after(start, 300_000)))
})

test('a guard that lets the circuits of others fail is told by that, and those it refuses are not', () => {
  const random = new SeededRandom(5)
  const record = new RelayRecord()
  let builds = 0
  while (!record.isDropped('hostile', start) && builds < 200) {
    const middle = random.integer(1, 40)
    // It goes on to its four friends only.
    if (middle <= 4) record.built(['hostile', `m${middle}`, 'last'], start)
    else record.failed(['hostile', `m${middle}`, 'last'], 2, start)
    builds += 1
  }
  assert.ok(builds <= 20, `${builds} builds`)
  for (let middle = 5; middle <= 40; middle++) assert.ok(!record.isDropped(`m${middle}`, start))
})

test('the relay at which a build ended rests, longer each time in a row', () => {
  const record = new RelayRecord()
  record.failed(['a', 'b', 'c'], 2, start)
  assert.ok(record.isResting('b', after(start, 29_999)))
  assert.ok(!record.isResting('b', after(start, 30_000)))
  assert.ok(!record.isResting('a', start) && !record.isResting('c', start))
  record.failed(['a', 'b'], 2, after(start, 30_000))
  assert.ok(record.isResting('b', after(start, 89_999)))
  record.built(['a', 'b'], after(start, 40_000))
  assert.ok(!record.isResting('b', after(start, 40_000)))
  record.failed(['a', 'b', 'c'], undefined, start)
  assert.ok(!record.isResting('c', start), 'where it ended is not known')
})

test('what relays carried is remembered of a bounded number of them', () => {
  const record = new RelayRecord({ relays: 3 })
  record.carried(['a', 'b'], 1_000)
  record.carried(['a'], 3_000)
  assert.equal(record.observed.get('a'), 2_000)
  record.carried(['c', 'd'], 10)
  assert.deepEqual([...record.observed.keys()], ['a', 'c', 'd'])
  for (let relay = 0; relay < 10; relay++) record.failed([`r${relay}`], 1, start)
  assert.ok(!record.isResting('r6', start) && record.isResting('r7', start))
})

test('the wait for a step follows what builds took: 80 % would be done', () => {
  const random = new SeededRandom(2)
  const timeout = new BuildTimeout()
  assert.equal(timeout.stepMs(3), 3_000, 'a guess at first')
  assert.equal(timeout.stepMs(4), 5_000, 'ten round trips for four hops, six for three')
  assert.equal(timeout.stepMs(8), 10_000, 'no step takes longer')
  // Pareto with scale 2,000 ms and shape 4: 80 % are under 2,991 ms.
  const samples = Array.from({ length: 100 }, () => 2_000 * (1 - random.fraction()) ** (-1 / 4))
  for (const sample of samples) timeout.built(3, sample)
  assert.ok(timeout.stepMs(3) > 2_500 && timeout.stepMs(3) < 3_600, `${timeout.stepMs(3)}`)
  const done = samples.filter((sample) => sample <= timeout.stepMs(3)).length
  assert.ok(done >= 70 && done <= 90, `${done} of 100`)
  for (let build = 0; build < 100; build++) timeout.built(4, 50)
  assert.equal(timeout.stepMs(3), 1_500, 'never less')
  assert.equal(paretoQuantile([100, 100, 100], { quantile: 0.8, binMs: 10 }) < 125, true)
})

test('when most builds take too long what was learnt is forgotten, and the wait is doubled', () => {
  const timeout = new BuildTimeout()
  for (let build = 0; build < 100; build++) timeout.built(3, 100)
  assert.equal(timeout.stepMs(3), 1_500)
  for (let build = 0; build < 20; build++) timeout.timedOut(3)
  assert.ok(timeout.stepMs(3) >= 3_000, `${timeout.stepMs(3)}`)
  for (let build = 0; build < 100; build++) timeout.timedOut(3)
  assert.equal(timeout.stepMs(3), 10_000)
})

test('times are told in UTC, to the minute', () => {
  const random = new SeededRandom(8)
  const times = [0, 951_782_399_999, 951_782_400_000, 4_107_542_399_000, ...Array.from({ length: 500 }, () => random.integer(0, 8_000_000_000_000))]
  for (const time of times) assert.equal(utcText(wallMillis(time)), `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`)
})
