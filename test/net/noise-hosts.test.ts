import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Socket, connect, createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { isMeshError } from '../../src/core/base/index.ts'
import { connectionSecurity, hybridNoise, type HybridNoiseOptions } from '../../src/node/noise.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { hybridId } from './noise-pair.ts'
import { startNode, startStock } from './noise-support.ts'
import { startTestHost, type TestHost, until } from './support.ts'

const lp = (text: string): Buffer => Buffer.from([text.length, ...Buffer.from(text)])
const portOf = ({ libp2p }: TestHost): number => Number(/\/tcp\/(\d+)/.exec(String(libp2p.getMultiaddrs()[0]))?.[1])
const downgradesOf = ({ logs }: TestHost): number => logs.filter(({ event, level }) => event === 'DOWNGRADE_DETECTED' && level === 'error').length

test('options that are not meant end in an error, and not in connections with less protection', () => {
  for (const text of [
    '{"policy":"required"}',
    '{"policy":null}',
    '{"levels":[2]}',
    '{"levels":[]}',
    '{"levels":["5"]}',
    '{"levels":5}',
    '3',
    'null'
  ]) {
    const options: HybridNoiseOptions = JSON.parse(text)
    assert.throws(
      () => hybridNoise(options),
      (error) => isMeshError(error, 'OPTION_INVALID'),
      text
    )
  }
  const slip: HybridNoiseOptions = JSON.parse('{"polcy":"require"}')
  assert.throws(
    () => hybridNoise(slip),
    (error) => isMeshError(error, 'OPTION_UNKNOWN')
  )
  assert.deepEqual([hybridNoise({ policy: 'require' }).length, hybridNoise().length], [1, 2])
})

test('an unmodified libp2p node connects under prefer, in both directions, and is refused under require', async () => {
  await using preferring = await startTestHost()
  await using requiring = await startTestHost({ quantum: 'require' })
  const stock = [await startStock(), await startStock()]
  const [first = assert.fail(), second = assert.fail()] = stock
  try {
    const outbound = await preferring.libp2p.dial(first.getMultiaddrs())
    const inbound = await second.dial(preferring.libp2p.getMultiaddrs())
    for (const connection of [outbound, inbound]) assert.equal(connectionSecurity(connection)?.level, 0)
    await assert.rejects(requiring.libp2p.dial(first.getMultiaddrs()))
    await assert.rejects(first.dial(requiring.libp2p.getMultiaddrs()))
    assert.deepEqual(requiring.libp2p.getConnections(), [])
  } finally {
    await Promise.all(stock.map(async (node) => node.stop()))
  }
})

test('quantum_resistant means require: the node is closed to an unmodified one, and open to another of ours', async () => {
  await using net = await createTestnet(2, { config: (index) => (index === 0 ? { quantumResistant: true } : {}) })
  const stock = await startStock()
  try {
    await assert.rejects(stock.dial(multiaddr(net.node(0).addresses()[0])))
    await stock.dial(multiaddr(net.node(1).addresses()[0]))
  } finally {
    await stock.stop()
  }
  await until(async () => (await net.node(0).detailedStatus()).connections.some(({ encryption }) => encryption === hybridId), 'a hybrid connection')
})

test('two of ours have a hybrid connection whatever their policies, and it says what protects it', async () => {
  await using preferring = await startTestHost()
  await using requiring = await startTestHost({ quantum: 'require' })
  const connection = await preferring.libp2p.dial(requiring.libp2p.getMultiaddrs())
  assert.deepEqual(connectionSecurity(connection), {
    protocol: hybridId,
    suite: 'Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256',
    level: 3,
    authentication: 'Ed25519'
  })
})

test('the strongest level that both have is taken', async () => {
  const nodes = [
    await startNode(hybridNoise({ levels: [1, 3, 5] })),
    await startNode(hybridNoise({ levels: [1, 5] })),
    await startNode(hybridNoise({ levels: [1] }))
  ]
  const [all = assert.fail(), two = assert.fail(), one = assert.fail()] = nodes
  try {
    assert.equal(connectionSecurity(await all.dial(two.getMultiaddrs()))?.level, 5)
    assert.equal(connectionSecurity(await all.dial(one.getMultiaddrs()))?.level, 1)
  } finally {
    await Promise.all(nodes.map(async (node) => node.stop()))
  }
})

