import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChangeBell } from '../../src/mesh/onion/change-bell.ts'
import type { Timers } from '../../src/mesh/ports.ts'

test('the first change is told at once, those of the next quarter of a second together, and the last one always', () => {
  const due: (() => void)[] = []
  const timers: Timers = { schedule: (_delayMs, run) => (due.push(run), () => due.splice(due.indexOf(run), 1)) }
  const bell = new ChangeBell(timers)
  let told = 0
  const end = bell.listen(() => void (told += 1))
  bell.ring()
  assert.equal(told, 1)
  for (let index = 0; index < 100; index++) bell.ring()
  assert.equal(told, 1)
  due.shift()?.()
  assert.equal(told, 2)
  due.shift()?.()
  assert.equal(told, 2, 'nothing has changed since')
  bell.ring()
  assert.equal(told, 3)
  end()
  bell.ring()
  bell.stop()
  assert.equal(told, 3)
  assert.deepEqual(due, [])
})
