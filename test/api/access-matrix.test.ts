import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Command, operations, type Route } from '../../src/api/index.ts'
import { raw, startRig } from './harness.ts'

/** The matrix of docs/threat-model.md: whatever a web page, another user or a wrong token tries, nothing answers and nothing changes. */

const kinds = ['own', 'GET', 'form', 'text', 'OPTIONS', 'upgrade', 'sse'] as const
const tokenKinds = ['good', 'none', 'wrong', 'truncated', 'longer', 'other profile', 'read'] as const
const hostKinds = ['good', 'evil.com', '127.0.0.1.evil.com', 'suffix', 'wrong port', '[::1]', 'empty', 'twice', 'absolute'] as const
const originKinds = ['none', 'null', 'evil', 'own', 'referer'] as const

interface Tokens {
  readonly admin: string
  readonly read: string
  readonly other: string
}

type Case = {
  readonly route: Route
  readonly kind: (typeof kinds)[number]
  readonly token: (typeof tokenKinds)[number]
  readonly host: (typeof hostKinds)[number]
  readonly origin: (typeof originKinds)[number]
}

const routes = Object.values(operations as Record<string, Command>).flatMap(({ route }) => (route === undefined ? [] : [route]))
/** These get every combination, the others every one and two faults. */
const full = new Set(['/v1/status', '/v1/messages', '/v1/listen', '/v1/stop'])

function cases(): readonly Case[] {
  const bad = routes.flatMap((route) => kinds.flatMap((kind) => tokenKinds.map((token) => ({ route, kind, token }))))
  const all = bad.flatMap((each) => hostKinds.flatMap((host) => originKinds.map((origin) => ({ ...each, host, origin }))))
  return all.filter((each) => isWanted(each) && expected(each) !== undefined)
}

function isWanted({ route, kind, token, host, origin }: Case): boolean {
  const faults = Number(kind !== 'own') + Number(token !== 'good') + Number(host !== 'good') + Number(origin !== 'none')
  return faults > 0 && (faults <= 2 || full.has(route.path))
}

function hostLines(kind: Case['host'], port: number): readonly string[] {
  switch (kind) {
    case 'good':
    case 'absolute':
      return [`Host: 127.0.0.1:${port}`]
    case 'suffix':
      return [`Host: evil127.0.0.1:${port}`]
    case 'wrong port':
      return [`Host: localhost:${port + 1}`]
    case '[::1]':
      return [`Host: [::1]:${port}`]
    case 'empty':
      return ['Host: ']
    case 'twice':
      return [`Host: 127.0.0.1:${port}`, 'Host: evil.com']
    case 'evil.com':
    case '127.0.0.1.evil.com':
      return [`Host: ${kind}:${port}`]
  }
}

function tokenLines(kind: Case['token'], { admin, read, other }: Tokens): readonly string[] {
  const tokens = {
    good: admin,
    wrong: 'A'.repeat(admin.length),
    truncated: admin.slice(0, -1),
    longer: `${admin}A`,
    'other profile': other,
    read
  }
  return kind === 'none' ? [] : [`Authorization: Bearer ${tokens[kind]}`]
}

function originLines(kind: Case['origin'], port: number): readonly string[] {
  switch (kind) {
    case 'none':
      return []
    case 'null':
      return ['Origin: null']
    case 'evil':
      return ['Origin: https://evil.com']
    case 'own':
      return [`Origin: http://127.0.0.1:${port}`]
    case 'referer':
      return ['Referer: http://127.0.0.1/']
  }
}

