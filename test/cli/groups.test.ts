import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue, type OutputOf } from '../../src/api/index.ts'
import { json, type RealNode, startNode } from './real-nodes.ts'

const patienceMs = 60_000
type Message = OutputOf<typeof catalogue.inboxList>['messages'][number]
type Group = OutputOf<typeof catalogue.groupCreate>

/** Asks until the answer is as wanted; fails with the last one. */
async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean, what: string): Promise<T> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const answer = await ask()
    if (isRight(answer)) return answer
    assert.ok(performance.now() < deadline, `${what}: ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

const inboxOf = async ({ home }: RealNode): Promise<readonly Message[]> => catalogue.inboxList.output(z).parse(await json(home, 'inbox')).messages
const groupsOf = async ({ home }: RealNode): Promise<readonly Group[]> => catalogue.groupList.output(z).parse(await json(home, 'group')).groups
const untilMember = (node: RealNode, epoch: number): Promise<unknown> =>
  until(
    () => groupsOf(node),
    (groups) => groups.some((group) => group.name === 'swarm-alpha' && group.state === 'joined' && group.epoch === epoch),
    `epoch ${epoch}`
  )

test('five daemons are a group: the line of the contract, one away and caught up, one removed, and a kill -9 that changes nothing', async (t) => {
  const me = await startNode(t, 'me')
  const others = await Promise.all(['agent-001', 'agent-002', 'agent-003', 'agent-004'].map((name) => startNode(t, name, me.address)))
  const [one, two, three, four] = others
  assert.ok(one && two && three && four)
  for (const { home } of others) {
    const { invite } = await json<{ readonly invite: string }>(me.home, 'invite')
    await json(home, 'join', invite)
  }
  const made = await json<Group>(me.home, 'group', 'create', 'swarm-alpha', '--member', 'agent-001', 'agent-002', 'agent-003', 'agent-004')
  assert.equal(made.members.length, 5)
  for (const node of others) await untilMember(node, 1)

  const line = ['message', 'swarm-alpha', '--msg-type', 'coordination', '--content', 'Sync neural patterns'] as const
  const told = await me.home.p2p(...line)
  assert.deepEqual([told.code, told.stderr], [0, told.stderr])
  assert.match(told.stdout, /^✓ stored at 4 of 4 members of swarm-alpha in .* id \S+\n( {2}agent-00\d +stored .*\n){4}$/)
  for (const node of others) {
    const messages = await inboxOf(node)
    assert.deepEqual(
      messages.map(({ type, body, name, group }) => [type, body, name, group?.name, group?.member]),
      [['AgentCoordination', 'Sync neural patterns', 'me', 'swarm-alpha', true]]
    )
  }

  await t.test('members that never met write to each other, and a Command needs the right all the same', async () => {
    await json(one.home, 'message', '@swarm-alpha', 'from one', '--timeout', '50')
    const fromOne = (await inboxOf(three)).find(({ body }) => body === 'from one')
    assert.deepEqual([fromOne?.paired, fromOne?.state, fromOne?.source], [false, 'unread', one.peerId])
    const command = await one.home.p2p('message', 'swarm-alpha', 'obey', '--msg-type', 'command', '--json', '--timeout', '50')
    assert.equal(command.code, 7)
    const report = catalogue.message.output(z).parse(JSON.parse(command.stdout))
    const codes = new Map(report.members?.map(({ peer, status, error }) => [peer.peerId, error?.code ?? status]))
    assert.deepEqual([...codes.values()].filter((code) => code === 'COMMAND_NOT_ALLOWED').length, 3)
    assert.equal(codes.get(me.peerId), 'stored')
  })

  await t.test('a member that is away is named, the exit code is 7, and it gets the message when it is back', async () => {
    await json(four.home, 'stop')
    const away = await me.home.p2p('message', 'swarm-alpha', 'while four is away', '--timeout', '3', '--json')
    assert.equal(away.code, 7)
    const { error } = JSON.parse(away.stderr)
    assert.equal(error.code, 'GROUP_INCOMPLETE')
    assert.match(error.message, /^Stored at 3 of 4 members of swarm-alpha; not at agent-004 \(accepted|sent\)$/)
    const { id } = catalogue.message.output(z).parse(JSON.parse(away.stdout))
    await json(four.home, 'start')
    await until(
      () => inboxOf(four),
      (messages) => messages.some(({ body }) => body === 'while four is away'),
      'four catches up'
    )
    const rows = await until(
      async () => catalogue.outboxList.output(z).parse(await json(me.home, 'outbox', 'list', '--id', id)).messages,
      (messages) => messages[0]?.status === 'stored',
      'the report is stored'
    )
    assert.equal(rows[0]?.members?.length, 4)
  })

  await t.test('who was killed with -9 is in the group still, and one who is removed gets nothing of the next epoch', async () => {
    const { daemon } = catalogue.status.output(z).parse(await json(two.home, 'status'))
    process.kill(daemon.pid, 'SIGKILL')
    const removed = await json<Group>(me.home, 'group', 'remove', 'swarm-alpha', 'agent-003')
    assert.deepEqual([removed.epoch, removed.members.length], [2, 4])
    await json(two.home, 'start')
    for (const node of [one, two, four]) await untilMember(node, 2)
    await until(
      () => groupsOf(three),
      (groups) => groups[0]?.state === 'removed',
      'three is told'
    )
    const before = (await inboxOf(three)).length
    await json(two.home, 'message', 'swarm-alpha', 'without three', '--timeout', '50')
    for (const node of [me, one, four]) assert.ok((await inboxOf(node)).some(({ body }) => body === 'without three'))
    assert.equal((await inboxOf(three)).length, before)
    const back = await three.home.p2p('message', 'swarm-alpha', 'let me in', '--json')
    assert.deepEqual([back.code, JSON.parse(back.stderr).error.code], [4, 'GROUP_NOT_MEMBER'])
  })

  await t.test('an answer goes to the sender, with --all to the group, and nobody is shown what nodes tell each other about it', async () => {
    const message = (await inboxOf(one)).find(({ body }) => body === 'without three')
    assert.ok(message)
    const all = await json<OutputOf<typeof catalogue.inboxReply>>(one.home, 'inbox', 'reply', message.id, 'agreed', '--all', '--timeout', '50')
    assert.deepEqual([all.status, all.members?.length], ['stored', 3])
    await json(one.home, 'inbox', 'reply', message.id, 'between us', '--timeout', '50')
    const between = (await inboxOf(two)).find(({ body }) => body === 'between us')
    assert.deepEqual([between?.inReplyTo, between?.paired, between?.group?.alone], [message.id, false, true])
    assert.ok((await inboxOf(four)).some(({ body }) => body === 'agreed'))
    assert.ok((await inboxOf(four)).every(({ body, type }) => body !== 'between us' && type !== 'SwarmSync'))
    const { messages } = catalogue.outboxList.output(z).parse(await json(me.home, 'outbox'))
    assert.ok(messages.every(({ type }) => type !== 'SwarmSync'))
    const { unread } = catalogue.status.output(z).parse(await json(four.home, 'status')).inbox
    assert.equal(unread, (await inboxOf(four)).length)
  })
})

test('a group of a stranger waits until the stranger is approved', async (t) => {
  const me = await startNode(t, 'me')
  const guest = await startNode(t, 'guest', me.address)
  await json(me.home, 'group', 'create', 'swarm-alpha', '--member', guest.peerId)
  const { strangers } = await until(
    async () => catalogue.pending.output(z).parse(await json(guest.home, 'pending')),
    ({ strangers: waiting }) => waiting.length > 0,
    'the stranger is pending'
  )
  assert.equal(strangers[0]?.peerId, me.peerId)
  assert.deepEqual(await groupsOf(guest), [])
  const sent = await me.home.p2p('message', 'swarm-alpha', 'welcome', '--timeout', '50', '--json')
  const held = catalogue.message.output(z).parse(JSON.parse(sent.stdout))
  assert.deepEqual([sent.code, held.status, held.members?.length], [7, 'held', 1])
  assert.match(sent.stderr, /Stored at 0 of 1 members of swarm-alpha; not at \S+ \(held\)/)
  await json(guest.home, 'approve', me.peerId)
  await untilMember(guest, 1)
  assert.deepEqual(
    (await inboxOf(guest)).map(({ body, group }) => [body, group?.name]),
    [['welcome', 'swarm-alpha']]
  )
})
