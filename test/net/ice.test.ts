import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test, type TestContext } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import { decodeIceFrame, encodeIceFrame, type IceFrame } from '../../src/core/nat/index.ts'
import { isRelayed } from '../../src/mesh/connections.ts'
import { connectionSecurity } from '../../src/mesh/hybrid-noise/index.ts'
import { IceEngine } from '../../src/node/ice-engine.ts'
import { directTo, type IceNode, type IceNodeOptions, noTurn, relayed, startIceNode } from './ice-support.ts'
import { startRelay } from './relay-support.ts'
import { until } from './support.ts'

interface Options {
  readonly a?: IceNodeOptions
  readonly b?: IceNodeOptions
}

async function pair(t: TestContext, options: Options = {}): Promise<{ readonly a: IceNode; readonly b: IceNode }> {
  const relay = await startRelay()
  t.after(() => relay.stop())
  const a = await startIceNode(t, relay, options.a)
  const b = await startIceNode(t, relay, options.b)
  await relayed(a, b)
  return { a, b }
}

const missing = (): IceEngine => new IceEngine(() => Promise.reject(Object.assign(new Error('gone'), { code: 'ERR_MODULE_NOT_FOUND' })))
const failure = (pattern: RegExp) => (error: unknown) => isMeshError(error, 'ICE_FAILED') && pattern.test(error.message)

