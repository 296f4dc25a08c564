import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { millis, type Random } from '../../../src/core/base/index.ts'
import { destroyCell, handshakeCells } from '../../../src/core/onion/cell.ts'
import { demandIn, solutionCell } from '../../../src/core/onion/puzzle-cells.ts'
import { type Cell, cellCommands, cellSizes } from '../../../src/core/onion/types.ts'
import { cheapCrypto } from './cheap-crypto.ts'
import { HandCircuit } from './hand-circuit.ts'
import { type Outsider, RelayWorld, WorldClient, type WorldNode } from './relay-world.ts'

/** Sends CREATEs with fresh numbers, each of which costs the relay a handshake. */
class Flood {
  readonly #to: WorldNode
  readonly #outsider: Outsider
  readonly #random: Random
  #circuit = 0

  constructor(world: RelayWorld, to: WorldNode, outsider: Outsider) {
    this.#to = to
    this.#outsider = outsider
    this.#random = world.random
  }

  creates(count: number): void {
    for (let sent = 0; sent < count; sent++) {
      this.#circuit += 1
      const { request } = cheapCrypto(new Uint8Array(32), this.#random).begin(this.#to.target, 3)
      this.#outsider.send(...handshakeCells(this.#circuit, { command: cellCommands.create, bytes: request }, this.#random))
    }
  }

  /** Ends what it has, so that the number of its circuits holds nobody back. */
  destroyAll(): void {
    for (const { circuit } of this.#outsider.of(cellCommands.created)) this.#outsider.send(destroyCell(circuit, 'none', this.#random))
    this.#outsider.received.length = 0
  }
}

const rounds = 40

/** Four seconds of 500 CREATEs a second, and a build of the honest every tenth of a second; the share of those that came to their end. */
function builds(world: RelayWorld, relay: WorldNode, how: { readonly floods: readonly Flood[]; readonly client: WorldClient }): number {
  let built = 0
  for (let round = 0; round < rounds; round++) {
    for (const flood of how.floods) flood.creates(50 / how.floods.length)
    const circuit = how.client.circuit()
    circuit.extend(relay)
    world.advance(100)
    if (circuit.machine.isReady) built += 1
    circuit.input({ type: 'close' })
    for (const flood of how.floods) flood.destroyAll()
  }
  return built / rounds
}

test('a flood of CREATEs from one client, or from ten, leaves honest ones their circuits', () => {
  for (const count of [1, 10]) {
    const world = new RelayWorld(30 + count)
    const relay = world.relay('relay')
    const floods = Array.from({ length: count }, (_, index) => {
      return new Flood(world, relay, world.outsider(relay, { kind: 'client', prefix: `198.51.${index}.0/24` }))
    })
    const client = new WorldClient(world, relay, '203.0.113.0/24')
    assert.ok(builds(world, relay, { floods, client }) >= 0.95, `${count} flooding`)
    assert.ok(relay.machine.counters.handshakes <= rounds + count * (90 + 3 * rounds))
    world.advance(12_000)
    assert.equal(relay.machine.counters.circuits, 0)
    assert.equal(relay.machine.counters.waitingCreates, 0)
  }
})

test('a flood of CREATEs from one relay, or from ten, leaves honest ones their circuits', () => {
  for (const count of [1, 10]) {
    const world = new RelayWorld(50 + count)
    const relay = world.relay('relay')
    const floods = Array.from(
      { length: count },
      () => new Flood(world, relay, world.outsider(relay, { kind: 'relay', publicKey: world.random.bytes(32) }))
    )
    const client = new WorldClient(world, relay, '203.0.113.0/24')
    assert.ok(builds(world, relay, { floods, client }) >= 0.95, `${count} flooding`)
  }
})

test('a client in the network of a flood works for its circuits and gets them', () => {
  const world = new RelayWorld(70)
  const relay = world.relay('relay')
  const flood = new Flood(world, relay, world.outsider(relay, { kind: 'client', prefix: '203.0.113.0/24' }))
  const client = new WorldClient(world, relay, '203.0.113.0/24')
  flood.creates(60)
  world.advance(300)
  flood.destroyAll()
  let built = 0
  for (let round = 0; round < 5; round++) {
    flood.creates(50)
    const circuit = client.circuit()
    circuit.extend(relay)
    world.advance(100)
    if (circuit.machine.isReady) built += 1
    circuit.input({ type: 'close' })
    flood.destroyAll()
  }
  assert.equal(built, 5)
  assert.ok(client.puzzles > 0)
  assert.equal(relay.machine.counters.puzzles, client.puzzles)
})

test('a solution that is wrong, repeated or of another link pays for nothing', () => {
  const world = new RelayWorld(71)
  const relay = world.relay('relay', { limits: { clientCreateBurst: 0, clientCreatesPerSecond: 0.001 } })
  const client = new WorldClient(world, relay, '203.0.113.0/24')
  const thief = world.outsider(relay, { kind: 'client', prefix: '203.0.113.0/24' })
  new Flood(world, relay, thief).creates(1)
  world.settle()
  assert.equal(thief.of(cellCommands.link).length, 1)
  const [asked] = thief.of(cellCommands.link)
  const demand = asked === undefined ? undefined : demandIn(asked.body)
  assert.ok(demand)
  for (let tries = 0; tries < 5; tries++) {
    for (const seed of [demand.seed, world.random.bytes(16)]) thief.send(solutionCell({ seed, nonce: world.random.bytes(8) }, world.random))
  }
  const circuit = client.circuit()
  assert.ok(circuit.build(relay))
  for (const solution of client.solutions) {
    thief.send(solution)
    client.outsider.send(solution)
  }
  world.settle()
  assert.equal(thief.of(cellCommands.created).length, 0)
  assert.equal(relay.machine.counters.puzzles, 1)
  world.advance(12_000)
  assert.equal(relay.machine.counters.waitingCreates, 0)
})

test('a busy relay asks clients for work even when their network asked for little', () => {
  const world = new RelayWorld(72)
  const relay = world.relay('relay')
  const flood = (): void => {
    new Flood(world, relay, world.outsider(relay, { kind: 'relay', publicKey: world.random.bytes(32) })).creates(10)
  }
  // Lanes take turns: a few that are full make nobody wait.
  for (let count = 0; count < 10; count++) flood()
  const early = new WorldClient(world, relay, '203.0.113.0/24')
  assert.ok(early.circuit().build(relay))
  assert.equal(early.puzzles, 0)
  for (let count = 0; count < 20; count++) flood()
  const client = new WorldClient(world, relay, '203.0.113.0/24')
  assert.ok(client.circuit().build(relay))
  assert.equal(client.puzzles, 1)
})

test('no more than three handshakes are done in one turn', () => {
  const world = new RelayWorld(73)
  const relay = world.relay('relay')
  const flood = new Flood(world, relay, world.outsider(relay, { kind: 'relay', publicKey: world.random.bytes(32) }))
  flood.creates(20)
  assert.equal(relay.machine.counters.handshakes, 1)
  for (let turn = 1; turn <= 6; turn++) {
    world.now = millis(world.now + 10)
    relay.input({ type: 'wake' })
    relay.input({ type: 'wake' })
    assert.equal(relay.machine.counters.handshakes, 1 + 3 * turn)
  }
})

test('whoever reads nothing loses his circuit after 512 cells, and the others nothing', () => {
  const world = new RelayWorld(74)
  const relay = world.relay('relay')
  const lazy = world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })
  const hand = new HandCircuit(world, { to: relay, outsider: lazy, circuit: 7 })
  const other = new WorldClient(world, relay, '203.0.113.0/24').circuit()
  assert.ok(other.build(relay))
  lazy.reads = false
  for (let sent = 0; sent < 520; sent++) hand.send([{ type: 'ping', payload: new Uint8Array(8) }])
  world.settle()
  assert.equal(relay.machine.counters.stuck, 1)
  assert.equal(relay.machine.counters.circuits, 1)
  assert.ok(relay.machine.counters.queuedBytes <= cellSizes.cell)
  other.input({ type: 'ping' })
  world.settle()
  assert.ok(other.outputs.some(({ type }) => type === 'pong'))
})

