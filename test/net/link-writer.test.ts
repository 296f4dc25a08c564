import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError, concat, isMeshError } from '../../src/core/base/index.ts'
import { FrameReader } from '../../src/mesh/frame-reader.ts'
import { LinkWriter, writeBytes } from '../../src/mesh/link-writer.ts'

/** A stream that takes as many writes as it is told. */
class Link {
  writableNeedsDrain = false
  readonly writes: Uint8Array[] = []
  /** The same, as they came. */
  readonly pieces: (readonly Uint8Array[])[] = []
  takes = Number.POSITIVE_INFINITY

  send(pieces: readonly Uint8Array[]): boolean {
    assert.ok(!this.writableNeedsDrain, 'written while the stream wanted to drain: libp2p resets it for that')
    this.pieces.push(pieces)
    this.writes.push(concat(...pieces))
    this.takes -= 1
    this.writableNeedsDrain = this.takes <= 0
    return !this.writableNeedsDrain
  }

  /** The frames that were written. */
  frames(): readonly Uint8Array[] {
    const reader = new FrameReader({ protocol: 'test', maxFrameBytes: 1_048_576 })
    for (const write of this.writes) reader.push(write)
    const frames: Uint8Array[] = []
    while (reader.ready) frames.push(reader.take())
    assert.equal(reader.held, 0)
    return frames
  }
}

const writerOf = (link: Link): LinkWriter => new LinkWriter({ link, protocol: 'test', onBytes: () => undefined })
const turn = (): Promise<void> => new Promise((resolve) => queueMicrotask(resolve))

test('what is sent in one turn leaves in one write, in order, in a microtask', async () => {
  const link = new Link()
  const writer = writerOf(link)
  for (let index = 0; index < 50; index++) void writer.send(new Uint8Array([index]))
  assert.equal(link.writes.length, 0)
  await turn()
  assert.equal(link.writes.length, 1)
  assert.deepEqual(
    link.frames().map((frame) => frame[0]),
    Array.from({ length: 50 }, (_, index) => index)
  )
})

/** The writes for frames of these sizes that are sent in one turn, and that they are whole. */
async function writesOf(link: Link, sizes: readonly number[]): Promise<readonly number[]> {
  const writer = writerOf(link)
  const frames = sizes.map((size, index) => new Uint8Array(size).fill(index + 1))
  await Promise.all([...frames.map((frame) => writer.send(frame)), writer.flush()])
  assert.deepEqual(link.frames(), frames)
  return link.writes.map((write) => write.length)
}

test('a write ends with a whole frame, and a frame that fills one has it for itself', async () => {
  const full = writeBytes - 4
  assert.deepEqual(await writesOf(new Link(), [1, full, full, 10, 20, full]), [5, writeBytes, writeBytes, 38, writeBytes])
})

test('a frame that is larger than a write takes several, none of them larger than one message of the encryption', async () => {
  const quarter = Math.floor(writeBytes / 4)
  assert.deepEqual(await writesOf(new Link(), [3 * writeBytes, 1, writeBytes - 3, quarter, quarter]), [
    ...[writeBytes, writeBytes, writeBytes, 4 + 5],
    ...[writeBytes, 1 + 2 * (quarter + 4)]
  ])
})

test('large frames are written as they are, small ones and lengths in one piece', async () => {
  const link = new Link()
  const writer = writerOf(link)
  const [large, small] = [new Uint8Array(10_000).fill(1), new Uint8Array(100).fill(2)]
  await Promise.all([writer.send(small), writer.send([small, large, small]), writer.send(small), writer.flush()])
  assert.deepEqual(
    link.pieces.map((pieces) => pieces.map(({ length }) => length)),
    [[104 + 4 + 100, 10_000, 100 + 104]]
  )
  assert.equal(link.pieces[0]?.[1]?.buffer, large.buffer)
  assert.deepEqual(link.frames(), [small, concat(small, large, small), small])
})

test('while the stream wants to drain nothing is written, and what waited follows', async () => {
  const link = new Link()
  const writer = writerOf(link)
  link.takes = 1
  void writer.send(new Uint8Array([1]))
  await turn()
  void writer.send(new Uint8Array([2]))
  void writer.send(new Uint8Array([3]))
  await turn()
  assert.equal(link.writes.length, 1)
  link.takes = 5
  link.writableNeedsDrain = false
  writer.pump()
  assert.deepEqual(
    link.frames().map((frame) => frame[0]),
    [1, 2, 3]
  )
  assert.equal(link.writes.length, 2)
})

