import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { outcomeOfPath, type ReachOutcome, ReachRates } from '../../../src/core/nat/index.ts'

const outcomes = fc.array(fc.constantFrom<ReachOutcome>('direct', 'indirect', 'failed'), { maxLength: 260 })

function ratesOf(list: readonly ReachOutcome[]): ReachRates {
  const rates = new ReachRates()
  for (const each of list) rates.add(each)
  return rates
}

test('the rates are the shares of what was counted, over all and over the last 100', () => {
  fc.assert(
    fc.property(outcomes, (list) => {
      for (const [rate, part] of [
        [ratesOf(list).lifetime, list],
        [ratesOf(list).last100, list.slice(-100)]
      ] as const) {
        const share = (count: number): number | undefined => (part.length === 0 ? undefined : count / part.length)
        assert.equal(rate.count, part.length)
        assert.equal(rate.reachable, share(part.filter((each) => each !== 'failed').length))
        assert.equal(rate.direct, share(part.filter((each) => each === 'direct').length))
      }
    })
  )
})

test('what is encoded is decoded as it was', () => {
  fc.assert(
    fc.property(outcomes, (list) => {
      const rates = ratesOf(list)
      const again = ReachRates.decode(rates.encode())
      assert.deepEqual([again.lifetime, again.last100], [rates.lifetime, rates.last100])
      assert.deepEqual(again.encode(), rates.encode())
    })
  )
})

test('bytes that are none of ours begin anew, and never throw', () => {
  const empty = { count: 0, reachable: undefined, direct: undefined }
  assert.deepEqual(ReachRates.decode(undefined).lifetime, empty)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (noise, cut) => {
      const sound = ratesOf(['direct', 'failed', 'indirect']).encode()
      if (cut < 25) assert.deepEqual(ReachRates.decode(sound.subarray(0, cut)).lifetime, empty)
      const { lifetime, last100 } = ReachRates.decode(noise)
      assert.ok(last100.count <= Math.min(100, lifetime.count))
      assert.ok((lifetime.reachable ?? 0) <= 1 && (lifetime.direct ?? 0) <= (lifetime.reachable ?? 1))
    }),
    { numRuns: 2_000 }
  )
})

test('only a way with nobody between counts as direct', () => {
  const paths = ['direct-lan', 'direct-ipv6', 'direct-mapped', 'direct-public', 'punched', 'turn', 'relayed', undefined] as const
  assert.deepEqual(paths.map(outcomeOfPath), ['direct', 'direct', 'direct', 'direct', 'direct', 'indirect', 'indirect', 'failed'])
})
