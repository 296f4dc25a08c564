import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { after } from '../../../src/core/base/index.ts'
import { type Cell, cellCommands, cellSizes, type ExtendFailure } from '../../../src/core/onion/index.ts'
import { echo, quickCrypto, realWorld, thinCells, World } from './circuit-support.ts'

type Spoil = 'flip' | 'drop' | 'repeat' | 'swap'

/** Spoils the n-th RELAY cell of a link and direction; says whether it did. */
function spoiler(
  world: World,
  where: { readonly link: number; readonly direction: 'forward' | 'backward'; readonly nth: number },
  how: Spoil
): () => boolean {
  let seen = 0
  let held: Cell | undefined
  world.intercept = (cell, { link, direction }) => {
    if (link !== where.link || direction !== where.direction || cell.command === cellCommands.destroy) return [cell]
    seen++
    if (held !== undefined) {
      const first = held
      held = undefined
      return [cell, first]
    }
    if (seen !== where.nth) return [cell]
    if (how === 'drop') return []
    if (how === 'repeat') return [cell, { ...cell, body: cell.body.slice() }]
    if (how === 'swap') {
      held = cell
      return []
    }
    const at = world.random.integer(0, cellSizes.body - 1)
    cell.body[at] = (cell.body[at] ?? 0) ^ (1 << world.random.integer(0, 7))
    return [cell]
  }
  return () => seen > where.nth
}

const spoilt = fc.record(
  {
    how: fc.constantFrom<Spoil>('flip', 'drop', 'repeat', 'swap'),
    direction: fc.constantFrom('forward' as const, 'backward' as const),
    hops: fc.integer({ min: 1, max: 5 }),
    link: fc.nat(),
    nth: fc.integer({ min: 1, max: 9 }),
    seed: fc.nat()
  },
  { noNullPrototype: true }
)

test('a cell that is altered, dropped, repeated or swapped at any link ends the circuit, and what arrived before is all that arrives', () => {
  fc.assert(
    fc.property(spoilt, ({ how, direction, hops, link, nth, seed }) => {
      const world = new World({ hops, seed, serve: echo }).build()
      world.input({ type: 'open', stream: 1, protocol: 'pqs' })
      world.deliver()
      const wasSpoilt = spoiler(world, { link: link % hops, direction, nth }, how)
      const bytes = world.random.bytes(12_000)
      world.input({ type: 'write', stream: 1, bytes })
      world.deliver()
      assert.ok(wasSpoilt())
      assert.equal(world.ending.error?.code, direction === 'forward' ? 'CIRCUIT_DESTROYED' : 'CIRCUIT_INTEGRITY')
      const received = world.received(1)
      assert.ok(received.length < bytes.length && Buffer.from(bytes).subarray(0, received.length).equals(received))
    }),
    { numRuns: 60 }
  )
})

test('after a spoilt cell no hop recognises anything of that direction', () => {
  const world = new World({ hops: 3, serve: echo }).build()
  world.input({ type: 'open', stream: 1, protocol: 'pqs' })
  world.deliver()
  const before = world.recognised.length
  spoiler(world, { link: 1, direction: 'forward', nth: 1 }, 'flip')
  world.input({ type: 'write', stream: 1, bytes: world.random.bytes(5_000) })
  world.deliver()
  assert.equal(world.recognised.length, before)
  assert.equal(world.ending.error?.code, 'CIRCUIT_DESTROYED')
})

test('every reason for which a hop is not added is told with its number', () => {
  for (const reason of ['unknown', 'unreachable', 'refused', 'timeout'] as const satisfies readonly ExtendFailure[]) {
    const world = new World({ hops: 4 })
    world.failures.set(3, reason)
    const { error, hop } = world.build().ending
    assert.equal(error?.code, 'CIRCUIT_EXTEND_REFUSED')
    assert.equal(hop, 3)
    assert.equal(error?.details['hop'], 3)
    assert.equal(world.client.isReady, false)
    assert.equal(world.passed.at(-1)?.cell.command, cellCommands.destroy)
  }
})

test('a hop that does not answer in time ends the circuit', () => {
  for (const silent of [2, 4]) {
    const world = new World({ hops: 4 })
    world.failures.set(silent, 'silent')
    world.build(silent)
    assert.equal(world.client.wakeAt, after(world.now, 2_000))
    world.now = after(world.now, 1_999)
    world.input({ type: 'wake' })
    assert.equal(world.client.hasEnded, false)
    world.now = after(world.now, 1)
    world.input({ type: 'wake' })
    const { error, hop } = world.ending
    assert.deepEqual([error?.code, error?.details['hop'], error?.details['elapsedMs'], hop], ['CIRCUIT_BUILD_TIMEOUT', silent, 2_000, silent])
    assert.equal(world.client.wakeAt, undefined)
  }
})

