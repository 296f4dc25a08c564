import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { bestConnection, usableConnection } from '../../src/mesh/connections.ts'
import { LinkCheck } from '../../src/mesh/link-check.ts'
import type { LogRecord } from '../../src/mesh/mesh.ts'
import { clock, random, startTestHost, timers } from './support.ts'

/** A wire to `port` that can fall silent without being cut, as one does whose end moved to another address. */
async function wireTo(port: number): Promise<{ readonly port: number; cut(): void } & Disposable> {
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    sockets.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => undefined)
    near.pipe(far)
    far.pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const cut = (): void => {
    for (const socket of sockets) socket.unpipe().pause()
  }
  return {
    port: address.port,
    cut,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}

test('when a peer connects anew, its newest connection is used and an older one that is silent is ended', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  const [address] = b.libp2p.getMultiaddrs()
  using wire = await wireTo(Number(/tcp\/(\d+)/.exec(String(address))?.[1]))
  const old = await a.libp2p.dial(multiaddr(`/ip4/127.0.0.1/tcp/${wire.port}/p2p/${b.peerId}`))
  const alive = await a.libp2p.dial(b.libp2p.getMultiaddrs(), { force: true })
  const connections = a.libp2p.getConnections(b.libp2p.peerId)
  assert.deepEqual([bestConnection(connections)?.id, usableConnection(connections)?.id], [alive.id, alive.id])
  const logs: LogRecord[] = []
  const links = new LinkCheck({ libp2p: a.libp2p, clock, timers, random, log: (record) => logs.push(record) })
  await links.checkOlder(alive)
  assert.deepEqual([old.status, alive.status], ['open', 'open'], 'one that answers stays')
  wire.cut()
  await links.checkOlder(alive)
  assert.notEqual(old.status, 'open')
  assert.deepEqual([alive.status, logs.map(({ event }) => event)], ['open', ['connection.lost']])
})
