import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, isMeshError, millis, toHex, wallMillis } from '../../src/core/base/index.ts'
import { type DirectoryFrame, decodeDirectoryFrame, encodeDirectoryFrame, OnionDirectory, parseDescriptor } from '../../src/core/onion/index.ts'
import { sha256 } from '../../src/crypto/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import { answerPull } from '../../src/mesh/onion/directory-exchange.ts'
import type { DirectoryStore } from '../../src/mesh/onion/directory-service.ts'
import { FrameExchange } from '../../src/mesh/request.ts'
import { heldGossip, startMember, stranger, type Member } from './onion-directory-support.ts'
import { clock, startTestHost, timers, until } from './support.ts'

const minutes = (count: number): number => count * 60_000
const failure = (code: ErrorCode) => (error: unknown) => isMeshError(error, code)
const join = (a: { readonly node: Member['node'] }, b: { readonly node: Member['node'] }): Promise<unknown> =>
  a.node.libp2p.dial(b.node.libp2p.getMultiaddrs())
const soon = (): AbortSignal => AbortSignal.timeout(15_000)
const allBuckets = Array.from({ length: 256 }, (_, bucket) => bucket)

test('a gossiped descriptor counts only when its key is the key that signed the gossip, its network ours and its signature right', async () => {
  const { port, hear } = heldGossip()
  await using a = await startMember({ gossip: port })
  const honest = stranger('honest')
  const other = stranger('other')
  const elsewhere = stranger('third', 'elsewhere')
  assert.equal(hear(other.peerId, honest.signed()), 'reject')
  assert.equal(hear(honest.peerId, Uint8Array.of(1, 2, 3)), 'reject')
  assert.equal(hear(honest.peerId, new Uint8Array(1_401)), 'reject')
  assert.equal(hear(elsewhere.peerId, elsewhere.signed()), 'reject')
  const forged = honest.signed()
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  assert.equal(hear(honest.peerId, forged), 'reject')
  assert.equal(hear(honest.peerId, honest.signed()), 'accept')
  assert.deepEqual(
    a.directory.all().map(({ descriptor }) => toHex(descriptor.publicKey)),
    [toHex(honest.publicKey)]
  )
  assert.equal(a.directory.counters.refused, 4)
})

test('a descriptor that is replayed, expired or of a time to come changes nothing, and is no offence of whoever hands it on', async () => {
  const { port, hear } = heldGossip()
  await using a = await startMember({ gossip: port })
  const now = Date.now()
  const honest = stranger('honest')
  const older = honest.signed({ issuedAt: wallMillis(now - minutes(5)) })
  const newer = honest.signed({ issuedAt: wallMillis(now - minutes(1)), bytesPerSecond: 7 })
  assert.equal(hear(honest.peerId, newer), 'accept')
  assert.equal(hear(honest.peerId, older), 'ignore')
  assert.equal(hear(honest.peerId, newer), 'ignore')
  assert.equal(a.directory.get(honest.publicKey)?.descriptor.bytesPerSecond, 7)
  const late = stranger('late')
  assert.equal(hear(late.peerId, late.signed({ issuedAt: wallMillis(now - minutes(71)) })), 'ignore')
  const early = stranger('early')
  assert.equal(hear(early.peerId, early.signed({ issuedAt: wallMillis(now + minutes(11)) })), 'ignore')
  assert.equal(a.directory.all().length, 1)
  assert.equal(a.directory.counters.untimely, 2)
})

test('clocks that are nine minutes apart do not hide nodes from each other; one that is off by more is left out', async () => {
  await using a = await startMember()
  await using fast = await startMember({ skewMs: minutes(9) })
  await using wrong = await startMember({ skewMs: minutes(-15) })
  await join(fast, a)
  await join(wrong, a)
  await until(() => a.directory.get(fast.publicKey) !== undefined && fast.directory.get(a.publicKey) !== undefined, 'the two know each other')
  await until(() => wrong.directory.counters.untimely >= 2, 'the third heard of both')
  assert.deepEqual(wrong.directory.all(), [])
  assert.deepEqual(
    wrong.directory.findings().map(({ code }) => code),
    ['ONION_CLOCK']
  )
  assert.deepEqual(a.directory.findings(), [])
  assert.ok(a.directory.lookup(fast.publicKey) !== undefined)
})