test('a forged answer to a handshake is refused, and blamed on its hop', () => {
  for (const hop of [1, 3]) {
    const world = realWorld(3)
    world.build(hop - 1)
    world.intercept = (cell, { link }) => {
      if (link === hop - 1 && cell.command === cellCommands.created) cell.body[40] = (cell.body[40] ?? 0) ^ 1
      return [cell]
    }
    const { error, hop: blamed } = world.build().ending
    assert.deepEqual([error?.code, blamed], ['CIRCUIT_HANDSHAKE_FAILED', hop])
  }
})

test('an onion key that is no point ends the circuit before anything is sent', () => {
  const world = realWorld(1)
  const target = world.targets[0]
  assert.ok(target !== undefined)
  world.input({ type: 'extend', target: { ...target, onionKey: new Uint8Array(32) }, level: 3, timeoutMs: 1_000 })
  assert.deepEqual([world.ending.error?.code, world.ending.hop], ['CIRCUIT_HANDSHAKE_FAILED', 1])
})

test('DESTROY while a hop is added blames that hop; later it blames nobody', () => {
  const destroy: Cell = { circuit: 1, command: cellCommands.destroy, body: new Uint8Array(cellSizes.body) }
  const building = new World({ hops: 3 }).build(1)
  building.failures.set(2, 'silent')
  building.build(2)
  building.input({ type: 'cell', cell: destroy })
  assert.deepEqual([building.ending.error?.code, building.ending.hop], ['CIRCUIT_EXTEND_REFUSED', 2])
  const ready = new World({ hops: 3 }).build()
  const passed = ready.passed.length
  ready.input({ type: 'cell', cell: destroy })
  assert.deepEqual([ready.ending.error?.code, ready.ending.hop], ['CIRCUIT_DESTROYED', undefined])
  assert.equal(ready.deliver(), 0, 'nothing is said back')
  assert.equal(ready.passed.length, passed)
})

test('a lost link ends the circuit', () => {
  const ready = new World({ hops: 2 }).build()
  ready.input({ type: 'lost' })
  assert.deepEqual([ready.ending.error?.code, ready.ending.hop], ['CIRCUIT_DESTROYED', 1])
  const building = new World({ hops: 2 })
  building.failures.set(2, 'silent')
  building.build()
  building.input({ type: 'lost' })
  assert.deepEqual([building.ending.error?.code, building.ending.error?.details['hop']], ['CIRCUIT_EXTEND_REFUSED', 2])
})

test('cells that never go towards a client, and answers to nothing, end the circuit', () => {
  for (const command of [cellCommands.relayEarly, cellCommands.create, cellCommands.created]) {
    const world = new World({ hops: 2 }).build()
    world.input({ type: 'cell', cell: { circuit: 1, command, body: new Uint8Array(cellSizes.body) } })
    assert.equal(world.ending.error?.code, 'CIRCUIT_VIOLATION')
  }
  const world = new World({ hops: 2 }).build()
  const relay = world.relays[1]
  relay?.perform(relay.layers?.end.send({ type: 'extended', reply: new Uint8Array(cellSizes.created) }) ?? [])
  world.deliver()
  assert.deepEqual([world.ending.error?.code, world.ending.hop], ['CIRCUIT_VIOLATION', 2])
})

test('the hop before the new one alone may say that it was added', () => {
  const world = new World({ hops: 4 }).build(2)
  world.failures.set(3, 'silent')
  world.build(3)
  const relay = world.relays[0]
  relay?.perform(relay.layers?.end.send({ type: 'extended', reply: new Uint8Array(cellSizes.created) }) ?? [])
  world.deliver()
  assert.equal(world.ending.error?.code, 'CIRCUIT_VIOLATION')
})

test('a relay cell before the first hop is there is of nobody', () => {
  const world = new World({ hops: 1 })
  world.input({ type: 'cell', cell: { circuit: 1, command: cellCommands.relay, body: new Uint8Array(cellSizes.body) } })
  assert.equal(world.ending.error?.code, 'CIRCUIT_INTEGRITY')
})

test('a circuit that spent its RELAY_EARLY cells is not extended', () => {
  const world = new World({ hops: 9, seed: 4, members: 1, cryptoOf: (random) => quickCrypto(random, thinCells) }).build(1)
  for (let pings = 0; pings < 20; pings++) world.input({ type: 'ping' })
  const { error, hop } = world.build().ending
  assert.equal(error?.code, 'CIRCUIT_EXTEND_REFUSED')
  assert.match(error?.message ?? '', /no RELAY_EARLY cells left/)
  assert.ok(hop !== undefined && hop > 4, `hop ${hop}`)
})
