import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../src/core/base/index.ts'
import { SessionMachine, type SessionInput } from '../../src/core/session/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import type { SessionStream } from '../../src/mesh/session-stream.ts'
import { type SessionPair, collect, contextOf, failure, sessionPair } from './session-support.ts'
import { clock, until } from './support.ts'

/** An initiator whose machine is driven by hand: it can send whatever it likes between and inside of records. */
interface Attacker {
  readonly stream: FrameStream
  send(data: Uint8Array): Promise<void>
  input(input: SessionInput): Promise<void>
}

async function attack(nodes: SessionPair): Promise<Attacker> {
  const stream = await nodes.openBelow()
  const { tools } = contextOf(nodes.a)
  const { peerId: responder, publicKey: responderKey } = stream
  const machine = new SessionMachine({ ...tools, role: 'initiator', level: 1, pqAuth: false, responder, responderKey })
  let established = false
  const input = async (event: SessionInput): Promise<void> => {
    for (const output of machine.handle(event, clock.monotonic())) {
      if (output.type === 'send') await stream.send(output.frame)
      else if (output.type === 'established') established = true
      else if (output.type === 'failed') throw output.error
    }
  }
  await input({ type: 'start' })
  for await (const frame of stream.frames()) {
    await input({ type: 'frame', frame })
    if (established) break
  }
  return { stream, input, send: (data) => input({ type: 'send', data }) }
}

/** How the victim's reading ended, and what it was given before. */
function victim(): {
  readonly serve: (session: SessionStream) => Promise<void>
  readonly frames: Uint8Array[]
  readonly ended: Promise<unknown>
} {
  const { promise: ended, resolve } = Promise.withResolvers<unknown>()
  const frames: Uint8Array[] = []
  const serve = async (session: SessionStream): Promise<void> => {
    try {
      for await (const frame of session.frames()) frames.push(frame)
      resolve(undefined)
    } catch (error) {
      resolve(error)
      throw error
    }
  }
  return { serve, frames, ended }
}

const framed = (length: number, bytes: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(4 + bytes.length)
  new DataView(whole.buffer).setUint32(0, length)
  whole.set(bytes, 4)
  return whole
}

test('a frame inside of a session that is too large, or empty, ends it', async () => {
  for (const [length, code] of [
    [1_114_113, 'PROTOCOL_LIMIT'],
    [0, 'MESSAGE_MALFORMED']
  ] as const) {
    const { serve, ended, frames } = victim()
    await using nodes = await sessionPair(serve)
    const attacker = await attack(nodes)
    await attacker.send(framed(length, new Uint8Array(10)))
    assert.ok(failure(code)(await ended))
    await attacker.stream.closed
    assert.deepEqual(frames, [])
    assert.equal(nodes.b.refusals[0]?.error.code, code)
  }
})

test('a frame that is begun and never ended is given up after its deadline', async () => {
  const { serve, ended } = victim()
  await using nodes = await sessionPair(serve, { accept: { inner: { id: 'test', maxFrameBytes: 1_000, frameMs: 80 } } })
  const attacker = await attack(nodes)
  await attacker.send(framed(5, new Uint8Array(5)))
  await attacker.send(framed(500, new Uint8Array(20)))
  assert.ok(failure('TIMEOUT')(await ended))
  await attacker.stream.closed
})

test('a stream that is closed without the end mark is told from an end', async () => {
  const { serve, ended, frames } = victim()
  await using nodes = await sessionPair(serve)
  const attacker = await attack(nodes)
  await attacker.send(framed(3, new Uint8Array([1, 2, 3])))
  await until(() => frames.length === 1, 'the frame was taken')
  await attacker.stream.close()
  assert.ok(failure('SESSION_TRUNCATED')(await ended))
})

test('an end mark within a frame is a cut', async () => {
  const { serve, ended, frames } = victim()
  await using nodes = await sessionPair(serve)
  const attacker = await attack(nodes)
  await attacker.send(framed(300, new Uint8Array(3)))
  await attacker.input({ type: 'end' })
  assert.ok(failure('SESSION_TRUNCATED')(await ended))
  assert.deepEqual(frames, [])
})