test('over the bound of all queues the heaviest neighbour loses circuits, oldest first, and memory stays below it', () => {
  const world = new RelayWorld(75)
  const bytes = 200 * cellSizes.cell
  const relay = world.relay('relay', { queues: { bytes } })
  const lazy = world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })
  const calm = world.outsider(relay, { kind: 'client', prefix: '203.0.113.0/24' })
  const hands = [1, 2, 3, 4].map((circuit) => new HandCircuit(world, { to: relay, outsider: lazy, circuit }))
  const calmHand = new HandCircuit(world, { to: relay, outsider: calm, circuit: 1 })
  lazy.reads = calm.reads = false
  calmHand.send([{ type: 'ping', payload: new Uint8Array(8) }])
  for (const hand of hands) {
    world.advance(10)
    for (let sent = 0; sent < 60; sent++) hand.send([{ type: 'ping', payload: new Uint8Array(8) }])
    assert.ok(relay.machine.counters.queuedBytes <= bytes)
  }
  lazy.reads = calm.reads = true
  lazy.takeAll()
  calm.takeAll()
  assert.deepEqual(
    hands.map((hand) => hand.isDestroyed),
    [true, false, false, false]
  )
  assert.equal(calmHand.isDestroyed, false)
})

test('a storm of DESTROYs ends what it names once, and answers nothing', () => {
  const world = new RelayWorld(76)
  const relay = world.relay('relay')
  const outsider = world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })
  const next = world.acceptor(relay, new Uint8Array(32))
  const hand = new HandCircuit(world, { to: relay, outsider, circuit: 7 })
  hand.extend(new Uint8Array(32))
  world.settle()
  outsider.received.length = 0
  const storm: Cell[] = Array.from({ length: 5_000 }, (_, index) => destroyCell(1 + (index % 500), 'none', world.random))
  outsider.send(...storm)
  world.settle()
  assert.equal(next.of(cellCommands.destroy).length, 1)
  assert.deepEqual(outsider.received, [])
  assert.equal(relay.machine.counters.circuits, 0)
})