test('a stream that fills up between the call and the write is not written to', async () => {
  const link = new Link()
  const writer = writerOf(link)
  const sent = writer.send(new Uint8Array([1]))
  link.writableNeedsDrain = true
  await turn()
  assert.equal(link.writes.length, 0)
  writer.pump()
  assert.equal(link.writes.length, 0)
  link.writableNeedsDrain = false
  writer.pump()
  await Promise.all([sent, writer.flush()])
  assert.deepEqual(
    link.frames().map((frame) => frame[0]),
    [1]
  )
})

test('a sender that awaits never runs ahead of a stalled stream', async () => {
  const link = new Link()
  const writer = writerOf(link)
  link.takes = 1
  let sent = 0
  const sending = (async () => {
    for (; sent < 1_000; sent++) await writer.send(new Uint8Array(65_536))
  })()
  for (let index = 0; index < 5_000; index++) await turn()
  assert.ok(writer.queuedBytes < 1_048_576, `${writer.queuedBytes} bytes are queued`)
  assert.ok(sent < 20, `${sent} frames were taken`)
  link.takes = Number.POSITIVE_INFINITY
  link.writableNeedsDrain = false
  writer.pump()
  await sending
  await writer.flush()
  assert.equal(link.frames().length, 1_000)
})

test('a sender that does not await is stopped at a bound', async () => {
  const link = new Link()
  link.writableNeedsDrain = true
  const writer = writerOf(link)
  const results = await Promise.allSettled([...Array.from({ length: 400 }, () => Promise.race([writer.send(new Uint8Array(65_536)), turn()]))])
  assert.ok(results.some((result) => result.status === 'rejected' && isMeshError(result.reason, 'PROTOCOL_LIMIT')))
  assert.ok(writer.queuedBytes < 17 * 1_048_576)
})

test('when the stream fails every waiting and later call is told', async () => {
  const link = new Link()
  link.writableNeedsDrain = true
  const writer = writerOf(link)
  const sends = Array.from({ length: 20 }, () => writer.send(new Uint8Array(65_536)))
  const flush = writer.flush()
  const error = new MeshError('PEER_UNREACHABLE', { peer: 'p' })
  writer.fail(error)
  const results = await Promise.allSettled([...sends, flush, writer.send(new Uint8Array(1))])
  assert.ok(results.slice(-3).every((result) => result.status === 'rejected' && result.reason === error))
  assert.equal(writer.queuedBytes, 0)
})

test('the owner of a frame is told when the link has taken its last byte, not before', async () => {
  const link = new Link()
  const writer = writerOf(link)
  const taken: string[] = []
  link.takes = 1
  void writer.send(new Uint8Array(2 * writeBytes), () => taken.push(`large after ${link.writes.length}`))
  void writer.send(new Uint8Array(10), () => taken.push(`small after ${link.writes.length}`))
  await turn()
  assert.deepEqual([taken, link.writes.length], [[], 1])
  link.takes = Number.POSITIVE_INFINITY
  link.writableNeedsDrain = false
  writer.pump()
  await writer.flush()
  assert.deepEqual(taken, ['large after 3', 'small after 3'])
})

test('the owner of a frame that was not written is not told', async () => {
  const link = new Link()
  link.writableNeedsDrain = true
  const writer = writerOf(link)
  const sent = writer.send(new Uint8Array(10), () => assert.fail())
  writer.fail(new MeshError('PEER_UNREACHABLE', { peer: 'p' }))
  link.writableNeedsDrain = false
  writer.pump()
  await sent
})

test('a write has at most as many bytes as the writer is told', async () => {
  const link = new Link()
  const writer = new LinkWriter({ link, protocol: 'test', onBytes: () => undefined, maxWriteBytes: 1_000 })
  const frames = [3, 2_500, 996, 1].map((size, index) => new Uint8Array(size).fill(index + 1))
  await Promise.all([...frames.map((frame) => writer.send(frame)), writer.flush()])
  assert.equal(Math.max(...link.writes.map(({ length }) => length)), 1_000)
  assert.deepEqual(link.frames(), frames)
})
