import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import type { LogRecord } from '../../src/mesh/mesh.ts'
import { freeListenAddresses } from '../../src/node/listen-addresses.ts'
import { startTestHost } from './support.ts'

async function takenPort(): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve()))
  }
}

const quiet = { log: () => undefined }

test('a port that is taken is replaced by the next free one, and the log says so', async () => {
  await using taken = await takenPort()
  await using node = await startTestHost({ listen: [`/ip4/127.0.0.1/tcp/${taken.port}`] })
  const address = String(node.libp2p.getMultiaddrs()[0])
  const port = Number(/tcp\/(\d+)/.exec(address)?.[1])
  assert.ok(port > taken.port && port <= taken.port + 100, address)
  const record = node.logs.find(({ event }) => event === 'listen.port-taken')
  assert.deepEqual(record?.fields, { wanted: taken.port, port, addresses: [`/ip4/127.0.0.1/tcp/${port}`] })
})

test('IPv4 and IPv6 that ask for one port get the same one', async () => {
  await using taken = await takenPort()
  const logs: LogRecord[] = []
  const chosen = await freeListenAddresses([`/ip4/127.0.0.1/tcp/${taken.port}`, `/ip6/::1/tcp/${taken.port}`], { log: (record) => logs.push(record) })
  assert.equal(new Set(chosen.map((address) => /tcp\/(\d+)/.exec(address)?.[1])).size, 1)
  assert.ok(!chosen.some((address) => address.endsWith(`/${taken.port}`)))
})

test('an address at a relay has no port of ours: nothing is listened on there', async () => {
  const atRelay = '/ip4/127.0.0.1/tcp/9000/p2p/12D3KooWCPSuexGXdBHD6TJTxbT5z9DhYUvHR1P7uotTPEpa92VU/p2p-circuit'
  assert.deepEqual(await freeListenAddresses([atRelay, '/ip4/127.0.0.1/tcp/0'], quiet), ['/ip4/127.0.0.1/tcp/0'])
  assert.deepEqual(await freeListenAddresses([atRelay], quiet), [])
})

test('where others rely on a port, no other one is taken in its place', async () => {
  await using taken = await takenPort()
  await assert.rejects(
    freeListenAddresses([`/ip4/127.0.0.1/tcp/${taken.port}`], { ...quiet, exact: true }),
    (error) => isMeshError(error, 'LISTEN_FAILED') && error.message.includes('is taken')
  )
})

test('TCP and WebSocket listen side by side, and a peer is reached over both', async () => {
  await using a = await startTestHost({ listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'] })
  await using b = await startTestHost()
  const addresses = a.libp2p.getMultiaddrs()
  assert.equal(addresses.length, 2)
  for (const address of addresses) {
    const connection = await b.libp2p.dial(address)
    assert.equal(connection.remoteAddr.toString().includes('/ws'), address.toString().includes('/ws'))
    await b.libp2p.hangUp(a.libp2p.peerId)
  }
})

test('no free port and an address that nobody can listen on are errors by name', async () => {
  await assert.rejects(freeListenAddresses(['/ip4/192.0.2.1/tcp/9000'], quiet), (error) => isMeshError(error, 'LISTEN_FAILED'))
  await assert.rejects(freeListenAddresses(['/dns4/example.org/tcp/9000'], quiet), (error) => isMeshError(error, 'ADDRESS_INVALID'))
  await assert.rejects(freeListenAddresses(['nonsense'], quiet), (error) => isMeshError(error, 'ADDRESS_INVALID'))
  await using last = await takenPortAt(65_535)
  if (last !== undefined)
    await assert.rejects(freeListenAddresses(['/ip4/127.0.0.1/tcp/65535'], quiet), (error) => isMeshError(error, 'LISTEN_FAILED'))
})

/** The port itself, or undefined when somebody else has it: taken all the same. */
async function takenPortAt(port: number): Promise<AsyncDisposable> {
  const server = createServer()
  const listening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => resolve(true))
  })
  return { [Symbol.asyncDispose]: () => (listening ? new Promise<void>((resolve) => void server.close(() => resolve())) : Promise.resolve()) }
}