test('a circuit that goes round and round through the same relays ends by itself: each pass counts, and 16 RELAY_EARLY do not go further', () => {
  const world = new RelayWorld(77)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => world.relay(name))
  assert.ok(a && b && c)
  const circuit = new WorldClient(world, a, '198.51.100.0/24').circuit()
  circuit.build(a, b, c, a, b, c, a, b, c, a, b)
  assert.ok(circuit.machine.hasEnded)
  world.settle()
  for (const node of [a, b, c]) assert.equal(node.machine.counters.circuits, 0)
})

test('a thousand circuits are built, used and closed, and nothing is left of them', () => {
  const world = new RelayWorld(78)
  const open = {
    clientCreatesPerSecond: 1_000,
    clientCreateBurst: 10_000,
    relayCreatesPerSecond: 1_000,
    relayCreateBurst: 10_000,
    bytesPerSecond: 1e9
  }
  const [a, b] = ['a', 'b'].map((name) => world.relay(name, { limits: open }))
  assert.ok(a && b)
  const client = new WorldClient(world, a, '198.51.100.0/24')
  for (let round = 0; round < 50; round++) {
    const circuits = Array.from({ length: 20 }, () => client.circuit())
    for (const circuit of circuits) {
      assert.ok(circuit.build(a, b), String(circuit.error))
      circuit.input({ type: 'open', stream: 1, protocol: 'pqs' })
      circuit.input({ type: 'write', stream: 1, bytes: new Uint8Array(200) })
    }
    world.settle()
    for (const circuit of circuits) circuit.input({ type: 'close' })
    world.settle()
  }
  for (const node of [a, b]) {
    const { circuits, queuedBytes, waitingCreates, stuck, violations, handshakes } = node.machine.counters
    assert.deepEqual(
      { circuits, queuedBytes, waitingCreates, stuck, violations },
      { circuits: 0, queuedBytes: 0, waitingCreates: 0, stuck: 0, violations: 0 }
    )
    assert.equal(handshakes, 1_000)
    world.advance(12_000)
    assert.equal(node.machine.wakeAt, undefined)
  }
})

test('a neighbour who sends too much is not read for a while, and one who got too much waits', () => {
  const world = new RelayWorld(79)
  const relay = world.relay('relay', { limits: { bytesPerSecond: 262_144 } })
  const outsider = world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })
  const hand = new HandCircuit(world, { to: relay, outsider, circuit: 7 })
  outsider.reads = false
  for (let sent = 0; sent < 400; sent++) hand.send([{ type: 'ping', payload: new Uint8Array(8) }])
  const pauses = relay.outputs.flatMap((output) => (output.type === 'pause' ? [output.ms] : []))
  assert.ok(Math.max(...pauses) > 250 && Math.max(...pauses) < 350, String(Math.max(...pauses)))
  outsider.reads = true
  outsider.takeAll()
  const first = outsider.received.length
  assert.ok(first >= 310 && first < 325, String(first))
  world.advance(1_000)
  assert.equal(hand.messages().length, 400)
})

test('work that nobody does takes no place from who would do it', () => {
  const world = new RelayWorld(85)
  const relay = world.relay('relay', { limits: { clientCreateBurst: 0, clientCreatesPerSecond: 0.001, maxCircuits: 10_000 } })
  for (let link = 0; link < 17; link++) new Flood(world, relay, world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })).creates(64)
  assert.equal(relay.machine.counters.waitingCreates, 1_024)
  const client = new WorldClient(world, relay, '203.0.113.0/24')
  for (let circuit = 0; circuit < 3; circuit++) assert.ok(client.circuit().build(relay))
  assert.equal(client.puzzles, 3)
  world.advance(12_000)
  assert.equal(relay.machine.counters.waitingCreates, 0)
})