function requestText(each: Case, port: number, tokens: Tokens): string {
  const { kind, route } = each
  const method = kind === 'own' ? route.method : kind === 'form' || kind === 'text' ? 'POST' : kind === 'OPTIONS' ? 'OPTIONS' : 'GET'
  const body = method === 'POST' ? '{"destination":"agent-001","content":"x","id":"m1"}' : ''
  const type = kind === 'form' ? 'application/x-www-form-urlencoded' : kind === 'text' ? 'text/plain' : 'application/json'
  const path = each.host === 'absolute' ? `http://127.0.0.1:${port}${route.path}` : route.path
  const lines = [`${method} ${path} HTTP/1.1`, ...hostLines(each.host, port), ...tokenLines(each.token, tokens), ...originLines(each.origin, port)]
  if (kind === 'upgrade')
    lines.push('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')
  if (kind === 'sse') lines.push('Accept: text/event-stream')
  if (body !== '') lines.push(`Content-Type: ${type}`, `Content-Length: ${body.length}`)
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** What must come back: the first door that is shut. Undefined: the case is an honest one after all. */
function expected({ route, kind, token, host, origin }: Case): number | undefined {
  if (host !== 'good') return 421
  if (origin !== 'none' || kind === 'upgrade') return 403
  if (token === 'read') {
    const isOwn = kind === 'own' || (kind !== 'OPTIONS' && (kind === 'form' || kind === 'text' ? 'POST' : 'GET') === route.method)
    if (isOwn && (route.scope !== 'read' || route.socketOnly === true)) return 403
    return isOwn && kind !== 'form' && kind !== 'text' ? undefined : isOwn ? 415 : 404
  }
  if (token !== 'good') return 401
  if (kind === 'OPTIONS') return 404
  const method = kind === 'form' || kind === 'text' ? 'POST' : 'GET'
  if (method !== route.method) return 404
  if (route.socketOnly === true) return 403
  return method === 'POST' ? 415 : undefined
}

test('no route answers, and nothing changes, without the token, with a foreign Host or Origin, by form, upgrade or event stream', async (t) => {
  const rig = await startRig(t)
  const other = await startRig(t)
  const tokens = { admin: rig.token('admin'), read: rig.token('read'), other: other.token('admin') }
  rig.mesh.receive({ id: 'there-before' })
  const before = rig.mesh.stateHash()
  const all = cases()
  t.diagnostic(`${all.length} cases`)
  assert.ok(all.length > 8_000, `${all.length} cases`)
  const failures: string[] = []
  const queue = all.values()
  const worker = async (): Promise<void> => {
    for (const each of queue) {
      const { status, text } = await raw({ port: rig.port }, requestText(each, rig.port, tokens))
      const isRight = status === expected(each) && !/access-control-allow/i.test(text)
      if (!isRight && failures.length < 5)
        failures.push(
          `${each.route.path} ${each.kind} token ${each.token} host ${each.host} origin ${each.origin}: ${status}, expected ${expected(each)}`
        )
    }
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  assert.deepEqual(failures, [])
  assert.equal(rig.mesh.stateHash(), before)
  assert.deepEqual(rig.mesh.calls, [])
  assert.equal((await rig.client.call('status', {})).inbox.unread, 1)
})

test('an honest request with the token is answered on both names of the loopback address', async (t) => {
  const rig = await startRig(t)
  for (const name of ['127.0.0.1', 'localhost']) {
    const { status, text } = await raw(
      { port: rig.port },
      `GET /v1/status HTTP/1.1\r\nHost: ${name}:${rig.port}\r\nAuthorization: Bearer ${rig.token('read')}\r\n\r\n`
    )
    assert.equal(status, 200)
    assert.match(text, /nosniff/)
    assert.match(text, /default-src 'none'/)
  }
})

test('a token of an earlier run is void', async (t) => {
  const first = await startRig(t)
  const old = first.token('admin')
  await first.daemon.stop()
  const second = await startRig(t)
  const { status } = await raw(
    { port: second.port },
    `GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:${second.port}\r\nAuthorization: Bearer ${old}\r\n\r\n`
  )
  assert.equal(status, 401)
})

test('the socket answers to one Host only, and never to a browser or an upgrade', async (t) => {
  const rig = await startRig(t)
  const path = { path: rig.paths.socketPath }
  const before = rig.mesh.stateHash()
  const post = 'POST /v1/invites HTTP/1.1\r\n'
  const json = 'Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
  assert.equal((await raw(path, `${post}Host: localhost\r\n${json}`)).status, 421)
  assert.equal((await raw(path, `${post}${json}`)).status, 421)
  assert.equal((await raw(path, `${post}Host: synaptic-mesh.local\r\nOrigin: null\r\n${json}`)).status, 403)
  assert.equal((await raw(path, `${post}Host: synaptic-mesh.local\r\nReferer: x\r\n${json}`)).status, 403)
  assert.equal((await raw(path, `${post}Host: synaptic-mesh.local\r\nSec-Fetch-Site: none\r\n${json}`)).status, 403)
  assert.equal((await raw(path, 'GET /v1/status HTTP/1.1\r\nHost: synaptic-mesh.local\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')).status, 403)
  assert.equal(rig.mesh.stateHash(), before)
  assert.equal((await raw(path, `${post}Host: synaptic-mesh.local\r\n${json}`)).status, 200)
})

test('the routes of the matrix are all the routes there are', () => {
  assert.equal(new Set(routes.map(({ path, method }) => `${method} ${path}`)).size, Object.keys(operations).length)
  assert.ok(routes.every(({ method, scope }) => method === 'POST' || scope === 'read'))
})
