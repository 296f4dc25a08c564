import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import { type Mesh, messageTypes, type OutboxState, type ReceivedMessage, type SendReport } from '../../src/node/index.ts'
import { createTestnet, type Testnet } from '../../src/testing/index.ts'
import { nextEvent } from './event-support.ts'

const text = ({ body }: Pick<ReceivedMessage, 'body'>): string => new TextDecoder().decode(body)

const reaches = (mesh: Mesh, id: string, state: OutboxState): Promise<SendReport> =>
  nextEvent(mesh, 'outbox', (report) => report.id === id && report.status === state)

async function pairedNet(): Promise<{ readonly net: Testnet; readonly alice: Mesh; readonly bob: Mesh }> {
  const net = await createTestnet(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  return { net, alice, bob }
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'synaptic-test-'))
  try {
    await run(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('all nine types are stored, in order, with everything that the sender gave', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  for (const [index, type] of messageTypes.entries()) {
    const report = await alice.send('node-1', `body ${type}`, { type, priority: index, label: 'planner', toLabel: 'worker' })
    assert.deepEqual([report.status, report.type, report.priority, report.path], ['stored', type, index, 'direct-lan'])
  }
  const { messages, cursor } = await bob.inbox.list({ limit: 20 })
  assert.deepEqual(
    messages.map(({ type }) => type),
    [...messageTypes]
  )
  const [first] = messages
  assert.ok(first !== undefined)
  assert.deepEqual(
    [text(first), first.label, first.toLabel, first.priority, first.paired, first.source.name],
    ['body Thought', 'planner', 'worker', 0, true, 'node-0']
  )
  assert.equal(cursor, messages.at(-1)?.position)
})

test('a Command gets its Response, durable and volatile', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  bob.on('message', (message) => {
    if (message.expectsReply) void bob.reply(message, `done: ${text(message)}`)
  })
  for (const delivery of ['durable', 'volatile'] as const) {
    const response = await alice.request('node-1', 'count', { delivery })
    assert.deepEqual([response.type, response.delivery, text(response)], ['Response', delivery, 'done: count'])
  }
  assert.equal((await alice.inbox.counts()).unread, 0, 'the one who waited acknowledged the durable Response')
})

test('a request that nobody answers is a TIMEOUT', async () => {
  const { net, alice } = await pairedNet()
  await using _ = net
  await assert.rejects(alice.request('node-1', 'count', { timeoutMs: 300 }), { code: 'TIMEOUT' })
})

test('what a stranger sends is held, says so, and is delivered once the two are paired', async () => {
  await using net = await createTestnet(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  const report = await alice.send(bob.peerId, 'hello')
  assert.equal(report.status, 'held')
  assert.deepEqual(await bob.inbox.counts().then(({ unread, held }) => [unread, held]), [0, 1])
  const delivered = nextEvent(bob, 'message')
  const stored = reaches(alice, report.id, 'stored')
  await net.pair(alice, bob)
  assert.equal(text(await delivered), 'hello')
  assert.equal((await stored).status, 'stored')
})

test("a stranger's Command is refused with a signed receipt", async () => {
  await using net = await createTestnet(2)
  const report = await net.node(0).send(net.node(1).addresses()[0] ?? '', 'rm -rf /', { type: 'Command' })
  assert.deepEqual([report.status, report.error?.code], ['failed', 'COMMAND_NOT_ALLOWED'])
  assert.deepEqual((await net.node(1).inbox.list({ states: ['unread', 'held', 'read'] })).messages, [])
})

test('a volatile message goes to paired peers only, and says so', async () => {
  await using net = await createTestnet(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  await assert.rejects(alice.send(bob.addresses()[0] ?? '', 'hello', { delivery: 'volatile' }), { code: 'NOT_PAIRED' })
})

test('a volatile body is copied when it is sent, and a wrong message spoils none of those that leave with it', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  const got: string[] = []
  const both = new Promise<void>((resolve) => bob.on('message', (message) => (got.push(text(message)), got.length === 2 ? resolve() : undefined)))
  const body = new TextEncoder().encode('before')
  const sent = [
    alice.send('node-1', 'x', { delivery: 'volatile', id: 'not an id' }).then(String, (error: unknown) => error),
    alice.send(bob.peerId, body, { delivery: 'volatile' }),
    alice.send(bob.peerId, 'x', { delivery: 'volatile', priority: 11 }).then(String, (error: unknown) => error),
    alice.send(bob.peerId, 'last', { delivery: 'volatile' })
  ]
  body.fill(0)
  const outcomes = await Promise.all(sent)
  assert.deepEqual(
    outcomes.map((outcome) =>
      outcome instanceof Error && 'code' in outcome
        ? outcome.code
        : typeof outcome === 'object' && outcome !== null && 'status' in outcome
          ? outcome.status
          : outcome
    ),
    ['OPTION_INVALID', 'sent', 'OPTION_INVALID', 'sent']
  )
  await both
  assert.deepEqual(got.toSorted(), ['before', 'last'])
})

test('acknowledging tells the sender, is idempotent, and the message is never given out again', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  const { id } = await alice.send('node-1', 'once')
  const read = reaches(alice, id, 'read')
  assert.deepEqual(
    (await bob.inbox.list({ handOut: true })).messages.map(({ redelivered }) => redelivered),
    [false]
  )
  assert.deepEqual(
    (await bob.inbox.list({ handOut: true })).messages.map(({ redelivered }) => redelivered),
    [true]
  )
  const ack = { source: alice.peerId, id }
  assert.deepEqual(await bob.inbox.ack([ack, { ...ack, id: 'never' }]), { acknowledged: 1, unknown: ['never'] })
  assert.deepEqual(await bob.inbox.ack([ack]), { acknowledged: 1, unknown: [] })
  assert.deepEqual((await bob.inbox.list()).messages, [])
  assert.equal((await read).status, 'read')
})

