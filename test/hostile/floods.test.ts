import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { hmacSha256 } from '../../src/crypto/index.ts'
import { isMeshError } from '../../src/core/base/index.ts'
import { decodeInvite, inviteIdOf } from '../../src/core/peers/index.ts'
import { networkIds } from '../../src/mesh/network-ids.ts'
import { protocolTable } from '../../src/mesh/protocol-table.ts'
import { HostileNode, endOf, frame, push } from '../../src/testing/hostile/hostile-node.ts'
import { HostileSession } from '../../src/testing/hostile/hostile-session.ts'
import { until } from '../net/support.ts'
import { startBattlefield, usedBytes } from './support.ts'

const isOpen = (stream: Stream): boolean => stream.status === 'open'

test('ten thousand streams: the cap holds, an honest peer is served meanwhile, and memory returns', { timeout: 180_000 }, async (context) => {
  await using field = await startBattlefield()
  await using attacker = await HostileNode.start('testnet')
  const connection = await attacker.connect(field.victim.addresses())
  const before = usedBytes()
  const signal = AbortSignal.timeout(60_000)
  let opened = 0
  let refused = 0
  const kept: Stream[] = []
  let worstMs = 0
  for (let batch = 0; batch < 50; batch++) {
    const opening = Array.from({ length: 200 }, async () => {
      try {
        const stream = await attacker.open(connection, protocolTable.card.id, signal)
        opened += 1
        if (isOpen(stream)) kept.push(stream)
      } catch {
        refused += 1
      }
    })
    await Promise.all(opening)
    if (batch % 10 === 0) worstMs = Math.max(worstMs, await field.serveHonest())
  }
  assert.equal(opened + refused, 10_000)
  await until(() => kept.filter(isOpen).length <= protocolTable.card.maxInboundStreams, 'no more than the cap is open')
  assert.ok(worstMs < 10_000, `the honest peer waited ${worstMs} ms`)
  assert.ok(field.records.some((record) => record.event === 'PROTOCOL_LIMIT'))
  await connection.close().catch(() => connection.abort(new Error('test')))
  await field.serveHonest()
  kept.length = 0
  await until(() => usedBytes() - before < 40_000_000, 'memory returns', 20_000)
  context.diagnostic(
    `${opened} opened, ${refused} refused at once; an honest message took at most ${Math.round(worstMs)} ms; ${Math.round((usedBytes() - before) / 1_048_576)} MiB more than before`
  )
})

test('the cap of streams is the peer’s, over all its connections', async () => {
  await using field = await startBattlefield({ pqs: { firstByteMs: 60_000 } })
  await using attacker = await HostileNode.start('testnet')
  const streams: Stream[] = []
  for (let index = 0; index < 4; index++) {
    const connection = await attacker.connect(field.victim.addresses())
    for (let each = 0; each < 4; each++) streams.push(await attacker.open(connection, protocolTable.pqs.id))
  }
  assert.equal(attacker.libp2p.getConnections().length, 4)
  await until(
    () => streams.filter(isOpen).length === protocolTable.pqs.maxInboundStreams,
    `${protocolTable.pqs.maxInboundStreams} of 16 streams are left`
  )
  assert.ok(field.records.some((record) => record.event === 'PROTOCOL_LIMIT'))
  await field.serveHonest()
})

test('a peer that opens and closes streams faster than its rate is refused, visibly', async () => {
  await using field = await startBattlefield({ pair: { streamsPerSecond: 2 } })
  await using attacker = await HostileNode.start('testnet')
  const connection = await attacker.connect(field.victim.addresses())
  const ends = []
  for (let index = 0; index < 30; index++) {
    const stream = await attacker.open(connection, protocolTable.pair.id)
    ends.push(await endOf(stream, 20))
    await stream.close().catch(() => undefined)
  }
  assert.ok(ends.includes('reset'))
  await until(
    () => field.records.some((record) => record.event === 'PROTOCOL_LIMIT' && String(record.fields['reason']).includes('streams a second')),
    'the rate is recorded'
  )
  await field.serveHonest()
})

test('a stranger that comes with ever new keys gets no more streams than its address may have, and a paired peer at that address is served', async () => {
  await using field = await startBattlefield({ pqs: { streamsPerSecond: 2 } })
  const startedAt = performance.now()
  const ends = await Promise.all(
    Array.from({ length: 12 }, async () => {
      await using attacker = await HostileNode.start('testnet')
      const connection = await attacker.connect(field.victim.addresses())
      const seen = []
      // As many as one peer may open at once.
      for (let index = 0; index < 10; index++) {
        const stream = await attacker.open(connection, protocolTable.pqs.id)
        seen.push(await endOf(stream, 30))
        stream.abort(new Error('test'))
      }
      return seen
    })
  )
  const taken = ends.flat().filter((end) => end !== 'reset').length
  // 50 at once, 10 a second.
  assert.ok(taken <= 50 + (10 * (performance.now() - startedAt)) / 1_000, `${taken} of 120 streams were taken`)
  assert.ok(field.records.some(({ event, fields }) => event === 'PROTOCOL_LIMIT' && String(fields['reason']).includes('of one address')))
  await field.serveHonest()
})