test('a flood of one signer is ignored beyond its rate, a swarm that one neighbour hands over beyond its own, and others are heard', async () => {
  const { port, hear } = heldGossip()
  await using a = await startMember({ gossip: port })
  const noisy = stranger('noisy')
  const verdicts = Array.from({ length: 20 }, (_, index) => hear(noisy.peerId, noisy.signed({ sequence: index })))
  assert.equal(verdicts.filter((verdict) => verdict === 'accept').length, 5)
  const swarm = Array.from({ length: 400 }, (_, index) => stranger(`sybil ${index}`)).map((each) => ({ peerId: each.peerId, bytes: each.signed() }))
  const heard = swarm.map(({ peerId, bytes }) => hear(peerId, bytes, 'mallory')).filter((verdict) => verdict === 'accept').length
  assert.ok(heard >= 250 && heard < 350, `${heard} of 400`)
  const honest = stranger('honest')
  assert.equal(hear(honest.peerId, honest.signed(), 'neighbour'), 'accept')
  assert.ok(a.directory.get(honest.publicKey) !== undefined)
})

test('a full directory takes new members slowly, keeps those that are protected, and newer descriptors of those that it has', async () => {
  const { port, hear } = heldGossip()
  const guard = stranger('guard')
  await using a = await startMember({ gossip: port, maxEntries: 20, isProtected: (key) => toHex(key) === toHex(guard.publicKey) })
  hear(guard.peerId, guard.signed())
  for (let index = 0; index < 200; index++) {
    const sybil = stranger(`sybil ${index}`)
    hear(sybil.peerId, sybil.signed({ addresses: [`/ip4/127.${index}.0.1/tcp/9000`] }), `neighbour ${index % 7}`)
  }
  const { taken, crowdedOut } = a.directory.counters
  assert.ok(taken >= 20 && taken <= 80 && crowdedOut >= 100, `${taken} taken, ${crowdedOut} left out`)
  assert.equal(hear(guard.peerId, guard.signed({ issuedAt: wallMillis(Date.now() + 1_000) })), 'accept')
  assert.ok(a.directory.get(guard.publicKey) !== undefined)
})

/** A node that answers comparisons as the test says. */
async function startLiar(handler: (stream: FrameStream) => Promise<void>) {
  const node = await startTestHost()
  await node.host.serve('onionDirectory', handler)
  return { node, [Symbol.asyncDispose]: () => node[Symbol.asyncDispose]() }
}

/** Answers `ask` with a summary in which all differs, then each `want` with these frames. */
const lying =
  (...answers: readonly DirectoryFrame[]) =>
  async (stream: FrameStream): Promise<void> => {
    for await (const bytes of stream.frames()) {
      const isAsk = decodeDirectoryFrame(bytes).kind === 'ask'
      const frames: readonly DirectoryFrame[] = isAsk ? [{ kind: 'summary', count: 9, digests: new Uint8Array(2_048).fill(7) }] : answers
      for (const frame of frames) await stream.send(encodeDirectoryFrame(frame))
    }
  }

const endless = async (stream: FrameStream): Promise<void> => {
  const known = stranger('honest').signed()
  const frame = encodeDirectoryFrame({ kind: 'descriptors', descriptors: Array.from({ length: 120 }, () => known) })
  let asked = 0
  for await (const _frame of stream.frames()) {
    if (++asked === 1) await stream.send(encodeDirectoryFrame({ kind: 'summary', count: 1, digests: new Uint8Array(2_048).fill(7) }))
    else for (let count = 0; count < 80; count++) await stream.send(frame)
  }
}

test('a peer that answers a comparison with lies is found out, and what was well signed before that is kept', async () => {
  await using a = await startMember()
  const forged = stranger('victim').signed()
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  const good = stranger('good').signed()
  const cases: readonly (readonly [ErrorCode, (stream: FrameStream) => Promise<void>])[] = [
    ['SIGNATURE_INVALID', lying({ kind: 'descriptors', descriptors: [good, forged] })],
    ['NETWORK_MISMATCH', lying({ kind: 'descriptors', descriptors: [stranger('far', 'elsewhere').signed()] })],
    ['MESSAGE_MALFORMED', lying({ kind: 'descriptors', descriptors: [new Uint8Array(300)] })],
    ['MESSAGE_MALFORMED', lying({ kind: 'ask' })],
    ['MESSAGE_MALFORMED', (stream) => stream.send(encodeDirectoryFrame({ kind: 'done', unknown: [] }))],
    ['MESSAGE_MALFORMED', (stream) => stream.send(new Uint8Array([9, 9, 9]))],
    ['PROTOCOL_LIMIT', endless],
    ['PEER_UNREACHABLE', async () => undefined]
  ]
  for (const [code, handler] of cases) {
    await using liar = await startLiar(handler)
    await join(a, liar)
    await assert.rejects(a.directory.pull(liar.node.peerId, soon()), failure(code), code)
  }
  assert.deepEqual(
    new Set(a.directory.all().map(({ descriptor }) => toHex(descriptor.publicKey))),
    new Set(['good', 'honest'].map((name) => toHex(stranger(name).publicKey)))
  )
})

