import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../../src/core/base/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import { type SessionStream, openSession } from '../../src/mesh/session-stream.ts'
import { collect, contextOf, failure, inner, sessionPair } from './session-support.ts'
import { startTestHost } from './support.ts'

for (const level of [1, 3, 5] as const) {
  test(`frames cross a session of level ${level} over real sockets, whole and in order, until the sender ends`, async () => {
    const { promise: received, resolve } = Promise.withResolvers<readonly Uint8Array[]>()
    await using nodes = await sessionPair(async (session) => resolve(await collect(session)))
    const session = await nodes.open({ level })
    const sizes = [1, 70_000, 3, 1_114_112, 2, 65_482, 65_483, 65_486, 131_000]
    for (const size of sizes) await session.send(new Uint8Array(size).fill(size % 251))
    await session.close()
    const frames = await received
    assert.deepEqual(
      frames.map((frame) => frame.length),
      sizes
    )
    assert.ok(frames.every((frame) => frame.every((byte) => byte === frame.length % 251)))
    assert.equal(session.info.level, level)
    assert.ok(session.info.handshakeBytes > 1_984 && session.info.handshakeMs > 0)
    assert.deepEqual([nodes.a.refusals, nodes.b.refusals], [[], []])
  })
}

test('both sides show the same words and export the same secret', async () => {
  const { promise: accepted, resolve } = Promise.withResolvers<SessionStream>()
  await using nodes = await sessionPair(async (session) => {
    resolve(session)
    await session.closed
  })
  const session = await nodes.open()
  const other = await accepted
  assert.deepEqual(await session.words(), await other.words())
  const secrets = [session, other].map((end) => toHex(end.exportSecret('test', new Uint8Array(1), 32)))
  assert.equal(secrets[0], secrets[1])
  await session.close()
})

test('both sides send at full speed at the same time over rekeys, and nothing stalls, is lost or is reset', async () => {
  const count = 800
  const sendAll = async (stream: FrameStream): Promise<void> => {
    for (let index = 0; index < count; index++) await stream.send(new Uint8Array(32_768).fill(index))
    await stream.flush()
  }
  const takeAll = async (stream: FrameStream): Promise<number> => {
    let taken = 0
    for await (const frame of stream.frames()) {
      assert.ok(frame[0] === taken % 256 && frame.length === 32_768)
      taken += 1
      if (taken === count) break
    }
    return taken
  }
  const { promise: served, resolve } = Promise.withResolvers<number>()
  await using nodes = await sessionPair(
    async (session) => {
      const sending = sendAll(session)
      resolve(await takeAll(session))
      await sending
      await session.closed
    },
    { context: { rekey: { bytes: 4_194_304 } } }
  )
  const session = await nodes.open()
  const [, taken] = await Promise.all([sendAll(session), takeAll(session)])
  assert.equal(taken, count)
  assert.equal(await served, count)
  assert.ok(session.info.epoch >= 4, `${session.info.epoch} rekeys`)
  await session.close()
  assert.deepEqual([nodes.a.refusals, nodes.b.refusals], [[], []])
})

test('a level below the minimum of the peer is refused, and the caller is told so', async () => {
  await using nodes = await sessionPair(async () => assert.fail('a session was made'), { accept: { minimumLevel: 5 } })
  await assert.rejects(nodes.open({ level: 3 }), (error) => failure('LEVEL_REFUSED')(error) && (error as { exitCode: number }).exitCode === 8)
  assert.equal(nodes.b.refusals[0]?.error.code, 'LEVEL_REFUSED')
})

test('a peer that takes the stream and never answers ends the handshake after its deadline', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  await a.libp2p.peerStore.merge(b.libp2p.peerId, { multiaddrs: b.libp2p.getMultiaddrs() })
  await b.host.serve('pqs', (stream) => stream.closed)
  const stream = await a.host.open(b.peerId, 'pqs')
  await assert.rejects(openSession(stream, { context: contextOf(a, { handshakeMs: 100 }), inner, level: 3 }), failure('TIMEOUT'))
  await stream.closed
})
