import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, wallMillis } from '../../../src/core/base/index.ts'
import { decodeDirectoryFrame, encodeDirectoryFrame, packDescriptors, ViewComparison } from '../../../src/core/onion/index.ts'
import { directoryFrames } from './directory-support.ts'
import { start } from './descriptor-support.ts'

test('every frame comes back as it was', () => {
  for (const frame of directoryFrames) assert.deepEqual(decodeDirectoryFrame(encodeDirectoryFrame(frame)), frame)
})

test('the largest frames fit into the cap of the protocol', () => {
  const ids = Array.from({ length: 8_000 }, () => new Uint8Array(8))
  const frames = [{ kind: 'want', buckets: [0], ids } as const, { kind: 'done', unknown: ids } as const]
  for (const frame of [...frames, ...packDescriptors(Array.from({ length: 500 }, () => new Uint8Array(1_400)))])
    assert.ok(encodeDirectoryFrame(frame).length <= 65_536)
})

test('descriptors are packed in order, none left out', () => {
  const descriptors = Array.from({ length: 1_000 }, (_, index) => new Uint8Array(1 + ((index * 37) % 1_400)).fill(index))
  const packed = packDescriptors(descriptors)
  assert.deepEqual(
    packed.flatMap((frame) => (frame.kind === 'descriptors' ? frame.descriptors : [])),
    descriptors
  )
  assert.ok(packed.length < 25)
  assert.deepEqual(packDescriptors([]), [])
  assert.ok(packDescriptors(Array.from({ length: 300 }, () => new Uint8Array(1))).length === 2)
})

test('frames of another kind, without a bucket, with too many ids or with bytes left over are refused', () => {
  const wrong = [
    [],
    [0],
    [6],
    [1, 0],
    [2, 0, 1],
    [3, ...new Uint8Array(32), 0, 0],
    [3, ...new Uint8Array(32).fill(255), 255, 255],
    [4, 0],
    [4, 2, 0, 1, 7]
  ]
  for (const bytes of wrong)
    assert.throws(
      () => decodeDirectoryFrame(Uint8Array.from(bytes)),
      (error) => isMeshError(error, 'MESSAGE_MALFORMED')
    )
})

test('views that differ by over a tenth with several peers are two networks', () => {
  const views = new ViewComparison()
  const apart = { differing: 20, all: 100 }
  const alike = { differing: 10, all: 100 }
  assert.equal(views.partition(start), undefined)
  views.note('a', apart, start)
  assert.equal(views.partition(start), undefined, 'one peer may be behind')
  views.note('b', apart, start)
  assert.deepEqual(views.partition(start), { peers: 2, compared: 2, share: 0.2 })
  for (const peer of ['c', 'd', 'e']) views.note(peer, alike, start)
  assert.equal(views.partition(start), undefined, 'most agree')
  views.note('c', apart, start)
  assert.equal(views.partition(start)?.peers, 3)
  assert.equal(views.partition(wallMillis(start + 900_000)), undefined, 'too long ago')
  const small = new ViewComparison()
  for (const peer of ['a', 'b']) small.note(peer, { differing: 2, all: 8 }, start)
  assert.equal(small.partition(start), undefined, 'two of eight that come or go are none')
})
