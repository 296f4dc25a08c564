import assert from 'node:assert/strict'
import { test } from 'node:test'
import { destroyCell, handshakeCells } from '../../../src/core/onion/cell.ts'
import { cellCommands, cellSizes, maxRelayEarly } from '../../../src/core/onion/types.ts'
import { cheapCrypto } from './cheap-crypto.ts'
import { HandCircuit } from './hand-circuit.ts'
import { type Outsider, RelayWorld, WorldClient, type WorldNode } from './relay-world.ts'

const somewhere = '198.51.100.0/24'

function relays(world: RelayWorld, ...names: readonly string[]): readonly WorldNode[] {
  return names.map((name) => world.relay(name))
}

/** A relay, a stranger at a link to it, and a circuit of his. */
function handmade(
  seed: number,
  options: Parameters<RelayWorld['relay']>[1] = {}
): { world: RelayWorld; relay: WorldNode; outsider: Outsider; hand: HandCircuit } {
  const world = new RelayWorld(seed)
  const relay = world.relay('relay', options)
  const outsider = world.outsider(relay, { kind: 'client', prefix: somewhere })
  return { world, relay, outsider, hand: new HandCircuit(world, { to: relay, outsider, circuit: 7 }) }
}

test('bytes go both ways over a circuit of three relays and an endpoint', () => {
  const world = new RelayWorld(1)
  const [a, b, c, end] = relays(world, 'a', 'b', 'c', 'end')
  assert.ok(a && b && c && end)
  const circuit = new WorldClient(world, a, somewhere).circuit()
  assert.ok(circuit.build(a, b, c, end), String(circuit.error))
  circuit.input({ type: 'open', stream: 1, protocol: 'pqs' })
  const message = world.random.bytes(100_000)
  circuit.input({ type: 'write', stream: 1, bytes: message })
  world.settle()
  const begun = end.outputs.find((output) => output.type === 'stream' && output.event.type === 'begin')
  assert.ok(begun?.type === 'stream')
  const got = end.outputs.flatMap((output) => (output.type === 'stream' && output.event.type === 'data' ? [output.event.bytes] : []))
  assert.deepEqual(Buffer.concat(got), Buffer.from(message))
  end.input({ type: 'write', circuit: begun.circuit, stream: 1, bytes: message })
  world.settle()
  assert.deepEqual(circuit.data(1), Buffer.from(message))
  for (const relay of [a, b, c]) assert.deepEqual(relay.outputs, [])
  circuit.input({ type: 'close' })
  world.settle()
  for (const node of [a, b, c, end]) assert.equal(node.machine.counters.circuits, 0)
  assert.ok(end.outputs.some((output) => output.type === 'ended' && output.circuit === begun.circuit))
})

test('nobody is extended to itself, back to where the circuit came from, or to whom the directory does not know', () => {
  const world = new RelayWorld(2)
  const [a, b] = relays(world, 'a', 'b')
  assert.ok(a && b)
  const client = new WorldClient(world, a, somewhere)
  const stranger: WorldNode = { ...b, target: { publicKey: world.random.bytes(32), onionKey: b.target.onionKey } }
  for (const [hops, reason] of [
    [[a, a], 'refused'],
    [[a, b, a], 'refused'],
    [[a, stranger], 'know']
  ] as const) {
    const circuit = client.circuit()
    assert.equal(circuit.build(...hops), false)
    assert.equal(circuit.error?.code, 'CIRCUIT_EXTEND_REFUSED')
    assert.match(String(circuit.error?.message), new RegExp(`hop ${hops.length} .*${reason}`, 'i'))
  }
  assert.equal(a.machine.counters.circuits + b.machine.counters.circuits, 0)
})

test('a node that is no relay refuses to extend, and one that is no endpoint refuses streams', () => {
  const world = new RelayWorld(3)
  const endpoint = world.relay('endpoint', { relay: false })
  const relay = world.relay('relay', { endpoint: false })
  const extended = new WorldClient(world, endpoint, somewhere).circuit()
  assert.equal(extended.build(endpoint, relay), false)
  const opened = new WorldClient(world, relay, somewhere).circuit()
  assert.ok(opened.build(relay))
  opened.input({ type: 'open', stream: 1, protocol: 'pqs' })
  world.settle()
  assert.deepEqual(
    opened.outputs.filter(({ type }) => type === 'end'),
    [{ type: 'end', stream: 1, reason: 'refused' }]
  )
  assert.deepEqual(relay.outputs, [])
})

