import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Millis } from '../../src/core/base/index.ts'
import { type InboxInput, InboxMachine, type InboxOutput } from '../../src/core/message/index.ts'
import { runDeliverySchedule } from '../../src/testing/delivery-simulation.ts'

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

describe('delivery under faults, in short', () => {
  it('keeps every promise in 150 schedules', async () => {
    for (let seed = 100_001; seed <= 100_150; seed++) await runDeliverySchedule({ seed })
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
