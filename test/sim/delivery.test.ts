import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type InboxInput, InboxMachine, type InboxOutput } from '../../src/core/message/index.ts'
import type { Millis } from '../../src/core/base/index.ts'
import { runDeliverySchedule } from '../../src/testing/delivery-simulation.ts'

// SEED=n replays one schedule; SIM_RUNS sets how many are run, SIM_FIRST the first seed.
const one = process.env['SEED']
const first = Number(one ?? process.env['SIM_FIRST'] ?? 1)
const runs = one === undefined ? Number(process.env['SIM_RUNS'] ?? 5_000) : 1

/** Signs its receipts before the store has committed. */
class HastyInbox extends InboxMachine {
  override handle(input: InboxInput, now: Millis): readonly InboxOutput[] {
    if (input.type === 'admitted' || input.type === 'admit-failed') return []
    const out: InboxOutput[] = []
    for (const output of super.handle(input, now)) {
      out.push(output)
      if (output.type !== 'admit') continue
      const outcomes = output.messages.map(() => ({ outcome: 'stored', repeat: true, position: 0 }) as const)
      out.push(...super.handle({ type: 'admitted', token: output.token, outcomes }, now))
    }
    return out
  }
}

describe('delivery under faults', () => {
  it(`keeps every promise in ${runs} seeded schedules from seed ${first}`, async () => {
    const ends: Record<string, number> = {}
    let crashes = 0
    for (let seed = first; seed < first + runs; seed++) {
      const report = await runDeliverySchedule({ seed })
      crashes += report.crashes
      for (const [end, count] of Object.entries(report.ends)) ends[end] = (ends[end] ?? 0) + count
    }
    if (runs < 1_000) return
    // The schedules did meet what they are for.
    assert.ok(crashes > runs, `${crashes} crashes`)
    for (const end of ['stored', 'read', 'held', 'expired-unknown', 'failed EXPIRED', 'failed CANCELLED', 'failed COMMAND_NOT_ALLOWED']) {
      assert.ok((ends[end] ?? 0) > 0, `no message ended ${end}`)
    }
  })

  it('replays a schedule from its seed', async () => {
    assert.deepEqual(await runDeliverySchedule({ seed: 7 }), await runDeliverySchedule({ seed: 7 }))
  })

  it('catches a recipient that signs before its commit', async () => {
    const broken = async (): Promise<void> => {
      for (let seed = 1; seed <= 60; seed++) await runDeliverySchedule({ seed, makeInbox: (options) => new HastyInbox(options) })
    }
    await assert.rejects(broken, /seed \d+, at \d+ ms: .* lost at its recipient/)
  })

  it('keeps them in a larger mesh too', async () => {
    const report = await runDeliverySchedule({ seed: 42, nodes: 8, messages: 200, chaosMs: 300_000 })
    assert.ok(report.accepted > 150)
  })
})
