import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../../src/core/base/index.ts'
import { poolDefaults } from '../../../src/core/onion/pool-types.ts'
import { idOf, member, members } from './path-support.ts'
import { hopMs, PoolWorld } from './pool-world.ts'

const endpoint = (index: number) => member(index, { role: 'endpoint' })
const mesh = (relays: number) => [...members(relays), endpoint(101), endpoint(102), endpoint(103)]
const idsOf = (path: readonly { readonly peerId: string }[]): readonly string[] => path.map(({ peerId }) => peerId)

test('two circuits are kept ready, of three or four relays, and are replaced before they expire', () => {
  const world = new PoolWorld(mesh(20))
  world.run(5_000)
  assert.deepEqual(world.pool.status.circuits, { building: 0, spare: 2, extending: 0, ready: 0, draining: 0 })
  const lengths = new Set<number>()
  for (let minute = 0; minute < 180; minute++) {
    world.run(60_000)
    assert.ok(world.pool.circuits.filter(({ state }) => state === 'spare').length >= 2)
    for (const { path } of world.pool.circuits) lengths.add(path.length)
  }
  assert.deepEqual(
    [...lengths].sort((a, b) => a - b),
    [3, 4]
  )
  const built = world.outputs('build').length
  // Two at a time, of seven to eleven minutes each.
  assert.ok(built > 30 && built < 56, `${built} in three hours`)
  assert.equal(world.up.size, world.pool.circuits.length)
})

test('a spare circuit gets the destination in one step, and another takes its place', () => {
  const world = new PoolWorld(mesh(20))
  world.run(5_000)
  const before = world.now
  const request = world.want(idOf(101))
  const circuit = world.ready(request)
  assert.deepEqual({ ...world.answer(request) }, { type: 'ready', request, circuit: circuit.id, isWarm: true, attempts: 1 })
  assert.equal(world.now - before, 2 * hopMs * (circuit.path.length + 1))
  assert.equal(circuit.destination, idOf(101))
  world.run(5_000)
  assert.equal(world.pool.status.circuits.spare, 2)
  const again = world.want(idOf(101))
  assert.deepEqual(world.answer(again), { type: 'ready', request: again, circuit: circuit.id, isWarm: true, attempts: 0 })
})

test('a circuit that is being built is taken when none is ready, and those who want the same share it', () => {
  const world = new PoolWorld(mesh(20))
  const [first, second] = [world.want(idOf(101)), world.want(idOf(101))]
  const circuit = world.ready(first)
  assert.equal(world.ready(second).id, circuit.id)
  const answer = world.answer(first)
  assert.ok(answer?.type === 'ready' && !answer.isWarm)
  const n = circuit.path.length
  assert.equal(world.now - 1_000, hopMs * n * (n + 1) + 2 * hopMs * (n + 1))
})

test('no circuit serves two destinations, nor two that want one of their own', () => {
  const world = new PoolWorld(mesh(20))
  const requests = [
    world.want(idOf(101)),
    world.want(idOf(102)),
    world.want(idOf(101), { isFresh: true }),
    world.want(idOf(103)),
    world.want(idOf(101), { hops: 5 })
  ]
  const circuits = requests.map((request) => world.ready(request))
  assert.equal(new Set(circuits.map(({ id }) => id)).size, 5)
  assert.equal(circuits[4]?.path.length, 5)
})

test('a spare circuit near the destination is left for others', () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = new PoolWorld(members(5), { seed })
    world.run(2_000)
    const [spare] = world.pool.circuits
    const relay = spare?.path[1]?.peerId ?? ''
    const circuit = world.ready(world.want(relay))
    assert.ok(!idsOf(circuit.path).includes(relay))
    assert.ok(circuit.path.length <= 4)
  }
})

