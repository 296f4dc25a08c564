import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { socketHost } from '../../src/api/index.ts'
import { MeshError } from '../../src/core/base/index.ts'
import { createControlServer } from '../../src/daemon/control-server.ts'
import { raw, startRig } from './harness.ts'

const head = (method: string, path: string, extra: readonly string[] = []): string =>
  [`${method} ${path} HTTP/1.1`, `Host: ${socketHost}`, ...extra, '', ''].join('\r\n')
const post = (path: string, body: string, type = 'application/json'): string =>
  head('POST', path, [`Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`]) + body

test('whoever sends a request one byte at a time is cut off, and honest callers are served meanwhile', async (t) => {
  const port = await listen(t, { headersTimeoutMs: 300, requestTimeoutMs: 600, checkEveryMs: 50 })
  const slow = Array.from({ length: 40 }, () => open(t, port))
  for (const socket of slow) socket.write('G')
  const body = open(t, port)
  body.write(head('POST', '/v1/messages', ['Content-Type: application/json', 'Content-Length: 100']) + '{')
  const honest = await raw({ port }, head('GET', '/v1/status'))
  assert.equal(honest.status, 200)
  await Promise.all([...slow, body].map((socket) => once(socket, 'close')))
})

test('no more connections are kept than the limit, and those that wait are let in later', async (t) => {
  const port = await listen(t, { headersTimeoutMs: 300, checkEveryMs: 50, maxConnections: 8 })
  const held = Array.from({ length: 30 }, () => open(t, port))
  await Promise.all(held.map((socket) => once(socket, 'close')))
  assert.equal((await raw({ port }, head('GET', '/v1/status'))).status, 200)
})

test('a body that is too long is refused before it is read, whether it says its length or not', async (t) => {
  const { paths, mesh } = await startRig(t)
  const path = { path: paths.socketPath }
  assert.equal((await raw(path, head('POST', '/v1/ping', ['Content-Type: application/json', 'Content-Length: 65537']))).status, 413)
  assert.equal((await raw(path, head('POST', '/v1/messages', ['Content-Type: application/json', `Content-Length: ${2 ** 40}`]))).status, 413)
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  assert.equal(
    (await raw(path, `${head('POST', '/v1/ping', ['Content-Type: application/json', 'Transfer-Encoding: chunked'])}${chunk}${chunk}`)).status,
    413
  )
  const content = 'x'.repeat(1_048_577)
  assert.equal((await raw(path, post('/v1/messages', JSON.stringify({ destination: 'agent-001', content })))).status, 413)
  assert.deepEqual(mesh.calls, [])
})

test('a body that is no such input is refused with the path of what is wrong', async (t) => {
  const { paths, mesh } = await startRig(t)
  const path = { path: paths.socketPath }
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['/v1/messages', '{', /USAGE/],
    ['/v1/messages', '[]', /USAGE/],
    ['/v1/messages', 'null', /USAGE/],
    ['/v1/messages', '{"content":"x"}', /destination is missing/],
    ['/v1/messages', '{"destination":"agent-001","content":"x","priority":11}', /priority is 11/],
    ['/v1/messages', '{"destination":"agent-001","content":"x","priority":"5"}', /OPTION_INVALID/],
    ['/v1/messages', '{"destination":"agent-001","content":"x","extra":1}', /OPTION_UNKNOWN/],
    ['/v1/messages', '{"destination":"agent-001","content":"x","__proto__":{"priority":1}}', /OPTION_UNKNOWN/],
    ['/v1/messages', '{"destination":"agent-001","content":"x","constructor":1}', /OPTION_UNKNOWN/],
    ['/v1/messages', `${'['.repeat(50_000)}`, /USAGE/],
    ['/v1/inbox/ack', '{"id":[1]}', /OPTION_INVALID/],
    ['/v1/wait', '{"peers":1e99}', /OPTION_INVALID/]
  ]
  for (const [route, body, reason] of wrong) {
    const { status, text } = await raw(path, post(route, body))
    assert.equal(status, 400, body.slice(0, 80))
    assert.match(text, reason)
  }
  assert.equal((await raw(path, head('GET', '/v1/inbox?limit=0'))).status, 400)
  assert.equal((await raw(path, head('GET', '/v1/inbox?__proto__=1'))).status, 400)
  assert.equal((await raw(path, head('GET', '/v1/inbox?limit=1&limit=2'))).status, 400)
  assert.equal((await raw(path, head('GET', '/v1/../v1/status'))).status, 404)
  assert.equal((await raw(path, head('GET', '/v1/%73tatus'))).status, 404)
  assert.deepEqual(mesh.calls, [])
})

test('what is not HTTP closes the connection and nothing else', async (t) => {
  const { paths, client } = await startRig(t)
  for (const bytes of [
    '\0\0\0\0',
    'GET /\r\n',
    `${'A'.repeat(100_000)}\r\n\r\n`,
    'POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
    head('CONNECT', 'x:1')
  ]) {
    const { status } = await raw({ path: paths.socketPath }, bytes, 500)
    assert.ok(status === 0 || status >= 400, `${status}`)
  }
  assert.equal((await client.call('daemon', {})).pid, process.pid)
})

test('a caller that goes away ends its work in the daemon', async (t) => {
  const { client, mesh } = await startRig(t)
  const gone = new AbortController()
  const call = client.call('message', { destination: 'slow', content: 'x' }, { signal: gone.signal })
  while (mesh.calls.length === 0) await new Promise((resolve) => setImmediate(resolve))
  gone.abort()
  await assert.rejects(call, (error) => error instanceof MeshError && error.code === 'ABORTED')
  while (mesh.aborted === 0) await new Promise((resolve) => setImmediate(resolve))
})

test('a call that takes too long is a TIMEOUT, and nobody to call is DAEMON_UNREACHABLE', async (t) => {
  const { client, daemon } = await startRig(t)
  await assert.rejects(
    client.call('message', { destination: 'slow', content: 'x' }, { deadlineMs: 50 }),
    (error) => error instanceof MeshError && error.code === 'TIMEOUT'
  )
  await daemon.stop()
  await assert.rejects(client.call('status', {}), (error) => error instanceof MeshError && error.code === 'DAEMON_UNREACHABLE')
})

async function listen(t: TestContext, limits: NonNullable<Parameters<typeof createControlServer>[0]['limits']>): Promise<number> {
  const door = { hosts: new Set([socketHost]), tokens: undefined }
  const server = createControlServer({ perform: async () => ({}), onError: () => undefined, limits }, () => door)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

function open(t: TestContext, port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  t.after(() => socket.destroy())
  return socket
}
