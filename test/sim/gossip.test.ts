import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runDeliverySchedule } from '../../src/testing/delivery-simulation.ts'

// SEED=n replays one schedule; SIM_RUNS sets how many are run, SIM_FIRST the first seed.
const one = process.env['SEED']
const first = Number(one ?? process.env['SIM_FIRST'] ?? 1)
const runs = one === undefined ? Number(process.env['SIM_RUNS'] ?? 300) : 1

describe('messages to everybody at once, under faults', () => {
  it(`lose nobody and are handed out once in ${runs} seeded schedules from seed ${first}`, async () => {
    let gossiped = 0
    let crashes = 0
    for (let seed = first; seed < first + runs; seed++) {
      const report = await runDeliverySchedule({ seed, gossip: true, nodes: 4 })
      gossiped += report.gossiped
      crashes += report.crashes
    }
    if (runs < 100) return
    assert.ok(gossiped > 3 * runs, `${gossiped} messages`)
    assert.ok(crashes > runs, `${crashes} crashes`)
  })
})