test('a circuit in use gets its successor before it expires; work moves, then the old one is closed', () => {
  const world = new PoolWorld(mesh(20))
  const first = world.ready(world.want(idOf(101)))
  world.input({ type: 'streams', circuit: first.id, streams: 2 })
  const end = first.expiresAt
  world.run(end - world.now)
  const [move] = world.outputs('succeed')
  assert.ok(move !== undefined, 'no successor in time')
  const at = world.log.find(({ output }) => output.type === 'succeed')?.at ?? 0
  assert.ok(at < end && at >= end - poolDefaults.aheadMs)
  assert.deepEqual([move.destination, move.from], [idOf(101), first.id])
  const next = world.circuit(move.to)
  assert.deepEqual([next.state, next.destination, world.circuit(first.id).state], ['ready', idOf(101), 'draining'])
  const request = world.want(idOf(101))
  assert.equal(world.ready(request).id, move.to, 'new work goes to the new one')
  world.input({ type: 'streams', circuit: first.id, streams: 0 })
  assert.equal(world.pool.circuit(first.id), undefined)
  assert.ok(!world.up.has(first.id))
  // Work that does not move does not keep it for ever.
  world.input({ type: 'streams', circuit: next.id, streams: 1 })
  world.run(poolDefaults.lifeMs + poolDefaults.lifeSpreadMs + poolDefaults.drainMs)
  assert.equal(world.pool.circuit(next.id), undefined)
  assert.equal(world.outputs('succeed').length, 2)
})

test('a circuit without work is closed when it expires, with no successor', () => {
  const world = new PoolWorld(mesh(20))
  const circuit = world.ready(world.want(idOf(101)))
  const lifeMs = circuit.expiresAt - world.now
  assert.ok(lifeMs >= 480_000 && lifeMs <= 720_000)
  world.run(lifeMs)
  assert.equal(world.pool.circuit(circuit.id), undefined)
  assert.equal(world.outputs('succeed').length, 0)
})

test('where no successor can be built the circuit in use stays, and the successor comes when it can', () => {
  const world = new PoolWorld(mesh(20))
  const circuit = world.ready(world.want(idOf(101)))
  world.input({ type: 'streams', circuit: circuit.id, streams: 1 })
  world.dead.add(idOf(101))
  world.run(circuit.expiresAt - world.now + 60_000)
  assert.equal(world.circuit(circuit.id).state, 'ready')
  assert.ok(world.outputs('extend').length < 20, 'it is tried now and then, not all the time')
  world.dead.clear()
  world.run(60_000)
  assert.equal(world.outputs('succeed').length, 1)
  const stubborn = world.ready(world.want(idOf(102)))
  world.input({ type: 'streams', circuit: stubborn.id, streams: 1 })
  world.dead.add(idOf(102))
  world.run(poolDefaults.hardMs)
  assert.equal(world.pool.circuit(stubborn.id), undefined, 'no circuit gets older than fifty minutes')
})

test('dead relays: another path is taken, and the want is answered within three attempts', () => {
  let failed = 0
  for (let seed = 0; seed < 200; seed++) {
    const world = new PoolWorld(mesh(40), { seed, limits: { spares: 0 } })
    for (const relay of [7, 19]) world.dead.add(idOf(relay))
    const answer = world.settle(world.want(idOf(101)))
    if (answer.type === 'failed') failed += 1
    else assert.ok(answer.attempts <= 3)
  }
  assert.ok(failed <= 2, `with one relay in twenty dead 99 % come about: ${failed} of 200 did not`)
})

test('after three attempts the error names the hop, the attempts and the time', () => {
  const world = new PoolWorld(mesh(3), { limits: { spares: 0 } })
  const circuit = world.ready(world.want(idOf(101)))
  for (const { peerId } of circuit.path.slice(1)) world.silent.add(peerId)
  const before = world.now
  const answer = world.settle(world.want(idOf(102)))
  assert.ok(answer.type === 'failed')
  assert.equal(answer.error.code, 'CIRCUIT_BUILD_TIMEOUT')
  assert.deepEqual(answer.error.details, { elapsedMs: world.now - before, attempts: 3, hop: 2 })
  world.silent.clear()
  for (const { peerId } of circuit.path.slice(1)) world.dead.add(peerId)
  const refused = world.settle(world.want(idOf(102)))
  assert.ok(refused.type === 'failed' && refused.error.code === 'CIRCUIT_EXTEND_REFUSED')
})

