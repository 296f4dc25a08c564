import assert from 'node:assert/strict'
import { test } from 'node:test'
import { QuietMemory } from '../../src/daemon/quiet-memory.ts'

const mebibyte = 1_048_576

function rig() {
  const state = { cpuMicros: 0, rssBytes: 100 * mebibyte, collected: 0 }
  const memory = new QuietMemory({
    cpuMicros: () => state.cpuMicros,
    rssBytes: () => state.rssBytes,
    collect: () => {
      state.collected++
      state.rssBytes = 110 * mebibyte
    }
  })
  return { state, memory }
}

test('memory that a load took is given back when the process is quiet again, twice and not for ever', () => {
  const { state, memory } = rig()
  state.cpuMicros += 2_000_000
  state.rssBytes = 300 * mebibyte
  assert.equal(memory.check(), false)
  state.cpuMicros += 1_000
  assert.deepEqual([memory.check(), memory.check(), memory.check(), memory.check()], [true, true, false, false])
  assert.equal(state.collected, 2)
  state.cpuMicros += 2_000_000
  assert.deepEqual([memory.check(), memory.check()], [false, true])
})

test('a process at work, and one that took next to nothing, is left alone', () => {
  const { state, memory } = rig()
  for (let round = 0; round < 10; round++) {
    state.cpuMicros += 1_000_000
    state.rssBytes += 20 * mebibyte
    assert.equal(memory.check(), false)
  }
  state.rssBytes = 105 * mebibyte
  assert.equal(memory.check(), false)
  assert.equal(state.collected, 0)
})
