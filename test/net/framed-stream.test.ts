import assert from 'node:assert/strict'
import { test } from 'node:test'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError, isMeshError } from '../../src/core/base/index.ts'
import type { FrameStream } from '../../src/mesh/frame-stream.ts'
import { FrameExchange } from '../../src/mesh/request.ts'
import { type TestHost, type TestHostOptions, startTestHost, timers, until } from './support.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code

interface Pair extends AsyncDisposable {
  readonly a: TestHost
  readonly b: TestHost
}

/** Two nodes; `a` knows where `b` is. */
async function pairOf(options: TestHostOptions = {}): Promise<Pair> {
  const limits = { pqs: { maxFrameBytes: 1_114_112 }, ...options.limits }
  const a = await startTestHost({ ...options, limits })
  const b = await startTestHost({ ...options, limits })
  await a.libp2p.peerStore.merge(b.libp2p.peerId, { multiaddrs: b.libp2p.getMultiaddrs() })
  const stop = async (): Promise<void> => {
    await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()])
  }
  return { a, b, [Symbol.asyncDispose]: stop }
}

async function collect(stream: FrameStream): Promise<readonly Uint8Array[]> {
  const frames: Uint8Array[] = []
  for await (const frame of stream.frames()) frames.push(frame)
  return frames
}

test('frames arrive whole and in order, and the end of the sender is the end of the frames', async () => {
  await using nodes = await pairOf()
  const { promise: received, resolve } = Promise.withResolvers<readonly Uint8Array[]>()
  await nodes.b.host.serve('pqs', async (stream) => resolve(await collect(stream)))
  const stream = await nodes.a.host.open(nodes.b.peerId, 'pqs')
  const sizes = [1, 70_000, 3, 1_114_112, 2, 65_536, 65_535]
  for (const size of sizes) await stream.send(new Uint8Array(size).fill(size % 251))
  await stream.close()
  const frames = await received
  assert.deepEqual(
    frames.map((frame) => frame.length),
    sizes
  )
  assert.ok(frames.every((frame) => frame.every((byte) => byte === frame.length % 251)))
})

test('both sides send at full speed at the same time, and nothing stalls or is reset', async () => {
  await using nodes = await pairOf()
  const count = 800
  const sendAll = async (stream: FrameStream): Promise<void> => {
    for (let index = 0; index < count; index++) await stream.send(new Uint8Array(32_768).fill(index))
    await stream.flush()
  }
  const takeAll = async (stream: FrameStream): Promise<number> => {
    let taken = 0
    for await (const frame of stream.frames()) {
      assert.equal(frame[0], taken % 256)
      taken += 1
      if (taken === count) break
    }
    return taken
  }
  const { promise: served, resolve } = Promise.withResolvers<number>()
  await nodes.b.host.serve('pqs', async (stream) => {
    const sending = sendAll(stream)
    resolve(await takeAll(stream))
    await sending
    await stream.closed
  })
  const stream = await nodes.a.host.open(nodes.b.peerId, 'pqs')
  const [, taken] = await Promise.all([sendAll(stream), takeAll(stream)])
  assert.equal(taken, count)
  assert.equal(await served, count)
  await stream.close()
  assert.deepEqual(nodes.a.refusals, [])
  assert.deepEqual(nodes.b.refusals, [])
})

test('a consumer that stops reading stops the sender, holds a bounded amount, and gets everything when it goes on', async () => {
  await using nodes = await pairOf()
  const { promise: go, resolve: goOn } = Promise.withResolvers<void>()
  const { promise: received, resolve } = Promise.withResolvers<number>()
  await nodes.b.host.serve('pqs', async (stream) => {
    let bytes = 0
    for await (const frame of stream.frames()) {
      if (bytes === 0) await go
      bytes += frame.length
    }
    resolve(bytes)
  })
  const stream = await nodes.a.host.open(nodes.b.peerId, 'pqs')
  let sent = 0
  const total = 30_000_000
  const sending = (async () => {
    while (sent < total) {
      await stream.send(new Uint8Array(50_000))
      sent += 50_000
    }
    await stream.close()
  })()
  await until(() => nodes.b.host.heldBytes > 262_144, 'the reader holds what it may')
  let before = -1
  await until(async () => {
    const stands = before === sent
    before = sent
    await new Promise((resolvePause) => setTimeout(resolvePause, 200))
    return stands
  }, 'the sender stands')
  assert.ok(nodes.b.host.heldBytes < 2_500_000, `${nodes.b.host.heldBytes} bytes are held`)
  assert.ok(sent < 12_000_000, `${sent} bytes were taken from the sender`)
  goOn()
  await sending
  assert.equal(await received, total)
})