/** Stands between two nodes and answers `na` to our id itself: what is left is `/noise`. */
async function strippingProxy(t: TestContext, targetPort: number): Promise<number> {
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    t.after(() => {
      near.destroy()
      far.destroy()
    })
    let wasStripped = false
    near.on('data', (data) => {
      const line = lp(`${hybridId}\n`)
      const at = data.indexOf(line)
      wasStripped ||= at >= 0
      far.write(at < 0 ? data : Buffer.concat([data.subarray(0, at), data.subarray(at + line.length)]))
    })
    far.on('data', (data) => {
      near.write(wasStripped ? Buffer.concat([data, lp('na\n')]) : data)
      wasStripped = false
    })
    for (const [from, to] of [[near, far] as const, [far, near] as const]) {
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

test('a proxy that strips our id on the way is found out on both ends', async (t) => {
  await using caller = await startTestHost()
  await using called = await startTestHost()
  const port = await strippingProxy(t, portOf(called))
  const through = multiaddr(`/ip4/127.0.0.1/tcp/${port}/p2p/${called.peerId}`)
  await caller.libp2p.peerStore.patch(called.libp2p.peerId, { multiaddrs: [through] })
  await assert.rejects(caller.host.open(called.peerId, 'card'), (error) => isMeshError(error, 'DOWNGRADE_DETECTED'))
  await until(() => downgradesOf(caller) === 1 && downgradesOf(called) === 1, 'both ends say DOWNGRADE_DETECTED')
  assert.deepEqual([caller.libp2p.getConnections(), called.libp2p.getConnections()], [[], []])
})

test('strangers that list more than they speak do not fill the log, and are counted', async () => {
  await using called = await startTestHost()
  // Both suites stand in its lists, one of them it never speaks.
  const { libp2p } = called
  const strangers = await Promise.all(Array.from({ length: 20 }, async () => startNode(hybridNoise().slice(1))))
  try {
    await Promise.all(strangers.map(async (stranger) => assert.rejects(stranger.dial(libp2p.getMultiaddrs()))))
    const [first = assert.fail()] = strangers
    for (let call = 0; call < 10; call++) await assert.rejects(first.dial(libp2p.getMultiaddrs()))
    await until(() => called.handshakeFailures.get('offers') === 30, 'every attempt is counted')
    assert.equal(downgradesOf(called), 8)
  } finally {
    await Promise.all(strangers.map(async (node) => node.stop()))
  }
})

/** Opens `perSecond` connections from one address, sends what makes the node compute, and never goes on. */
function flood(t: TestContext, options: { readonly port: number; readonly perSecond: number }): { readonly opened: () => number } {
  const sockets = new Set<Socket>()
  let opened = 0
  const messageA = Buffer.concat([Buffer.from([1_216 >>> 8, 1_216 & 255]), Buffer.alloc(1_216, 1)])
  const hello = Buffer.concat([lp('/multistream/1.0.0\n'), lp(`${hybridId}\n`), messageA])
  const open = (): void => {
    const socket = connect({ port: options.port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    sockets.add(socket)
    socket.on('connect', () => {
      opened += 1
      socket.write(hello)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
  }
  const timer = setInterval(() => {
    for (let index = 0; index < options.perSecond / 50; index++) open()
  }, 20)
  t.after(() => {
    clearInterval(timer)
    for (const socket of sockets) socket.destroy()
  })
  return { opened: () => opened }
}

test('a thousand half-open handshakes a second from one address do not stop honest ones', { timeout: 60_000 }, async (t) => {
  // The limits of a node as it is installed.
  await using node = await startTestHost({ gater: { perAddress: 64, halfOpenPerAddress: 32 }, inboundConnectionsPerSecond: 40 })
  const attack = flood(t, { port: portOf(node), perSecond: 1_000 })
  await until(() => attack.opened() > 200, 'the attack runs')
  const slowest: number[] = []
  for (let honestCalls = 0; honestCalls < 20; honestCalls++) {
    // Ten a second: an honest address has limits, too.
    await until(() => attack.opened() > 100 * honestCalls, 'the attack goes on')
    await using honest = await startTestHost()
    const started = performance.now()
    const connection = await honest.libp2p.dial(node.libp2p.getMultiaddrs(), { signal: AbortSignal.timeout(5_000) })
    slowest.push(performance.now() - started)
    assert.equal(connection.encryption, hybridId)
  }
  t.diagnostic(`${attack.opened()} half-open; ${slowest.length} honest handshakes took up to ${Math.round(Math.max(...slowest))} ms`)
})
