import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { z } from 'zod'
import { type Command, operations } from '../../src/api/index.ts'
import { openApiDocument } from '../../src/api/openapi.ts'
import { raw, startRig } from './harness.ts'

test('the description is valid OpenAPI 3.1, and tells every operation that a port serves with its method, its inputs and its answer', async () => {
  const document = openApiDocument(z, '0.0.0')
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone(document))
  assert.ok(valid, JSON.stringify(errors)?.slice(0, 2_000))
  assert.equal(validator.version, '3.1')
  const paths = document['paths'] as Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>
  for (const [name, { route, fields }] of Object.entries(operations) as [string, Command][]) {
    if (route === undefined) continue
    const item = paths[route.path]
    assert.equal(item === undefined, route.socketOnly === true, route.path)
    if (item === undefined) continue
    const operation = item[route.method.toLowerCase()]
    assert.equal(operation?.operationId, name)
    for (const [field, { local }] of Object.entries(fields))
      assert.equal(JSON.stringify(operation).includes(`"${field}"`), local !== true, `${name} ${field}`)
  }
  const ids = Object.values(paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId))
  assert.equal(new Set(ids).size, ids.length)
  for (const path of ['/v1/ws', '/metrics', '/healthz', '/v1/openapi.json']) assert.ok(path in paths)
})

test('its references lead somewhere', () => {
  const document = openApiDocument(z, '0.0.0')
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path)
  assert.ok(references.length > 20)
  for (const path of references) {
    let at: unknown = document
    for (const key of path.split('/')) at = typeof at === 'object' && at !== null ? (at as Readonly<Record<string, unknown>>)[key] : undefined
    assert.notEqual(at, undefined, path)
  }
})

test('the gateway serves it, metrics and a sign of life, to whoever has a token and to nobody else', async (t) => {
  const rig = await startRig(t)
  const ask = (path: string, lines: readonly string[], method = 'GET') =>
    raw({ port: rig.port }, `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  const host = `Host: 127.0.0.1:${rig.port}`
  const token = `Authorization: Bearer ${rig.token('read')}`
  const bodies = new Map([
    ['/v1/openapi.json', /"openapi":"3\.1\.1"/],
    ['/metrics', /# TYPE synaptic_mesh_api_requests_total counter/],
    ['/healthz', /\{"ok":true,"healthy":true\}/]
  ])
  for (const [path, body] of bodies) {
    const good = await ask(path, [host, token])
    assert.equal(good.status, 200)
    assert.match(good.text, body)
    assert.match(good.text, /nosniff/)
    assert.equal((await ask(path, [host])).status, 401)
    assert.equal((await ask(path, [host, 'Authorization: Bearer x'])).status, 401)
    assert.equal((await ask(path, ['Host: evil.com', token])).status, 421)
    assert.equal((await ask(path, [host, token, 'Origin: null'])).status, 403)
    assert.equal((await ask(path, [host, token, 'Referer: http://x/'])).status, 403)
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE'])
      assert.equal((await ask(path, [host, token, 'Content-Length: 0', 'Connection: close'], method)).status, 404, `${method} ${path}`)
  }
  assert.match((await ask('/metrics', [host, token])).text, /content-type: text\/plain; version=0\.0\.4/i)
})
