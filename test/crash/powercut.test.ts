import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { cutPower, whyNoPowerCut } from './powercut.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const root = join(import.meta.dirname, '../..')
const options = { skip: whyNoPowerCut() ?? false, timeout: 120_000 }

test(`after a power cut everything that was confirmed is on the disk (SEED=${seed})`, options, async (t) => {
  const cuts = await cutPower({ cuts: Number(process.env['CUTS'] ?? 6), seed, root, synchronous: 'FULL' })
  for (const { lostAccepted, lostStored, damage } of cuts) assert.deepEqual([lostAccepted, lostStored, damage], [[], [], []])
  t.diagnostic(cuts.map(({ accepted, stored }) => `${accepted} accepted and ${stored} stored, 0 lost`).join('; '))
  assert.ok(cuts.every(({ accepted, stored }) => accepted > 0 && stored > 0))
})

test(`the same cuts catch a store that never syncs (SEED=${seed})`, options, async (t) => {
  const cuts = await cutPower({ cuts: 2, seed, root, synchronous: 'OFF' })
  t.diagnostic(cuts.map(({ lost }) => `${lost} lost`).join('; '))
  assert.ok(cuts.some(({ lost }) => lost > 0))
})