test('two nodes that meet at a relay get a direct connection, with hybrid Noise and streams of its own', async (t) => {
  const { a, b } = await pair(t)
  const began = performance.now()
  const { connection, path } = await a.ice.connect(b.host.peerId)
  const ms = performance.now() - began
  assert.equal(path, 'direct-lan')
  assert.ok(ms < 900, `${ms} ms: a lost first flight of DTLS is sent again after a second`)
  assert.match(connection.remoteAddr.toString(), /^\/ip4\/127\.0\.0\.1\/udp\/\d+\/webrtc-direct\/p2p\//)
  assert.deepEqual([isRelayed(connection), connection.limits, connection.direct, connection.multiplexer], [false, undefined, true, '/yamux/1.0.0'])
  assert.equal(connectionSecurity(connection)?.level, 3)
  await until(() => directTo(b, a).length === 1, 'the other side has it, too')
  const [other] = directTo(b, a)
  assert.ok(other !== undefined)
  assert.deepEqual([a.paths.of(connection), b.paths.of(other), other.direction], ['direct-lan', 'direct-lan', 'inbound'])
  assert.deepEqual([a.ice.running, b.ice.running], [0, 0])
  const { addresses } = await a.host.libp2p.peerStore.get(b.host.libp2p.peerId)
  assert.ok(!addresses.some(({ multiaddr }) => multiaddr.toString().includes('webrtc')), 'nobody can dial it')
  await connection.close()
  await until(() => directTo(b, a).length === 0, 'the other side sees the end')
})

test('frames go over it as soon as it is there, and the relay is not needed any more', async (t) => {
  const { a, b } = await pair(t)
  await a.ice.connect(b.host.peerId)
  for (const connection of a.host.libp2p.getConnections(b.host.libp2p.peerId)) if (isRelayed(connection)) await connection.close()
  await b.host.host.serve('card', async (stream) => {
    for await (const frame of stream.frames()) await stream.send(frame)
  })
  const stream = await a.host.host.open(b.host.peerId, 'card')
  const sent = Array.from({ length: 50 }, (_, index) => new Uint8Array(16_000).fill(index))
  void Promise.all(sent.map((frame) => stream.send(frame)))
  let index = 0
  for await (const frame of stream.frames()) {
    assert.deepEqual(frame, sent[index])
    index += 1
    if (index === sent.length) break
  }
  await stream.close()
})

test('both sides may begin at one time: one connection comes of it, for both', async (t) => {
  const { a, b } = await pair(t)
  const [one, other] = await Promise.all([a.ice.connect(b.host.peerId), b.ice.connect(a.host.peerId)])
  assert.deepEqual([one.path, other.path], ['direct-lan', 'direct-lan'])
  assert.deepEqual([directTo(a, b).length, directTo(b, a).length], [1, 1])
  assert.deepEqual([a.host.refusals, b.host.refusals], [[], []], 'nobody did wrong')
})

test('who asks again while a run goes on gets what comes of it', async (t) => {
  const { a, b } = await pair(t)
  const [one, other] = await Promise.all([a.ice.connect(b.host.peerId), a.ice.connect(b.host.peerId)])
  assert.equal(one.connection, other.connection)
})

test('a run that follows another one at once is served', async (t) => {
  const { a, b } = await pair(t)
  for (let run = 0; run < 3; run++) assert.equal((await a.ice.connect(b.host.peerId)).path, 'direct-lan')
})

test('without node-datachannel there is an error that names it, before anybody is asked; a peer without it says so', async (t) => {
  const { a, b } = await pair(t, { b: { engine: missing() } })
  assert.match(b.ice.unavailable ?? '', /node-datachannel is not installed/)
  assert.equal(a.ice.unavailable, undefined)
  await assert.rejects(b.ice.connect(a.host.peerId), (error) => {
    assert.ok(isMeshError(error, 'ICE_UNAVAILABLE'))
    return /npm install node-datachannel@/.test(error.hint) && error.exitCode === 7
  })
  await assert.rejects(a.ice.connect(b.host.peerId), failure(/the peer has no ICE/))
})

test('TURN: no server, and one that is silent, are told apart from NATs that let nothing through', async (t) => {
  const turnServers = ['turn:127.0.0.1:9']
  const { a, b } = await pair(t, { b: { ice: { options: { ...noTurn, turnServers } } } })
  await assert.rejects(a.ice.connect(b.host.peerId, { policy: 'turn' }), (error) => isMeshError(error, 'TURN_NOT_CONFIGURED'))
  assert.deepEqual([a.ice.hasTurn, b.ice.hasTurn], [false, true])
  const began = performance.now()
  await assert.rejects(
    b.ice.connect(a.host.peerId, { policy: 'turn' }),
    (error) => isMeshError(error, 'TURN_FAILED') && /turn:127\.0\.0\.1:9 .*UDP to it is blocked/.test(error.message)
  )
  assert.ok(performance.now() - began < 4_000)
})

test('a connection that begins over a TURN server is told as direct once ICE has moved it', async (t) => {
  const engine = new IceEngine()
  let isMoved = false
  const create = engine.createAgent.bind(engine)
  engine.createAgent = (options) => {
    const agent = create(options)
    const pair = agent.pair.bind(agent)
    agent.pair = () => {
      const found = pair()
      return found === undefined || isMoved ? found : { ...found, local: { ...found.local, type: 'relay' } }
    }
    return agent
  }
  const { a, b } = await pair(t, { a: { engine } })
  const { connection, path } = await a.ice.connect(b.host.peerId)
  assert.deepEqual([path, a.paths.of(connection)], ['turn', 'turn'])
  isMoved = true
  await until(() => a.paths.of(connection) === 'direct-lan', 'it is told')
})

test('an abort ends a run at once, on both sides', async (t) => {
  const { a, b } = await pair(t)
  const control = new AbortController()
  const run = a.ice.connect(b.host.peerId, { signal: control.signal })
  await until(() => a.ice.running === 1, 'it runs')
  control.abort()
  await assert.rejects(run, (error) => isMeshError(error, 'ABORTED'))
  await until(() => a.ice.running + b.ice.running === 0, 'nothing is left of it')
})

/** Says these frames to `b` on a signalling stream; the frames that come back until it ends. */
async function say(a: IceNode, b: IceNode, frames: readonly IceFrame[]): Promise<readonly IceFrame[]> {
  const stream = await a.host.host.open(b.host.peerId, 'ice')
  for (const frame of frames) await stream.send(encodeIceFrame(frame))
  const heard: IceFrame[] = []
  try {
    for await (const frame of stream.frames()) heard.push(decodeIceFrame(frame))
  } catch {
    // A reset.
  }
  await stream.close()
  await stream.closed
  return heard
}

const offer: IceFrame = {
  kind: 'offer',
  policy: 'all',
  isSymmetric: false,
  credentials: { fragment: 'abcd', password: 'p'.repeat(22), fingerprint: new Uint8Array(32).fill(1) }
}

test('a stranger gets three runs at once and one at a time; no address of a TURN server is asked for it', async (t) => {
  const turnServers = ['turn:127.0.0.1:9']
  const engine = new IceEngine()
  const asked: number[] = []
  const create = engine.createAgent.bind(engine)
  engine.createAgent = (options) => {
    asked.push(options.turn.length)
    return create(options)
  }
  const { a, b } = await pair(t, { a: { silent: true }, b: { engine, ice: { isPaired: () => false, options: { ...noTurn, turnServers } } } })
  const ended = { kind: 'ended', refusal: 'failed' } as const
  for (let run = 0; run < 3; run++) assert.notDeepEqual((await say(a, b, [offer, ended])).at(-1), { kind: 'ended', refusal: 'refused' })
  assert.deepEqual(await say(a, b, [offer]), [{ kind: 'ended', refusal: 'refused' }])
  assert.deepEqual(asked, [0, 0, 0])
  assert.equal(b.ice.running, 0)
})

test('a second run of one peer at one time is refused, and nothing of a refused one is left', async (t) => {
  const { a, b } = await pair(t, { a: { silent: true } })
  const first = await a.host.host.open(b.host.peerId, 'ice')
  await first.send(encodeIceFrame(offer))
  await until(() => b.ice.running === 1, 'it runs')
  assert.deepEqual(await say(a, b, [offer]), [{ kind: 'ended', refusal: 'busy' }])
  await first.close()
  await until(() => b.ice.running === 0, 'it ended with its stream')
})

test('a process that used ICE ends by itself when its nodes are stopped', () => {
  const child = new URL('ice-child.ts', import.meta.url).pathname
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [child], { encoding: 'utf8', timeout: 60_000 })
  assert.deepEqual([status, signal, stdout.trim()], [0, null, 'direct-lan'], stderr)
})