test('a destination that is not there is told after two attempts, and no relay is blamed', () => {
  const world = new PoolWorld(mesh(20))
  world.run(5_000)
  world.dead.add(idOf(101))
  for (let run = 0; run < 30; run++) {
    const answer = world.settle(world.want(idOf(101)))
    assert.ok(answer.type === 'failed' && answer.error.code === 'CIRCUIT_EXTEND_REFUSED')
    world.run(5_000)
  }
  assert.equal(world.outputs('extend').length, 60)
  assert.deepEqual(world.pool.status.dropped, [])
  const unknown = world.settle(world.want(idOf(999)))
  assert.ok(unknown.type === 'failed' && unknown.error.code === 'CIRCUIT_NO_ENDPOINT')
})

test('a guard that is not reached makes room for the next one; when all three fail nothing more is tried', () => {
  const world = new PoolWorld(mesh(30))
  world.run(5_000)
  const first = world.pool.circuits[0]?.path[0]?.peerId ?? ''
  world.dead.add(first)
  for (const { id } of world.pool.circuits) world.input({ type: 'ended', circuit: id })
  world.run(10_000)
  const second = world.pool.circuits[0]?.path[0]?.peerId ?? ''
  assert.notEqual(second, first)
  assert.deepEqual(world.pool.status.guards, { known: 3, failing: 1 })
  for (const relay of members(30)) world.dead.add(relay.peerId)
  for (const { id } of world.pool.circuits) world.input({ type: 'ended', circuit: id })
  const guards = new Set(world.outputs('build').map(({ path }) => path[0]?.peerId))
  const answer = world.settle(world.want(idOf(101)))
  assert.ok(answer.type === 'failed')
  world.run(3_600_000)
  const refused = world.settle(world.want(idOf(101)))
  assert.ok(refused.type === 'failed')
  const tried = new Set(world.outputs('build').map(({ path }) => path[0]?.peerId))
  assert.ok(tried.size <= 3 && guards.size <= tried.size, `${tried.size} guards were tried`)
  assert.equal(world.pool.status.shortage?.code, 'CIRCUIT_GUARDS_FAILED')
  // They come back.
  world.dead.clear()
  world.run(1_500_000)
  assert.equal(world.pool.circuits[0]?.path[0]?.peerId, first)
  assert.equal(world.pool.status.shortage, undefined)
})

test('a guard that was started again, or has moved, is tried at once', () => {
  for (const change of [{ onionKey: new Uint8Array(32).fill(9) }, { addresses: ['/ip4/20.1.3.4/tcp/5'] }]) {
    const relays = mesh(3)
    const world = new PoolWorld(relays, { limits: { spares: 0 } })
    world.ready(world.want(idOf(101)))
    for (const guard of world.pool.guards) world.dead.add(guard)
    for (const { id } of world.pool.circuits) world.input({ type: 'ended', circuit: id })
    const refused = world.settle(world.want(idOf(101)))
    assert.equal(refused.type, 'failed')
    assert.equal(world.pool.problem(idOf(101))?.code, 'CIRCUIT_GUARDS_FAILED')
    world.dead.clear()
    // The same said again changes nothing.
    world.members(relays.map((relay) => ({ ...relay })))
    assert.equal(world.pool.problem(idOf(101))?.code, 'CIRCUIT_GUARDS_FAILED')
    const first = world.pool.guards[0]
    world.members(relays.map((relay) => (relay.peerId === first ? { ...relay, ...change } : relay)))
    assert.equal(world.pool.problem(idOf(101)), undefined)
    assert.equal(world.ready(world.want(idOf(101))).path[0]?.peerId, first)
    assert.equal(world.pool.status.guards.failing, world.pool.guards.length - 1)
  }
})

test('while nobody is connected no guard is blamed', () => {
  const world = new PoolWorld(mesh(30), { limits: { spares: 0 } })
  world.input({ type: 'online', isOnline: false })
  for (const relay of members(30)) world.dead.add(relay.peerId)
  const answer = world.settle(world.want(idOf(101)))
  assert.ok(answer.type === 'failed' && answer.error.code === 'CIRCUIT_EXTEND_REFUSED')
  world.run(60_000)
  assert.deepEqual(world.pool.status.guards, { known: 3, failing: 0 })
})

