import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { isMeshError, millis, wallMillis } from '../../src/core/base/index.ts'
import { attributeOf, decodeStun, encodeStun } from '../../src/core/nat/stun-message.ts'
import { StunProber } from '../../src/node/stun-prober.ts'
import { StunServer } from '../../src/node/stun-server.ts'

const host = '127.0.0.1'
const never = new AbortController().signal
const request = encodeStun({ class: 'request', method: 1, transactionId: new Uint8Array(12).fill(3), attributes: [], hasFingerprint: true })

async function udpSocket(address = host): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, address)
  await once(socket, 'listening')
  return socket
}

test('a server of two addresses and the prober find that loopback has no NAT and lets everything in', async () => {
  await using server = await StunServer.start({ hosts: [host], port: 0, other: { host: '127.0.0.2', port: 0 } })
  const probe = await new StunProber().probe([{ host, port: server.port }], never)
  assert.deepEqual(
    { natClass: probe.natClass, mapping: probe.mapping, filtering: probe.filtering, udp: probe.udp },
    { natClass: 'open', mapping: 'none', filtering: 'endpoint-independent', udp: 'open' }
  )
  assert.equal(probe.publicAddress?.address, host)
  const [asked] = probe.servers
  assert.deepEqual({ ...asked, roundTripMs: 0 }, { host, port: server.port, address: host, result: 'answered', roundTripMs: 0 })
  assert.ok((asked?.roundTripMs ?? 99_999) < 1_000)
  assert.equal(server.counts.limited, 0)
  assert.ok(server.counts.answered >= 5)
})

test('two servers of one address each, one by its name, tell the mapping', async () => {
  await using first = await StunServer.start({ hosts: [host], port: 0 })
  await using second = await StunServer.start({ hosts: ['127.0.0.2'], port: 0 })
  const prober = new StunProber({ resolve: async () => ['::1', '127.0.0.2'] })
  const servers = [
    { host, port: first.port },
    { host: 'stun.example', port: second.port }
  ]
  const probe = await prober.probe(servers, never)
  assert.deepEqual([probe.natClass, probe.mapping, probe.filtering], ['open', 'none', 'unknown'])
  assert.deepEqual(
    probe.servers.map(({ host: name, address, result }) => [name, address, result]),
    [
      [host, host, 'answered'],
      ['stun.example', '127.0.0.2', 'answered']
    ]
  )
})

test('a server that exists twice in the list is asked once and told twice; a name without address is unresolved', async () => {
  await using server = await StunServer.start({ hosts: [host], port: 0 })
  const prober = new StunProber({ resolve: async (name) => (name === 'same.example' ? [host] : Promise.reject(new Error('ENOTFOUND'))) })
  const { port } = server
  const probe = await prober.probe(
    [
      { host, port },
      { host: 'same.example', port },
      { host: 'none.example', port }
    ],
    never
  )
  assert.deepEqual(
    probe.servers.map(({ result }) => result),
    ['answered', 'answered', 'unresolved']
  )
  assert.equal(server.counts.answered, 1)
})

test('without any server nothing is known, at once', async () => {
  const probe = await new StunProber().probe([], never)
  assert.deepEqual([probe.natClass, probe.udp, probe.servers], ['unknown', 'unknown', []])
})

test('over IPv6 when that is all that the servers have', async (t) => {
  const server = await StunServer.start({ hosts: ['::1'], port: 0 }).catch(() => undefined)
  if (server === undefined) return t.skip('this machine has no IPv6 loopback')
  await using _ = server
  const probe = await new StunProber().probe([{ host: '::1', port: server.port }], never)
  assert.deepEqual([probe.natClass, probe.publicAddress?.address], ['open', '::1'])
  await using other = await StunServer.start({ hosts: [host], port: 0 })
  const servers = [
    { host: '::1', port: server.port },
    { host, port: other.port }
  ]
  const both = await new StunProber().probe(servers, never)
  assert.deepEqual([both.publicAddress?.address, ...both.servers.map(({ result }) => result)], [host, 'answered', 'answered'], 'IPv4 speaks')
})