test('an endpoint serves no other protocol than that of sessions', () => {
  const world = new RelayWorld(4)
  const [end] = relays(world, 'end')
  assert.ok(end)
  const circuit = new WorldClient(world, end, somewhere).circuit()
  assert.ok(circuit.build(end))
  circuit.input({ type: 'open', stream: 1, protocol: 'card' })
  world.settle()
  assert.ok(circuit.outputs.some((output) => output.type === 'end' && output.reason === 'refused'))
  assert.deepEqual(end.outputs, [])
})

test('the seventeenth RELAY_EARLY cell ends the circuit', () => {
  const { world, relay, hand } = handmade(5)
  for (let sent = 0; sent < maxRelayEarly; sent++) hand.send([{ type: 'drop' }], cellCommands.relayEarly)
  world.settle()
  assert.equal(hand.isDestroyed, false)
  hand.send([{ type: 'drop' }], cellCommands.relayEarly)
  world.settle()
  assert.equal(hand.isDestroyed, true)
  assert.equal(relay.machine.counters.circuits, 0)
})

test('an EXTEND outside of RELAY_EARLY ends the circuit', () => {
  const { world, hand } = handmade(6)
  hand.send([{ type: 'extend', publicKey: world.random.bytes(32), request: world.random.bytes(cellSizes.create) }])
  world.settle()
  assert.equal(hand.isDestroyed, true)
})

test('garbage at an end ends the circuit towards its client, who hears nothing else', () => {
  const { world, relay, outsider, hand } = handmade(7)
  const [cell] = hand.cells([{ type: 'ping', payload: new Uint8Array(8) }])
  assert.ok(cell)
  cell.body[500] = (cell.body[500] ?? 0) ^ 1
  outsider.send(cell)
  hand.send([{ type: 'ping', payload: new Uint8Array(8) }])
  world.settle()
  assert.deepEqual(
    outsider.received.slice(2).map(({ command }) => command),
    [cellCommands.destroy]
  )
  assert.equal(relay.machine.counters.violations, 1)
})

test('a RELAY_EARLY cell from the next hop ends the circuit on both sides', () => {
  const { world, relay, hand } = handmade(8)
  const key = world.random.bytes(32)
  const next = world.acceptor(relay, key)
  hand.extend(key)
  world.settle()
  const [create] = next.of(cellCommands.create)
  assert.ok(create)
  for (const cell of handshakeCells(create.circuit, { command: cellCommands.created, bytes: new Uint8Array(cellSizes.created) }, world.random))
    next.send(cell)
  world.settle()
  assert.deepEqual(
    hand.messages().map(({ type }) => type),
    ['extended']
  )
  next.send({ circuit: create.circuit, command: cellCommands.relayEarly, body: world.random.bytes(cellSizes.body) })
  world.settle()
  assert.equal(hand.isDestroyed, true)
  assert.equal(next.of(cellCommands.destroy, create.circuit).length, 1)
})

test('a next hop that does not answer, refuses or goes away is told as such, and the circuit ends', () => {
  for (const [how, reason] of [
    ['silence', 'timeout'],
    ['destroy', 'refused'],
    ['close', 'unreachable']
  ] as const) {
    const { world, relay, hand } = handmade(9)
    const key = world.random.bytes(32)
    const next = world.acceptor(relay, key)
    hand.extend(key)
    world.settle()
    const [create] = next.of(cellCommands.create)
    assert.ok(create)
    if (how === 'destroy') next.send(destroyCell(create.circuit, 'destroyed', world.random))
    if (how === 'close') next.close()
    world.advance(how === 'silence' ? 12_000 : 0)
    assert.deepEqual(hand.messages(), [{ type: 'extendFailed', reason }], how)
    assert.equal(hand.isDestroyed, true, how)
    assert.equal(relay.machine.counters.circuits, 0, how)
    assert.equal(next.of(cellCommands.destroy).length, how === 'silence' ? 1 : 0, how)
  }
})

test('what comes for a circuit that is being made longer, and is not for its end, ends it', () => {
  const { world, relay, outsider, hand } = handmade(10)
  const key = world.random.bytes(32)
  const next = world.acceptor(relay, key)
  hand.extend(key)
  world.settle()
  outsider.send({ circuit: 7, command: cellCommands.relay, body: world.random.bytes(cellSizes.body) })
  world.settle()
  assert.equal(hand.isDestroyed, true)
  assert.equal(next.of(cellCommands.relay).length, 0)
  assert.equal(next.of(cellCommands.destroy).length, 1)
})

