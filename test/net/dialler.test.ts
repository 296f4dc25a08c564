import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { Dialler } from '../../src/mesh/dialler.ts'
import { startRelay } from './relay-support.ts'
import { silentAddresses } from './silent.ts'
import { startTestHost, timers, until } from './support.ts'

test('a relay is used at once while direct addresses do not answer, and one that answers later is told of', async () => {
  await using relay = await startRelay()
  await using silent = await silentAddresses(4)
  await using b = await startTestHost({ listen: ['/ip4/127.0.0.1/tcp/0', relay.listen] })
  await using a = await startTestHost({ listen: [] })
  const relayed = b.libp2p.getMultiaddrs().find((address) => address.toString().includes('/p2p-circuit'))
  const direct = b.libp2p.getMultiaddrs().find((address) => !address.toString().includes('/p2p-circuit'))
  assert.ok(relayed !== undefined && direct !== undefined)
  const quiet = silent.addresses.map((address) => multiaddr(`${address}/p2p/${b.peerId}`))
  const startedAt = performance.now()
  const connection = await a.connect(b.libp2p.peerId, { addresses: [...quiet, direct, relayed] })
  assert.match(connection.remoteAddr.toString(), /p2p-circuit/)
  assert.ok(performance.now() - startedAt < 3_000, 'libp2p would have waited 6 s for each of the silent ones')
  await until(
    () => a.libp2p.getConnections(b.libp2p.peerId).some(({ limits }) => limits === undefined),
    'the direct address that answers is connected as well'
  )
})

test('a direct address that answers leaves the relay alone', async () => {
  await using relay = await startRelay()
  await using b = await startTestHost({ listen: ['/ip4/127.0.0.1/tcp/0', relay.listen] })
  await using a = await startTestHost({ listen: [] })
  await a.libp2p.peerStore.merge(b.libp2p.peerId, { multiaddrs: b.libp2p.getMultiaddrs() })
  const connections = await Promise.all([1, 2, 3].map(() => a.connect(b.libp2p.peerId, {})))
  assert.equal(new Set(connections.map(({ id }) => id)).size, 1, 'three at one time share one dial')
  assert.equal(connections[0]?.limits, undefined)
  assert.equal(a.libp2p.getConnections(relay.libp2p.peerId).length, 0)
})

test('no address, wrong ones, and an abort are errors, and leave nothing behind', async () => {
  await using b = await startTestHost()
  await using a = await startTestHost()
  await using silent = await silentAddresses(1)
  const peer = b.libp2p.peerId
  await assert.rejects(a.connect(peer, { addresses: [multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${b.peerId}`)] }), /ECONNREFUSED/)
  const slow = multiaddr(`${silent.addresses[0] ?? ''}/p2p/${b.peerId}`)
  await assert.rejects(a.connect(peer, { addresses: [slow], signal: AbortSignal.timeout(100) }), /timeout/)
  await assert.rejects(a.connect(peer, { signal: AbortSignal.abort() }), /abort/)
  const [own] = a.libp2p.getMultiaddrs()
  assert.ok(own !== undefined)
  await assert.rejects(a.connect(peer, { addresses: [multiaddr(own.toString().replace(a.peerId, b.peerId))] }), /address of this node/)
  assert.equal(a.libp2p.getConnections().length, 0)
})

test('peers with many addresses that do not answer keep nobody else waiting', async (t) => {
  await using a = await startTestHost()
  const silent = await Promise.all(Array.from({ length: 11 }, () => startTestHost({ listen: [] })))
  t.after(() => Promise.all(silent.map((each) => each[Symbol.asyncDispose]())))
  const dialled: string[] = []
  const { dialler: real } = a.libp2p.services
  const port: ConstructorParameters<typeof Dialler>[0]['port'] = {
    dial: (address, options) => {
      dialled.push(String(address))
      if (!String(address).startsWith('/ip4/127.0.0.9/')) return real.dial(address, options)
      return new Promise((_, reject) => options.signal?.addEventListener('abort', () => reject(new Error('no answer'))))
    }
  }
  const dialler = new Dialler({ libp2p: a.libp2p, port, timers })
  const dials = silent.map(({ libp2p, peerId }) => {
    const addresses = Array.from({ length: 8 }, (_, index) => multiaddr(`/ip4/127.0.0.9/tcp/${9_000 + index}/p2p/${peerId}`))
    return dialler.connect(libp2p.peerId, { addresses }).catch(() => undefined)
  })
  await until(() => dialled.length >= 64, 'all places are taken')
  await using answers = await startTestHost()
  const startedAt = performance.now()
  await dialler.connect(answers.libp2p.peerId, { addresses: answers.libp2p.getMultiaddrs() })
  assert.ok(performance.now() - startedAt < 2_000, 'a place is free after 6 s')
  assert.ok(dialled.length < 128)
  dialler.stop()
  await Promise.all(dials)
})
