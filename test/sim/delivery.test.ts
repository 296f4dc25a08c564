import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runDeliverySchedule } from '../../src/testing/delivery-simulation.ts'

// SEED=n replays one schedule; SIM_RUNS sets how many are run, SIM_FIRST the first seed.
const one = process.env['SEED']
const first = Number(one ?? process.env['SIM_FIRST'] ?? 1)
const runs = one === undefined ? Number(process.env['SIM_RUNS'] ?? 5_000) : 1

describe('delivery under faults', () => {
  it(`keeps every promise in ${runs} seeded schedules from seed ${first}`, async () => {
    const ends: Record<string, number> = {}
    const onRoute = { direct: 0, onion: 0 }
    let crashes = 0
    for (let seed = first; seed < first + runs; seed++) {
      const report = await runDeliverySchedule({ seed })
      crashes += report.crashes
      onRoute.direct += report.onRoute.direct
      onRoute.onion += report.onRoute.onion
      for (const [end, count] of Object.entries(report.ends)) ends[end] = (ends[end] ?? 0) + count
    }
    if (runs < 1_000) return
    // The schedules did meet what they are for.
    assert.ok(crashes > runs, `${crashes} crashes`)
    assert.ok(onRoute.direct > 20 * runs && onRoute.onion > 20 * runs, `${onRoute.direct} transmissions directly, ${onRoute.onion} over circuits`)
    for (const end of ['stored', 'read', 'held', 'expired-unknown', 'failed EXPIRED', 'failed CANCELLED', 'failed COMMAND_NOT_ALLOWED']) {
      assert.ok((ends[end] ?? 0) > 0, `no message ended ${end}`)
    }
  })
})