test('neighbours who hold all places make room for one who has few, and lose what they used longest ago', () => {
  const world = new RelayWorld(80)
  const relay = world.relay('relay', { limits: { maxCircuits: 40 } })
  const greedy = Array.from({ length: 5 }, () => world.outsider(relay, { kind: 'relay', publicKey: world.random.bytes(32) }))
  for (const outsider of greedy) {
    new Flood(world, relay, outsider).creates(12)
    world.advance(1_000)
  }
  assert.equal(relay.machine.counters.circuits, 40)
  const client = new WorldClient(world, relay, '203.0.113.0/24')
  const circuits = [1, 2, 3].map(() => client.circuit())
  for (const circuit of circuits) assert.ok(circuit.build(relay), String(circuit.error))
  assert.equal(relay.machine.counters.circuits, 40)
  const held = greedy.map(({ link }) => relay.machine.circuitsOf(link))
  assert.ok(Math.max(...held) - Math.min(...held) <= 1, held.join())
})

test('a client gets a circuit although others of its network hold all of the places of it', () => {
  const world = new RelayWorld(81)
  const relay = world.relay('relay', { limits: { maxCircuits: 40, clientCreateBurst: 1_000 } })
  const prefix = '203.0.113.0/24'
  const greedy = world.outsider(relay, { kind: 'client', prefix })
  for (let circuit = 1; circuit <= 10; circuit++) assert.ok(new HandCircuit(world, { to: relay, outsider: greedy, circuit }))
  world.advance(10)
  const client = new WorldClient(world, relay, prefix)
  assert.ok(client.circuit().build(relay))
  assert.ok(client.circuit().build(relay))
  assert.deepEqual(
    greedy.of(cellCommands.destroy).map(({ circuit }) => circuit),
    [1, 2]
  )
  assert.throws(() => new HandCircuit(world, { to: relay, outsider: greedy, circuit: 11 }), /no CREATED/)
})

test('EXTENDs to relays that never answer leave room for those of others', () => {
  const world = new RelayWorld(82)
  const limits = { maxCircuits: 10_000, clientLinkCircuits: 1_000, clientCreateBurst: 1_000 }
  const relay = world.relay('relay', { limits })
  const next = world.relay('next')
  world.neverAnswers(new Uint8Array(32))
  const attackers = [1, 2, 3, 4, 5].map((index) => world.outsider(relay, { kind: 'client', prefix: `198.51.${index}.0/24` }))
  for (const outsider of attackers)
    for (let circuit = 1; circuit <= 70; circuit++) new HandCircuit(world, { to: relay, outsider, circuit }).extend(new Uint8Array(32))
  const client = new WorldClient(world, relay, '203.0.113.0/24')
  assert.ok(client.circuit().build(relay, next))
  world.advance(25_000)
  assert.equal(relay.machine.counters.circuits, 1)
})

test('whatever comes in whatever order, nothing is left once all links are gone', () => {
  const command = fc.constantFrom(...Object.values(cellCommands))
  const step = fc.record({
    link: fc.integer({ min: 0, max: 2 }),
    command,
    circuit: fc.integer({ min: 1, max: 4 }),
    count: fc.integer({ min: 1, max: 3 })
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer(), (steps, seed) => {
      const world = new RelayWorld(seed)
      const relay = world.relay('relay')
      const key = new Uint8Array(32)
      const links = [
        world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' }),
        world.outsider(relay, { kind: 'relay', publicKey: world.random.bytes(32) }),
        world.acceptor(relay, key)
      ]
      const [first] = links
      assert.ok(first)
      new HandCircuit(world, { to: relay, outsider: first, circuit: 4 }).extend(key)
      for (const { link, command: of, circuit, count } of steps) {
        const isOfLink = of === cellCommands.padding || of === cellCommands.link
        const cells = Array.from({ length: count }, () => ({
          circuit: isOfLink ? 0 : circuit,
          command: of,
          body: world.random.bytes(cellSizes.body)
        }))
        if (links[link]?.isClosed === false) links[link].send(...cells)
        world.settle()
      }
      for (const link of links) link.close()
      world.settle()
      const { circuits, queuedBytes, waitingCreates } = relay.machine.counters
      assert.deepEqual({ circuits, queuedBytes, waitingCreates }, { circuits: 0, queuedBytes: 0, waitingCreates: 0 })
    }),
    { numRuns: 100 }
  )
})
