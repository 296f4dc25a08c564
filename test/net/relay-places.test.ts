import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { isMeshError } from '../../src/core/base/index.ts'
import { startTestHost, takePlace, type TestHost, type TestHostOptions, until } from './support.ts'

const limits = {
  open: true,
  allow: [],
  maxReservations: 3,
  maxCircuits: 64,
  maxCircuitsPerPeer: 16,
  circuitBytes: 2 ** 30,
  circuitSeconds: 86_400,
  bytesPerSecond: 2 ** 30
} as const

async function start(t: TestContext, options: TestHostOptions): Promise<TestHost> {
  const host = await startTestHost(options)
  t.after(() => host[Symbol.asyncDispose]())
  return host
}

test('where strangers have all places, a paired peer gets one of theirs', async (t) => {
  const relay = await start(t, { relay: limits })
  const address = String(relay.libp2p.getMultiaddrs()[0])
  const strangers = await Promise.all(Array.from({ length: 3 }, () => start(t, { listen: [] })))
  for (const stranger of strangers) await takePlace(stranger, address)
  const [paired, other] = [await start(t, { listen: [] }), await start(t, { listen: [] })]
  relay.relayServer?.serve((peerId) => peerId === paired.peerId)
  await assert.rejects(takePlace(other, address), (error) => isMeshError(error, 'RELAY_REFUSED'))
  const lost: string[] = []
  for (const { relays, peerId } of strangers) relays.onLost(() => void lost.push(peerId))
  await takePlace(paired, address)
  await until(() => lost.length === 1, 'one of the strangers knows that it has no place any more')
  assert.equal(relay.relayServer?.serving.reservations, 3)
  const circuit = multiaddr(`${address}/p2p-circuit/p2p/${paired.peerId}`)
  assert.equal((await other.libp2p.dial(circuit)).status, 'open')
})
