import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { LinkCheck } from '../../src/mesh/link-check.ts'
import type { Mesh, ReceivedMessage } from '../../src/mesh/mesh.ts'
import { createMesh } from '../../src/node/create-mesh.ts'
import { startRelay } from './relay-support.ts'
import { clock, random, startTestHost, timers, until } from './support.ts'

/** Carries TCP connections to a port until it is cut: then nothing arrives any more, and nobody is told. */
async function startCable(to: number): Promise<AsyncDisposable & { readonly port: number; cut(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1')
    for (const [from, into] of [
      [near, far],
      [far, near]
    ] as const) {
      sockets.add(from.on('error', () => undefined))
      from.pipe(into)
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    port: address.port,
    cut: () => {
      for (const socket of sockets) socket.unpipe().pause()
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}

const pathsTo = async (node: Mesh, peerId: string): Promise<readonly string[]> =>
  (await node.detailedStatus()).connections.filter((each) => each.peerId === peerId).map(({ path }) => path)

test('messages move from a relay to a direct connection: none is lost, none comes twice, and the relayed connection is closed', async (t) => {
  await using relay = await startRelay({ bytes: 100_000_000 })
  const common = { network: 'test-move', mdns: false } as const
  const a = await createMesh({ ...common, name: 'a', listenAddrs: [] })
  t.after(() => a.stop())
  // What comes over 127.0.0.1 is another relay's place to a: ICE is the only direct way.
  const b = await createMesh({ ...common, name: 'b', listenAddrs: [relay.listen] })
  t.after(() => b.stop())
  const arrived: ReceivedMessage[] = []
  b.on('message', (message) => arrived.push(message))
  const join = a.join((await b.invite()).invite)
  await join
  const used = new Set<string>()
  const sent: string[] = []
  const isMoved = async (): Promise<boolean> => (await pathsTo(a, b.peerId)).join() === 'direct-lan'
  const deadline = performance.now() + 20_000
  for (let after = 0; after < 50;) {
    assert.ok(performance.now() < deadline, `still over ${(await pathsTo(a, b.peerId)).join(' and ')}`)
    const body = `message ${sent.length}`
    sent.push(body)
    const delivery = sent.length % 2 === 0 ? 'durable' : 'volatile'
    const { path, status } = await a.send('b', body, { delivery })
    assert.ok(status === 'stored' || delivery === 'volatile', status)
    used.add(path ?? 'none')
    if (await isMoved()) after += 1
  }
  assert.deepEqual([...used].sort(), ['direct-lan', 'relayed'])
  await until(() => arrived.length >= sent.length, 'everything arrives')
  assert.deepEqual(arrived.map(({ body }) => Buffer.from(body).toString()).sort(), [...sent].sort())
  assert.deepEqual(await pathsTo(b, a.peerId), ['direct-lan'])
  assert.equal((await a.status()).nat.last100.directRate, 1)
})

test('after a change of network a connection that answers stays, and one that does not is ended', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  await using c = await startTestHost()
  const [atB] = b.libp2p.getMultiaddrs()
  const [atC] = c.libp2p.getMultiaddrs()
  assert.ok(atB !== undefined && atC !== undefined)
  const alive = await a.libp2p.dial(atB)
  // It knows no ping, as a peer of other software: its refusal is an answer.
  await b.libp2p.unhandle(['/synaptic-mesh/ping/1.0.0'])
  await using cable = await startCable(Number(/tcp\/(\d+)/.exec(atC.toString())?.[1]))
  const dead = await a.libp2p.dial(multiaddr(`/ip4/127.0.0.1/tcp/${cable.port}/p2p/${c.peerId}`))
  cable.cut()
  const check = new LinkCheck({ libp2p: a.libp2p, clock, timers, random, log: (record) => a.logs.push(record) })
  await check.check()
  assert.deepEqual([alive.status, dead.status], ['open', 'aborted'])
  assert.ok(a.logs.some(({ event }) => event === 'connection.lost'))
})
