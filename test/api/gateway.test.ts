import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { MeshError } from '../../src/core/base/index.ts'
import { tokenDigest } from '../../src/daemon/access.ts'
import { EventReader, Talk } from './gateway-support.ts'
import { freePort, raw, startRig } from './harness.ts'

const get = (port: number, path: string, token: string) =>
  raw({ port }, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`)

test('the gateway starts for a call, says where it is, and ends with the call; with print it stays until it is stopped', async (t) => {
  const rig = await startRig(t)
  const caller = new AbortController()
  const stream = rig.client.stream('gateway', { port: 0 }, { signal: caller.signal })
  const first = await stream.next()
  assert.ok(first.done !== true)
  const { port, started, url } = first.value
  assert.deepEqual([started, url], [true, `http://127.0.0.1:${port}`])
  assert.equal((await get(port, '/v1/status', rig.token('read'))).status, 200)
  const again: unknown[] = []
  for await (const place of rig.client.stream('gateway', { port: 0 })) again.push([place.port, place.started])
  assert.deepEqual(again, [[port, false]])
  caller.abort()
  await assert.rejects(stream.next(), (error) => error instanceof MeshError && error.code === 'ABORTED')
  while ((await get(port, '/v1/status', rig.token('read'))).status !== 0) await new Promise((resolve) => setImmediate(resolve))
  const places = []
  for await (const place of rig.client.stream('gateway', { port: 0, print: true })) places.push(place)
  const stays = places[0]?.port ?? 0
  assert.equal((await get(stays, '/healthz', rig.token('read'))).status, 200)
  assert.deepEqual(await rig.client.call('gatewayStop', {}), { stopped: true })
  assert.deepEqual(await rig.client.call('gatewayStop', {}), { stopped: false })
  assert.equal((await get(stays, '/healthz', rig.token('read'))).status, 0)
})

test('the option starts it with the daemon, and a port that is taken is LISTEN_FAILED', async (t) => {
  const port = await freePort()
  const rig = await startRig(t, { gateway: true, gateway_port: port })
  assert.equal((await get(port, '/v1/status', rig.token('read'))).status, 200)
  const other = await startRig(t)
  await assert.rejects(
    async () => {
      for await (const _place of other.client.stream('gateway', { port })) assert.fail('it cannot listen')
    },
    { code: 'LISTEN_FAILED' }
  )
})

test('a lasting token is shown once, kept as a hash in a private file, good for its scope, and void when it is revoked, with what it has open', async (t) => {
  const rig = await startRig(t)
  const reader = await rig.client.call('tokenCreate', { name: 'reporter', scope: 'read' })
  const admin = await rig.client.call('tokenCreate', { name: 'boss', scope: 'admin', expiresInS: 3_600 })
  const file = join(rig.paths.stateFolder, 'gateway-tokens.json')
  const text = readFileSync(file, 'utf8')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  for (const { token } of [reader, admin]) {
    assert.match(token, /^smt_[\w-]{43}$/)
    assert.ok(!text.includes(token))
  }
  await assert.rejects(rig.client.call('tokenCreate', { name: 'boss' }), { code: 'TOKEN_EXISTS' })
  assert.equal((await get(rig.port, '/v1/status', reader.token)).status, 200)
  const post = (token: string) =>
    raw(
      { port: rig.port },
      `POST /v1/ping HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"peer":"agent-001"}`
    )
  assert.equal((await post(reader.token)).status, 403)
  assert.equal((await post(admin.token)).status, 200)
  const { tokens } = await rig.client.call('tokenList', {})
  assert.deepEqual(
    tokens.map(({ name, scope, expired, usedAt }) => [name, scope, expired, usedAt !== undefined]),
    [
      ['reporter', 'read', false, true],
      ['boss', 'admin', false, true]
    ]
  )
  const open = new EventReader(t, rig.port, { token: reader.token })
  await open.until('live')
  await rig.client.call('tokenRevoke', { name: 'reporter' })
  await open.closed()
  assert.equal((await get(rig.port, '/v1/status', reader.token)).status, 401)
  assert.equal((await get(rig.port, '/v1/status', admin.token)).status, 200)
  await assert.rejects(rig.client.call('tokenRevoke', { name: 'reporter' }), { code: 'TOKEN_UNKNOWN' })
})

test('what comes with a token for agents is sent as an agent, who cannot lift the guard against loops; with one for admins it is a person', async (t) => {
  const rig = await startRig(t)
  const seen: (boolean | undefined)[] = []
  const send = rig.mesh.send.bind(rig.mesh)
  rig.mesh.send = (destination, content, options) => {
    seen.push(options?.automatic)
    return send(destination, content, options)
  }
  const post = (scope: 'agent' | 'admin', input: object, path = '/v1/messages') => {
    const body = JSON.stringify(input)
    const head = [`POST ${path} HTTP/1.1`, `Host: 127.0.0.1:${rig.port}`, `Authorization: Bearer ${rig.token(scope)}`]
    return raw({ port: rig.port }, [...head, 'Content-Type: application/json', `Content-Length: ${body.length}`, '', body].join('\r\n'))
  }
  const message = { destination: 'agent-001', content: 'x' }
  rig.mesh.receive({ id: 'm1' })
  assert.equal((await post('agent', message)).status, 200)
  assert.equal((await post('agent', { ...message, automatic: false })).status, 200)
  assert.equal((await post('agent', { id: 'm1', content: 'x' }, '/v1/inbox/reply')).status, 200)
  assert.equal((await post('agent', { ...message, allow: true })).status, 403)
  assert.equal((await post('agent', { id: 'm1', content: 'x', allow: true }, '/v1/inbox/reply')).status, 403)
  assert.equal((await post('admin', { ...message, allow: true })).status, 200)
  assert.equal((await rig.client.call('message', message)).status, 'stored')
  assert.deepEqual(seen, [true, true, true, false, false])
})

test('what a token has open ends when it expires', async (t) => {
  const rig = await startRig(t, { http_port: 0 })
  const token = `smt_${'A'.repeat(43)}`
  const row = { name: 'short', scope: 'read', createdAt: Date.now(), expiresAt: Date.now() + 8_000, sha256: tokenDigest(token).toString('hex') }
  writeFileSync(join(rig.paths.stateFolder, 'gateway-tokens.json'), JSON.stringify({ version: 1, tokens: [row] }), { mode: 0o600 })
  const place = await rig.client.stream('gateway', { port: 0, print: true }).next()
  const port = place.done === true ? 0 : place.value.port
  const reader = new EventReader(t, port, { token })
  const talk = await new Talk(t, { port }, { token }).opened()
  const late = await new Talk(t, { port }).opened()
  late.say({ id: 1, operation: 'authenticate', input: { token } })
  await Promise.all([reader.until('live'), late.hear()])
  await reader.closed()
  assert.deepEqual([await talk.closed(), await late.closed()], [4401, 4401])
  const { status, text } = await get(port, '/v1/status', token)
  assert.equal(status, 401)
  assert.match(text, /has expired/)
})
