import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { ackBeforeCommit, plant } from './planted.ts'
import { killStores } from './store-kill.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const kills = Number(process.env['KILLS'] ?? 25)
const root = join(import.meta.dirname, '../..')

test(`${kills} kills of a process that writes to its store lose nothing that was confirmed (SEED=${seed})`, { timeout: 600_000 }, async (t) => {
  const report = await killStores({ kills, seed, root })
  t.diagnostic(JSON.stringify(report))
  assert.deepEqual([report.lostAccepted, report.lostStored, report.givenAfterAck, report.damage], [[], [], [], []])
  assert.ok(report.accepted > kills && report.stored > kills && report.acked > kills, 'the kills came while messages were written')
})

test(`the same kills catch a store that confirms before its COMMIT (SEED=${seed})`, { timeout: 600_000 }, async (t) => {
  const planted = plant(ackBeforeCommit)
  t.after(planted.remove)
  const report = await killStores({ kills: 12, seed, root: planted.root })
  t.diagnostic(`lost ${report.lostAccepted.length} accepted and ${report.lostStored.length} stored of ${report.accepted + report.stored}`)
  assert.ok(report.lostAccepted.length + report.lostStored.length > 10)
})
