import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, type KemLevel } from '../../src/core/base/index.ts'
import { createSigner } from '../../src/crypto/index.ts'
import type { CircuitStream } from '../../src/mesh/onion/circuit-stream.ts'
import type { OwnCircuit } from '../../src/mesh/onion/own-circuit.ts'
import { KnownNodes, type RelayNode, startRelayNode } from './onion-relay-support.ts'
import { hostsFrom, RawCircuit, RawLink } from '../hostile/onion-raw.ts'
import { startTrap } from '../hostile/trap.ts'
import { random, until } from './support.ts'

const stepMs = 10_000

async function build(client: RelayNode, hops: readonly RelayNode[], level: KemLevel = 3): Promise<OwnCircuit> {
  const [guard] = hops
  assert.ok(guard)
  const circuit = await client.circuit(guard)
  for (const hop of hops) await circuit.extend(hop.target, level, stepMs)
  return circuit
}

function openStream(circuit: OwnCircuit, to: RelayNode): Promise<CircuitStream> {
  return circuit.open('pqs', { peerId: to.host.peerId, publicKey: to.target.publicKey })
}

/** Sends frames and waits until the same come back. */
async function exchange(stream: CircuitStream, frames: readonly Uint8Array[]): Promise<void> {
  const reading = (async () => {
    const back: Uint8Array[] = []
    for await (const frame of stream.frames()) if (back.push(frame) === frames.length) break
    return back
  })()
  for (const frame of frames) await stream.send(frame)
  const back = await reading
  assert.equal(back.length, frames.length)
  back.forEach((frame, index) => assert.deepEqual(Buffer.from(frame), Buffer.from(frames[index] ?? [])))
}

const failure =
  (code: string, reason = /./) =>
  (error: unknown): boolean =>
    isMeshError(error) && error.code === code && reason.test(error.message)

test('frames go over three relays to an endpoint and back, at each level of ML-KEM', async () => {
  const known = new KnownNodes()
  await using client = await startRelayNode({ known })
  await using a = await startRelayNode({ known })
  await using b = await startRelayNode({ known })
  await using c = await startRelayNode({ known })
  await using end = await startRelayNode({ known, relay: false })
  for (const level of [1, 3, 5] as const) {
    const circuit = await build(client, [a, b, c, end], level)
    assert.ok((await circuit.ping()) < stepMs)
    const stream = await openStream(circuit, end)
    await exchange(stream, [random.bytes(1), random.bytes(60_000), random.bytes(20_000)])
    await stream.close()
    circuit.close()
  }
  await until(() => [a, b, c, end].every(({ relay }) => relay.counters.circuits === 0), 'all circuits end')
  for (const { relay } of [a, b, c, end]) {
    const { handshakes, violations, stuck, refused } = relay.counters
    assert.deepEqual({ handshakes, violations, stuck, refused }, { handshakes: 3, violations: 0, stuck: 0, refused: 0 })
  }
  assert.ok(a.relay.counters.cellsForward > 100 && a.relay.counters.cellsBackward > 100)
})

test('nobody is extended to whom the directory does not know, or who is gone', async () => {
  const known = new KnownNodes()
  await using client = await startRelayNode({ known })
  await using a = await startRelayNode({ known })
  await using unlisted = await startRelayNode({ known: new KnownNodes() })
  await assert.rejects(build(client, [a, unlisted]), failure('CIRCUIT_EXTEND_REFUSED', /Hop 2 .*does not know/))
  const gone = await startRelayNode({ known })
  await gone[Symbol.asyncDispose]()
  await assert.rejects(build(client, [a, gone]), failure('CIRCUIT_EXTEND_REFUSED', /Hop 2 .*not reach/))
  await until(() => a.relay.counters.circuits === 0, 'the circuits end')
  assert.equal(a.relay.counters.extendsFailed, 2)
})

test('a relay that stops takes its circuits with it, and everybody on them hears of it', async () => {
  const known = new KnownNodes()
  await using client = await startRelayNode({ known })
  await using a = await startRelayNode({ known })
  const b = await startRelayNode({ known })
  await using end = await startRelayNode({ known })
  const circuit = await build(client, [a, b, end])
  const stream = await openStream(circuit, end)
  await exchange(stream, [random.bytes(100)])
  await b[Symbol.asyncDispose]()
  await until(() => circuit.hasEnded, 'the client hears of it')
  await assert.rejects(stream.send(random.bytes(1)), failure('PEER_UNREACHABLE'))
  await until(() => a.relay.counters.circuits + end.relay.counters.circuits === 0, 'nothing is left at the neighbours')
})

