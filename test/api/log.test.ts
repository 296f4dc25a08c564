import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { errorCodes, errorTable, MeshError } from '../../src/core/base/index.ts'
import { allowedRecord, DaemonLog, RotatingFile } from '../../src/daemon/log.ts'
import { raw, startRig, temporaryFolder } from './harness.ts'

function capture(run: (log: DaemonLog) => void): readonly Readonly<Record<string, unknown>>[] {
  const lines: string[] = []
  run(new DaemonLog({ write: (line) => void lines.push(line) }, 'trace'))
  return lines.map((line): Readonly<Record<string, unknown>> => JSON.parse(line))
}

test('each error of the table is one record with its code and where it happened', () => {
  for (const code of errorCodes) {
    const records = capture((log) =>
      log.error(new MeshError(code, { peer: 'p', reason: 'r', candidates: ['a'], names: ['a'], topics: ['a'] }), { route: 'GET /v1/x', ms: 3 })
    )
    assert.equal(records.length, 1, code)
    const [record] = records
    assert.deepEqual([record?.['event'], record?.['code'], record?.['route'], record?.['ms']], [code, code, 'GET /v1/x', 3])
    assert.equal(record?.['retryable'], errorTable[code].retryable)
    assert.ok(['warn', 'error'].includes(String(record?.['level'])))
  }
})

test('each error that the node itself throws is one record with the route, through the whole daemon', async (t) => {
  const { mesh, client, log } = await startRig(t)
  for (const code of errorCodes) {
    const before = log().length
    mesh.nextError = new MeshError(code, { peer: 'agent-001', candidates: ['a'], names: ['a'], topics: ['a'], id: 'i' })
    await assert.rejects(
      client.call('message', { destination: 'agent-001', content: 'x' }),
      (error) => error instanceof MeshError && error.code === code
    )
    const added = log().slice(before)
    assert.deepEqual(
      added.map(({ event, route }) => [event, route]),
      [[code, 'POST /v1/messages']]
    )
  }
})

test('a field that is not on the list is left out, and its name told', () => {
  const record = allowedRecord({
    peer: 'a',
    body: 'CANARY',
    content: 'CANARY',
    token: 'CANARY',
    secret: 'CANARY',
    value: 'CANARY',
    invite: 'CANARY',
    key: 'CANARY'
  })
  assert.doesNotMatch(JSON.stringify(record), /CANARY/)
  assert.deepEqual(record['omitted'], ['body', 'content', 'token', 'secret', 'value', 'invite', 'key'])
})

test('bodies, invites and tokens are in no log and no error, whatever goes wrong', async (t) => {
  const rig = await startRig(t, { log_level: 'trace' })
  const canary = 'CANARY-7f3a'
  const path = { path: rig.paths.socketPath }
  const send = (body: object, route = '/v1/messages'): Promise<{ text: string }> => {
    const text = JSON.stringify(body)
    return raw(
      path,
      `POST ${route} HTTP/1.1\r\nHost: synaptic-mesh.local\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`
    )
  }
  const answers = [
    await send({ destination: 'nobody', content: canary }),
    await send({ destination: 'agent-001', content: [canary] }),
    await send({ destination: 'agent-001', content: canary, priority: 99 }),
    await send({ destination: 'agent-001', content: canary.repeat(120_000) }),
    await send({ invite: canary.repeat(60) }, '/v1/pairs'),
    await send({ invite: canary }, '/v1/pairs')
  ]
  rig.mesh.nextError = new MeshError('INTERNAL', {}, { cause: new Error(canary) })
  answers.push(await send({ destination: 'agent-001', content: 'x' }))
  await raw({ port: rig.port }, `GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nAuthorization: Bearer ${canary}\r\n\r\n`)
  const log = readFileSync(rig.paths.logFile, 'utf8')
  assert.ok(log.split('\n').length > 7)
  for (const text of [log, ...answers.map((answer) => answer.text)]) assert.ok(!text.includes('CANARY'), text.slice(0, 300))
  assert.ok(!log.includes(rig.token('admin')))
})

test('an error that nobody foresaw is told by its places, not by its words', () => {
  const [record] = capture((log) => log.error(new TypeError('the body was CANARY')))
  assert.equal(record?.['event'], 'INTERNAL')
  assert.doesNotMatch(JSON.stringify(record), /CANARY/)
  assert.match(String(record?.['stack']), /log\.test/)
})

test('text of peers is made visible before it gets into the log', () => {
  const [record] = capture((log) =>
    log.record({ level: 'info', event: 'peer.connected\u001b[2J', fields: { name: 'a\u202eb\n{"level":"error"}', peers: ['\u009b31m'] } })
  )
  assert.deepEqual(
    [record?.['name'], record?.['peers'], record?.['event']],
    ['a\\u{202e}b\\u{a}{"level":"error"}', ['\\u{9b}31m'], 'peer.connected\\u{1b}[2J']
  )
})

test('the log is a private file that is moved aside when it is full', (t) => {
  const folder = temporaryFolder(t)
  const file = new RotatingFile(join(folder, 'daemon.log'), { maxBytes: 100, kept: 2 })
  for (let index = 0; index < 10; index++) file.write(`${String(index).repeat(59)}\n`)
  file.close()
  assert.deepEqual(readdirSync(folder).sort(), ['daemon.log', 'daemon.log.1', 'daemon.log.2'])
  assert.match(readFileSync(join(folder, 'daemon.log'), 'utf8'), /^9+\n$/)
  assert.match(readFileSync(join(folder, 'daemon.log.2'), 'utf8'), /^7+\n$/)
  assert.equal(statSync(join(folder, 'daemon.log')).mode & 0o777, 0o600)
})
