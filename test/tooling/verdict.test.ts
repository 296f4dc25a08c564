import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verdictOf } from '../../scripts/lib/verdict.ts'

const last = (floors: Parameters<typeof verdictOf>[0]): string => verdictOf(floors).lines.at(-1) ?? ''

test('a figure on the right side of its floor passes', () => {
  assert.equal(last([{ name: 'rate', value: 3_000, unit: 'messages/s', atLeast: 3_000 }]), 'verdict: pass (1 floors met)')
  assert.equal(last([{ name: 'p50', value: 15, unit: 'ms', atMost: 15 }]), 'verdict: pass (1 floors met)')
})

test('a missed floor fails and is named', () => {
  assert.equal(last([{ name: 'rate', value: 2_999, unit: 'messages/s', atLeast: 3_000 }]), 'verdict: fail (missed: rate)')
  assert.equal(last([{ name: 'p50', value: Number.NaN, unit: 'ms', atMost: 15 }]), 'verdict: fail (missed: p50)')
})

test('an absolute floor fails only if the ratio to the reference of the same run is missed too', () => {
  const reference = { name: 'the same with synchronous=OFF', value: 4_000, ratioAtLeast: 0.3 }
  assert.equal(last([{ name: 'rate', value: 1_200, unit: 'messages/s', atLeast: 3_000, reference }]), 'verdict: pass (1 floors met)')
  assert.equal(last([{ name: 'rate', value: 1_199, unit: 'messages/s', atLeast: 3_000, reference }]), 'verdict: fail (missed: rate)')
})

test('a reference without a ratio excuses nothing', () => {
  assert.equal(verdictOf([{ name: 'rate', value: 1, unit: '/s', atLeast: 2, reference: { name: 'x', value: 1 } }]).isMet, false)
})

test('a bench that measured nothing fails', () => {
  assert.equal(last([]), 'verdict: fail (nothing was measured)')
})