test('a peer that answers one descriptor at a time, for ever, is left after the time for one comparison', async () => {
  await using a = await startMember({ pullTimeoutMs: 600 })
  let sent = 0
  await using drip = await startLiar(async (stream) => {
    for await (const bytes of stream.frames()) {
      const isAsk = decodeDirectoryFrame(bytes).kind === 'ask'
      if (isAsk) await stream.send(encodeDirectoryFrame({ kind: 'summary', count: 9, digests: new Uint8Array(2_048).fill(7) }))
      for (; !isAsk; sent++) {
        await stream.send(encodeDirectoryFrame({ kind: 'descriptors', descriptors: [stranger(`drop ${sent}`).signed()] }))
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  })
  await join(a, drip)
  await assert.rejects(a.directory.pull(drip.node.peerId, soon()), failure('ABORTED'))
  assert.ok(sent >= 3 && sent < 60, `${sent} in that time`)
  assert.ok(a.directory.all().length >= 3, 'what came is kept')
})

test('a peer that asks for a bucket twice, or out of turn, is cut off', async () => {
  await using a = await startMember()
  await a.directory.publish()
  await using asking = await startTestHost()
  await asking.libp2p.dial(a.node.libp2p.getMultiaddrs())
  const exchangeOf = async (): Promise<FrameExchange> =>
    new FrameExchange(await asking.host.open(a.node.peerId, 'onionDirectory'), { operation: 'asking', timeoutMs: 5_000, timers })
  const want = encodeDirectoryFrame({ kind: 'want', buckets: allBuckets, ids: [] })
  const twice = await exchangeOf()
  assert.equal(decodeDirectoryFrame(await twice.request(want)).kind, 'descriptors')
  assert.equal(decodeDirectoryFrame(await twice.next()).kind, 'done')
  await assert.rejects(twice.request(want), isMeshError)
  const wrong = await exchangeOf()
  await assert.rejects(wrong.request(encodeDirectoryFrame({ kind: 'done', unknown: [] })), isMeshError)
  await until(() => a.node.refusals.length === 2, 'both were recorded')
  assert.deepEqual(
    a.node.refusals.map(({ error }) => error.code),
    ['PROTOCOL_LIMIT', 'MESSAGE_MALFORMED']
  )
  assert.ok(a.node.refusals.every(({ peerId }) => peerId === asking.peerId))
})

test('over its budget a peer gets nothing more, and is told nothing false; what it gets is verified in many turns', async () => {
  const directory = new OnionDirectory({ isProtected: () => false })
  for (let index = 0; index < 300; index++) {
    const bytes = stranger(`relay ${index}`).signed()
    directory.add(parseDescriptor(bytes).descriptor, bytes, clock.wall())
  }
  let turns = 0
  const counted: typeof timers = {
    schedule: (delayMs, run) =>
      timers.schedule(delayMs, () => {
        turns += delayMs === 0 ? 1 : 0
        run()
      })
  }
  let budget = 40_000
  const maySend = (bytes: number): boolean => (budget -= bytes) > 0
  await using serving = await startLiar((stream) => answerPull(stream, { directory, maySend, onBehind: () => undefined }))
  await using a = await startMember({ timers: counted })
  await join(a, serving)
  await assert.rejects(a.directory.pull(serving.node.peerId, soon()), failure('PEER_UNREACHABLE'))
  const got = a.directory.all().length
  assert.ok(got > 0 && got < 300, `${got} of 300`)
  budget = 1_000_000
  await a.directory.pull(serving.node.peerId, soon())
  assert.equal(a.directory.all().length, 300)
  assert.ok(turns >= 300 / 8, `verified in ${turns} turns`)
})

test('whoever is asked by a peer that knows more notices, and asks back', async () => {
  const quiet = { subscribe: () => undefined, publish: async () => 1 }
  await using a = await startMember({ gossip: quiet })
  await a.directory.publish()
  let noticed = 0
  const directory = new OnionDirectory({ isProtected: () => false })
  await using serving = await startLiar((stream) => answerPull(stream, { directory, maySend: () => true, onBehind: () => void (noticed += 1) }))
  await join(a, serving)
  await a.directory.pull(serving.node.peerId, soon())
  assert.ok(noticed > 0)
  await using b = await startMember({ gossip: quiet })
  await join(a, b)
  await until(() => b.directory.get(a.publicKey) !== undefined, 'b has asked')
})

test('a new onion key is told at once, and replaces the one before everywhere', async () => {
  let onionKey = sha256(Uint8Array.of(1))
  await using a = await startMember({ describe: () => ({ role: 'relay', onionKey, family: [], levels: [3], bytesPerSecond: 1_000 }) })
  await using b = await startMember()
  let changes = 0
  const end = b.directory.onChange(() => void (changes += 1))
  await join(a, b)
  await until(() => b.directory.get(a.publicKey) !== undefined, 'b knows a')
  onionKey = sha256(Uint8Array.of(2))
  a.directory.changed()
  await until(() => toHex(b.directory.lookup(a.publicKey)?.descriptor.onionKey ?? onionKey.subarray(1)) === toHex(onionKey), 'b has the new key')
  assert.ok(changes >= 2)
  end()
})

test('a node whose clock was set back overtakes the descriptors that it issued before', async () => {
  const seed = sha256(Uint8Array.of(6))
  const { port, hear, published } = heldGossip()
  await using a = await startMember({ gossip: port, seed })
  const before = stranger(seed).signed({ issuedAt: wallMillis(Date.now() + minutes(8)) })
  assert.equal(hear(a.node.peerId, before, 'neighbour'), 'ignore')
  assert.deepEqual(a.directory.all(), [], 'nobody is a relay for itself')
  await a.directory.publish()
  const last = published.at(-1)
  assert.ok(last !== undefined)
  const others = new OnionDirectory({ isProtected: () => false })
  for (const bytes of [before, last]) others.add(parseDescriptor(bytes).descriptor, bytes, clock.wall())
  assert.deepEqual(others.get(a.publicKey)?.bytes, last)
})

test('a node that starts again knows at once whom it knew, and since when; a damaged file costs that and no more', async () => {
  let saved: Uint8Array | undefined
  const store: DirectoryStore = { load: async () => saved, save: async (bytes) => void (saved = bytes) }
  const honest = stranger('honest')
  const seed = sha256(Uint8Array.of(5))
  let firstSeen: number | undefined
  {
    const { port, hear } = heldGossip()
    await using a = await startMember({ gossip: port, store, seed })
    hear(honest.peerId, honest.signed())
    firstSeen = a.directory.seen(honest.publicKey)?.firstSeen
  }
  {
    await using again = await startMember({ store, seed })
    assert.equal(again.directory.lookup(honest.publicKey)?.peerId, honest.peerId)
    assert.equal(again.directory.get(honest.publicKey)?.firstSeen, firstSeen)
  }
  saved = saved?.subarray(3)
  await using damaged = await startMember({ store, seed })
  assert.deepEqual(damaged.directory.all(), [])
  assert.equal(damaged.node.logs.filter(({ event }) => event === 'onion.directory-not-restored').length, 1)
})

test('two peers that know another network than ours are told as PARTITIONED_VIEW, once this node has had the time to learn', async () => {
  let passed = 0
  const later = { ...clock, monotonic: () => millis(clock.monotonic() + passed) }
  await using a = await startMember({ clock: later })
  const old = Array.from({ length: 12 }, (_, index) => stranger(`old ${index}`).signed({ issuedAt: wallMillis(Date.now() - minutes(20)) }))
  const pullFrom = async (...descriptors: readonly Uint8Array[]): Promise<void> => {
    await using peer = await startLiar(lying({ kind: 'descriptors', descriptors }, { kind: 'done', unknown: [] }))
    await join(a, peer)
    await a.directory.pull(peer.node.peerId, soon())
  }
  await pullFrom(...old.slice(0, 4))
  passed = minutes(11)
  await pullFrom(...old.slice(4, 8))
  assert.deepEqual(a.directory.findings(), [], 'the first counts for nothing, and one may be behind')
  await pullFrom(...old.slice(8))
  assert.deepEqual(
    a.directory.findings().map(({ code }) => code),
    ['PARTITIONED_VIEW']
  )
  for (let index = 0; index < 3; index++) await pullFrom(...old)
  assert.deepEqual(a.directory.findings(), [], 'most agree')
})
