import assert from 'node:assert/strict'
import { test } from 'node:test'
import { after, millis, type Millis } from '../../../src/core/base/index.ts'
import { relayKeeperDefaults, RelayKeeperMachine } from '../../../src/core/nat/relay-keeper.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'

const start = millis(1_000)
const candidate = (peerId: string, rank = 1, isPinned = false) => ({ peerId, rank, isPinned })

function machineWith(...candidates: readonly ReturnType<typeof candidate>[]) {
  const machine = new RelayKeeperMachine({ random: new SeededRandom(1) })
  const first = machine.handle({ type: 'candidates', candidates }, start)
  return { machine, asked: first.map(({ type, peerId }) => `${type} ${peerId}`) }
}

const says = (outputs: readonly { readonly type: string; readonly peerId: string }[]): readonly string[] =>
  outputs.map(({ type, peerId }) => `${type} ${peerId}`)

/** Wakes the machine as often as it wants to until `end`. */
function runUntil(machine: RelayKeeperMachine, end: Millis): readonly string[] {
  const said: string[] = []
  for (let at = machine.wakeAt; at !== undefined && at <= end; at = machine.wakeAt) said.push(...says(machine.handle({ type: 'wake' }, at)))
  return said
}

test('the two best candidates are asked, and no third one while they answer', () => {
  const { machine, asked } = machineWith(candidate('c', 3), candidate('a', 1), candidate('b', 2))
  assert.deepEqual(asked, ['ask a', 'ask b'])
  for (const peerId of ['a', 'b']) assert.deepEqual(machine.handle({ type: 'reserved', peerId }, after(start, 50)), [])
  assert.deepEqual(machine.reserved, ['a', 'b'])
  assert.equal(machine.wakeAt, undefined, 'nothing to do until something is lost')
})

test('when a relay dies the next candidate is asked at once, not the dead one', () => {
  const { machine } = machineWith(candidate('a'), candidate('b', 2), candidate('c', 3))
  for (const peerId of ['a', 'b']) machine.handle({ type: 'reserved', peerId }, start)
  assert.deepEqual(says(machine.handle({ type: 'lost', peerId: 'a' }, after(start, 60_000))), ['ask c'])
  machine.handle({ type: 'reserved', peerId: 'c' }, after(start, 60_100))
  assert.deepEqual([...machine.reserved].sort(), ['b', 'c'])
  assert.deepEqual(says(machine.handle({ type: 'hint', peerId: 'a' }, after(start, 70_000))), [], 'two are enough')
})

test('a relay that is silent holds up no other, and is left when it answers too late', () => {
  const { machine, asked } = machineWith(candidate('silent'), candidate('a', 2), candidate('b', 3))
  assert.deepEqual(asked, ['ask silent', 'ask a'])
  machine.handle({ type: 'reserved', peerId: 'a' }, after(start, 20))
  assert.deepEqual(runUntil(machine, after(start, relayKeeperDefaults.patienceMs)), ['ask b'])
  machine.handle({ type: 'reserved', peerId: 'b' }, after(start, 800))
  assert.deepEqual(says(machine.handle({ type: 'reserved', peerId: 'silent' }, after(start, 3_000))), ['release silent'])
  assert.deepEqual(machine.reserved, ['a', 'b'])
})

test('the only relay is asked again after delays that double up to a minute, for as long as it takes', () => {
  const { machine } = machineWith(candidate('a'))
  let now = start
  const delays: number[] = []
  for (let round = 0; round < 12; round++) {
    machine.handle({ type: 'failed', peerId: 'a', isRefused: false }, now)
    const at = machine.wakeAt ?? now
    delays.push(at - now)
    now = at
    assert.deepEqual(says(machine.handle({ type: 'wake' }, now)), ['ask a'])
  }
  delays.forEach((delay, round) => {
    const ceiling = Math.min(60_000, 1_000 * 2 ** round)
    assert.ok(delay >= ceiling / 2 && delay <= ceiling, `${delay} ms in round ${round}`)
  })
})

test('a relay that refuses is asked again much later, or when something has changed', () => {
  const { machine } = machineWith(candidate('a'))
  machine.handle({ type: 'failed', peerId: 'a', isRefused: true }, start)
  assert.ok((machine.wakeAt ?? 0) - start >= relayKeeperDefaults.firstRefusedMs / 2)
  assert.deepEqual(says(machine.handle({ type: 'hint', peerId: 'a' }, after(start, 10))), ['ask a'])
})

test('pinned relays are kept all, whatever the others do', () => {
  const { machine, asked } = machineWith(candidate('x', 0, true), candidate('y', 0, true), candidate('z', 0, true), candidate('a'))
  assert.deepEqual(asked, ['ask x', 'ask y', 'ask z'])
  for (const peerId of ['x', 'y', 'z']) machine.handle({ type: 'reserved', peerId }, start)
  assert.deepEqual(machine.reserved, ['x', 'y', 'z'])
  machine.handle({ type: 'lost', peerId: 'y' }, after(start, 10))
  assert.deepEqual(runUntil(machine, after(start, 2_000)), ['ask y'])
})

test('a relay that is no candidate any more is kept until it is lost, and then forgotten', () => {
  const { machine } = machineWith(candidate('a'), candidate('b'))
  for (const peerId of ['a', 'b']) machine.handle({ type: 'reserved', peerId }, start)
  machine.handle({ type: 'candidates', candidates: [candidate('b')] }, start)
  assert.deepEqual(machine.reserved, ['a', 'b'])
  machine.handle({ type: 'lost', peerId: 'a' }, start)
  assert.deepEqual([machine.reserved, machine.wakeAt], [['b'], undefined])
})

test('an attempt of which nothing is heard is taken for failed', () => {
  const { machine } = machineWith(candidate('a'))
  const said = runUntil(machine, after(start, relayKeeperDefaults.askTimeoutMs + 2_000))
  assert.deepEqual(said, ['ask a'])
})

test('whatever happens, no more than two places are held without being pinned, and nobody is asked twice at a time', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new SeededRandom(seed)
    const machine = new RelayKeeperMachine({ random })
    const names = ['a', 'b', 'c', 'd']
    const asking = new Set<string>()
    let now = start
    for (let step = 0; step < 60; step++) {
      now = after(now, random.integer(0, 5_000))
      const peerId = random.pick(names)
      const outputs = random.pick([
        () => machine.handle({ type: 'candidates', candidates: names.filter(() => random.chance(0.7)).map((name) => candidate(name)) }, now),
        () => (asking.delete(peerId) ? machine.handle({ type: 'reserved', peerId }, now) : []),
        () => (asking.delete(peerId) ? machine.handle({ type: 'failed', peerId, isRefused: random.chance(0.5) }, now) : []),
        () => machine.handle({ type: 'lost', peerId }, now),
        () => machine.handle({ type: 'hint', peerId }, now),
        () => machine.handle({ type: 'wake' }, now)
      ])()
      for (const output of outputs) if (output.type === 'ask') asking.add(output.peerId)
      assert.ok(machine.reserved.length <= relayKeeperDefaults.wanted, `seed ${seed}: ${machine.reserved.join()}`)
    }
  }
})
