import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { startRelay } from './relay-support.ts'
import { startTestHost, until } from './support.ts'

test('a stream carries what is written at once, to its end, though it is closed before the peer has answered', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  const received: Buffer[] = []
  let isEnded = false
  await b.libp2p.handle('/synaptic-mesh/card/1.0.0', (stream) => {
    stream.addEventListener('message', ({ data }) => received.push(Buffer.from(data.subarray())))
    stream.addEventListener('remoteCloseWrite', () => {
      isEnded = true
      void stream.close()
    })
  })
  const connection = await a.libp2p.dial(b.libp2p.getMultiaddrs())
  const stream = await connection.newStream('/synaptic-mesh/card/1.0.0')
  assert.equal(stream.protocol, '/synaptic-mesh/card/1.0.0')
  stream.send(Buffer.from('hello'))
  await stream.close()
  await until(() => isEnded, 'all has come')
  assert.equal(Buffer.concat(received).toString(), 'hello')
})

test('a stream of ours that the peer does not serve is open at once, and ends with its answer', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  const connection = await a.libp2p.dial(b.libp2p.getMultiaddrs())
  const stream = await connection.newStream('/synaptic-mesh/nothing/1.0.0')
  const errors: (Error | undefined)[] = []
  stream.addEventListener('close', ({ error }) => errors.push(error))
  await until(() => errors.length > 0, 'the stream ends')
  assert.match(String(errors[0]), /does not speak \/synaptic-mesh\/nothing/)
  await assert.rejects(connection.newStream('/other/nothing/1.0.0'), 'of others nothing is taken for granted')
})

test('over a relay a peer that speaks no hybrid Noise is asked the second time', async () => {
  await using relay = await startRelay()
  await using a = await startTestHost({ listen: [] })
  const stock = await createLibp2p({
    addresses: { listen: [relay.listen] },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
  try {
    const address = multiaddr(`${relay.listen}/p2p/${stock.peerId.toString()}`)
    await until(() => stock.getMultiaddrs().length > 0, 'the stock node has a place at the relay')
    await assert.rejects(a.libp2p.dial(address))
    const connection = await a.libp2p.dial(address)
    assert.equal(connection.encryption, '/noise')
  } finally {
    await stock.stop()
  }
})
