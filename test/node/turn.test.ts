import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { utf8, wallMillis } from '../../src/core/base/index.ts'
import { decodeStun, encodeStun, type StunAttribute, type StunMessage } from '../../src/core/nat/index.ts'
import { resolveConfig } from '../../src/core/options/index.ts'
import { requiredTurnServers, turnFailure, turnServers } from '../../src/mesh/ice/turn-servers.ts'
import { probeTurn } from '../../src/node/turn-probe.ts'
import { TurnForwarder } from '../../src/node/turn-forwarder.ts'

const signal = AbortSignal.timeout(60_000)
const realm = 'test.example'
const credentials = { username: '1700003600:al=ice+/', password: 'north/+=' } as const

async function bound(t: TestContext): Promise<{ readonly socket: Socket; readonly port: number }> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return { socket, port: socket.address().port }
}

const other = (code: number, text: string): StunAttribute => ({ type: 'other', code, value: utf8(text) })

/** Whether MESSAGE-INTEGRITY, at the end, is right for the credentials (RFC 8489 sections 9.2.2 and 14.5). */
function isSigned(datagram: Buffer): boolean {
  const key = createHash('md5').update(`${credentials.username}:${realm}:${credentials.password}`).digest()
  const sum = createHmac('sha1', key).update(datagram.subarray(0, -24)).digest()
  return datagram.subarray(-24, -20).equals(Buffer.from([0, 8, 0, 20])) && datagram.subarray(-20).equals(sum)
}

interface Fake {
  readonly port: number
  /** Methods that were asked for, in their order. */
  readonly asked: number[]
}

/** A TURN server that challenges, then answers with `second`; undefined: an address. */
async function fakeServer(
  t: TestContext,
  { second, isFirstLost = false }: { readonly second?: number; readonly isFirstLost?: boolean } = {}
): Promise<Fake> {
  const { socket, port } = await bound(t)
  const asked: number[] = []
  let isLost = isFirstLost
  socket.on('message', (datagram, { port: to, address }) => {
    if (isLost) {
      isLost = false
      return
    }
    const request = decodeStun(datagram)
    asked.push(request.method)
    const isKnown = request.attributes.some((attribute) => attribute.type === 'other' && attribute.code === 0x0006)
    const error = isKnown ? (second ?? (isSigned(datagram) ? undefined : 401)) : 401
    const attributes: readonly StunAttribute[] =
      error === undefined
        ? []
        : [{ type: 'error-code', code: error, reason: 'no' }, ...(isKnown ? [] : [other(0x0014, realm), other(0x0015, 'nonce-1')])]
    const answer: StunMessage = { ...request, class: error === undefined ? 'success' : 'error', attributes, hasFingerprint: false }
    socket.send(encodeStun(answer), to, address)
  })
  return { port, asked }
}

test('the right credentials get an address, which is given back; colons, equals signs and slashes need no escape', async (t) => {
  const server = await fakeServer(t, { isFirstLost: true })
  const { result } = await probeTurn({ host: '127.0.0.1', port: server.port, ...credentials }, signal)
  assert.equal(result, 'allocated')
  assert.deepEqual(server.asked, [3, 3, 4])
})

test('what a server refuses is told by its code', async (t) => {
  const said = async (second: number | undefined, password: string = credentials.password): Promise<string> => {
    const { port } = await fakeServer(t, second === undefined ? {} : { second })
    const { result, reason } = await probeTurn({ host: 'localhost', port, ...credentials, password }, signal)
    assert.equal(result, 'refused')
    return reason
  }
  assert.equal(await said(undefined, 'south'), 'the credentials are wrong (401)')
  assert.equal(await said(441), 'the credentials are wrong (441)')
  assert.match(await said(486), /taken by this user \(486\)/)
  assert.match(await said(599), /it refused \(599\)/)
})

test('silence, noise and a name without an address are told apart', async (t) => {
  const { socket, port } = await bound(t)
  socket.on('message', (_, { port: to }) => socket.send('noise', to, '127.0.0.1'))
  assert.equal((await probeTurn({ host: '127.0.0.1', port, ...credentials }, AbortSignal.timeout(200))).result, 'silent')
  // No resolver is asked for a label of 64 characters.
  assert.equal((await probeTurn({ host: `${'a'.repeat(64)}.test`, port, ...credentials }, signal)).result, 'unresolved')
})

test('credentials of the options: static ones as they stand, of an hour where there is a secret', () => {
  const servers = ['turn:192.0.2.1', 'turn:[2001:db8::1]:5000']
  const now = wallMillis(1_700_000_000_000)
  assert.deepEqual(turnServers(resolveConfig({ turnServers: servers, turnUsername: 'a', turnPassword: 'b' }), now), [
    { host: '192.0.2.1', port: 3478, username: 'a', password: 'b' },
    { host: '2001:db8::1', port: 5000, username: 'a', password: 'b' }
  ])
  const named = requiredTurnServers(resolveConfig({ turnServers: servers, turnUsername: 'alice', turnPassword: 'b', turnSecret: 'north' }), now)
  assert.deepEqual(
    named.map(({ username }) => username),
    ['1700003600:alice', '1700003600:alice']
  )
  assert.equal(turnServers(resolveConfig({ turnServers: servers, turnSecret: 'north' }), now)[0]?.username, '1700003600:synaptic-mesh')
})

test('one server that gives an address is enough', () => {
  const answer = (result: 'allocated' | 'silent') => ({ server: { host: 'h', port: 1, ...credentials }, verdict: { result, reason: 'why' } })
  assert.equal(turnFailure([answer('silent'), answer('allocated')]), undefined)
  assert.equal(turnFailure([]), undefined)
  const failure = turnFailure([answer('silent')])
  assert.match(failure?.message ?? '', /turn:h:1 gave no address: why/)
  assert.ok(!JSON.stringify(failure).includes(credentials.password))
})

test('the forwarder leads to its server and back, for the first who speaks and for nobody else', async (t) => {
  const server = await bound(t)
  const forwarder = await TurnForwarder.open({ host: 'localhost', port: server.port })
  t.after(() => forwarder.close())
  const [library, stranger] = [await bound(t), await bound(t)]
  const heard: string[] = []
  server.socket.on('message', (text, { port }) => {
    heard.push(String(text))
    server.socket.send(`re: ${String(text)}`, port, '127.0.0.1')
  })
  library.socket.send('one', forwarder.port, '127.0.0.1')
  const [first] = await once(library.socket, 'message')
  stranger.socket.on('message', () => heard.push('the stranger got something'))
  stranger.socket.send('two', forwarder.port, '127.0.0.1')
  library.socket.send('three', forwarder.port, '127.0.0.1')
  const [second] = await once(library.socket, 'message')
  assert.deepEqual([String(first), String(second), heard], ['re: one', 're: three', ['one', 'three']])
  forwarder.close()
  forwarder.close()
})
