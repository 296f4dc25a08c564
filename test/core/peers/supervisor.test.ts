import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Millis, millis } from '../../../src/core/base/index.ts'
import { type SupervisorInput, SupervisorMachine, type SupervisorOutput, supervisorDefaults } from '../../../src/core/peers/index.ts'
import { seeded } from './support.ts'

/** Runs the machine on a virtual clock against peers that are reachable or not. */
class World {
  now: Millis = millis(0)
  readonly machine = new SupervisorMachine({ random: seeded('supervisor') })
  readonly dials: { readonly at: number; readonly peerId: string }[] = []
  readonly reachable = new Set<string>()

  input(input: SupervisorInput): void {
    this.#perform(this.machine.handle(input, this.now))
  }

  until(end: number): void {
    for (let at = this.machine.wakeAt; at !== undefined && at <= end; at = this.machine.wakeAt) {
      this.now = millis(Math.max(this.now, at))
      this.input({ type: 'wake' })
    }
    this.now = millis(end)
  }

  #perform(outputs: readonly SupervisorOutput[]): void {
    for (const { peerId } of outputs) {
      this.dials.push({ at: this.now, peerId })
      this.input(this.reachable.has(peerId) ? { type: 'connected', peerId } : { type: 'dial-failed', peerId })
    }
  }
}

test('a wanted peer is dialled at once', () => {
  const world = new World()
  world.reachable.add('b')
  world.input({ type: 'want', peerId: 'b' })
  assert.deepEqual(world.dials, [{ at: 0, peerId: 'b' }])
  assert.deepEqual(world.machine.counts, { wanted: 1, connected: 1 })
})

test('a bootstrap peer that was lost for five minutes is reconnected within a minute of its return', () => {
  const world = new World()
  world.reachable.add('b')
  world.input({ type: 'want', peerId: 'b' })
  world.until(60_000)
  world.reachable.delete('b')
  world.input({ type: 'disconnected', peerId: 'b' })
  world.until(360_000)
  assert.equal(world.machine.counts.connected, 0)
  world.reachable.add('b')
  world.until(360_000 + supervisorDefaults.maxDelayMs)
  assert.equal(world.machine.counts.connected, 1)
})

test('it never gives up: a peer that was away for a day is dialled again within the longest delay', () => {
  const world = new World()
  world.input({ type: 'want', peerId: 'b' })
  world.until(86_400_000)
  const last = world.dials.at(-1)?.at ?? 0
  assert.ok(86_400_000 - last <= supervisorDefaults.maxDelayMs, `last dial at ${last}`)
})

test('the delays double from half a second to a minute, jittered down to a half', () => {
  const world = new World()
  world.input({ type: 'want', peerId: 'b' })
  world.until(3_600_000)
  const times = world.dials.map((dial) => dial.at)
  for (let index = 1; index < times.length; index++) {
    const delay = (times[index] ?? 0) - (times[index - 1] ?? 0)
    const ceiling = Math.min(60_000, 500 * 2 ** (index - 1))
    assert.ok(delay >= ceiling / 2 && delay <= ceiling + 1, `delay ${index} is ${delay}, ceiling ${ceiling}`)
  }
})

test('a peer that hangs up after every handshake is not dialled in a storm', () => {
  const world = new World()
  world.reachable.add('b')
  world.input({ type: 'want', peerId: 'b' })
  for (let second = 1; second <= 600; second++) {
    if (world.machine.counts.connected === 1) world.input({ type: 'disconnected', peerId: 'b' })
    world.until(second * 1_000)
  }
  assert.ok(world.dials.length < 25, `${world.dials.length} dials in ten minutes`)
})

test('after a connection that held, the delay begins at its shortest again', () => {
  const world = new World()
  world.input({ type: 'want', peerId: 'b' })
  world.until(600_000)
  world.reachable.add('b')
  world.until(700_000)
  world.until(800_000)
  world.reachable.delete('b')
  const before = world.dials.length
  world.input({ type: 'disconnected', peerId: 'b' })
  world.until(800_500)
  assert.equal(world.dials.length, before + 1)
})

test('no more dials run at one time than the limit, and a dial of which nothing is heard is taken for failed', () => {
  const machine = new SupervisorMachine({ random: seeded('many') })
  let dials = 0
  for (let peer = 0; peer < 50; peer++) dials += machine.handle({ type: 'want', peerId: `p${peer}` }, millis(0)).length
  assert.equal(dials, supervisorDefaults.maxDials)
  assert.equal(machine.wakeAt, supervisorDefaults.dialTimeoutMs)
  assert.equal(machine.handle({ type: 'wake' }, millis(supervisorDefaults.dialTimeoutMs)).length, supervisorDefaults.maxDials)
})

test('a peer that is not wanted any more is left alone', () => {
  const world = new World()
  world.input({ type: 'want', peerId: 'b' })
  world.input({ type: 'unwant', peerId: 'b' })
  const before = world.dials.length
  world.until(600_000)
  assert.equal(world.dials.length, before)
  assert.equal(world.machine.wakeAt, undefined)
})

test('a hint dials a waiting peer now', () => {
  const world = new World()
  world.input({ type: 'want', peerId: 'b' })
  world.until(600_000)
  world.reachable.add('b')
  world.input({ type: 'hint', peerId: 'b' })
  assert.equal(world.machine.counts.connected, 1)
})

test('a peer that had called before it was wanted is not dialled', () => {
  const world = new World()
  world.input({ type: 'connected', peerId: 'b' })
  world.input({ type: 'want', peerId: 'b' })
  assert.deepEqual(world.dials, [])
  assert.equal(world.machine.counts.connected, 1)
})
