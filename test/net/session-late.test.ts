import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acceptSession } from '../../src/mesh/session-stream.ts'
import { createMesh } from '../../src/node/create-mesh.ts'
import { contextOf, failure, inner } from './session-support.ts'
import { startTestHost, until } from './support.ts'

test('a session whose caller has given up is ended: a slow peer cannot use up the places', { timeout: 20_000 }, async () => {
  await using slow = await startTestHost()
  const context = contextOf(slow)
  const [gate, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  await slow.host.serve('pqs', async (stream) => {
    await gate.promise
    await acceptSession(stream, { context, inner, minimumLevel: 1, responder: slow.peerId })
      .then((session) => session.closed)
      .finally(ended.resolve)
  })
  const bootstrapPeers = slow.libp2p.getMultiaddrs().map(String)
  await using mesh = await createMesh({ network: 'test', listenAddrs: ['/ip4/127.0.0.1/tcp/0'], mdns: false, bootstrapPeers })
  await until(() => slow.libp2p.getPeers().length > 0, 'the two are connected')
  await assert.rejects(mesh.quantum(slow.peerId, { timeoutMs: 100 }), failure('TIMEOUT'))
  gate.resolve()
  const late = AbortSignal.timeout(5_000)
  await Promise.race([
    ended.promise,
    new Promise((_, reject) => late.addEventListener('abort', () => reject(new Error('the session is still open'))))
  ])
  assert.equal((await mesh.status()).quantum.sessions, 0)
})
