import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { randomOf } from './store-kill.ts'
import { faultsOf, type SweptCall, SyscallSweep, sweptCalls, twoAtOnce, whyNoSweep } from './syscall-sweep.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
/** Points of each call in the suite; ALL=1 takes every one. */
const share = process.env['ALL'] === '1' ? Number.POSITIVE_INFINITY : 8
const root = join(import.meta.dirname, '../..')

const reason = whyNoSweep()
if (reason !== undefined && process.env['CI'] === 'true') throw new Error(reason)
const options = { skip: reason ?? false, timeout: 600_000 }

async function newSweep(context: TestContext): Promise<SyscallSweep> {
  const sweep = await SyscallSweep.create(root)
  context.after(() => sweep.remove())
  return sweep
}

/** The first and the last call and some between, all different. */
function pointsOf(count: number): readonly number[] {
  const random = randomOf(seed)
  const all = Array.from({ length: count }, (_, index) => index + 1)
  if (count <= share) return all
  const points = new Set([1, 2, count - 1, count])
  while (points.size < share) points.add(1 + Math.floor(random() * count))
  return [...points].sort((a, b) => a - b)
}

for (const call of sweptCalls) {
  test(`a crash at a ${call} of the delivery path loses nothing that was confirmed (SEED=${seed})`, options, async (t) => {
    const sweep = await newSweep(t)
    const count = await sweep.count(call)
    const points = await twoAtOnce(pointsOf(count), (at) => sweep.kill(call, at))
    const hits = points.filter(({ wasHit }) => wasHit).length
    t.diagnostic(`${call}: ${count} calls, ${points.length} points, ${hits} hits`)
    assert.ok(hits > 0 && hits >= points.length - 1, `${hits} hits of ${points.length}: the kill must come where it was asked for`)
    assert.deepEqual(faultsOf(points), [])
  })
}

test('the store syncs with fsync: a sweep over fdatasync would test nothing', options, async (t) => {
  assert.equal(await (await newSweep(t)).count('fdatasync'), 0)
})

const failures: readonly { readonly call: SweptCall; readonly error: 'ENOSPC' | 'EIO'; readonly codes: readonly string[] }[] = [
  { call: 'pwrite64', error: 'ENOSPC', codes: ['DISK_FULL'] },
  { call: 'pwrite64', error: 'EIO', codes: ['STORE_FAILED'] },
  { call: 'fsync', error: 'EIO', codes: ['STORE_FAILED'] },
  { call: 'fsync', error: 'ENOSPC', codes: ['DISK_FULL', 'STORE_FAILED'] }
]

for (const { call, error, codes } of failures) {
  test(`${error} from ${call} on is one of ${codes.join(', ')}, and nothing that was confirmed is lost`, options, async (t) => {
    const sweep = await newSweep(t)
    const count = await sweep.count(call)
    const some = pointsOf(count).filter((_, index) => share === Number.POSITIVE_INFINITY || index % 2 === 0)
    const points = await twoAtOnce(some, (from) => sweep.fail(call, error, { from }))
    assert.deepEqual(faultsOf(points), [])
    assert.ok(points.filter(({ wasHit }) => wasHit).length > points.length / 2)
    for (const { at, errors } of points) for (const each of errors) assert.ok(codes.includes(each), `${call} ${at}: ${each}`)
  })
}

test('a disk that is full for a while: DISK_FULL, and the same process goes on by itself', options, async (t) => {
  const sweep = await newSweep(t)
  const count = await sweep.count('pwrite64')
  const points = await twoAtOnce(
    [0.5, 0.6, 0.7].map((part) => Math.floor(part * count)),
    (from) => sweep.fail('pwrite64', 'ENOSPC', { from, times: 4 })
  )
  assert.deepEqual(faultsOf(points), [])
  for (const { errors } of points) assert.deepEqual([...new Set(errors)], ['DISK_FULL'])
})