test('fifty circuits at one time share the links, and leave nothing', async () => {
  const known = new KnownNodes()
  await using client = await startRelayNode({ known })
  await using a = await startRelayNode({ known })
  await using end = await startRelayNode({ known })
  const circuits = await Promise.all(Array.from({ length: 50 }, () => build(client, [a, end])))
  assert.equal(a.relay.counters.circuits, 50)
  await Promise.all(
    circuits.map(async (circuit) => {
      await exchange(await openStream(circuit, end), [random.bytes(5_000)])
      circuit.close()
    })
  )
  await until(() => a.relay.counters.circuits + end.relay.counters.circuits === 0, 'all circuits end')
  const { queuedBytes, waitingCreates, stuck, violations } = a.relay.counters
  assert.deepEqual({ queuedBytes, waitingCreates, stuck, violations }, { queuedBytes: 0, waitingCreates: 0, stuck: 0, violations: 0 })
  assert.equal(end.host.libp2p.getConnections().length, 1)
})

test('a neighbour gets no more through than its rate, and loses nothing', async () => {
  const known = new KnownNodes()
  await using client = await startRelayNode({ known })
  await using slow = await startRelayNode({ known, limits: { bytesPerSecond: 262_144 } })
  await using end = await startRelayNode({ known })
  const circuit = await build(client, [slow, end])
  const stream = await openStream(circuit, end)
  const startedAt = performance.now()
  await exchange(
    stream,
    Array.from({ length: 8 }, () => random.bytes(60_000))
  )
  // A burst of 256 KiB, then 256 KiB a second.
  assert.ok(performance.now() - startedAt > 700, `${performance.now() - startedAt} ms`)
  assert.equal(circuit.hasEnded, false)
})

test('clients of a network that asks too much work for their circuits, and get them', async () => {
  const known = new KnownNodes()
  await using client = await startRelayNode({ known })
  await using busy = await startRelayNode({ known, limits: { clientCreateBurst: 2, clientCreatesPerSecond: 0.001 } })
  const circuits = await Promise.all(Array.from({ length: 4 }, () => build(client, [busy])))
  assert.ok(circuits.every((circuit) => !circuit.hasEnded))
  assert.ok(busy.relay.counters.puzzles >= 2)
  assert.equal(busy.relay.counters.handshakes, 4)
})

test('a relay calls so many next hops at one time, and gives up a link without circuits for a new one', async () => {
  const known = new KnownNodes()
  await using client = await startRelayNode({ known })
  await using guard = await startRelayNode({ known, maxLinks: 1 })
  await using first = await startRelayNode({ known })
  await using second = await startRelayNode({ known })
  const circuit = await build(client, [guard, first])
  const other = await build(client, [guard, first])
  await assert.rejects(build(client, [guard, second]), failure('CIRCUIT_EXTEND_REFUSED', /Hop 2 .*refused/))
  circuit.close()
  other.close()
  await until(() => guard.relay.counters.circuits === 0, 'the circuits end')
  await build(client, [guard, second])
  await until(() => first.host.libp2p.getConnections().length === 0, 'the unused link is closed')
})

test('members that never answer, called for some, keep nobody else from being called', async () => {
  await using trap = await startTrap()
  const known = new KnownNodes()
  await using guard = await startRelayNode({ known, limits: { clientLinkCircuits: 100 } })
  await using client = await startRelayNode({ known })
  await using nodes = new AsyncDisposableStack()
  const fresh = await Promise.all(Array.from({ length: 4 }, () => startRelayNode({ known })))
  const attackers = await Promise.all([7, 8, 9].map((net) => startRelayNode({ known, hosts: hostsFrom(`127.0.${net}.1`) })))
  for (const node of [...fresh, ...attackers]) nodes.use(node)
  for (const { crypto, links } of attackers) {
    const link = await rawLink(links, guard)
    for (let made = 0; made < 60; made++) {
      const publicKey = createSigner(random.bytes(32), 'test').publicKey
      known.add({ publicKey, addresses: [trap.address] })
      const circuit = await RawCircuit.create({ link, crypto, random, target: guard.target })
      assert.ok(circuit?.extend(publicKey))
    }
  }
  await until(() => trap.connections >= 16, 'they are called')
  const startedAt = performance.now()
  await Promise.all(fresh.map((end) => build(client, [guard, end])))
  assert.ok(performance.now() - startedAt < 2_500, `${performance.now() - startedAt} ms`)
  assert.ok(trap.connections <= 3 * 16, `${trap.connections} calls`)
})

async function rawLink(links: RelayNode['links'], to: RelayNode): Promise<RawLink> {
  let made: RawLink | undefined
  const make = (link: ConstructorParameters<typeof RawLink>[0]): RawLink => (made = new RawLink(link))
  await links.open({ as: 'client', publicKey: to.target.publicKey, addresses: to.addresses, make })
  return made ?? assert.fail('a link that nobody made')
}