test('frames over the rate wait instead of being lost, and cost the victim no more than the rate', async () => {
  await using field = await startBattlefield({ card: { framesPerSecond: 20, idleMs: 20_000 } })
  await using attacker = await HostileNode.start('testnet')
  const connection = await attacker.connect(field.victim.addresses())
  const stream = await attacker.open(connection, protocolTable.card.id)
  let answers = 0
  let buffered = 0
  stream.addEventListener('message', ({ data }) => {
    buffered += data.byteLength
    answers = Math.floor(buffered / 200)
  })
  const startedAt = performance.now()
  for (let index = 0; index < 400; index++) push(stream, frame(new Uint8Array([1])))
  await until(() => answers > 80, 'the burst is answered')
  await new Promise((resolve) => setTimeout(resolve, 500))
  const seconds = (performance.now() - startedAt) / 1_000
  assert.ok(isOpen(stream), 'a fast peer is slowed down, not cut off')
  assert.ok(buffered < (100 + 20 * seconds + 20) * 600, `${buffered} bytes of answers in ${seconds} s`)
  await field.serveHonest()
})

test('a peer that asks and never reads loses its stream, and what waits for it is bounded', { timeout: 60_000 }, async () => {
  await using field = await startBattlefield({ card: { framesPerSecond: 1_000_000, idleMs: 30_000 } })
  await using attacker = await HostileNode.start('testnet')
  const connection = await attacker.connect(field.victim.addresses())
  const stream = await attacker.open(connection, protocolTable.card.id)
  stream.pause()
  const requests = new Uint8Array(5 * 1_000)
  for (let index = 0; index < 1_000; index++) requests.set(frame(new Uint8Array([1])), 5 * index)
  const end = endOf(stream, 20_000)
  const before = usedBytes()
  while (isOpen(stream) && !stream.writableNeedsDrain) {
    if (!push(stream, requests)) break
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  assert.equal(await end, 'reset')
  await until(
    () => field.records.some((record) => record.event === 'TIMEOUT' && String(record.fields['reason']).includes('a write')),
    'the stalled write is recorded'
  )
  assert.ok(usedBytes() - before < 40_000_000)
  await field.serveHonest()
})

test('a thousand connections that come and go leave nothing behind', { timeout: 120_000 }, async () => {
  await using field = await startBattlefield()
  await using attacker = await HostileNode.start('testnet')
  const before = usedBytes()
  for (let index = 0; index < 100; index++) {
    const connections = await Promise.allSettled(Array.from({ length: 3 }, () => attacker.connect(field.victim.addresses())))
    for (const result of connections) if (result.status === 'fulfilled') result.value.abort(new Error('test'))
  }
  await until(async () => (await field.victim.detailedStatus()).connections.length === 1, 'only the honest connection is left')
  await until(() => usedBytes() - before < 20_000_000, 'memory returns', 20_000)
  await field.serveHonest()
})

test('five wrong proofs burn an invite, also for the one that it was meant for', async () => {
  await using field = await startBattlefield()
  const { invite } = await field.victim.invite()
  const { secret } = decodeInvite(invite)
  for (let attempt = 1; attempt <= 5; attempt++) {
    await using attacker = await HostileNode.start('testnet')
    const connection = await attacker.connect(field.victim.addresses())
    const session = await HostileSession.open(attacker, connection, { protocol: 'pair' })
    // A proof for another session, and no card.
    session.push(frame(new Uint8Array([1, 2, ...inviteIdOf(secret), ...hmacSha256(secret, new Uint8Array(1)), 0, 0])))
    assert.notEqual(await endOf(session.stream, 5_000), 'open')
  }
  const late = await field.net.add()
  await assert.rejects(late.join(invite), (error) => isMeshError(error, 'INVITE_USED'))
  assert.equal((await field.victim.peers()).filter((peer) => peer.paired).length, 1)
})

/** Gossipsub RPCs (protobuf) of 60 SUBSCRIBEs each, to topics that nobody else knows, every one behind its length. */
function subscriptions(rpcs: number): Uint8Array {
  const parts: number[] = []
  for (let rpc = 0; rpc < rpcs; rpc++) {
    const body: number[] = []
    for (let index = 0; index < 60; index++) {
      const topic = [...new TextEncoder().encode(`t${rpc}-${index}`.padEnd(40, 'x'))]
      // RPC.subscriptions (field 1): { subscribe (1): true, topic (2) }
      body.push(0x0a, 4 + topic.length, 0x08, 1, 0x12, topic.length, ...topic)
    }
    parts.push((body.length & 127) | 128, body.length >> 7, ...body)
  }
  return new Uint8Array(parts)
}

test('sixty thousand subscriptions to topics that nobody knows fill no memory, and gossip and messages go on', { timeout: 60_000 }, async () => {
  await using field = await startBattlefield()
  await using attacker = await HostileNode.start('testnet')
  const connection = await attacker.connect(field.victim.addresses())
  const before = usedBytes()
  const stream = await attacker.open(connection, networkIds('testnet').gossip)
  for (let batch = 0; batch < 100 && isOpen(stream); batch++) {
    push(stream, subscriptions(10))
    if (batch % 10 === 0) await field.serveHonest()
  }
  await field.serveHonest()
  await until(() => usedBytes() - before < 20_000_000, 'memory stays', 20_000)
})

test('a stranger who tells its name is known by it as a claim, never as paired', async () => {
  await using field = await startBattlefield()
  const late = await field.net.add({ name: 'honest-abe', bootstrapPeers: field.victim.addresses().slice(0, 1) })
  await until(async () => (await field.victim.peers()).some((peer) => peer.claimedName === 'honest-abe'), 'an honest card is heard', 30_000)
  assert.equal((await field.victim.peer('honest-abe')).peerId, late.peerId)
  assert.equal((await field.victim.peer('honest-abe')).paired, false)
})
