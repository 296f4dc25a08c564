import assert from 'node:assert/strict'
import { test } from 'node:test'
import { poolDefaults } from '../../../src/core/onion/pool-types.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { idOf, member, members } from './path-support.ts'
import { PoolWorld } from './pool-world.ts'

const destinations = [201, 202, 203, 204]
const directory = [...members(25), ...destinations.map((index) => member(index, { role: 'endpoint' }))]
const pickId = (random: SeededRandom): string => idOf(random.integer(1, 25))

interface Wants {
  readonly requests: number[]
  readonly cancelled: Set<number>
}

/** One thing that may happen at any time. */
const happenings: readonly ((world: PoolWorld, random: SeededRandom, wants: Wants) => void)[] = [
  (world, random, { requests }) =>
    requests.push(world.want(idOf(random.pick(destinations)), { isFresh: random.chance(0.2), hops: random.integer(1, 5) })),
  (world, random) => world.dead.add(pickId(random)),
  (world, random) => world.silent.add(pickId(random)),
  (world) => [...world.dead, ...world.silent].slice(0, 2).forEach((id) => void (world.dead.delete(id), world.silent.delete(id))),
  (world, random) => world.members(directory.filter(() => random.chance(0.95))),
  (world, random) => {
    const circuits = world.pool.circuits
    if (circuits.length > 0) world.input({ type: random.pick(['ended', 'close']), circuit: random.pick(circuits).id })
  },
  (world, random) => {
    const ready = world.pool.circuits.filter(({ state }) => state === 'ready' || state === 'draining')
    if (ready.length > 0) world.input({ type: 'streams', circuit: random.pick(ready).id, streams: random.integer(0, 2) })
  },
  (world, random, { requests, cancelled }) => {
    const request = random.pick([0, ...requests])
    cancelled.add(request)
    world.input({ type: 'cancel', request })
  },
  (world, random) => world.input({ type: 'online', isOnline: random.chance(0.9) })
]

test('whatever happens, circuits keep to one destination, are bounded and known to both sides, and each want is answered once', () => {
  const only = process.env['SEED']
  const seeds = only === undefined ? Array.from({ length: 25 }, (_, index) => index + 1) : [Number(only)]
  for (const seed of seeds) {
    const random = new SeededRandom(seed)
    const world = new PoolWorld(directory, { seed, limits: { circuits: 12 } })
    const wants: Wants = { requests: [], cancelled: new Set() }
    for (let step = 0; step < 150; step++) {
      random.pick(happenings)(world, random, wants)
      world.run(random.integer(0, 40_000))
      assert.ok(world.pool.circuits.length <= 12, `SEED=${seed}`)
    }
    for (const { id } of world.pool.circuits) world.input({ type: 'streams', circuit: id, streams: 0 })
    world.dead.clear()
    world.silent.clear()
    world.members(directory)
    world.run(poolDefaults.hardMs)
    const answers = [...world.outputs('ready'), ...world.outputs('failed')].map(({ request }) => request)
    assert.equal(new Set(answers).size, answers.length, `SEED=${seed}: a want was answered twice`)
    const open = wants.requests.filter((request) => !answers.includes(request) && !wants.cancelled.has(request))
    assert.deepEqual(open, [], `SEED=${seed}: wants without an answer`)
    assert.ok(world.up.size === world.pool.circuits.length && world.up.size <= 4, `SEED=${seed}: ${world.up.size} circuits are up`)
  }
})
