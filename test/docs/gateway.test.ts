/** What docs/gateway.md shows of frames, routes, options of the example and Prometheus is so. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { z } from 'zod'
import { inRoot } from '../../scripts/lib/paths.ts'
import { checkInput } from '../../src/api/index.ts'
import { openApiDocument } from '../../src/api/openapi.ts'
import { found, parseRequest } from '../../src/daemon/gateway/conversation.ts'

const page = readFileSync(inRoot('docs/gateway.md'), 'utf8')
const blocks = (kind: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, 'gms'))].map(([, body = '']) => body)

test('each frame of the page is a request that the gateway takes', () => {
  const frames = blocks('json').flatMap((block) => block.trim().split('\n'))
  assert.ok(frames.length >= 4)
  for (const frame of frames) {
    const request = parseRequest(Buffer.from(frame))
    assert.ok(request !== undefined, frame)
    if (!['authenticate', 'cancel'].includes(request.operation))
      assert.doesNotThrow(() => checkInput(found(request.operation).fields, request.input), frame)
  }
})

test('each route of the page is one of the description', () => {
  const document = openApiDocument(z, '0.0.0')
  const paths = document['paths'] as Readonly<Record<string, Readonly<Record<string, unknown>>>>
  const named = [...page.matchAll(/`(GET|POST) (\/[a-z0-9/.]+)/g)]
  assert.ok(named.length >= 8)
  for (const [, method = '', path = ''] of named) assert.ok(paths[path]?.[method.toLowerCase()] !== undefined, `${method} ${path}`)
  for (const [, path = ''] of page.matchAll(/http:\/\/127\.0\.0\.1:9400(\/[a-z0-9/]+)/g)) assert.ok(path in paths, path)
})

const hasPython = spawnSync('python3', ['--version']).status === 0

test('each line for the client in Python is one that it takes', hasPython ? {} : { skip: 'python3 is not installed' }, () => {
  const lines = [...page.matchAll(/^python3 (examples\/python\/client\.py .*)$/gm)].map(([, line = '']) => line)
  assert.ok(lines.length >= 3)
  for (const line of lines) {
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
    const { status, stderr } = spawnSync(
      'python3',
      words.map((word) => (word === 'token' ? '/nowhere/token' : word)),
      { cwd: inRoot(), encoding: 'utf8' }
    )
    // It got as far as the file of the token: the words were understood.
    assert.equal(status, 1, stderr)
    assert.match(stderr, /\/nowhere\/token/)
  }
})
