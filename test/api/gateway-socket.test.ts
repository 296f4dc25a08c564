import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Talk } from './gateway-support.ts'
import { raw, startRig } from './harness.ts'

test('a WebSocket answers requests by their ids, keeps scopes, and runs streams side by side until they are cancelled', async (t) => {
  const rig = await startRig(t)
  const talk = await new Talk(t, rig, { token: rig.token('agent') }).opened()
  talk.say({ id: 1, operation: 'status', input: {} })
  talk.say({ id: 'two', operation: 'message', input: { destination: 'agent-001', content: 'hi' } })
  const status = await talk.hear(({ id }) => id === 1)
  assert.ok('result' in status)
  const sent = await talk.hear(({ id }) => id === 'two')
  assert.equal((sent['result'] as { readonly status: string }).status, 'stored')
  talk.say({ id: 3, operation: 'invite', input: {} })
  assert.match(JSON.stringify(await talk.hear(({ id }) => id === 3)), /FORBIDDEN/)
  talk.say({ id: 4, operation: 'tokenCreate', input: { name: 'x' } })
  assert.match(JSON.stringify(await talk.hear(({ id }) => id === 4)), /FORBIDDEN/)
  talk.say({ id: 'events', operation: 'events', input: {} })
  talk.say({ id: 'listen', operation: 'listen', input: {} })
  await talk.hear(({ id }) => id === 'events')
  rig.mesh.receive({ id: 'a' })
  for (const stream of ['events', 'listen']) assert.match(JSON.stringify(await talk.hear(({ id }) => id === stream)), /"id":"a"/)
  talk.say({ id: 5, operation: 'cancel', input: { id: 'events' } })
  assert.deepEqual(await talk.hear(({ id }) => id === 5), { id: 5, result: { cancelled: true } })
  assert.deepEqual(await talk.hear(({ id }) => id === 'events'), { id: 'events', done: true })
  talk.say({ id: 6, operation: 'cancel', input: { id: 'nobody' } })
  assert.deepEqual(await talk.hear(({ id }) => id === 6), { id: 6, result: { cancelled: false } })
})

test('without a token in the header the first frame brings it; anything else closes', async (t) => {
  const rig = await startRig(t)
  const good = await new Talk(t, rig).opened()
  good.say({ id: 1, operation: 'authenticate', input: { token: rig.token('read') } })
  assert.deepEqual(await good.hear(), { id: 1, result: { scope: 'read' } })
  good.say({ id: 2, operation: 'peers', input: {} })
  assert.ok('result' in (await good.hear(({ id }) => id === 2)))
  for (const frame of [
    { id: 1, operation: 'status', input: {} },
    { id: 1, operation: 'authenticate', input: { token: 'wrong' } },
    { id: 1, operation: 'authenticate', input: { token: 7 } },
    { id: 1, operation: 'authenticate' },
    'nonsense'
  ]) {
    const bad = await new Talk(t, rig).opened()
    bad.say(frame)
    assert.ok([4401, 1008].includes(await bad.closed()), JSON.stringify(frame))
  }
  const silent = await new Talk(t, rig).opened()
  assert.equal(await silent.closed(), 4401)
  assert.deepEqual(rig.mesh.calls, [])
})

test('a request that is none is told so; many of them, a binary frame or one of more than 1 MiB end the conversation', async (t) => {
  const rig = await startRig(t)
  const token = rig.token('admin')
  const talk = await new Talk(t, rig, { token }).opened()
  const wrong: readonly (readonly [object | string, RegExp])[] = [
    ['{', /USAGE/],
    ['[]', /USAGE/],
    ['null', /USAGE/],
    [{ id: {}, operation: 'status' }, /USAGE/],
    [{ id: 1.5, operation: 'status' }, /USAGE/],
    [{ id: 'x'.repeat(65), operation: 'status' }, /USAGE/],
    [{ id: 1, operation: 'unheard-of' }, /ROUTE_UNKNOWN/],
    [{ id: 1, operation: '__proto__' }, /ROUTE_UNKNOWN/],
    [{ id: 1, operation: 'toString' }, /ROUTE_UNKNOWN/],
    [{ id: 1, operation: 'status', input: { strange: 1 } }, /OPTION_UNKNOWN/],
    // Even an admin's token makes no others.
    [{ id: 1, operation: 'tokenCreate', input: { name: 'x' } }, /FORBIDDEN/],
    [{ id: 1, operation: 'gatewayStop', input: {} }, /FORBIDDEN/],
    [{ id: 1, operation: 'status', input: [] }, /USAGE/],
    ['{"id":1,"operation":"status","input":{"__proto__":{"detailed":true}}}', /OPTION_UNKNOWN/],
    [{ id: 1, operation: 'message', input: { destination: 'agent-001', content: 'x', priority: 99 } }, /OPTION_INVALID/]
  ]
  for (const [frame, reason] of wrong) {
    talk.say(frame)
    assert.match(JSON.stringify(await talk.hear()), reason, JSON.stringify(frame))
  }
  talk.say({ id: 'alive', operation: 'daemon' })
  assert.ok('result' in (await talk.hear(({ id }) => id === 'alive')))
  for (let index = 0; index < 20; index++) talk.say('{')
  assert.equal(await talk.closed(), 1008)
  const long = await new Talk(t, rig, { token }).opened()
  long.say(JSON.stringify({ id: 1, operation: 'message', input: { destination: 'agent-001', content: 'x'.repeat(1_048_576) } }))
  assert.equal(await long.closed(), 1009)
  assert.deepEqual(rig.mesh.calls, [])
})