test('a slow consumer of a fast sender holds a bounded amount all the time: what comes while reading goes on stops it again', async () => {
  await using nodes = await pairOf()
  const count = 600
  let mostHeld = 0
  const { promise: done, resolve, reject } = Promise.withResolvers<number>()
  await nodes.b.host.serve('pqs', async (stream) => {
    let taken = 0
    try {
      for await (const frame of stream.frames()) {
        assert.equal(frame[0], taken++ % 256)
        mostHeld = Math.max(mostHeld, nodes.b.host.heldBytes)
        // Slower than a sender in the same process, by a turn of the event loop for each frame.
        await new Promise((go) => setTimeout(go, 1))
      }
      resolve(taken)
    } catch (error) {
      reject(error instanceof Error ? error : new Error(String(error)))
    }
  })
  const stream = await nodes.a.host.open(nodes.b.peerId, 'pqs')
  for (let index = 0; index < count; index++) await stream.send(new Uint8Array(64_512).fill(index))
  await stream.close()
  assert.equal(await done, count)
  assert.ok(mostHeld < 2_700_000, `${mostHeld} bytes were held`)
})

test('a request and its answer have a deadline, and missing it resets the stream', async () => {
  await using nodes = await pairOf()
  const { promise: ended, resolve } = Promise.withResolvers<unknown>()
  await nodes.b.host.serve('card', async (stream) => {
    const frames = stream.frames()[Symbol.asyncIterator]()
    const first = await frames.next()
    if (first.done !== true) await stream.send(first.value)
    await frames.next()
    await frames.next().catch(resolve)
  })
  const stream = await nodes.a.host.open(nodes.b.peerId, 'card')
  const exchange = new FrameExchange(stream, { operation: 'asking', timeoutMs: 300, timers })
  assert.deepEqual(await exchange.request(new Uint8Array([7])), new Uint8Array([7]))
  await assert.rejects(exchange.request(new Uint8Array([8])), (error) => isMeshError(error, 'TIMEOUT') && error.details['operation'] === 'asking')
  assert.ok(isMeshError(await ended, 'PEER_UNREACHABLE'))
})

test('an abort interrupts a request and an opening', async () => {
  await using nodes = await pairOf()
  await nodes.b.host.serve('card', async (stream) => void (await collect(stream)))
  const controller = new AbortController()
  const stream = await nodes.a.host.open(nodes.b.peerId, 'card')
  const exchange = new FrameExchange(stream, { operation: 'asking', timeoutMs: 10_000, timers, signal: controller.signal })
  const asking = exchange.request(new Uint8Array([1]))
  controller.abort()
  await assert.rejects(asking, failure('ABORTED'))
  await assert.rejects(nodes.a.host.open(nodes.b.peerId, 'card', AbortSignal.abort()), failure('ABORTED'))
})

test('the handler that throws resets the stream, and the error is recorded with its code', async () => {
  await using nodes = await pairOf()
  await nodes.b.host.serve('card', async (stream) => {
    await collect(stream)
    throw new MeshError('MESSAGE_MALFORMED', { what: 'card request', reason: 'test' })
  })
  const stream = await nodes.a.host.open(nodes.b.peerId, 'card')
  await stream.send(new Uint8Array([1]))
  await stream.close()
  await until(() => nodes.b.refusals.length === 1, 'the refusal is told')
  assert.equal(nodes.b.refusals[0]?.error.code, 'MESSAGE_MALFORMED')
  assert.ok(nodes.b.logs.some((record) => record.event === 'MESSAGE_MALFORMED' && record.level === 'warn'))
})

test('another key at a known address is IDENTITY_MISMATCH, and no stream', async () => {
  await using nodes = await pairOf()
  await using impostor = await startTestHost()
  const [address] = impostor.libp2p.getMultiaddrs()
  const bare = multiaddr(String(address).replace(/\/p2p\/.*$/, ''))
  await nodes.b[Symbol.asyncDispose]()
  await nodes.a.libp2p.peerStore.patch(nodes.b.libp2p.peerId, { multiaddrs: [bare] })
  await assert.rejects(nodes.a.host.open(nodes.b.peerId, 'card'), failure('IDENTITY_MISMATCH'))
})

test('nobody at the address is PEER_UNREACHABLE; a text that is no peer id is ADDRESS_INVALID', async () => {
  await using nodes = await pairOf()
  await nodes.b[Symbol.asyncDispose]()
  await assert.rejects(nodes.a.host.open(nodes.b.peerId, 'card'), failure('PEER_UNREACHABLE'))
  await assert.rejects(nodes.a.host.open('nobody', 'card'), failure('ADDRESS_INVALID'))
})

test('when the connection dies the frames end with PEER_UNREACHABLE on both sides', async () => {
  await using nodes = await pairOf()
  const { promise: ended, resolve } = Promise.withResolvers<unknown>()
  await nodes.b.host.serve('pqs', async (stream) => {
    await collect(stream).catch(resolve)
  })
  const stream = await nodes.a.host.open(nodes.b.peerId, 'pqs')
  await stream.send(new Uint8Array([1]))
  await stream.flush()
  await until(() => nodes.b.host.openStreams === 1, 'the stream is there')
  for (const connection of nodes.a.libp2p.getConnections()) connection.abort(new Error('test'))
  assert.ok(isMeshError(await ended, 'PEER_UNREACHABLE'))
  await assert.rejects(collect(stream), failure('PEER_UNREACHABLE'))
  await stream.closed
  await until(() => nodes.a.host.openStreams === 0 && nodes.b.host.openStreams === 0, 'no stream is left')
})
