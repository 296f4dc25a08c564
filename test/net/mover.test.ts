import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { isRelayed, Paths } from '../../src/mesh/connections.ts'
import { LinkCheck } from '../../src/mesh/link-check.ts'
import { Mover } from '../../src/mesh/mover.ts'
import { protocolTable } from '../../src/mesh/protocol-table.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { startRelay } from './relay-support.ts'
import { clock, random, startTestHost, takePlace, type TestHost, timers, until } from './support.ts'

/** Carries TCP until it is cut: then nothing arrives any more, and nobody is told. */
async function startCable(t: TestContext, to: number): Promise<{ readonly port: number; cut(): void }> {
  const sockets: Socket[] = []
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1')
    sockets.push(
      near.on('error', () => undefined),
      far.on('error', () => undefined)
    )
    near.pipe(far)
    far.pipe(near)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const place = server.address()
  assert.ok(typeof place === 'object' && place !== null)
  return {
    port: place.port,
    cut: () => {
      for (const socket of sockets) socket.unpipe().pause()
    }
  }
}

interface Field {
  readonly a: TestHost
  readonly b: TestHost
  readonly relayed: Connection
  readonly moved: string[]
  readonly mover: Mover
  /** A direct connection of a to b, and how to make it dark. */
  direct(): Promise<{ readonly connection: Connection; cut(): void }>
  /** The time for which a relayed connection stays is over. */
  linger(): Promise<void>
}

/** a is connected with b over a relay. */
async function startField(t: TestContext): Promise<Field> {
  const relay = await startRelay({ bytes: 10_000_000 })
  const [a, b] = [await startTestHost({ listen: [] }), await startTestHost()]
  t.after(() => Promise.all([a, b, relay].map((each) => each[Symbol.asyncDispose]())))
  await takePlace(b, relay.address)
  for (const { host } of [a, b])
    await host.serve('pqs', async (stream) => {
      for await (const _ of stream.frames()) await stream.send(new Uint8Array(8))
    })
  const relayed = await a.libp2p.dial(multiaddr(`${relay.listen}/p2p/${b.peerId}`))
  assert.ok(isRelayed(relayed))
  const moved: string[] = []
  const due: (() => void)[] = []
  const tracker = new Tracker(() => undefined)
  const mover = new Mover({
    libp2p: a.libp2p,
    links: new LinkCheck({ libp2p: a.libp2p, clock, timers, random, log: (record) => a.logs.push(record) }),
    paths: new Paths(),
    timers: {
      schedule: (_delayMs, run) => {
        due.push(run)
        return () => undefined
      }
    },
    tracker,
    log: (record) => a.logs.push(record),
    move: async (peerId) => void moved.push(peerId)
  })
  t.after(() => mover.stop())
  const direct = async (): ReturnType<Field['direct']> => {
    const at = b.libp2p.getMultiaddrs().find((address) => !String(address).includes('p2p-circuit'))
    const cable = await startCable(t, Number(/tcp\/(\d+)/.exec(String(at))?.[1]))
    const connection = await a.libp2p.dial(multiaddr(`/ip4/127.0.0.1/tcp/${cable.port}/p2p/${b.peerId}`), { force: true })
    return { connection, cut: cable.cut }
  }
  const linger = (): Promise<void> => {
    for (const run of due.splice(0)) run()
    return tracker.settle()
  }
  return { a, b, relayed, moved, mover, direct, linger }
}

test('a direct connection over which nothing comes back after the handshake moves nobody, and is ended', async (t) => {
  const { relayed, moved, mover, direct } = await startField(t)
  const { connection, cut } = await direct()
  cut()
  await mover.moveTo(connection)
  assert.deepEqual([moved.length, connection.status, relayed.status], [0, 'aborted', 'open'])
})

test('a relayed connection is closed some time after the move', async (t) => {
  const { relayed, moved, mover, direct, linger } = await startField(t)
  const { connection } = await direct()
  await mover.moveTo(connection)
  assert.equal(moved.length, 1)
  assert.equal(relayed.status, 'open', 'not at once')
  await linger()
  assert.deepEqual([connection.status, relayed.status], ['open', 'closed'])
})

test('a relayed connection with a session that the peer has not moved stays until it has', async (t) => {
  const { a, b, relayed, mover, direct, linger } = await startField(t)
  await until(() => b.libp2p.getConnections(a.libp2p.peerId).length > 0, 'the peer has the connection, too')
  const [back] = b.libp2p.getConnections(a.libp2p.peerId)
  assert.ok(back !== undefined)
  const session = await back.newStream(protocolTable.pqs.id, { runOnLimitedConnection: true })
  session.send(Buffer.from([0, 0, 0, 1, 0]))
  await until(() => relayed.streams.some(({ protocol }) => protocol === protocolTable.pqs.id), 'the session is open')
  const { connection } = await direct()
  await mover.moveTo(connection)
  await linger()
  assert.equal(relayed.status, 'open')
  session.abort(new Error('moved'))
  await until(() => relayed.streams.every(({ protocol }) => protocol !== protocolTable.pqs.id), 'the session is over')
  await mover.moveTo(connection)
  await linger()
  assert.equal(relayed.status, 'closed')
})
