import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { bin, json, type RealNode, startNode } from './real-nodes.ts'

/** A handler that answers each message as an agent does, by the command line; a message that the guard does not let it answer is done all the same. */
const handler = `
const { spawnSync } = require('node:child_process')
const args = ['p2p', 'inbox', 'reply', process.env.SYNAPTIC_MESH_MESSAGE, 'and you?', '--json']
const { status, stderr } = spawnSync(process.execPath, [${JSON.stringify(bin)}, ...args], { encoding: 'utf8' })
const refusal = status === 0 ? '' : JSON.parse(stderr).error.code
process.stdout.write(refusal)
process.exit(status === 0 || refusal === 'LOOP_GUARD' ? 0 : 1)
`

/** Has a node answer whatever comes; resolves with what the guard said, once it does. */
async function answers(t: TestContext, { home }: RealNode): Promise<string> {
  const file = join(home.folder, 'answer.cjs')
  writeFileSync(file, handler)
  const child = home.spawn(['p2p', 'listen', '--exec', `${process.execPath} ${file}`, '--json'])
  const ended = new Promise((done) => child.once('close', done))
  t.after(async () => {
    child.kill('SIGTERM')
    await ended
  })
  let text = ''
  for await (const chunk of child.stdout) {
    text += String(chunk)
    const said = /"stdout":"([A-Z_]+)"/.exec(text)?.[1]
    if (said !== undefined) return said
  }
  return assert.fail(`the listener ended: ${text}`)
}

test('two agents woken by listen --exec that answer each other stop at 30 messages', async (t) => {
  const one = await startNode(t, 'one')
  const two = await startNode(t, 'two', one.address)
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(two.home, 'join', invite)
  const stopped = Promise.race([answers(t, one), answers(t, two)])
  const { id } = await json<{ readonly id: string }>(one.home, 'message', 'two', 'how do you do?')
  assert.equal(await stopped, 'LOOP_GUARD')
  const sent = await Promise.all(
    [one, two].map(async ({ home }) => catalogue.outboxList.output(z).parse(await json(home, 'outbox', '--limit', '100')).messages)
  )
  assert.deepEqual(
    sent.map((messages) => messages.filter((message) => message.type === 'Response').length),
    [15, 15]
  )
  assert.ok(sent[0]?.some((message) => message.id === id))
})