test('volatile messages arrive whole however many frames wait, though the memory of a frame is used again', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  const [rounds, inOne, bodyBytes] = [4, 400, 3_000]
  const found: number[] = []
  const all = new Promise<void>((resolve) =>
    bob.on('message', ({ body }) => {
      const [first = 0, second = 0] = body
      assert.ok(body.length === bodyBytes && body.subarray(2).every((byte) => byte === (second ^ first)), 'a body was changed')
      if (found.push(256 * first + second) === rounds * inOne) resolve()
    })
  )
  for (let round = 0; round < rounds; round++) {
    const numbers = Array.from({ length: inOne }, (_, index) => round * inOne + index)
    const bodyOf = (number: number): Uint8Array =>
      new Uint8Array(bodyBytes)
        .fill((number & 255) ^ (number >> 8))
        .fill(number >> 8, 0, 1)
        .fill(number & 255, 1, 2)
    await Promise.all(numbers.map((number) => alice.send(bob.peerId, bodyOf(number), { delivery: 'volatile' })))
  }
  await all
  assert.deepEqual(found, [...found.keys()])
})

test('a durable message follows over the stream that a volatile one opened', async () => {
  const { net, alice } = await pairedNet()
  await using _ = net
  await alice.send('node-1', 'first', { delivery: 'volatile' })
  assert.equal((await alice.send('node-1', 'second', { timeoutMs: 5_000 })).status, 'stored')
})

test('one id names one content: the same again is a no-op, other content is a conflict', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  await alice.send('node-1', 'a', { id: 'job-1' })
  assert.equal((await alice.send('node-1', 'a', { id: 'job-1' })).status, 'stored')
  await assert.rejects(alice.send('node-1', 'b', { id: 'job-1' }), { code: 'ID_CONFLICT' })
  assert.equal((await bob.inbox.list()).messages.length, 1)
})

test('messages for a peer that is away wait, survive a restart of the sender, and arrive', async () => {
  await inFolder(async (folder) => {
    await using net = await createTestnet(1)
    const boot = net.node(0)
    const start = (name: string): Promise<Mesh> => net.add({ name, bootstrapPeers: boot.addresses() }, { stateFolder: join(folder, name) })
    const bob = await start('bob')
    const alice = await start('alice')
    await net.pair(alice, bob)
    await bob.stop()
    const waiting = await alice.send('bob', 'are you there', { timeoutMs: 200 })
    assert.equal(waiting.status, 'accepted')
    await alice.stop()
    const again = await start('alice')
    assert.deepEqual(
      (await again.outbox.list()).map(({ id, status }) => [id, status]),
      [[waiting.id, 'accepted']]
    )
    const stored = reaches(again, waiting.id, 'stored')
    const back = await start('bob')
    await stored
    assert.deepEqual((await back.inbox.list()).messages.map(text), ['are you there'])
  })
})

test('a message that waits can be cancelled; one that is stored cannot', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  const stored = await alice.send('node-1', 'kept')
  await assert.rejects(alice.outbox.cancel(stored.id), { code: 'NOT_CANCELLABLE' })
  await bob.stop()
  const waiting = await alice.send('node-1', 'never mind', { timeoutMs: 100 })
  assert.deepEqual(await alice.outbox.counts().then(({ queued }) => queued), 1)
  assert.deepEqual(await alice.outbox.cancel(waiting.id).then(({ status, error }) => [status, error?.code]), ['failed', 'CANCELLED'])
  assert.deepEqual(await alice.outbox.counts().then(({ queued }) => queued), 0)
  await assert.rejects(alice.outbox.cancel('no-such-id'), { code: 'MESSAGE_UNKNOWN' })
})

test('over its quota the recipient refuses with a receipt, and takes the message once some were read', async () => {
  await using net = await createTestnet(2, { config: { inboxMaxMessagesPerPeer: 2 } })
  const [alice, bob] = [net.node(0), net.node(1)]
  await net.pair(alice, bob)
  for (const body of ['1', '2']) await alice.send('node-1', body)
  const third = await alice.send('node-1', '3', { timeoutMs: 1_000 })
  assert.ok(third.status === 'accepted' || third.status === 'sent', third.status)
  const stored = reaches(alice, third.id, 'stored')
  const { messages } = await bob.inbox.list()
  await bob.inbox.ack(messages.map(({ id }) => ({ id, source: alice.peerId })))
  await alice.outbox.retry(third.id)
  assert.equal((await stored).status, 'stored')
})

