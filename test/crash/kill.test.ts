import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { killDaemons } from './kill.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const kills = Number(process.env['KILLS'] ?? 50)

test(
  `${kills} kills of sender, recipient or both while messages flow lose nothing and hand nothing out again (SEED=${seed})`,
  { timeout: 280_000 },
  async (t) => {
    const report = await killDaemons({ kills, seed, root: join(import.meta.dirname, '../..') })
    t.diagnostic(JSON.stringify(report))
    const { lostAccepted, lostStored, givenAfterAck, notEnded, damage, wrong } = report
    assert.deepEqual(
      { lostAccepted, lostStored, givenAfterAck, notEnded, damage, wrong },
      { lostAccepted: [], lostStored: [], givenAfterAck: [], notEnded: [], damage: [], wrong: [] }
    )
    assert.ok(report.accepted > kills && report.read > kills && report.redelivered > 0, 'messages flowed')
  }
)
