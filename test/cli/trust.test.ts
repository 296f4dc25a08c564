import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { json, startNode, type RealNode } from './real-nodes.ts'
import type { Result } from './support.ts'

interface Report {
  readonly id: string
  readonly status: string
}

const errorOf = ({ code, stderr }: Result): readonly [number | null, string] => [code, JSON.parse(stderr).error.code]
const send = (from: RealNode, to: RealNode, ...args: readonly string[]): Promise<Report> => json<Report>(from.home, 'message', to.address, ...args)

test('on the command line: who waits, approve, rights, a new name, a block that a restart keeps, and a removal', async (t) => {
  const me = await startNode(t, 'me')
  const guest = await startNode(t, 'guest', me.address)
  const held = await guest.home.p2p('message', me.address, 'let me in')
  assert.equal(held.code, 0, held.stderr)
  assert.match(held.stdout, /held at .* not paired .* decides/)
  const waiting = catalogue.pending.output(z).parse(await json(me.home, 'pending'))
  assert.deepEqual([waiting.messages, waiting.strangers[0]?.peerId, waiting.strangers[0]?.held], [1, guest.peerId, undefined])
  const listed = await me.home.p2p('pending')
  assert.ok(!listed.stdout.includes('let me in'))
  assert.ok((await me.home.p2p('pending', '--show')).stdout.includes('let me in'))
  const shownId = /…\S{8}/.exec(listed.stdout)?.[0] ?? ''
  assert.equal(shownId, `…${guest.peerId.slice(-8)}`)
  assert.match((await me.home.p2p('status')).stdout, /1 held from 1 stranger: synaptic-mesh p2p pending/)

  const approved = catalogue.approve.output(z).parse(await json(me.home, 'approve', shownId, '--as', 'bob'))
  assert.deepEqual([approved.name, approved.released, approved.commands], ['bob', 1, false])
  assert.equal((await json<{ readonly messages: readonly Report[] }>(me.home, 'inbox')).messages.length, 1)
  assert.deepEqual(errorOf(await guest.home.p2p('message', me.address, 'obey', '--msg-type', 'command', '--json')), [4, 'COMMAND_NOT_ALLOWED'])
  await json(me.home, 'peer', 'trust', 'bob', '--command')
  assert.equal((await send(guest, me, 'obey', '--msg-type', 'command')).status, 'stored')
  await json(me.home, 'peer', 'rename', 'bob', 'robert')
  assert.match((await me.home.p2p('peer', 'list')).stdout, /robert .*paired, may command/)
  assert.match((await me.home.p2p('peers', 'robert')).stdout, /paired, may command/)

  await json(me.home, 'peer', 'block', 'robert')
  assert.deepEqual(errorOf(await me.home.p2p('message', 'robert', 'hello', '--json')), [4, 'PEER_BLOCKED'])
  assert.deepEqual(errorOf(await guest.home.p2p('message', me.address, 'hello?', '--timeout', '2', '--json'))[0], 7)
  await json(me.home, 'restart')
  assert.match((await me.home.p2p('peer', 'list')).stdout, /robert .*blocked/)
  assert.match((await me.home.p2p('status')).stdout, /1 blocked/)
  const lifted = catalogue.peerTrust.output(z).parse(await json(me.home, 'peer', 'trust', 'robert', '--no-command'))
  assert.deepEqual([lifted.blocked, lifted.paired, lifted.commands], [false, true, false])
  const removed = catalogue.peerRemove.output(z).parse(await json(me.home, 'peer', 'remove', 'robert'))
  assert.equal(removed.paired, false)
  assert.deepEqual(errorOf(await me.home.p2p('peer', 'remove', guest.peerId, '--json')), [4, 'PEER_NOT_PAIRED'])
})

test('what a handler sends is an agent’s and belongs to the thread of its message: at 30 it is LOOP_GUARD, and --allow lets it go on', async (t) => {
  const one = await startNode(t, 'one')
  const two = await startNode(t, 'two', one.address)
  const { invite } = await json<{ readonly invite: string }>(one.home, 'invite')
  await json(two.home, 'join', invite)
  const { id } = await json<Report>(one.home, 'message', 'two', 'begin')
  const handler = { SYNAPTIC_MESH_MESSAGE: id }
  for (let count = 0; count < 15; count++) {
    const reply = await two.home.run(['p2p', 'inbox', 'reply', id, `answer ${count}`, '--json'], { environment: handler })
    assert.equal(reply.code, 0, reply.stderr)
    const again = await two.home.run(['p2p', 'message', 'one', `more ${count}`, '--json'], { environment: handler })
    assert.equal(again.code, 0, again.stderr)
  }
  for (const args of [
    ['inbox', 'reply', id, 'too much'],
    ['message', 'one', 'too much']
  ]) {
    const refused = await two.home.run(['p2p', ...args, '--json'], { environment: handler })
    assert.deepEqual(errorOf(refused), [9, 'LOOP_GUARD'])
  }
  const { messages } = catalogue.inboxList.output(z).parse(await json(one.home, 'inbox'))
  assert.equal(messages.length, 30)
  for (const { thread } of messages) assert.deepEqual(thread, { root: id, hop: 0, automatic: true })
  const allowed = await two.home.run(['p2p', 'message', 'one', 'by leave', '--allow', '--json'], { environment: handler })
  assert.equal(allowed.code, 0, allowed.stderr)
  const wrong = await two.home.run(['p2p', 'message', 'one', 'x', '--json'], { environment: { SYNAPTIC_MESH_MESSAGE: 'no id!' } })
  assert.deepEqual(errorOf(wrong), [2, 'OPTION_INVALID'])
})