test('streams of one WebSocket have a limit, and a client that goes away ends its work', async (t) => {
  const rig = await startRig(t)
  const talk = await new Talk(t, rig, { token: rig.token('agent') }).opened()
  for (let index = 0; index < 17; index++) talk.say({ id: index, operation: 'listen', input: {} })
  assert.match(JSON.stringify(await talk.hear(({ error }) => error !== undefined)), /GATEWAY_BUSY/)
  talk.say({ id: 'slow', operation: 'message', input: { destination: 'slow', content: 'x' } })
  while (rig.mesh.calls.length === 0) await new Promise((resolve) => setImmediate(resolve))
  talk.say({ id: 'slow', operation: 'status' })
  assert.match(JSON.stringify(await talk.hear(({ id }) => id === 'slow')), /in use/)
  talk.socket.terminate()
  while (rig.mesh.aborted === 0) await new Promise((resolve) => setImmediate(resolve))
})

test('the door of a WebSocket is as narrow as that of the rest: Host, Origin, token, method and path', async (t) => {
  const rig = await startRig(t)
  const before = rig.mesh.stateHash()
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
  const host = `Host: 127.0.0.1:${rig.port}`
  const token = `Authorization: Bearer ${rig.token('admin')}`
  const cases: readonly (readonly [number, string, readonly string[]])[] = [
    [101, '/v1/ws', [host, token, ...upgrade]],
    [101, '/v1/ws', [host, ...upgrade]],
    [421, '/v1/ws', ['Host: evil.com', token, ...upgrade]],
    [421, '/v1/ws', [`Host: 127.0.0.1.evil.com:${rig.port}`, token, ...upgrade]],
    [421, '/v1/ws', [`Host: localhost:${rig.port + 1}`, token, ...upgrade]],
    [421, '/v1/ws', [`Host: [::1]:${rig.port}`, token, ...upgrade]],
    [421, '/v1/ws', [host, 'Host: evil.com', token, ...upgrade]],
    [421, `http://127.0.0.1:${rig.port}/v1/ws`, [host, token, ...upgrade]],
    [403, '/v1/ws', [host, token, 'Origin: null', ...upgrade]],
    [403, '/v1/ws', [host, token, 'Origin: https://evil.com', ...upgrade]],
    [403, '/v1/ws', [host, token, `Origin: http://127.0.0.1:${rig.port}`, ...upgrade]],
    [403, '/v1/ws', [host, 'Origin: https://evil.com', ...upgrade]],
    [403, '/v1/ws', [host, token, 'Sec-Fetch-Site: same-origin', ...upgrade]],
    [401, '/v1/ws', [host, 'Authorization: Bearer wrong', ...upgrade]],
    [401, '/v1/ws', [host, 'Authorization: Basic eDp5', ...upgrade]],
    [403, '/v1/ws', [host, token, 'Connection: Upgrade', 'Upgrade: h2c']],
    [403, '/v1/status', [host, token, ...upgrade]],
    [404, '/v1/ws', [host, token]],
    [
      400,
      '/v1/ws',
      [host, token, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 7', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
    ]
  ]
  for (const [status, path, lines] of cases) {
    const answer = await raw({ port: rig.port }, `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 500)
    assert.equal(answer.status, status, `${path} ${lines.join(' | ')}`)
  }
  const socket = ['GET /v1/ws HTTP/1.1', 'Host: synaptic-mesh.local', ...upgrade, '', ''].join('\r\n')
  assert.equal((await raw({ path: rig.paths.socketPath }, socket)).status, 403)
  assert.equal(rig.mesh.stateHash(), before)
})

test('a WebSocket that is not read holds up its own streams, is told what it missed, and gets the messages all the same', async (t) => {
  const rig = await startRig(t)
  const talk = await new Talk(t, rig, { token: rig.token('read') }).opened()
  talk.say({ id: 'events', operation: 'events', input: {} })
  await talk.hear()
  talk.socket.pause()
  const body = new Uint8Array(65_536).fill(0x61)
  for (let index = 0; index < 600; index++) {
    rig.mesh.receive({ id: `m${index}`, body })
    if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  rig.mesh.receive({ id: 'last' })
  talk.socket.resume()
  const seen: string[] = []
  const events = new Set<string>()
  while (seen.at(-1) !== 'last') {
    const item = (await talk.hear())['item'] as { readonly event: string; readonly data: { readonly id?: string } }
    events.add(item.event)
    if (item.event === 'message') seen.push(item.data.id ?? '')
  }
  assert.ok(events.has('missed'))
  assert.deepEqual(seen, [...Array.from({ length: 600 }, (_, index) => `m${index}`), 'last'])
})

test('requests beyond those that are worked on at once wait until one ends, and none is lost', async (t) => {
  const rig = await startRig(t)
  const talk = await new Talk(t, rig, { token: rig.token('agent') }).opened()
  for (let index = 0; index < 200; index++) talk.say({ id: index, operation: 'message', input: { destination: 'agent-001', content: 'x' } })
  const answered = new Set<unknown>()
  while (answered.size < 200) answered.add((await talk.hear(({ result }) => result !== undefined))['id'])
  assert.equal(rig.mesh.calls.length, 200)
})

test('there are so many WebSockets and no more', async (t) => {
  const rig = await startRig(t)
  const talks = await Promise.all(Array.from({ length: 32 }, () => new Talk(t, rig, { token: rig.token('read') }).opened()))
  const request = [
    'GET /v1/ws HTTP/1.1',
    `Host: 127.0.0.1:${rig.port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '',
    ''
  ].join('\r\n')
  assert.equal((await raw({ port: rig.port }, request)).status, 503)
  assert.equal(talks.length, 32)
  await rig.daemon.stop()
  for (const talk of talks) await talk.closed()
})
