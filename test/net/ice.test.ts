import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { isRelayed } from '../../src/mesh/connections.ts'
import { connectionSecurity } from '../../src/mesh/hybrid-noise/index.ts'
import { type IceNode, type IceNodeOptions, relayed, startIceNode } from './ice-support.ts'
import { startRelay } from './relay-support.ts'
import { until } from './support.ts'

async function pair(
  t: TestContext,
  options: { readonly a?: IceNodeOptions; readonly b?: IceNodeOptions } = {}
): Promise<{ readonly a: IceNode; readonly b: IceNode }> {
  const relay = await startRelay()
  t.after(() => relay.stop())
  const a = await startIceNode(t, relay, options.a)
  const b = await startIceNode(t, relay, options.b)
  await relayed(a, b)
  return { a, b }
}

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
  const other = (): readonly unknown[] => b.host.libp2p.getConnections(a.host.libp2p.peerId).filter((each) => !isRelayed(each))
  await until(() => other().length === 1, 'the other side has it, too')
})