test('a circuit with streams goes no further, and one that goes on serves none', () => {
  const first = handmade(11)
  first.hand.send([{ type: 'begin', stream: 1, protocol: 'pqs' }])
  first.hand.extend(first.world.random.bytes(32))
  first.world.settle()
  assert.equal(first.hand.isDestroyed, true)
  const second = handmade(12)
  const next = second.world.acceptor(second.relay, new Uint8Array(32))
  second.hand.extend(new Uint8Array(32))
  second.world.settle()
  second.hand.send([{ type: 'begin', stream: 1, protocol: 'pqs' }])
  second.world.settle()
  assert.equal(second.hand.isDestroyed, true)
  assert.equal(next.of(cellCommands.destroy).length, 1)
  assert.deepEqual(
    second.relay.outputs.map(({ type }) => type),
    ['ended']
  )
})

test('a SENDME that nobody could have made ends the circuit', () => {
  const { world, relay, hand } = handmade(13)
  hand.send([{ type: 'begin', stream: 1, protocol: 'pqs' }])
  world.settle()
  const begun = relay.outputs.find((output) => output.type === 'stream')
  assert.ok(begun?.type === 'stream')
  relay.input({ type: 'write', circuit: begun.circuit, stream: 1, bytes: new Uint8Array(40_000) })
  world.settle()
  assert.ok(hand.messages().length > 32)
  hand.send([{ type: 'sendme', tag: world.random.bytes(16) }])
  world.settle()
  assert.equal(hand.isDestroyed, true)
  assert.equal(relay.machine.counters.circuits, 0)
})

test('a CREATE that was seen before, for another relay, or of a number in use, is refused', () => {
  const { world, relay, outsider } = handmade(14)
  const { request } = cheapCrypto(new Uint8Array(32), world.random).begin(relay.target, 3)
  const create = (circuit: number, bytes: Uint8Array): void =>
    outsider.send(...handshakeCells(circuit, { command: cellCommands.create, bytes }, world.random))
  create(20, request)
  create(21, request)
  create(22, world.random.bytes(cellSizes.create))
  create(7, world.random.bytes(cellSizes.create))
  world.settle()
  assert.deepEqual(
    [20, 21, 22].map((circuit) => outsider.of(cellCommands.created, circuit).length),
    [2, 0, 0]
  )
  for (const circuit of [21, 22, 7]) assert.ok(outsider.of(cellCommands.destroy, circuit).length > 0, String(circuit))
  assert.equal(outsider.of(cellCommands.destroy, 20).length, 0)
})

test('circuits are opened by the opener of a link only', () => {
  const world = new RelayWorld(15)
  const relay = world.relay('relay')
  const opener = world.outsider(relay, { kind: 'client', prefix: somewhere })
  opener.send({ circuit: 1, command: cellCommands.created, body: world.random.bytes(cellSizes.body) })
  const acceptor = world.acceptor(relay, world.random.bytes(32))
  acceptor.send({ circuit: 1, command: cellCommands.create, body: world.random.bytes(cellSizes.body) })
  world.settle()
  assert.deepEqual([opener.isClosed, acceptor.isClosed], [true, true])
  const errors = relay.outputs.flatMap((output) => (output.type === 'close-link' ? [output.error.code] : []))
  assert.deepEqual(errors, ['CIRCUIT_VIOLATION', 'CIRCUIT_VIOLATION'])
})

test('an end from one side goes on to the other, after what came before it, and not back', () => {
  const world = new RelayWorld(16)
  const [a, b] = relays(world, 'a', 'b')
  assert.ok(a && b)
  const key = world.random.bytes(32)
  const last = world.acceptor(b, key)
  last.reads = false
  const { outsider } = new WorldClient(world, a, somewhere)
  const hand = new HandCircuit(world, { to: a, outsider, circuit: 7 })
  hand.extend(b.target.publicKey)
  world.settle()
  // The request was no request for b: it refused.
  assert.deepEqual(hand.messages(), [{ type: 'extendFailed', reason: 'refused' }])
  const circuit = new WorldClient(world, b, '203.0.113.0/24').circuit()
  assert.ok(circuit.build(b))
  circuit.input({ type: 'extend', target: { publicKey: key, onionKey: key }, level: 3, timeoutMs: 10_000 })
  world.settle()
  circuit.input({ type: 'close' })
  world.settle()
  last.reads = true
  last.takeAll()
  assert.deepEqual(
    last.received.map(({ command }) => command),
    [cellCommands.create, cellCommands.create, cellCommands.destroy]
  )
})