test('a port at which nobody answers is UDP blocked, within 2 s', async () => {
  const silent = await udpSocket()
  const startedAt = performance.now()
  const probe = await new StunProber().probe([{ host, port: silent.address().port }], never)
  const tookMs = performance.now() - startedAt
  silent.close()
  assert.deepEqual([probe.natClass, probe.udp, probe.servers[0]?.result], ['udp-blocked', 'blocked', 'silent'])
  assert.ok(tookMs >= 1_700 && tookMs < 2_500, `${tookMs} ms`)
})

test('a probe that is interrupted ends at once, and leaves no socket behind', async () => {
  const silent = await udpSocket()
  const stop = new AbortController()
  const probing = new StunProber().probe([{ host, port: silent.address().port }], stop.signal)
  await once(silent, 'message')
  stop.abort()
  await assert.rejects(probing, (error) => isMeshError(error, 'ABORTED'))
  await assert.rejects(new StunProber().probe([], stop.signal), (error) => isMeshError(error, 'ABORTED'))
  silent.close()
})

test('one network gets its rate and no more; others are served on', async (t) => {
  let now = 0
  const clock = { monotonic: () => millis(now), wall: () => wallMillis(0), bootId: 'test' }
  await using server = await StunServer.start({ hosts: ['127.0.0.1'], port: 0, clock, rates: { perSecond: 1, burst: 3 } })
  const greedy = await udpSocket('127.0.0.9')
  const honest = await udpSocket('127.0.7.9')
  t.after(() => {
    greedy.close()
    honest.close()
  })
  let answers = 0
  greedy.on('message', () => answers++)
  const send = (socket: Socket, bytes: Uint8Array): void => socket.send(bytes, server.port, host)
  const served = async (): Promise<void> => {
    const answered = once(honest, 'message')
    send(honest, request)
    await answered
  }
  for (let count = 0; count < 10; count++) send(greedy, request)
  for (let count = 0; count < 10; count++) send(honest, new Uint8Array(20))
  await served()
  while (server.counts.answered + server.counts.limited + server.counts.ignored < 21) await served()
  assert.equal(server.counts.ignored, 10)
  assert.equal(server.counts.limited, 7)
  assert.equal(answers, 3)
  now = 2_000
  for (let count = 0; count < 3; count++) send(greedy, request)
  await served()
  assert.equal(server.counts.limited, 8)
})

test('the answer says what the server sees, and who it is unless it listens on all addresses', async () => {
  for (const hosts of [[host], ['0.0.0.0']]) {
    await using server = await StunServer.start({ hosts, port: 0 })
    const socket = await udpSocket()
    const answered = once(socket, 'message')
    socket.send(request, server.port, host)
    const [bytes]: readonly Buffer[] = await answered
    assert.ok(bytes !== undefined)
    const response = decodeStun(bytes)
    assert.deepEqual(attributeOf(response, 'xor-mapped-address')?.endpoint, { address: host, port: socket.address().port })
    assert.deepEqual(attributeOf(response, 'response-origin')?.endpoint, hosts[0] === host ? { address: host, port: server.port } : undefined)
    socket.close()
  }
})

test('a port that is taken, or an address of somebody else, is LISTEN_FAILED', async () => {
  await using server = await StunServer.start({ hosts: [host], port: 0 })
  const isFailure = (error: unknown): boolean => isMeshError(error, 'LISTEN_FAILED')
  const isTaken = (error: unknown): boolean =>
    isFailure(error) && error instanceof Error && error.message.includes(`the port ${server.port} is taken`)
  await assert.rejects(StunServer.start({ hosts: [host], port: server.port }), isTaken)
  await assert.rejects(StunServer.start({ hosts: ['192.0.2.1'], port: 0 }), isFailure)
})