test('bad input is refused by name and sends nothing', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  const cases = [
    ['OPTION_INVALID', { priority: 11 }],
    ['OPTION_INVALID', { ttlS: 0 }],
    ['OPTION_INVALID', { id: 'with space' }],
    ['OPTION_INVALID', { label: 'x'.repeat(65) }]
  ] as const
  for (const delivery of ['durable', 'volatile'] as const) {
    for (const [code, options] of cases)
      await assert.rejects(alice.send('node-1', 'x', { ...options, delivery }), { code }, `${delivery} ${JSON.stringify(options)}`)
    await assert.rejects(alice.send('node-1', new Uint8Array(1_048_577), { delivery }), { code: 'BODY_TOO_LARGE' })
  }
  await assert.rejects(alice.send('nobody-here', 'x'), { code: 'PEER_UNKNOWN' })
  await assert.rejects(alice.send(alice.peerId, 'x'), { code: 'USAGE' })
  await assert.rejects(alice.send('/ip4/127.0.0.1/tcp/1', 'x'), { code: 'ADDRESS_INVALID' })
  assert.equal((await bob.inbox.counts()).unread, 0)
})

test('a body of one MiB arrives whole, beside small ones', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  const large = new Uint8Array(1_048_576).map((_, index) => index & 255)
  const reports = await Promise.all([alice.send('node-1', large), alice.send('node-1', 'small'), alice.send('node-1', large.toReversed())])
  assert.deepEqual(
    reports.map(({ status }) => status),
    ['stored', 'stored', 'stored']
  )
  const bodies = (await bob.inbox.list()).messages.map(({ body }) => body)
  assert.ok(bodies.some((body) => Buffer.compare(body, large) === 0))
  assert.equal(bodies.length, 3)
})

test("a caller's abort ends the waiting, not the message", async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  await bob.stop()
  const abort = new AbortController()
  const accepted = nextEvent(alice, 'outbox', ({ status }) => status === 'failed')
  const sending = alice.send('node-1', 'later', { id: 'later', signal: abort.signal })
  await alice.outbox.get('later').catch(() => undefined)
  abort.abort()
  await assert.rejects(sending, { code: 'ABORTED' })
  assert.equal((await alice.outbox.cancel('later')).status, 'failed')
  await accepted
})

test('status, peers and metrics say what happened', async () => {
  const { net, alice, bob } = await pairedNet()
  await using _ = net
  await alice.send('node-1', 'hello')
  const status = await alice.status()
  assert.deepEqual([status.peers.connected, status.peers.paired, status.outbox.queued], [1, 1, 0])
  assert.ok(status.bytes.sent > 0 && status.bytes.received > 0)
  assert.ok((status.latencyMs.p50 ?? 0) > 0)
  assert.deepEqual((await bob.status()).inbox, { unread: 1, held: 0, strangers: 0 })
  assert.deepEqual(
    (await alice.peers()).map(({ name, paired, connected }) => [name, paired, connected]),
    [['node-1', true, true]]
  )
  assert.ok((await alice.ping('node-1', { count: 2 })).rttMs.every((ms) => ms > 0))
  const metrics = await alice.metrics()
  assert.match(metrics, /^synaptic_mesh_outbox_messages_total\{type="Thought",state="stored"\} 1$/m)
  assert.match(metrics, /^synaptic_mesh_peers\{state="paired"\} 1$/m)
  assert.ok(!metrics.includes('12D3Koo'), 'no peer in a label')
  const detailed = await alice.detailedStatus()
  assert.deepEqual(
    detailed.connections.map(({ name, encryption }) => [name, encryption]),
    [['node-1', '/noise-mlkem768-hfs/0.2.0']]
  )
})

test('stopping twice is harmless, and a stopped node says so', async () => {
  const { net, alice } = await pairedNet()
  await using _ = net
  await alice.stop()
  await alice.stop()
  for (const delivery of ['durable', 'volatile'] as const) await assert.rejects(alice.send('node-1', 'x', { delivery }), { code: 'SHUTTING_DOWN' })
})

test('a destination that looks like an address and is none is refused as one', async () => {
  await using net = await createTestnet(1)
  const peerId = '12D3KooWQ5mBj8af9Q5jQhDJnLUNVDESUq6xVkSSMnCV9dFuW9aW'
  for (const address of [
    `/foo/p2p/${peerId}`,
    `/ip4/127.0.0.1/\n/p2p/${peerId}`,
    `/ip4/999.1.1.1/tcp/1/p2p/${peerId}`,
    `/ip4/127.0.0.1/tcp/99999999/p2p/${peerId}`
  ]) {
    await assert.rejects(net.node(0).send(address, 'x', { waitFor: 'accepted' }), (error) => isMeshError(error, 'ADDRESS_INVALID'), address)
  }
})
