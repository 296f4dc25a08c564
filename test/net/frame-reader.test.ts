import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMeshError } from '../../src/core/base/index.ts'
import { FrameReader } from '../../src/mesh/frame-reader.ts'

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const readerOf = (maxFrameBytes = 100_000): FrameReader => new FrameReader({ protocol: 'test', maxFrameBytes })

function framed(frames: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(frames.reduce((sum, frame) => sum + frame.length + 4, 0))
  const view = new DataView(bytes.buffer)
  let offset = 0
  for (const frame of frames) {
    view.setUint32(offset, frame.length)
    bytes.set(frame, offset + 4)
    offset += frame.length + 4
  }
  return bytes
}

test('however the bytes are cut into chunks, the same frames come out', () => {
  const frames = fc.array(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.uint8Array({ minLength: 2_000, maxLength: 9_000 })), {
    maxLength: 30
  })
  const cuts = fc.infiniteStream(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 20_000 })))
  fc.assert(
    fc.property(frames, cuts, (sent, lengths) => {
      const reader = readerOf()
      const bytes = framed(sent)
      const got: Uint8Array[] = []
      for (let offset = 0; offset < bytes.length;) {
        const chunk = bytes.slice(offset, offset + (lengths.next().value ?? 1))
        offset += chunk.length
        reader.push(chunk)
        // The chunk's memory is not ours once it was pushed and taken: small ones are copied.
        while (reader.ready && got.length % 3 !== 2) got.push(reader.take().slice())
        if (reader.ready) got.push(reader.take().slice())
      }
      while (reader.ready) got.push(reader.take().slice())
      assert.equal(reader.held, 0)
      assert.deepEqual(got, sent)
    }),
    { seed, numRuns: 300 }
  )
})

test('a frame stays as it was while later bytes arrive in the same small chunks', () => {
  const reader = readerOf()
  reader.push(framed([new Uint8Array([1, 2, 3])]))
  const frame = reader.take()
  for (let index = 0; index < 20_000; index++) reader.push(new Uint8Array([9]))
  assert.deepEqual([...frame], [1, 2, 3])
})

test('a length over the cap is refused as soon as it is read, before its bytes come or are held', () => {
  for (const length of [100_001, 2 ** 31, 2 ** 32 - 1]) {
    const reader = readerOf()
    const header = new Uint8Array(4)
    new DataView(header.buffer).setUint32(0, length)
    reader.push(header)
    assert.throws(
      () => reader.ready,
      (error) => isMeshError(error, 'PROTOCOL_LIMIT')
    )
  }
  const reader = readerOf()
  reader.push(new Uint8Array([0, 1, 0x86, 0xa0]))
  assert.equal(reader.ready, false)
  assert.equal(reader.wanted, 100_004)
})

test('a length that lies makes nobody allocate: what is held is what arrived', () => {
  const before = process.memoryUsage().arrayBuffers
  const readers = Array.from({ length: 1_000 }, () => {
    const reader = readerOf(1_048_576)
    reader.push(new Uint8Array([0, 0x10, 0, 0, 1]))
    return reader
  })
  assert.ok(readers.every((reader) => !reader.ready && reader.held === 5))
  assert.ok(process.memoryUsage().arrayBuffers - before < 50_000_000)
})

test('single bytes cost about their number, not an object each', () => {
  const reader = readerOf(1_000_000)
  const before = process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
  reader.push(new Uint8Array([0, 0x0f, 0x42, 0x3f]))
  for (let index = 0; index < 900_000; index++) reader.push(new Uint8Array(1))
  globalThis.gc?.()
  assert.equal(reader.held, 900_004)
  if (globalThis.gc !== undefined) assert.ok(process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers - before < 20_000_000)
})

test('frames are plain arrays, whatever the chunks were: slice() makes a copy', () => {
  const reader = readerOf()
  reader.push(Buffer.from(framed([new Uint8Array([1, 2]), new Uint8Array(5_000).fill(3)])))
  for (const expected of [1, 3]) {
    const frame = reader.take()
    assert.equal(frame.constructor, Uint8Array)
    const copy = frame.slice()
    frame[0] = 99
    assert.equal(copy[0], expected)
  }
})

test('an empty frame is malformed', () => {
  const reader = readerOf()
  reader.push(new Uint8Array(4))
  assert.throws(
    () => reader.ready,
    (error) => isMeshError(error, 'MESSAGE_MALFORMED')
  )
})
