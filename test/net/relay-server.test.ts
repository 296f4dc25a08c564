import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { circuitRelayTransport, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import type { Connection, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { isMeshError } from '../../src/core/base/index.ts'
import type { RelayServerLimits } from '../../src/node/relay-server.ts'
import { circuitStatus, decodeHopAnswer, encodeHopReserve, encodeStopConnect } from '../../src/core/nat/index.ts'
import { fill, RawPeer } from './circuit-support.ts'
import { startTestHost, takePlace, type TestHost, type TestHostOptions, until } from './support.ts'

const open: RelayServerLimits = {
  open: true,
  allow: [],
  maxReservations: 64,
  maxCircuits: 64,
  maxCircuitsPerPeer: 16,
  circuitBytes: 2 ** 30,
  circuitSeconds: 86_400,
  bytesPerSecond: 2 ** 30
}
const echoProtocol = '/test/echo/1.0.0'

async function start(t: TestContext, options: TestHostOptions = {}): Promise<TestHost> {
  const host = await startTestHost(options)
  t.after(() => host[Symbol.asyncDispose]())
  return host
}

interface Field {
  readonly relay: TestHost
  readonly address: string
  /** Has a place at the relay, and listens nowhere else. */
  readonly called: TestHost
  readonly caller: TestHost
  readonly circuit: string
}

async function startField(t: TestContext, limits: Partial<RelayServerLimits> = {}): Promise<Field> {
  const relay = await start(t, { relay: { ...open, ...limits } })
  const address = String(relay.libp2p.getMultiaddrs()[0])
  const called = await start(t, { listen: [] })
  await takePlace(called, address)
  const caller = await start(t, { listen: [] })
  return { relay, address, called, caller, circuit: `${address}/p2p-circuit/p2p/${called.peerId}` }
}

const serving = ({ relay }: Pick<Field, 'relay'>): NonNullable<TestHost['relayServer']>['serving'] => {
  assert.ok(relay.relayServer !== undefined)
  return relay.relayServer.serving
}

const echo = (stream: Stream): void => {
  stream.addEventListener('message', ({ data }) => {
    if (!stream.send(data)) {
      stream.pause()
      stream.addEventListener('drain', () => stream.resume(), { once: true })
    }
  })
}

/** Sends `bytes` and resolves when as many came back. */
async function throughEcho(stream: Stream, bytes: number): Promise<void> {
  const back = Promise.withResolvers<undefined>()
  let received = 0
  stream.addEventListener('message', ({ data }) => {
    received += data.byteLength
    if (received >= bytes) back.resolve(undefined)
  })
  stream.addEventListener('close', (event) => back.reject(event.error ?? new Error('closed')))
  const chunk = new Uint8Array(16_384).fill(7)
  for (let sent = 0; sent < bytes; sent += chunk.length) if (!stream.send(chunk)) await stream.onDrain()
  await back.promise
}

test('a circuit carries megabytes in both directions, and the relay counts them', async (t) => {
  const field = await startField(t)
  const { called, caller, circuit } = field
  await called.libp2p.handle(echoProtocol, echo, { runOnLimitedConnection: true })
  const connection = await caller.libp2p.dial(multiaddr(circuit))
  assert.deepEqual([connection.limits?.bytes !== undefined, Math.round((connection.limits?.seconds ?? 0) / 100)], [true, 864])
  const stream = await connection.newStream(echoProtocol, { runOnLimitedConnection: true })
  await throughEcho(stream, 4_194_304)
  const { circuits, reservations, bytes } = serving(field)
  assert.deepEqual([circuits > 0, reservations], [true, 1])
  assert.ok(bytes > 8_388_608 && bytes < 10_000_000, `${bytes} bytes`)
  await caller.libp2p.stop()
  await until(() => serving(field).circuits === 0, 'the circuit is given back')
})

test('a stock libp2p peer takes a place, is called, and calls', async (t) => {
  const { relay, address, caller, called } = await startField(t)
  const stock = await createLibp2p({
    addresses: { listen: [`${address}/p2p-circuit`] },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
  t.after(() => stock.stop())
  await until(() => serving({ relay }).reservations === 2, 'it has a place')
  assert.ok(stock.getMultiaddrs().map(String).includes(`${address}/p2p-circuit/p2p/${stock.peerId.toString()}`))
  // The first attempt takes it for sure that a peer speaks our encryption; after it fails, it is asked.
  const dial = (): Promise<Connection> => caller.libp2p.dial(multiaddr(`${address}/p2p-circuit/p2p/${stock.peerId.toString()}`))
  const inbound = await dial().catch(dial)
  assert.equal(inbound.remotePeer.toString(), stock.peerId.toString())
  const outbound = await stock.dial(multiaddr(`${address}/p2p-circuit/p2p/${called.peerId}`))
  assert.equal(outbound.remotePeer.toString(), called.peerId)
  // libp2p's monitor ends a connection whose ping fails in any other way: a peer of another software would be lost after 15 s.
  const [toStock] = relay.libp2p.getConnections(stock.peerId)
  await assert.rejects(Promise.resolve(toStock?.newStream('/synaptic-mesh/ping/1.0.0')), { name: 'UnsupportedProtocolError' })
  assert.equal(outbound.limits?.bytes !== undefined && outbound.limits.bytes > 2n ** 29n, true)
})

test('a peer that is no relay of ours brings us no circuit, however well it asks', async (t) => {
  const called = await start(t)
  const stranger = await rawPeer(t, String(called.libp2p.getMultiaddrs()[0]))
  const stream = await stranger.open(RELAY_V2_STOP_CODEC)
  let bytes = 0
  stream.addEventListener('message', ({ data }) => (bytes += data.byteLength))
  const closed = Promise.withResolvers<undefined>()
  stream.addEventListener('close', () => closed.resolve(undefined))
  const id = stranger.libp2p.peerId.toMultihash().bytes
  if (stream.status === 'open') {
    await lpStream(stream).write(encodeStopConnect(id, { seconds: 60, bytes: 1_000_000 }))
    await closed.promise
  }
  assert.deepEqual([bytes, stream.status], [0, 'reset'])
})

test('only paired peers and those of the options get a place; whoever was refused may still call', async (t) => {
  const relay = await start(t, { relay: { ...open, open: false } })
  const address = String(relay.libp2p.getMultiaddrs()[0])
  const stranger = await start(t, { listen: [] })
  await assert.rejects(takePlace(stranger, address), (error) => isMeshError(error, 'RELAY_REFUSED') && error.message.includes('permissionDenied'))
  assert.deepEqual([serving({ relay }).refused, serving({ relay }).reservations], [{ 'not-paired': 1 }, 0])
  const paired = await start(t, { listen: [] })
  relay.relayServer?.serve((peerId) => peerId === paired.peerId)
  await takePlace(paired, address)
  const connection = await stranger.libp2p.dial(multiaddr(`${address}/p2p-circuit/p2p/${paired.peerId}`))
  assert.equal(connection.remotePeer.toString(), paired.peerId, 'who has an invite of a peer is no friend of its relay')
  const allowing = await start(t, { relay: { ...open, open: false, allow: [stranger.peerId] } })
  await takePlace(stranger, String(allowing.libp2p.getMultiaddrs()[0]))
})

test('places are bounded, and given back when the peer goes', async (t) => {
  const field = await startField(t, { maxReservations: 2 })
  const second = await startTestHost({ listen: [] })
  await takePlace(second, field.address)
  await assert.rejects(
    takePlace(field.caller, field.address),
    (error) => isMeshError(error, 'RELAY_REFUSED') && error.message.includes('reservationRefused')
  )
  assert.deepEqual(serving(field).refused, { reservations: 1 })
  await takePlace(second, field.address)
  await second[Symbol.asyncDispose]()
  await until(() => serving(field).reservations === 1, 'its place is free')
  await takePlace(field.caller, field.address)
})

async function rawPeer(t: TestContext, relay: string, onCall?: (stream: Stream) => void): Promise<RawPeer> {
  const peer = await RawPeer.start(onCall)
  t.after(() => peer[Symbol.asyncDispose]())
  await peer.connect(relay)
  return peer
}

interface RawField {
  readonly relay: TestHost
  readonly address: string
  readonly called: RawPeer
}

async function startRaw(t: TestContext, limits: Partial<RelayServerLimits> = {}, onCall?: (stream: Stream) => void): Promise<RawField> {
  const relay = await start(t, { relay: { ...open, ...limits } })
  const address = String(relay.libp2p.getMultiaddrs()[0])
  const called = await rawPeer(t, address, onCall)
  assert.equal(await called.reserve(), circuitStatus.ok)
  return { relay, address, called }
}

test('a peer that has all of its circuits gets no more, and another one does, until the relay is full', async (t) => {
  const field = await startRaw(t, { maxCircuitsPerPeer: 3, maxCircuits: 5 })
  const { address, called } = field
  const caller = await rawPeer(t, address)
  const statuses = await Promise.all(Array.from({ length: 6 }, async () => (await caller.call(called.peerId)).status))
  assert.deepEqual(
    statuses.sort((a = 0, b = 0) => a - b),
    [100, 100, 100, 201, 201, 201]
  )
  assert.deepEqual([serving(field).circuits, serving(field).refused], [3, { 'circuits-of-peer': 3 }])
  const other = await rawPeer(t, address)
  const circuits = [await other.call(called.peerId), await other.call(called.peerId)]
  assert.deepEqual(
    circuits.map(({ status }) => status),
    [100, 100]
  )
  const third = await rawPeer(t, address)
  assert.equal((await third.call(called.peerId)).status, circuitStatus.resourceLimitExceeded)
  assert.equal(serving(field).refused['circuits'], 1)
  circuits[0]?.stream.abort(new Error('test'))
  await until(() => serving(field).circuits === 4, 'a circuit is free')
  assert.equal((await third.call(called.peerId)).status, circuitStatus.ok)
})

test('strangers leave half of the circuits to those who are served', async (t) => {
  const field = await startRaw(t, { open: true, maxCircuits: 4 })
  const relay = await start(t, { relay: { ...open, open: false, maxCircuits: 4, allow: [field.called.peerId] } })
  const address = String(relay.libp2p.getMultiaddrs()[0])
  await field.called.connect(address)
  assert.equal(await field.called.reserve(), circuitStatus.ok)
  const strangers = [await rawPeer(t, address), await rawPeer(t, address)]
  const statuses = []
  for (const stranger of strangers) for (let count = 0; count < 2; count++) statuses.push((await stranger.call(field.called.peerId)).status)
  assert.deepEqual(statuses, [100, 100, 201, 201])
  const friend = await rawPeer(t, address)
  relay.relayServer?.serve((peerId) => peerId === friend.peerId)
  assert.equal((await friend.call(field.called.peerId)).status, circuitStatus.ok)
})

test('who asks too often is refused, and asked about nothing else', async (t) => {
  const field = await startRaw(t)
  const caller = await rawPeer(t, field.address)
  const answers = []
  for (let count = 0; count < 14; count++) answers.push(await caller.reserve())
  assert.ok(answers.slice(0, 10).every((status) => status === circuitStatus.ok))
  assert.ok(answers.includes(circuitStatus.resourceLimitExceeded), answers.join())
  assert.ok((serving(field).refused['rate'] ?? 0) >= 1)
})

test('what is no request of the protocol is answered or cut, and costs no memory', async (t) => {
  const field = await startRaw(t)
  const caller = await rawPeer(t, field.address)
  const said: (number | undefined)[] = []
  for (const bytes of [
    [0x08, 2],
    [0x08, 1],
    [0xff, 0xff],
    [0x08, 1, 0x12, 2, 0x0a, 0]
  ]) {
    const frames = lpStream(await caller.hop())
    await frames.write(new Uint8Array(bytes))
    said.push(decodeHopAnswer((await frames.read()).subarray()).status)
  }
  assert.deepEqual(said, [circuitStatus.unexpected, circuitStatus.malformed, circuitStatus.malformed, circuitStatus.malformed])
  for (const bytes of [new Uint8Array([255, 255, 3]), new Uint8Array(65_536).fill(255)]) {
    const stream = await caller.hop()
    const closed = Promise.withResolvers<undefined>()
    stream.addEventListener('close', () => closed.resolve(undefined))
    const startedAt = performance.now()
    stream.send(bytes)
    await closed.promise
    assert.ok(performance.now() - startedAt < 1_000, 'it is not pondered on')
  }
  assert.equal(serving(field).refused['malformed'], 6)
  assert.equal(await caller.reserve(), circuitStatus.ok, 'the peer is served after that')
})

test('what comes behind a request is thrown away, or waits within a window', async (t) => {
  const field = await startRaw(t)
  const caller = await rawPeer(t, field.address)
  const silent = await rawPeer(t, field.address)
  assert.equal(await silent.reserve(), circuitStatus.ok)
  await silent.libp2p.unhandle(RELAY_V2_STOP_CODEC)
  await silent.libp2p.handle(RELAY_V2_STOP_CODEC, () => undefined)
  const id = peerIdFromString(silent.peerId).toMultihash().bytes
  const requests = [encodeHopReserve(), new Uint8Array([0x08, 2]), new Uint8Array([0x08, 1, 0x12, id.length + 2, 0x0a, id.length, ...id])]
  const floods = await Promise.all(
    requests.map(async (request) => {
      const stream = await caller.hop()
      await lpStream(stream).write(request)
      stream.addEventListener('drain', () => fill(stream, 4_000_000))
      return fill(stream, 4_000_000)
    })
  )
  assert.ok(floods.every((bytes) => bytes > 100_000))
  const held = (): number =>
    field.relay.libp2p
      .getConnections(caller.libp2p.peerId)
      .flatMap(({ streams }) => streams)
      .reduce((sum, { readBufferLength }) => sum + readBufferLength, 0)
  await until(() => held() > 0, 'the third one waits for the called peer')
  for (let count = 0; count < 10; count++) assert.ok((await caller.reserve()) !== undefined && held() <= 393_216, `${held()} bytes`)
})

test('a circuit that has carried its bytes is cut, each direction by itself', async (t) => {
  const field = await startRaw(t, { circuitBytes: 200_000 }, echo)
  const caller = await rawPeer(t, field.address)
  const { stream } = await caller.call(field.called.peerId)
  await throughEcho(stream, 196_608)
  const closed = Promise.withResolvers<undefined>()
  stream.addEventListener('close', () => closed.resolve(undefined))
  stream.send(new Uint8Array(16_384))
  await closed.promise
  await until(() => serving(field).circuits === 0, 'it is gone')
  assert.deepEqual(serving(field).refused, { bytes: 1 })
})

test('over its rate a peer waits, and nothing of what it sends is lost', async (t) => {
  const rate = 524_288
  const field = await startRaw(t, { bytesPerSecond: rate }, echo)
  const caller = await rawPeer(t, field.address)
  const circuits = [await caller.call(field.called.peerId), await caller.call(field.called.peerId)]
  const startedAt = performance.now()
  const bytes = 1_048_576
  await Promise.all(circuits.map(({ stream }) => throughEcho(stream, bytes)))
  const seconds = (performance.now() - startedAt) / 1_000
  // One second's worth may come at once.
  const least = (circuits.length * bytes) / rate - 1
  assert.ok(seconds > 0.9 * least, `${circuits.length * bytes} bytes in ${seconds} s`)
  assert.equal(serving(field).circuits, 2)
  // The other end sent as much, at a rate of its own; a third peer is not slowed by either.
  const other = await rawPeer(t, field.address)
  const third = await rawPeer(t, field.address, echo)
  assert.equal(await third.reserve(), circuitStatus.ok)
  const fresh = await other.call(third.peerId)
  const freshAt = performance.now()
  await throughEcho(fresh.stream, 131_072)
  assert.ok(performance.now() - freshAt < 1_000)
})

test('a reader that takes nothing loses its circuit, and what waited for it was bounded', async (t) => {
  const field = await startRaw(t, { stallMs: 600 }, (stream) => stream.pause())
  const caller = await rawPeer(t, field.address)
  const { stream } = await caller.call(field.called.peerId)
  const closed = Promise.withResolvers<undefined>()
  stream.addEventListener('close', () => closed.resolve(undefined))
  let sent = 0
  const push = (): void => {
    sent += fill(stream, 16_777_216)
  }
  stream.addEventListener('drain', () => queueMicrotask(push))
  push()
  await closed.promise
  assert.ok(serving(field).bytes < 3_000_000, `${serving(field).bytes} bytes were taken from the sender`)
  assert.deepEqual([serving(field).refused, sent > serving(field).bytes], [{ stalled: 1 }, true])
})

test('a slow reader gets everything, however long it takes', async (t) => {
  let received = 0
  const field = await startRaw(t, { stallMs: 2_000 }, (stream) => {
    stream.addEventListener('message', ({ data }) => {
      received += data.byteLength
      stream.pause()
      setTimeout(() => {
        if (stream.readStatus === 'paused') stream.resume()
      }, 20)
    })
  })
  const caller = await rawPeer(t, field.address)
  const { stream } = await caller.call(field.called.peerId)
  const chunk = new Uint8Array(16_384)
  const bytes = 200 * chunk.length
  for (let index = 0; index < 200; index++) if (!stream.send(chunk)) await stream.onDrain()
  await stream.close()
  await until(() => received === bytes, 'all has arrived', 20_000)
  assert.deepEqual(serving(field).refused, {})
})

test('what both ends said before they closed arrives, and a lost end takes the other with it', async (t) => {
  const field = await startRaw(t, {}, (stream) => {
    stream.addEventListener('message', ({ data }) => void stream.send(data))
    stream.addEventListener('remoteCloseWrite', () => void stream.close())
  })
  const caller = await rawPeer(t, field.address)
  const { stream } = await caller.call(field.called.peerId)
  let received = 0
  stream.addEventListener('message', ({ data }) => (received += data.byteLength))
  const ended = Promise.withResolvers<undefined>()
  stream.addEventListener('end', () => ended.resolve(undefined))
  stream.send(new Uint8Array(100_000))
  await stream.close()
  await ended.promise
  assert.equal(received, 100_000)
  await until(() => serving(field).circuits === 0, 'it is over')
  const second = await caller.call(field.called.peerId)
  const closed = Promise.withResolvers<undefined>()
  second.stream.addEventListener('close', () => closed.resolve(undefined))
  await field.called.libp2p.stop()
  await closed.promise
  await until(() => serving(field).circuits === 0 && serving(field).reservations === 0, 'nothing is left')
})
