import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSkipped } from './lab.ts'
import { LabNet } from './net.ts'
import { directPairs, faultsOf, isDirect, limitsNow, matrix, meetAll, type Pair, type PairLimits, table } from './pairs.ts'

const limits: PairLimits = { firstByteMs: 500, settledMs: 10_000 }

test('nodes behind all kinds of NAT reach each other, directly where physics allows', { timeout: 400_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up()
  const pairs: readonly Pair[] = [...matrix, ['web1', 'open1']]
  const results = await meetAll(net, pairs, limits)
  t.diagnostic(`\n${table(results)}`)
  assert.equal(results.length, 37)
  const faults = results.flatMap((result) => faultsOf(result, limitsNow(limits)).map((fault) => `${result.pair} ${fault} ${result.notes.join(' ')}`))
  assert.deepEqual(faults, [])
  const direct = results.filter(({ paths }) => isDirect(paths[0])).length
  assert.ok(direct >= directPairs.size && directPairs.size === 22, `${direct} of ${results.length} pairs are direct`)
})

test('with 50 ms in each direction and 2 % of the packets lost, too', { timeout: 400_000 }, async (t) => {
  if (isSkipped(t)) return
  await using net = await LabNet.up()
  const oneWayMs = 50
  await net.lab.delay(oneWayMs, 2)
  // One pair for each way to a connection; `npm run bench nat` has them all.
  const pairs: readonly Pair[] = [
    ['open1', 'port2'],
    ['cone1', 'sym2'],
    ['port1', 'dbl2'],
    ['addr1', 'v62'],
    ['sym1', 'sym2'],
    ['port1', 'sym2'],
    ['tcp1', 'tcp2'],
    ['v61', 'v62']
  ]
  const delayed: PairLimits = { ...limits, firstByteMs: limits.firstByteMs + 16 * oneWayMs }
  const results = await meetAll(net, pairs, delayed)
  t.diagnostic(`\n${table(results)}`)
  assert.deepEqual(
    results.flatMap((result) => faultsOf(result, limitsNow(delayed)).map((fault) => `${result.pair} ${fault} ${result.notes.join(' ')}`)),
    []
  )
})
