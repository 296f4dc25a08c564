import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, wallMillis } from '../../src/core/base/index.ts'
import { sealReceipts } from '../../src/core/message/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { keyOf } from '../../src/mesh/peer-book.ts'
import { HostileNode, endOf } from '../../src/testing/hostile/hostile-node.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { type Forgery, ForgedStream, forgedBatch } from './forged.ts'

const victimOf = (mesh: Mesh): { readonly addresses: readonly string[]; readonly publicKey: Uint8Array } => ({
  addresses: mesh.addresses(),
  publicKey: keyOf(mesh.peerId)
})

test('a crowd of strangers cannot fill the inbox: what is paired is taken, whatever is held', async () => {
  await using net = await createTestnet(2, { bootstrap: false, config: { inboxMaxMessages: 40, inboxMaxHeldPerPeer: 10 } })
  const [victim, honest] = [net.node(0), net.node(1)]
  await net.pair(victim, honest)
  const codes: (string | undefined)[] = []
  for (let stranger = 0; stranger < 5; stranger++) {
    await using attacker = await HostileNode.start('testnet')
    const stream = await ForgedStream.open(attacker, victimOf(victim))
    stream.send(
      forgedBatch(attacker, { destination: keyOf(victim.peerId), envelopes: Array.from({ length: 10 }, (_, index) => ({ id: `held-${index}` })) })
    )
    codes.push(...(await stream.until(10)).map(({ state, code }) => code ?? state))
  }
  const report = await honest.send(victim.peerId, 'among strangers', { waitFor: 'stored', timeoutMs: 5_000 })
  assert.equal(report.status, 'stored')
  assert.deepEqual([codes.filter((code) => code === 'held').length, codes.filter((code) => code === 'QUOTA').length], [10, 40])
})

test('forged batches: what does not belong to this connection ends the stream, and nothing of it is kept', async () => {
  await using net = await createTestnet(1, { bootstrap: false })
  const victim = net.node(0)
  const { publicKey } = victimOf(victim)
  const other = new Uint8Array(32).fill(9)
  await using attacker = await HostileNode.start('testnet')
  await using elsewhere = await HostileNode.start('elsewhere')
  const principal = (key: Uint8Array) => ({ kind: 'peer', key, label: '' }) as const
  const foreign = Object.assign(Object.create(attacker) as HostileNode, { signer: elsewhere.signer, publicKey: elsewhere.publicKey })
  const forgeries: Readonly<Record<string, Uint8Array>> = {
    'for another destination': forgedBatch(attacker, { destination: other, envelopes: [{}] }),
    'with an envelope for another destination': forgedBatch(attacker, { destination: publicKey, envelopes: [{ destination: principal(other) }] }),
    'with an envelope of another source': forgedBatch(attacker, { destination: publicKey, envelopes: [{ source: principal(other) }] }),
    'with an envelope of another epoch': forgedBatch(attacker, { destination: publicKey, envelopes: [{ epoch: new Uint8Array(16) }] }),
    'signed by another peer': forgedBatch(foreign, { destination: publicKey, envelopes: [{}] }),
    'with a bit flipped': forgedBatch(attacker, { destination: publicKey, envelopes: [{}] }).map((byte, index, all) =>
      index === all.length - 1 ? byte ^ 1 : byte
    )
  }
  for (const [name, bytes] of Object.entries(forgeries)) {
    const stream = await ForgedStream.open(attacker, victimOf(victim))
    stream.send(bytes)
    assert.equal(await endOf(stream.stream, 5_000), 'reset', `a batch ${name}`)
    assert.deepEqual(stream.receipts, [], `a batch ${name}`)
  }
  assert.deepEqual(await victim.inbox.counts(), { unread: 0, held: 0, bytes: 0 })
})