test('guards are given out to be saved when they change, and a pool that gets them back keeps them', () => {
  const world = new PoolWorld(mesh(30))
  world.run(5_000)
  const [saved, ...more] = world.outputs('guards')
  assert.ok(saved !== undefined && more.length === 0)
  const guard = world.pool.circuits[0]?.path[0]?.peerId
  const again = new PoolWorld(mesh(30), { seed: 77, savedGuards: saved.bytes })
  again.run(5_000)
  assert.ok(again.pool.circuits.every(({ path }) => path[0]?.peerId === guard))
  assert.throws(() => new PoolWorld([], { savedGuards: saved.bytes.subarray(2) }), { code: 'MESSAGE_MALFORMED' })
})

test('nothing is drawn before the directory was compared with others, and a want waits for it', () => {
  const world = new PoolWorld(mesh(20), { isSynced: false })
  const request = world.want(idOf(101))
  world.run(poolDefaults.patienceMs - 1)
  assert.deepEqual(world.log, [])
  world.members(mesh(20))
  assert.equal(world.ready(request).destination, idOf(101))
  const alone = new PoolWorld(mesh(20), { isSynced: false })
  const answer = alone.settle(alone.want(idOf(101)))
  assert.ok(answer.type === 'failed' && answer.error.code === 'CIRCUIT_TOO_FEW_RELAYS')
  assert.equal(alone.now - 1_000, poolDefaults.patienceMs)
  assert.equal(alone.pool.status.guards.known, 0)
})

test('a mesh that is too small is refused at once, or fewer relays are taken', () => {
  const world = new PoolWorld(mesh(2))
  const refused = world.want(idOf(101))
  const answer = world.answer(refused)
  assert.ok(answer?.type === 'failed' && answer.error instanceof MeshError)
  assert.deepEqual([answer.error.code, answer.error.details['have']], ['CIRCUIT_TOO_FEW_RELAYS', 2])
  const short = world.ready(world.want(idOf(101), { allowShort: true }))
  assert.equal(short.path.length, 2)
  assert.deepEqual(world.pool.report(short.id)?.waivers, ['short'])
  world.members(mesh(12))
  world.run(5_000)
  assert.equal(world.pool.status.circuits.spare, 2, 'more relays: spare circuits at once')
})

test('a relay through which circuits fail is told and left out', () => {
  const world = new PoolWorld(mesh(6))
  world.run(3_000)
  const guard = world.pool.circuits[0]?.path[0]?.peerId
  const bad = members(6).find(({ peerId }) => peerId !== guard)?.peerId ?? ''
  world.dead.add(bad)
  for (let run = 0; run < 200 && world.outputs('dropped').length === 0; run++) {
    for (const { id, state } of world.pool.circuits) if (state === 'spare') world.input({ type: 'close', circuit: id })
    world.run(30_000)
  }
  assert.equal(world.outputs('dropped')[0]?.peerId, bad)
  assert.equal(world.pool.status.dropped[0]?.peerId, bad)
  const builds = world.outputs('build').length
  world.run(3_000_000)
  assert.ok(
    world
      .outputs('build')
      .slice(builds)
      .every(({ path }) => !idsOf(path).includes(bad))
  )
})

test('a guard that goes on to its friends only is told and left, before many circuits are theirs', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = new PoolWorld(mesh(40), { seed })
    world.run(5_000)
    const guard = world.pool.circuits[0]?.path[0]?.peerId ?? ''
    const friends = new Set(
      idsOf(members(40))
        .filter((id) => id !== guard)
        .slice(0, 8)
    )
    world.endsAt = (path) => (path[0]?.peerId === guard && !friends.has(path[1]?.peerId ?? '') ? 2 : undefined)
    let theirs = 0
    for (let run = 0; run < 400 && world.outputs('dropped').length === 0; run++) {
      for (const { id, state, path } of world.pool.circuits) {
        if (state !== 'spare') continue
        if (path[0]?.peerId === guard && friends.has(path.at(-1)?.peerId ?? '')) theirs += 1
        world.input({ type: 'close', circuit: id })
      }
      world.run(5_000)
    }
    assert.equal(world.outputs('dropped')[0]?.peerId, guard)
    assert.ok(theirs <= 10, `seed ${seed}: ${theirs} circuits had both ends in their hands`)
    world.run(60_000)
    assert.ok(world.pool.circuits.every(({ path }) => path[0]?.peerId !== guard))
  }
})

