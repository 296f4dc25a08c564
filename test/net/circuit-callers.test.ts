import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { RawPeer } from './circuit-support.ts'
import { startTestHost, takePlace, until } from './support.ts'

const relayLimits = {
  open: true,
  allow: [],
  maxReservations: 64,
  maxCircuits: 512,
  maxCircuitsPerPeer: 16,
  circuitBytes: 2 ** 30,
  circuitSeconds: 86_400,
  bytesPerSecond: 2 ** 30
} as const
const callsOfEach = 12

test('strangers that hold circuits and say nothing keep no paired peer from calling over the relay', async (t) => {
  await using relay = await startTestHost({ relay: relayLimits })
  const at = String(relay.libp2p.getMultiaddrs()[0])
  await using called = await startTestHost({ listen: [], gater: {}, inboundConnectionsPerSecond: 40 })
  await takePlace(called, at)
  await using paired = await startTestHost({ listen: [] })
  called.relays.prefer((peerId) => peerId === paired.peerId)
  const strangers = await Promise.all(Array.from({ length: 10 }, () => RawPeer.start()))
  t.after(() => Promise.all(strangers.map((stranger) => stranger[Symbol.asyncDispose]())))
  const taken = await Promise.all(
    strangers.map(async (stranger) => {
      await stranger.connect(at)
      const calls = await Promise.all(Array.from({ length: callsOfEach }, () => stranger.call(called.peerId)))
      return calls.filter(({ status }) => status === 100).length
    })
  )
  const all = taken.reduce((sum, count) => sum + count, 0)
  assert.ok(all > 0 && all <= 32 && taken.every((count) => count <= 4), `${taken.join(' ')} circuits of strangers`)
  const address = multiaddr(`${at}/p2p-circuit/p2p/${called.peerId}`)
  const connection = await paired.libp2p.dial(address, { signal: AbortSignal.timeout(4_000) })
  assert.equal(connection.status, 'open')
  // What strangers held is free again when it has ended: the handshakes that they have not begun time out.
  await using late = await RawPeer.start()
  await late.connect(at)
  const calls = (): Promise<boolean> =>
    late.call(called.peerId).then(
      ({ status, stream }) => {
        stream.abort(new Error('seen'))
        return status === 100
      },
      () => false
    )
  await until(calls, 'a stranger may call again', 15_000)
})
