import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import type { Logger } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { IceConnection } from '../../src/mesh/ice/ice-connection.ts'
import type { IceAgent, IceAgentEvent, IceChannel } from '../../src/mesh/ice/ice-port.ts'
import { IceEngine } from '../../src/node/ice-engine.ts'

interface End {
  readonly agent: IceAgent
  readonly channel: IceChannel
  readonly events: string[]
}

/** Two agents on 127.0.0.1. */
async function connect(t: TestContext): Promise<readonly [End, End]> {
  const engine = new IceEngine()
  await engine.load()
  t.after(() => engine.stop())
  const opened = [Promise.withResolvers<IceChannel>(), Promise.withResolvers<IceChannel>()] as const
  const events: readonly [string[], string[]] = [[], []]
  const agents: IceAgent[] = []
  const options = { stun: undefined, turn: [], isRelayOnly: false, bindAddress: '127.0.0.1', dtls: 'client' } as const
  const hear = (own: 0 | 1, event: IceAgentEvent): void => {
    events[own].push(event.type)
    if (event.type === 'open') opened[own].resolve(event.channel)
    // The initiator checks alone: the client of DTLS has to be through last.
    if (event.type === 'candidate' && own === 1) agents[0]?.check(event.candidate)
    if (event.type !== 'credentials') return
    if (own === 1) agents[0]?.answer(event.credentials, 'client')
    else agents[1] = engine.createAgent({ ...options, offer: event.credentials, onEvent: (each) => hear(1, each) })
  }
  agents[0] = engine.createAgent({ ...options, offer: undefined, onEvent: (each) => hear(0, each) })
  const channels = await Promise.all(opened.map(({ promise }) => promise))
  const end = (index: 0 | 1): End => {
    const [agent, channel] = [agents[index], channels[index]]
    assert.ok(agent !== undefined && channel !== undefined)
    return { agent, channel, events: events[index] }
  }
  return [end(0), end(1)]
}

const silent = (): void => undefined
const log: Logger = Object.assign(silent, { error: silent, trace: silent, enabled: false, newScope: () => log })

const pipe = ({ channel }: End, direction: 'inbound' | 'outbound'): IceConnection =>
  new IceConnection({ channel, direction, remoteAddr: multiaddr('/ip4/127.0.0.1/udp/9/webrtc-direct'), log })

test('what is sent waits in the sender while the network is slower, and all of it arrives before the end', async (t) => {
  const [a, b] = await connect(t)
  const [from, to] = [pipe(a, 'outbound'), pipe(b, 'inbound')]
  const total = 24 * 1_048_576
  let [received, sum, highest] = [0, 0, 0]
  to.addEventListener('message', ({ data }) => {
    for (const byte of data.subarray()) sum = (sum + byte) % 65_521
    received += data.byteLength
  })
  const ended = once(to, 'close')
  let [sent, expected, waits] = [0, 0, 0]
  while (sent < total) {
    const piece = new Uint8Array(50_001).fill(sent % 251)
    expected = (expected + piece.length * (sent % 251)) % 65_521
    sent += piece.length
    const mayGoOn = from.send(piece)
    highest = Math.max(highest, a.channel.heldBytes)
    if (mayGoOn) continue
    waits += 1
    await once(from, 'drain')
  }
  await from.close()
  await ended
  assert.deepEqual([received, sum], [sent, expected])
  assert.ok(waits > 3, `the sender was held back ${waits} times`)
  assert.ok(highest < 400_000, `${highest} bytes were held at one time`)
  assert.deepEqual([from.status, to.status], ['closed', 'closed'])
})

test('a reset ends both sides, and nothing is told afterwards', async (t) => {
  const [a, b] = await connect(t)
  const [from, to] = [pipe(a, 'outbound'), pipe(b, 'inbound')]
  const ended = once(to, 'close')
  from.abort(new Error('enough'))
  await ended
  const told = [a.events.length, b.events.length]
  assert.throws(() => a.channel.send(new Uint8Array(1)))
  a.agent.close()
  b.agent.close()
  assert.deepEqual([a.agent.pair(), b.agent.pair(), a.channel.heldBytes], [undefined, undefined, 0])
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([a.events.length, b.events.length], told)
})

test('a listener that throws ends its connection, not the process', async (t) => {
  const [a, b] = await connect(t)
  const ended = Promise.withResolvers<void>()
  a.channel.listen({ onMessage: () => undefined, onDrain: () => undefined, onClosed: () => ended.resolve() })
  b.channel.listen({
    onMessage: () => {
      throw new Error('a fault of ours')
    },
    onDrain: () => undefined,
    onClosed: () => undefined
  })
  a.channel.send(new Uint8Array(10))
  await ended.promise
})

test('more than a handshake before anybody listens ends the connection', async (t) => {
  const [a, b] = await connect(t)
  const ended = Promise.withResolvers<void>()
  a.channel.listen({ onMessage: () => undefined, onDrain: () => undefined, onClosed: () => ended.resolve() })
  for (let count = 0; count < 17; count++) a.channel.send(new Uint8Array(65_536))
  await ended.promise
  assert.equal(b.agent.pair(), undefined)
})

test('a channel that has just ended throws at nobody who sends', async () => {
  const closed = (): never => {
    throw new Error('DataChannel is closed')
  }
  const channel: IceChannel = { heldBytes: 0, listen: () => undefined, send: closed, close: () => Promise.resolve(), reset: () => undefined }
  const connection = new IceConnection({ channel, direction: 'outbound', remoteAddr: multiaddr('/ip4/127.0.0.1/udp/9/webrtc-direct'), log })
  const ended = once(connection, 'close')
  assert.equal(connection.send(new Uint8Array(10)), false)
  await ended
  assert.equal(connection.status, 'aborted')
})
