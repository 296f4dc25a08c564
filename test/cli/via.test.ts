import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { json, startNode } from './real-nodes.ts'

test('with circuits as the rule, what goes directly is refused with exit 10 and the way out, done with --via direct, and pairing says that it is direct', async (t) => {
  const [me, peer] = await Promise.all([startNode(t, 'me'), startNode(t, 'other')])
  await json(me.home, 'config', 'set', 'onion_routing', 'true')
  await json(me.home, 'restart')
  const { invite } = catalogue.invite.output(z).parse(await json(peer.home, 'invite'))
  const joined = await me.home.p2p('join', invite, '--as', 'bob')
  assert.equal(joined.code, 0, joined.stderr)
  assert.match(joined.stdout, /Pairing goes over a direct connection/)
  assert.match(catalogue.invite.output(z).parse(await json(me.home, 'invite')).note ?? '', /direct connection/)

  for (const args of [
    ['ping', 'bob'],
    ['quantum', 'bob'],
    ['nat', 'bob']
  ] as const) {
    const refused = await me.home.p2p(...args)
    assert.equal(refused.code, 10, args.join(' '))
    assert.match(refused.stderr, /onion_routing is on[^]*--via direct/, args.join(' '))
    const done = await me.home.p2p(...args, '--via', 'direct')
    assert.equal(done.code, 0, `${args.join(' ')}: ${done.stderr}`)
  }
  const hidden = await me.home.p2p('message', 'bob', 'hidden', '--timeout', '1')
  assert.equal(hidden.code, 10)
  assert.match(hidden.stderr, /--via direct/)
  const plain = catalogue.message.output(z).parse(await json(me.home, 'message', 'bob', 'plain', '--via', 'direct'))
  assert.deepEqual([plain.status, plain.via, plain.path], ['stored', 'direct', 'direct-lan'])
  const { messages } = catalogue.inboxList.output(z).parse(await json(peer.home, 'inbox'))
  assert.deepEqual(
    messages.map(({ body }) => body),
    ['plain']
  )
})

test('a route that there is not is a usage error that names those that there are', async (t) => {
  const me = await startNode(t, 'me')
  for (const [args, allowed] of [
    [['message', 'bob', 'hello', '--via', 'tor'], /direct, onion/],
    [['inbox', 'reply', 'id', 'hello', '--via', 'tor'], /direct, onion/],
    [['ping', 'bob', '--via', 'onion'], /direct/]
  ] as const) {
    const { code, stderr } = await me.home.p2p(...args)
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, allowed)
  }
})