test('noise in place of a record ends the session with a reset, and what came before was delivered', async () => {
  const { serve, ended, frames } = victim()
  await using nodes = await sessionPair(serve)
  const attacker = await attack(nodes)
  await attacker.send(framed(3, new Uint8Array([1, 2, 3])))
  await until(() => frames.length === 1, 'the frame was taken')
  await attacker.stream.send(new Uint8Array(100).fill(8))
  assert.ok(failure('SESSION_RECORD_INVALID')(await ended))
  await attacker.stream.closed
  assert.equal(nodes.b.refusals[0]?.error.code, 'SESSION_RECORD_INVALID')
})

test('a consumer that takes nothing stops the sender, and nothing is lost', async () => {
  const gate = Promise.withResolvers<void>()
  const accepted = Promise.withResolvers<SessionStream>()
  const received = Promise.withResolvers<number>()
  await using nodes = await sessionPair(async (session) => {
    accepted.resolve(session)
    await gate.promise
    const frames = await collect(session)
    assert.ok(frames.every((frame, index) => frame[0] === index % 256))
    received.resolve(frames.length)
  })
  const session = await nodes.open()
  const victimSession = await accepted.promise
  const count = 400
  let sent = 0
  const sending = (async () => {
    for (; sent < count; sent++) await session.send(new Uint8Array(32_768).fill(sent))
    await session.close()
  })()
  // Three looks without progress: it is stopped, not slow.
  let quiet = 0
  let last = -1
  await until(() => {
    quiet = sent === last ? quiet + 1 : 0
    last = sent
    return quiet >= 3 && sent > 0
  }, 'the sender stopped')
  assert.ok(sent < count, `${sent} frames were sent to nobody`)
  assert.ok(victimSession.heldBytes < 400_000, `${victimSession.heldBytes} bytes are held`)
  gate.resolve()
  await sending
  assert.equal(await received.promise, count)
})

test('frames inside of a session wait for the rate of their peer', async () => {
  const taken: number[] = []
  const { promise: done, resolve } = Promise.withResolvers<void>()
  let delays = 0
  const frameDelayMs = (): number => (++delays % 2 === 0 ? 60 : 0)
  await using nodes = await sessionPair(
    async (session) => {
      for await (const frame of session.frames()) taken.push(frame[0] ?? 0)
      resolve()
    },
    { accept: { inner: { id: 'test', maxFrameBytes: 1_000, frameMs: 10_000, frameDelayMs } } }
  )
  const session = await nodes.open()
  const startedAt = performance.now()
  for (let index = 0; index < 6; index++) await session.send(new Uint8Array([index]))
  await session.close()
  await done
  assert.deepEqual(taken, [0, 1, 2, 3, 4, 5])
  assert.equal(delays, 6)
  assert.ok(performance.now() - startedAt >= 170)
})

test('keys are gone when a session is closed, aborted, or its connection is lost', async () => {
  for (const end of ['close', 'abort', 'lost'] as const) {
    const { promise: accepted, resolve } = Promise.withResolvers<SessionStream>()
    await using nodes = await sessionPair(async (session) => {
      resolve(session)
      for await (const _ of session.frames()) assert.fail('nothing was sent')
    })
    const session = await nodes.open()
    const other = await accepted
    assert.equal(session.exportSecret('x', new Uint8Array(0), 16).length, 16)
    if (end === 'close') await session.close()
    else if (end === 'abort') session.abort(new MeshError('ABORTED', { operation: 'the test' }))
    else await nodes.b.libp2p.hangUp(nodes.a.libp2p.peerId)
    await Promise.all([session.closed, other.closed])
    await new Promise((next) => setImmediate(next))
    for (const side of [session, other]) {
      assert.throws(() => side.exportSecret('x', new Uint8Array(0), 16))
      await assert.rejects(side.send(new Uint8Array(1)))
    }
  }
})

test('frames and sizes outside of the limits are not sent', async () => {
  await using nodes = await sessionPair(async (session) => session.closed)
  const session = await nodes.open()
  await assert.rejects(session.send(new Uint8Array(0)), failure('PROTOCOL_LIMIT'))
  await assert.rejects(session.send(new Uint8Array(1_114_113)), failure('PROTOCOL_LIMIT'))
  await session.close()
  await assert.rejects(session.send(new Uint8Array(1)))
})
