import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stream } from '@libp2p/interface'
import { FramedStream } from '../../src/mesh/framed-stream.ts'
import { protocolTable } from '../../src/mesh/protocol-table.ts'
import { clock, startTestHost, timers, until } from './support.ts'

const id = '/test/early/1.0.0'

const wrap = (stream: Stream): FramedStream =>
  new FramedStream({
    stream,
    peerId: 'peer',
    publicKey: new Uint8Array(32),
    path: 'direct-lan',
    remoteHost: '127.0.0.1',
    limits: protocolTable.card,
    clock,
    timers,
    frameDelayMs: () => 0,
    onSent: () => undefined,
    onReceived: () => undefined,
    onOffence: () => undefined
  })

/** A raw stream between two nodes, and what the other side did with it. */
async function rawStream(serve: (stream: Stream) => void): Promise<{ readonly stream: Stream } & AsyncDisposable> {
  const a = await startTestHost()
  const b = await startTestHost()
  await b.libp2p.handle(id, serve)
  const stream = await a.libp2p.dialProtocol(b.libp2p.getMultiaddrs(), id)
  const stop = async (): Promise<void> => {
    await Promise.all([a[Symbol.asyncDispose](), b[Symbol.asyncDispose]()])
  }
  return { stream, [Symbol.asyncDispose]: stop }
}

test('a stream that was reset before it was wrapped ends for its reader and its writer', async () => {
  await using raw = await rawStream((stream) => stream.abort(new Error('refused')))
  await until(() => raw.stream.status === 'reset', 'the reset')
  const framed = wrap(raw.stream)
  await assert.rejects(framed.frames()[Symbol.asyncIterator]().next(), { code: 'PEER_UNREACHABLE' })
  await assert.rejects(framed.send(new Uint8Array(1)), { code: 'PEER_UNREACHABLE' })
  await framed.closed
})

test('frames that came, and an end that came, before the stream was wrapped are not lost', async () => {
  await using raw = await rawStream((stream) => {
    stream.send(new Uint8Array([0, 0, 0, 1, 7]))
    void stream.close()
  })
  await until(() => raw.stream.remoteWriteStatus === 'closed', 'the end')
  const taken: number[] = []
  for await (const frame of wrap(raw.stream).frames()) taken.push(...frame)
  assert.deepEqual(taken, [7])
})
