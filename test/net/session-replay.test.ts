import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import { acceptSession, openSession } from '../../src/mesh/session-stream.ts'
import { collect, contextOf, inner } from './session-support.ts'
import { type TestHost, startTestHost, until } from './support.ts'

const sessions = 200
const limits = { pqs: { streamsPerSecond: 10_000, framesPerSecond: 1e6, maxInboundStreams: 100 } }

/** A node that takes sessions, and everything that it was given in them. */
interface Victim extends AsyncDisposable {
  readonly host: TestHost
  readonly frames: Uint8Array[]
  readonly codes: string[]
  readonly opened: { count: number }
}

async function startVictim(seed?: Uint8Array): Promise<Victim> {
  const host = await startTestHost({ limits, ...(seed !== undefined && { seed }) })
  const context = contextOf(host, { handshakeMs: 1_000 })
  const frames: Uint8Array[] = []
  const codes: string[] = []
  const opened = { count: 0 }
  await host.host.serve('pqs', async (stream) => {
    try {
      const session = await acceptSession(stream, { context, inner, minimumLevel: 1, responder: host.peerId })
      opened.count += 1
      frames.push(...(await collect(session)))
    } catch (error) {
      codes.push((error as { readonly code: string }).code)
      throw error
    }
  })
  return { host, frames, codes, opened, [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() }
}

/** Notes what is sent. */
function recorded(stream: FrameStream, frames: Uint8Array[]): FrameStream {
  const send = (frame: Uint8Array): Promise<void> => {
    frames.push(frame.slice())
    return stream.send(frame)
  }
  return new Proxy(stream, {
    get: (target, key) => {
      if (key === 'send') return send
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

/** Tells `from` where `to` is now; what it was connected with before is gone. */
async function introduce(from: TestHost, to: TestHost): Promise<void> {
  await from.libp2p.hangUp(to.libp2p.peerId)
  await from.libp2p.peerStore.patch(to.libp2p.peerId, { multiaddrs: to.libp2p.getMultiaddrs() })
}

function open(from: TestHost, to: TestHost): Promise<FrameStream> {
  return from.host.open(to.peerId, 'pqs')
}

/** Sends frames as they were, and waits until the victim has ended the stream. */
async function replay(from: TestHost, victim: Victim, frames: readonly Uint8Array[]): Promise<void> {
  const stream = await open(from, victim.host)
  try {
    for (const frame of frames) await stream.send(frame)
    await stream.flush()
  } catch {
    // It was reset meanwhile.
  }
  await stream.closed
}

test(`${sessions} sessions, recorded on real streams and replayed whole, in part, to another peer and after a restart, deliver nothing`, async () => {
  await using caller = await startTestHost({ limits })
  const seed = new Uint8Array(32).fill(77)
  const recordings: Uint8Array[][] = []
  {
    await using victim = await startVictim(seed)
    await introduce(caller, victim.host)
    const context = contextOf(caller)
    for (let index = 0; index < sessions; index++) {
      const frames: Uint8Array[] = []
      const session = await openSession(recorded(await open(caller, victim.host), frames), { context, inner, level: 1 })
      await session.send(new Uint8Array(20).fill(index))
      await session.close()
      recordings.push(frames)
    }
    await until(() => victim.frames.length === sessions, 'every message arrived')
    for (const [index, frames] of recordings.entries()) {
      await replay(caller, victim, frames)
      await replay(caller, victim, frames.slice(1 + (index % (frames.length - 1))))
    }
    assert.deepEqual([victim.frames.length, victim.opened.count], [sessions, sessions])
    assert.equal(victim.codes.length, 2 * sessions)
  }
  await using restarted = await startVictim(seed)
  await using other = await startVictim()
  for (const victim of [restarted, other]) {
    await introduce(caller, victim.host)
    for (const frames of recordings) await replay(caller, victim, frames)
    assert.deepEqual([victim.frames.length, victim.opened.count, victim.codes.length], [0, 0, sessions])
  }
})
