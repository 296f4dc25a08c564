import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteLength, concat, isMeshError, type Pieces } from '../../src/core/base/index.ts'
import { CircuitStream } from '../../src/mesh/onion/circuit-stream.ts'
import { random, timers } from './support.ts'

interface End {
  readonly stream: CircuitStream
  readonly written: Pieces[]
  readonly consumed: () => number
}

function open(): End {
  const written: Pieces[] = []
  let consumed = 0
  const port = { write: (bytes: Pieces) => void written.push(bytes), end: () => undefined, consumed: (bytes: number) => void (consumed += bytes) }
  const stream = new CircuitStream({ port, peerId: 'somebody', publicKey: new Uint8Array(32), timers, onClosed: () => undefined })
  return { stream, written, consumed: () => consumed }
}

const framed = (bytes: Uint8Array): Uint8Array => concat(new Uint8Array([0, 0, bytes.length >> 8, bytes.length & 255]), bytes)

test('a stream holds nothing of the frames of cells in which its bytes came', async () => {
  const { stream, consumed } = open()
  const frames = [random.bytes(2_500), random.bytes(10), random.bytes(995)]
  const all = concat(...frames.map(framed))
  for (let at = 0; at < all.length; at += 995) {
    const cells = new Uint8Array(64_512)
    const bytes = cells.subarray(24, 24 + Math.min(995, all.length - at))
    bytes.set(all.subarray(at, at + 995))
    stream.receive(bytes)
    cells.fill(255)
  }
  const reader = stream.frames()[Symbol.asyncIterator]()
  for (const frame of frames) assert.deepEqual(Buffer.from((await reader.next()).value ?? []), Buffer.from(frame))
  assert.equal(consumed(), all.length)
})

test('what one turn sends is written at once, large pieces as they are', async () => {
  const { stream, written } = open()
  const [small, large] = [random.bytes(10), random.bytes(40_000)]
  await Promise.all([stream.send(small), stream.send([new Uint8Array([1]), large])])
  await Promise.resolve()
  assert.equal(written.length, 1)
  const pieces = written.flatMap((bytes) => (bytes instanceof Uint8Array ? [bytes] : bytes))
  assert.equal(byteLength(pieces), 4 + 10 + 4 + 1 + 40_000)
  assert.ok(pieces.includes(large))
  assert.deepEqual(Buffer.from(concat(...pieces)), Buffer.from(concat(framed(small), concat(new Uint8Array([0, 0, 156, 65, 1]), large))))
})

test('who takes nothing of what is written for a minute loses the stream, and who takes some does not', async () => {
  const scheduled = new Map<number, () => void>()
  const held = {
    schedule: (delayMs: number, run: () => void) => {
      scheduled.set(delayMs, run)
      return () => void scheduled.delete(delayMs)
    }
  }
  const ended: string[] = []
  const port = { write: () => undefined, end: (reason: string) => void ended.push(reason), consumed: () => undefined }
  const stream = new CircuitStream({ port, peerId: 'somebody', publicKey: new Uint8Array(32), timers: held, onClosed: () => undefined })
  stream.setFull(true)
  stream.setFull(false)
  assert.equal(scheduled.size, 0)
  stream.setFull(true)
  const sending = stream.send(random.bytes(10))
  scheduled.get(60_000)?.()
  await assert.rejects(sending, (error) => isMeshError(error, 'PEER_UNREACHABLE') && error.message.includes('nothing was taken for 60000 ms'))
  await stream.closed
  assert.deepEqual(ended, ['broken'])
})