test('whoever asks no more leaves a spare circuit behind, or none that knows a destination', () => {
  const world = new PoolWorld(mesh(20), { limits: { spares: 0 } })
  const request = world.want(idOf(101))
  world.input({ type: 'cancel', request })
  world.run(5_000)
  assert.deepEqual(
    world.pool.circuits.map(({ state, destination }) => [state, destination]),
    [['spare', undefined]]
  )
  const second = world.want(idOf(101))
  assert.equal(world.pool.circuits[0]?.state, 'extending')
  world.input({ type: 'cancel', request: second })
  world.run(5_000)
  assert.deepEqual(world.pool.circuits, [])
  assert.equal(world.up.size, 0)
  assert.equal(world.answer(request) ?? world.answer(second), undefined)
})

test('of too many circuits the one without work for longest goes, and where all have work it is refused', () => {
  const directory = [...members(20), ...Array.from({ length: 10 }, (_, index) => endpoint(200 + index))]
  const world = new PoolWorld(directory, { limits: { spares: 0, circuits: 4 } })
  const circuits = [0, 1, 2, 3].map((index) => world.ready(world.want(idOf(200 + index))))
  const fifth = world.ready(world.want(idOf(205)))
  assert.equal(world.pool.circuit(circuits[0]?.id ?? 0), undefined)
  for (const { id } of [...circuits.slice(1), fifth]) world.input({ type: 'streams', circuit: id, streams: 1 })
  const refused = world.settle(world.want(idOf(206)))
  assert.ok(refused.type === 'failed' && refused.error.code === 'PROTOCOL_LIMIT')
})

test('a build of which nothing is heard is given up, and so is one that ends without a word', () => {
  const world = new PoolWorld(mesh(20), { limits: { spares: 0 } })
  world.isMute = true
  const request = world.want(idOf(101))
  world.input({ type: 'ended', circuit: world.outputs('build')[0]?.circuit ?? 0 })
  assert.equal(world.outputs('build').length, 2, 'another attempt')
  const answer = world.settle(request)
  assert.ok(answer.type === 'failed' && answer.error.code === 'CIRCUIT_BUILD_TIMEOUT')
  assert.equal(world.now - 1_000, 2 * poolDefaults.silentMs)
  assert.deepEqual([world.up.size, world.outputs('close').length], [0, 2])
  assert.deepEqual(world.pool.status.guards.failing, 0, 'nobody is blamed')
})

test('when the mesh is no longer of one machine, circuits drawn under lan are not used for more', () => {
  const local = members(8, { addresses: ['/ip4/10.0.0.1/tcp/1'] })
  const world = new PoolWorld(local)
  world.run(5_000)
  assert.deepEqual([world.pool.status.policy, world.pool.status.circuits.spare], ['lan', 2])
  world.members([...local, ...members(30).slice(10)])
  assert.equal(world.pool.status.policy, 'strict')
  assert.equal(world.pool.circuits.filter(({ state }) => state === 'spare').length, 0)
})

test('whether a circuit would lead somewhere is told without building one', () => {
  const world = new PoolWorld(mesh(4), { limits: { spares: 0 } })
  assert.equal(world.pool.problem(idOf(101)), undefined)
  assert.equal(world.pool.problem(idOf(101), 5)?.code, 'CIRCUIT_TOO_FEW_RELAYS')
  assert.equal(world.pool.problem(idOf(999))?.code, 'CIRCUIT_NO_ENDPOINT')
  assert.equal(new PoolWorld(mesh(4), { isSynced: false }).pool.problem(idOf(101))?.code, 'CIRCUIT_TOO_FEW_RELAYS')
  for (const peerId of world.pool.guards) world.dead.add(peerId)
  for (let attempt = 0; attempt < 3; attempt++) world.settle(world.want(idOf(102)))
  assert.equal(world.pool.problem(idOf(101))?.code, 'CIRCUIT_GUARDS_FAILED')
  assert.equal(world.pool.guards.length, 3)
})
