import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idOf, member, members } from './path-support.ts'
import { PoolWorld } from './pool-world.ts'

const endpoint = (index: number) => member(index, { role: 'endpoint' })

test('where every circuit has work, whoever wants one more has those told that can do without, and gets the place', () => {
  const endpoints = Array.from({ length: 8 }, (_, index) => endpoint(101 + index))
  const world = new PoolWorld([...members(20), ...endpoints], { limits: { spares: 0, circuits: 4 } })
  const used = [0, 1, 2, 3].map((index) => world.ready(world.want(idOf(101 + index))).id)
  for (const circuit of used) world.input({ type: 'streams', circuit, streams: 1 })
  assert.equal(world.outputs('crowded').length, 0, 'nobody is told while nobody waits')
  const requests = [world.want(idOf(105)), world.want(idOf(106))]
  assert.equal(world.outputs('crowded').at(-1)?.count, 2)
  for (const circuit of used.slice(0, 2)) world.input({ type: 'streams', circuit, streams: 0 })
  for (const request of requests) assert.ok(world.ready(request).destination !== undefined)
  assert.equal(world.pool.circuits.length, 4)
  assert.deepEqual(
    world.pool.circuits.map(({ id }) => id).filter((id) => used.includes(id)),
    used.slice(2)
  )
})

test('relays over which the destination is not reached are not on the way of the next attempt', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = new PoolWorld([...members(6), endpoint(101)], { seed, limits: { spares: 1 }, hops: 2 })
    world.unreachable = (path) => path.slice(1).some(({ peerId }) => peerId === idOf(4))
    for (let round = 0; round < 10; round++) {
      const circuit = world.ready(world.want(idOf(101), { isFresh: true }))
      assert.ok(!circuit.path.slice(1).some(({ peerId }) => peerId === idOf(4)))
      world.input({ type: 'close', circuit: circuit.id })
    }
  }
})

test('circuits that end while they have work are counted for ten minutes, once for each cause, and no relay is blamed', () => {
  const world = new PoolWorld([...members(20), endpoint(101), endpoint(102)], { limits: { spares: 0 } })
  const used = (destination: number): number => {
    const { id } = world.ready(world.want(idOf(destination)))
    world.input({ type: 'streams', circuit: id, streams: 1 })
    return id
  }
  for (let round = 1; round <= 3; round++) {
    const circuits = [used(101), used(102)]
    for (const circuit of circuits) world.input({ type: 'ended', circuit })
    assert.equal(world.pool.status.broken, round)
    world.run(2_000)
  }
  world.input({ type: 'ended', circuit: world.ready(world.want(idOf(101))).id })
  assert.equal(world.pool.status.broken, 3, 'one without work tells nothing')
  assert.deepEqual(world.pool.status.dropped, [])
  world.run(600_000)
  world.input({ type: 'wake' })
  assert.equal(world.pool.status.broken, 0)
})