test('a link that ends takes its circuits with it on both sides', () => {
  const world = new RelayWorld(17)
  const [a, b, c] = relays(world, 'a', 'b', 'c')
  assert.ok(a && b && c)
  const client = new WorldClient(world, a, somewhere)
  const circuits = [client.circuit(), client.circuit()]
  for (const circuit of circuits) assert.ok(circuit.build(a, b, c))
  client.outsider.close()
  world.settle()
  for (const node of [a, b, c]) assert.equal(node.machine.counters.circuits, 0, node.name)
})

test('circuits end after twelve minutes without a cell, and after an hour in any case', () => {
  const { world, hand } = handmade(18)
  for (let minute = 1; minute <= 59; minute++) {
    world.advance(60_000)
    if (minute % 11 === 0) hand.send([{ type: 'drop' }])
  }
  assert.equal(hand.isDestroyed, false)
  hand.send([{ type: 'drop' }])
  world.advance(62_000)
  assert.equal(hand.isDestroyed, true)
  const idle = handmade(19)
  idle.world.advance(719_000)
  assert.equal(idle.hand.isDestroyed, false)
  idle.world.advance(3_000)
  assert.equal(idle.hand.isDestroyed, true)
})

test('half a CREATE is forgotten after ten seconds', () => {
  const world = new RelayWorld(20)
  const relay = world.relay('relay')
  const outsider = world.outsider(relay, { kind: 'client', prefix: somewhere })
  outsider.send({ circuit: 5, command: cellCommands.create, body: world.random.bytes(cellSizes.body) })
  world.settle()
  assert.equal(relay.machine.counters.circuits, 1)
  world.advance(12_000)
  assert.equal(relay.machine.counters.circuits, 0)
  assert.equal(relay.machine.wakeAt, undefined)
})

test('a node that stops tells both neighbours', () => {
  const { world, relay, hand } = handmade(21)
  relay.input({ type: 'stop' })
  world.settle()
  assert.equal(hand.isDestroyed, true)
})

test('a ping is answered by every hop', () => {
  const world = new RelayWorld(22)
  const hops = relays(world, 'a', 'b', 'c')
  const [a] = hops
  assert.ok(a)
  const circuit = new WorldClient(world, a, somewhere).circuit()
  assert.ok(circuit.build(...hops))
  for (const hop of [1, 2, 3]) circuit.input({ type: 'ping', hop })
  world.settle()
  assert.deepEqual(
    circuit.outputs.flatMap((output) => (output.type === 'pong' ? [output.hop] : [])),
    [1, 2, 3]
  )
})

test('a cell of one circuit means nothing on another', () => {
  const { world, relay, hand, outsider } = handmade(24)
  const other = new HandCircuit(world, { to: relay, outsider, circuit: 8 })
  const [cell] = hand.cells([{ type: 'drop' }])
  assert.ok(cell)
  outsider.send({ ...cell, circuit: 8 })
  world.settle()
  assert.equal(other.isDestroyed, true)
  assert.equal(hand.isDestroyed, false)
})

test('a link whose relay the directory learns of later has the limits of a relay from then on', () => {
  const world = new RelayWorld(25)
  const relay = world.relay('relay', { limits: { clientCreateBurst: 1, clientCreatesPerSecond: 0.001 } })
  const outsider = world.outsider(relay, { kind: 'client', prefix: somewhere })
  const publicKey = world.random.bytes(32)
  const hand = new HandCircuit(world, { to: relay, outsider, circuit: 1 })
  const second = (): HandCircuit => new HandCircuit(world, { to: relay, outsider, circuit: 2 })
  assert.throws(second, /no CREATED/)
  assert.equal(outsider.of(cellCommands.link).length, 1)
  relay.input({ type: 'neighbour', link: outsider.link, neighbour: { kind: 'relay', publicKey } })
  assert.ok(new HandCircuit(world, { to: relay, outsider, circuit: 3 }))
  hand.extend(publicKey)
  world.settle()
  assert.deepEqual(hand.messages(), [{ type: 'extendFailed', reason: 'refused' }])
})
