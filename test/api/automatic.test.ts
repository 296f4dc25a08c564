import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Scope } from '../../src/api/index.ts'
import { raw, type Rig, startRig } from './harness.ts'

/** Sends a message over the port, with the token of a scope. */
async function sendOverPort(rig: Rig, [scope, path]: readonly [Scope, string], input: object): Promise<number> {
  const body = JSON.stringify(input)
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${rig.port}`,
    `Authorization: Bearer ${rig.token(scope)}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`
  ]
  return (await raw({ port: rig.port }, `${head.join('\r\n')}\r\n\r\n${body}`)).status
}

test('what comes with a token for agents is an agent’s, what comes over the socket or as admin is a person’s unless it says otherwise', async (t) => {
  const rig = await startRig(t)
  rig.mesh.receive({ id: 'm1' })
  const hello = { destination: 'agent-001', content: 'hello' }
  assert.equal(await sendOverPort(rig, ['agent', '/v1/messages'], hello), 200)
  assert.deepEqual([rig.mesh.lastSend?.automatic, rig.mesh.lastSend?.allow], [true, false])
  assert.equal(await sendOverPort(rig, ['agent', '/v1/inbox/reply'], { id: 'm1', content: 'yes' }), 200)
  assert.equal(rig.mesh.lastSend?.automatic, true)
  assert.equal(await sendOverPort(rig, ['admin', '/v1/messages'], hello), 200)
  assert.equal(rig.mesh.lastSend?.automatic, false)
  await rig.client.call('message', hello)
  assert.equal(rig.mesh.lastSend?.automatic, false)
  await rig.client.call('message', { ...hello, automatic: true, cause: 'm1', allow: true })
  assert.deepEqual([rig.mesh.lastSend?.automatic, rig.mesh.lastSend?.cause, rig.mesh.lastSend?.allow], [true, 'm1', true])
})

test('deciding about peers needs a token of scope admin, looking at them one of scope read', async (t) => {
  const rig = await startRig(t)
  for (const path of ['/v1/pending/approve', '/v1/contacts/trust', '/v1/contacts/block', '/v1/contacts/remove'])
    assert.equal(await sendOverPort(rig, ['agent', path], { peer: 'stranger' }), 403, path)
  assert.equal(await sendOverPort(rig, ['agent', '/v1/contacts/rename'], { peer: 'agent-001', alias: 'x' }), 403)
  assert.deepEqual(rig.mesh.calls, [])
  const looked = await raw(
    { port: rig.port },
    `GET /v1/pending HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nAuthorization: Bearer ${rig.token('read')}\r\n\r\n`
  )
  assert.equal(looked.status, 200)
})
