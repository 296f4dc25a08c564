import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MeshError } from '../../src/core/base/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import { type SessionStream, acceptSession, openSession } from '../../src/mesh/session-stream.ts'
import { collect, contextOf, failure, inner } from './session-support.ts'
import { type TestHost, startTestHost } from './support.ts'

type Change = (frame: Uint8Array, index: number) => Uint8Array

/** A node in between: what comes from one side goes to the other, frame by frame. */
async function forward(from: FrameStream, to: FrameStream, change: Change): Promise<void> {
  let index = 0
  for await (const frame of from.frames()) await to.send(change(frame, index++))
  await to.close()
}

interface Chain extends AsyncDisposable {
  readonly target: TestHost
  /** What went through the node in between. */
  readonly seen: Uint8Array[]
  open(level: 1 | 3 | 5): Promise<SessionStream>
  readonly accepted: Promise<SessionStream>
}

/** Source and target know each other's keys only; both are connected with a node in between, which may change what it forwards. */
async function chain(serve: (session: SessionStream) => Promise<void>, change: Change = (frame) => frame): Promise<Chain> {
  const [source, between, target] = [await startTestHost(), await startTestHost(), await startTestHost()]
  const seen: Uint8Array[] = []
  await between.libp2p.peerStore.merge(target.libp2p.peerId, { multiaddrs: target.libp2p.getMultiaddrs() })
  await source.libp2p.peerStore.merge(between.libp2p.peerId, { multiaddrs: between.libp2p.getMultiaddrs() })
  await between.host.serve('pqs', async (near) => {
    const far = await between.host.open(target.peerId, 'pqs')
    const note: Change = (frame, index) => {
      seen.push(frame.slice())
      return change(frame, index)
    }
    await Promise.all([forward(near, far, note), forward(far, near, (frame) => frame)]).catch((error: MeshError) => {
      near.abort(error)
      far.abort(error)
    })
  })
  const accepted = Promise.withResolvers<SessionStream>()
  const context = contextOf(target)
  await target.host.serve('pqs', async (stream) => {
    const session = await acceptSession(stream, { context, inner, minimumLevel: 1, responder: target.peerId, initiator: 'anybody' })
    accepted.resolve(session)
    await serve(session)
  })
  const [key] = [target.libp2p.peerId.publicKey?.raw ?? new Uint8Array(0)]
  const open = async (level: 1 | 3 | 5): Promise<SessionStream> =>
    openSession(await source.host.open(between.peerId, 'pqs'), {
      context: contextOf(source),
      inner,
      level,
      responder: target.peerId,
      responderKey: key
    })
  const stop = async (): Promise<void> => {
    for (const host of [source, between, target]) await host[Symbol.asyncDispose]()
  }
  return { target, seen, open, accepted: accepted.promise, [Symbol.asyncDispose]: stop }
}

test('a session through a node in between is with the peer at the end, at each level, and the one in between learns nothing', async () => {
  for (const level of [1, 3, 5] as const) {
    const { promise: received, resolve } = Promise.withResolvers<readonly Uint8Array[]>()
    await using nodes = await chain(async (session) => resolve(await collect(session)))
    const session = await nodes.open(level)
    const other = await nodes.accepted
    assert.equal(session.peerId, nodes.target.peerId)
    assert.notEqual(other.peerId, nodes.target.peerId)
    assert.deepEqual(await session.words(), await other.words())
    const secret = new TextEncoder().encode('a secret of forty characters, end to end')
    await session.send(secret)
    await session.close()
    assert.deepEqual(await received, [secret])
    assert.ok(nodes.seen.length > 3)
    assert.ok(nodes.seen.every((frame) => !Buffer.from(frame).includes('forty characters')))
  }
})

test('whatever the node in between changes, from the first frame to a record, ends the session, and nothing of it is delivered', async () => {
  for (let target = 0; target < 6; target++) {
    const received: Uint8Array[] = []
    const failed = Promise.withResolvers<unknown>()
    const change: Change = (frame, index) => (index === target ? frame.with(frame.length - 1, (frame.at(-1) ?? 0) ^ 1) : frame)
    await using nodes = await chain(async (session) => {
      try {
        for await (const frame of session.frames()) received.push(frame)
        failed.resolve(undefined)
      } catch (error) {
        failed.resolve(error)
        throw error
      }
    }, change)
    let error: unknown
    try {
      const session = await nodes.open(1)
      await session.send(new Uint8Array([1, 2, 3]))
      await session.flush()
      error = await failed.promise
    } catch (cause) {
      error = cause
    }
    // The side in front hears of a reset; the one that noticed has a name for it.
    assert.ok(error instanceof Error && 'code' in error, `frame ${target}`)
    assert.deepEqual(received, [], `frame ${target}`)
    if (target > 2) assert.ok(failure('SESSION_RECORD_INVALID')(await failed.promise), `frame ${target}`)
  }
})

test('a session whose peer is another one than that of the stream is refused unless that was asked for', async () => {
  await using source = await startTestHost()
  await using between = await startTestHost()
  await source.libp2p.peerStore.merge(between.libp2p.peerId, { multiaddrs: between.libp2p.getMultiaddrs() })
  // It answers with another identity than that of its connections.
  const context = contextOf(source)
  await between.host.serve('pqs', async (stream) => {
    await acceptSession(stream, { context, inner, minimumLevel: 1, responder: between.peerId })
  })
  const stream = await source.host.open(between.peerId, 'pqs')
  await assert.rejects(openSession(stream, { context, inner, level: 1 }), failure('IDENTITY_MISMATCH'))
})
