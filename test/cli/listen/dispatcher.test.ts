import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Dispatcher, type DispatcherOptions, type HandledReport } from '../../../src/cli/listen/dispatcher.ts'
import type { Handled } from '../../../src/cli/listen/handler.ts'
import { heard } from './message.ts'

const said = { answer: Buffer.alloc(0), stdout: '', stderr: '', dropped: { stdout: 0, stderr: 0 } }
const done: Handled = { outcome: 'done', exitCode: 0, ...said }
const failed: Handled = { outcome: 'failed', exitCode: 1, reason: 'exit code 1', ...said }

function rig(options: Partial<DispatcherOptions> = {}) {
  const reports: HandledReport[] = []
  const finished: string[] = []
  const stop = new AbortController()
  const dispatcher = new Dispatcher({
    handle: async () => done,
    maxRunning: 1,
    attempts: 3,
    interrupted: stop.signal,
    finish: async ({ id }) => {
      finished.push(id)
      return {}
    },
    report: async (report) => void reports.push(report),
    random: () => 0,
    ...options
  })
  return { dispatcher, reports, finished, stop }
}

test('never more handlers run than were allowed, and all messages are handled', async () => {
  for (const maxRunning of [1, 4]) {
    let running = 0
    let most = 0
    const { dispatcher, finished } = rig({
      maxRunning,
      handle: async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
        return done
      }
    })
    for (let index = 0; index < 50; index++) await dispatcher.take(heard({ id: `m${index}` }))
    await dispatcher.settle()
    assert.equal(most, maxRunning)
    assert.equal(finished.length, 50)
  }
})

test('a failure is tried again after 1 s, then 2 s, while others go on, and after the last attempt the message is given up', async () => {
  const tries: string[] = []
  const { dispatcher, reports, finished } = rig({
    handle: async ({ id }) => {
      tries.push(id)
      return id === 'bad' ? failed : done
    }
  })
  const { finished: ending } = await dispatcher.take(heard({ id: 'bad' }))
  await dispatcher.take(heard({ id: 'good' }))
  assert.equal(await ending, 'given-up')
  assert.deepEqual(tries, ['bad', 'good', 'bad', 'bad'])
  assert.deepEqual(finished, ['good'])
  const bad = reports.filter(({ handled }) => handled === 'bad')
  assert.deepEqual(
    bad.map(({ outcome, attempt, retryInMs }) => [outcome, attempt, retryInMs]),
    [
      ['failed', 1, 1_000],
      ['failed', 2, 2_000],
      ['given-up', 3, undefined]
    ]
  )
})

test('what would fail in the same way again is given up at once, and patience that is asked for is given', async () => {
  const { dispatcher, reports } = rig({
    handle: async ({ id }) => ({ ...failed, ...(id === 'final' ? { isFinal: true } : { retryAfterMs: 3_000 }) })
  })
  assert.equal(await (await dispatcher.take(heard({ id: 'final' }))).finished, 'given-up')
  const patient = rig({ attempts: 2, handle: async () => ({ ...failed, retryAfterMs: 1_500 }) })
  assert.equal(await (await patient.dispatcher.take(heard())).finished, 'given-up')
  assert.equal(await (await dispatcher.take(heard({ id: 'late', delivery: 'volatile' }))).finished, 'given-up')
  assert.deepEqual(
    reports.map(({ handled, outcome, attempt }) => [handled, outcome, attempt]),
    [
      ['final', 'given-up', 1],
      ['late', 'given-up', 1]
    ]
  )
  assert.equal(patient.reports[0]?.retryInMs, 1_500)
})

test('an interruption acknowledges nothing, not even what says that it succeeded, and ends what waits', async () => {
  const running = Promise.withResolvers<void>()
  const { dispatcher, finished, reports, stop } = rig({
    handle: async (_message, interrupted) => {
      running.resolve()
      await new Promise<void>((resolve) => interrupted.addEventListener('abort', () => resolve()))
      return done
    }
  })
  const { finished: first } = await dispatcher.take(heard())
  await running.promise
  stop.abort()
  assert.equal(await first, 'interrupted')
  const waiting = rig({ handle: async () => failed, attempts: 100 })
  const { finished: second } = await waiting.dispatcher.take(heard())
  setImmediate(() => waiting.stop.abort())
  assert.equal(await second, 'interrupted')
  assert.deepEqual([finished, waiting.finished], [[], []])
  assert.equal(reports[0]?.outcome, 'interrupted')
})

test('an answer that cannot be sent leaves the message unread, and a daemon that is gone ends the listener', async () => {
  const { dispatcher, reports } = rig({ finish: async () => ({ problem: 'the thread waits for a person' }) })
  assert.equal(await (await dispatcher.take(heard())).finished, 'given-up')
  assert.equal(reports[0]?.reason, 'the thread waits for a person')
  const gone = rig({ finish: async () => Promise.reject(new Error('gone')) })
  await gone.dispatcher.take(heard())
  await assert.rejects(gone.dispatcher.settle(), /gone/)
})