test('floors, windows, epochs and repeats of an attacker: each has its answer, and the victim goes on', async () => {
  await using net = await createTestnet(1, { bootstrap: false })
  const victim = net.node(0)
  const destination = keyOf(victim.peerId)
  await using attacker = await HostileNode.start('testnet')
  const stream = await ForgedStream.open(attacker, victimOf(victim))
  const answers = async (forgery: Omit<Forgery, 'destination'>): Promise<readonly string[]> => {
    stream.receipts.length = 0
    stream.send(forgedBatch(attacker, { destination, ...forgery }))
    await stream.until(forgery.envelopes.length)
    return stream.receipts.map(({ state, code }) => code ?? state)
  }
  const huge = Number.MAX_SAFE_INTEGER - 65_536
  assert.deepEqual(await answers({ envelopes: [{}, { id: 'forged-1' }, { sequence: 1 }] }), ['held', 'ID_CONFLICT', 'ID_CONFLICT'])
  assert.deepEqual(
    await answers({
      envelopes: [
        { sequence: 65_536, id: 'end' },
        { sequence: 65_537, id: 'beyond' },
        { sequence: 0, id: 'zero' }
      ]
    }),
    ['MESSAGE_MALFORMED', 'held', 'PROTOCOL_LIMIT']
  )
  assert.deepEqual(await answers({ floor: huge, envelopes: [{ sequence: huge + 65_535, id: 'last' }] }), ['held'])
  assert.deepEqual(await answers({ floor: 5, envelopes: [{ id: 'late' }] }), ['EXPIRED'])
  // The first message is known still: its row waits.
  assert.deepEqual(await answers({ envelopes: [{ timestamp: wallMillis(0) }] }), ['ID_CONFLICT'])
  for (let index = 0; index < 20; index++) {
    const epoch = new Uint8Array(16).fill(100 + index)
    assert.deepEqual(await answers({ epoch, floor: huge, envelopes: [{ epoch, sequence: huge + 65_535, id: `epoch-${index}` }] }), ['held'])
  }
  assert.deepEqual(await answers({ envelopes: [{ id: 'order', type: 'Command', sequence: 9 }] }), ['EXPIRED'])
  stream.receipts.length = 0
  await victim.inbox.ack(
    (await victim.inbox.list({ states: ['held'], limit: 100 })).messages.map(({ id, source }) => ({ id, source: source.peerId }))
  )
  await stream.until(23)
  for (let index = 0; index < 20; index++) {
    const epoch = new Uint8Array(16).fill(200 + index)
    assert.deepEqual(await answers({ epoch, envelopes: [{ epoch, id: `again-${index}` }] }), ['held'])
  }
  assert.equal((await victim.inbox.counts()).held, 20)
})

test('receipts of an attacker change nothing that is not its own', async () => {
  await using net = await createTestnet(2, { bootstrap: false })
  const [victim, honest] = [net.node(0), net.node(1)]
  await net.pair(victim, honest)
  const { id } = await victim.send(honest.peerId, 'real', { waitFor: 'stored' })
  await using attacker = await HostileNode.start('testnet')
  const stream = await ForgedStream.open(attacker, victimOf(victim))
  const subject = { digest: new Uint8Array(32), epoch: new Uint8Array(16), sequence: 1 }
  for (let round = 0; round < 50; round++)
    stream.send(
      sealReceipts(
        keyOf(victim.peerId),
        [
          { id, ...subject, state: 'read', code: undefined },
          { id: 'never', ...subject, state: 'refused', code: 'EXPIRED' }
        ],
        attacker.signer
      )
    )
  assert.equal(await endOf(stream.stream, 5_000), 'reset')
  assert.equal((await victim.outbox.get(id)).status, 'stored')
})

test('nothing is sent to a stranger because of the name on its card; it is shown as a claim, and its peer id works', async () => {
  await using net = await createTestnet(3, { config: (index) => ({ name: index === 2 ? 'agent-001' : `node-${index}` }) })
  const [victim, stranger] = [net.node(1), net.node(2)]
  await victim.discover({ method: 'kademlia', count: 2 })
  const refused = (error: unknown): boolean =>
    isMeshError(error, 'PEER_UNKNOWN') && String(error.details['claimedBy']) === stranger.peerId && error.report().hint.includes(stranger.peerId)
  await assert.rejects(victim.send('agent-001', 'for the agent that I know', { waitFor: 'accepted' }), refused)
  await assert.rejects(victim.request('agent-001', 'for the agent that I know'), refused)
  assert.equal((await stranger.inbox.counts()).held, 0)
  assert.deepEqual([(await victim.peer('agent-001')).peerId, (await victim.peer('agent-001')).paired], [stranger.peerId, false])
  assert.equal((await victim.send(stranger.peerId, 'hello', { waitFor: 'stored', timeoutMs: 10_000 })).status, 'held')
})
