import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MessageStream } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { isMeshError } from '../../src/core/base/index.ts'
import { NonceCounter, nonceLimit } from '../../src/core/noise/index.ts'
import { nodeHandshakeCrypto as crypto } from '../../src/crypto/index.ts'
import { RecordStream } from '../../src/mesh/hybrid-noise/record-stream.ts'
import { classicalId, joined, ourSide, stockSide } from './noise-pair.ts'
import { random, until } from './support.ts'

type Tamper = (frame: Uint8Array, number: number) => readonly Uint8Array[]

interface Link {
  readonly near: RecordStream
  readonly far: RecordStream
  /** What the near side handed to the connection below. */
  readonly wire: Uint8Array[]
  /** In how many pieces each. */
  readonly pieces: number[]
  /** What came out at the far side. */
  readonly received: Uint8Array[]
}

/** Two ends with known keys; `tamper` gets each piece that the near side sends. */
function linkOf(tamper?: Tamper, sendsPieces = false): Link {
  const [a, b] = multiaddrConnectionPair()
  const wire: Uint8Array[] = []
  const pieces: number[] = []
  const send = a.send.bind(a)
  a.send = (data) => {
    const frame = data.subarray()
    pieces.push(data instanceof Uint8Array ? 1 : [...data].length)
    wire.push(frame)
    return (tamper?.(frame.slice(), wire.length - 1) ?? [frame]).map((piece) => send(piece)).every(Boolean)
  }
  const [one, two] = [crypto.randomBytes(32), crypto.randomBytes(32)]
  const common = { rest: new Uint8Array(0), allocate: (bytes: number) => new Uint8Array(bytes), sendsPieces }
  const near = new RecordStream(a, { send: crypto.aead(one), receive: crypto.aead(two), ...common })
  const far = new RecordStream(b, { send: crypto.aead(two), receive: crypto.aead(one), ...common })
  const received: Uint8Array[] = []
  far.addEventListener('message', ({ data }) => received.push(data.subarray().slice()))
  return { near, far, wire, pieces, received }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const joinedBytes = (pieces: readonly Uint8Array[]): Buffer => Buffer.concat(pieces)

for (const [title, near, far] of [
  ['ours with ours', ourSide, ourSide],
  ['ours with stock', () => ourSide(), stockSide],
  ['stock with ours', stockSide, () => ourSide()]
] as const) {
  test(`bytes of any size come out as they went in: ${title}`, async () => {
    const sides = title === 'ours with ours' ? [await ourSide({ levels: [1] }), await ourSide({ levels: [5] })] : [await near(), await far()]
    const [first, second] = await joined(sides[0] ?? assert.fail(), sides[1] ?? assert.fail(), classicalId)
    for (const [from, to] of [[first, second] as const, [second, first] as const]) {
      const sent = [1, 2, 15, 1_024, 65_519, 65_520, 131_038, 300_000, 1_500_000].map((length) => random.bytes(length))
      const found: Uint8Array[] = []
      to.addEventListener('message', ({ data }) => found.push(data.subarray()))
      for (const bytes of sent) if (!from.send(bytes)) await drained(from)
      const whole = joinedBytes(sent)
      await until(() => joinedBytes(found).length === whole.length, 'all has come')
      assert.ok(joinedBytes(found).equals(whole))
    }
  })
}

const drained = (stream: MessageStream): Promise<unknown> => new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))

test('what is sent in one turn is one record in one piece: u16 length, ciphertext, tag', async () => {
  const { near, wire, received } = linkOf()
  for (let index = 0; index < 20; index++) near.send(new Uint8Array(100).fill(index))
  assert.equal(wire.length, 0)
  await until(() => received.length > 0, 'it came')
  assert.deepEqual([wire.length, wire[0]?.length, wire[0]?.[0], wire[0]?.[1]], [1, 2 + 2_000 + 16, 2_016 >>> 8, 2_016 & 255])
  assert.equal(joinedBytes(received).length, 2_000)
})

test('a connection that takes pieces gets large records as the cipher made them, and the same comes out', async () => {
  const { near, wire, pieces, received } = linkOf(undefined, true)
  const sent = [8_191, 65_519, 300_000].map((length) => random.bytes(length))
  for (const bytes of sent) if (!near.send(bytes)) await drained(near)
  await until(() => joinedBytes(received).length === joinedBytes(sent).length, 'it came')
  assert.ok(joinedBytes(received).equals(joinedBytes(sent)))
  assert.deepEqual(
    wire.map(({ length }) => length),
    [8_191, 65_519, ...[65_519, 65_519, 65_519, 65_519, 37_924]].map((length) => length + 18)
  )
  assert.deepEqual(pieces, [1, 3, 3, 3, 3, 3, 3])
})

test('what fits into one record is not spread over two', async () => {
  const { near, wire, received } = linkOf()
  for (const length of [40_000, 40_000, 25_519, 12]) near.send(new Uint8Array(length))
  await until(() => joinedBytes(received).length === 105_531, 'it came')
  assert.deepEqual(
    wire.map(({ length }) => length - 18),
    [40_000, 65_519, 12]
  )
})

test('a full record leaves at once, however long the turn is', () => {
  const { near, wire } = linkOf()
  near.send(new Uint8Array(65_519))
  assert.equal(wire[0]?.length, 65_537)
})

const swapped: Uint8Array[] = []

for (const [title, tamper] of [
  ['flipped', (frame, number) => (number === 1 ? [frame.with(40, (frame[40] ?? 0) ^ 1)] : [frame])],
  ['replayed', (frame, number) => (number === 1 ? [frame, frame] : [frame])],
  ['swapped with the one before', (frame, number) => (number === 0 ? (swapped.push(frame), []) : [frame, ...swapped.splice(0)])],
  ['left out', (frame, number) => (number === 1 ? [] : [frame])],
  ['shortened', (frame, number) => (number === 1 ? [shortened(frame)] : [frame])],
  ['too short for its tag', (frame, number) => (number === 1 ? [new Uint8Array([0, 15, ...frame.subarray(2, 17)])] : [frame])]
] as const satisfies readonly (readonly [string, Tamper])[]) {
  test(`a record that was ${title} ends the connection, and nothing of it or after it is handed over`, async () => {
    const { near, far, received } = linkOf(tamper)
    for (let index = 0; index < 3; index++) {
      if (near.status === 'open') near.send(new Uint8Array(100).fill(index))
      await turn()
    }
    await until(() => far.status !== 'open', 'the far end has ended it')
    assert.equal(far.status, 'aborted')
    const good = title === 'replayed' ? 200 : 100
    assert.ok(joinedBytes(received).length <= good && joinedBytes(received).every((byte) => byte < (title === 'replayed' ? 2 : 1)))
  })
}

function shortened(frame: Uint8Array): Uint8Array {
  const length = frame.length - 3
  return new Uint8Array([(length - 2) >>> 8, (length - 2) & 255, ...frame.subarray(2, length)])
}

test('when the connection below is full, send says so, what waits is kept in order, and drain is passed on', async () => {
  const [a] = multiaddrConnectionPair()
  let isFull = true
  const wire: Uint8Array[] = []
  a.send = (data) => {
    wire.push(data.subarray().slice())
    return !isFull
  }
  const [one, two] = [crypto.randomBytes(32), crypto.randomBytes(32)]
  const near = new RecordStream(a, {
    send: crypto.aead(one),
    receive: crypto.aead(two),
    rest: new Uint8Array(0),
    allocate: (bytes) => new Uint8Array(bytes),
    sendsPieces: false
  })
  assert.equal(near.send(new Uint8Array(65_519)), false)
  assert.equal(near.send(new Uint8Array([2])), false)
  await turn()
  assert.equal(wire.length, 1)
  let drains = 0
  near.addEventListener('drain', () => drains++)
  isFull = false
  a.safeDispatchEvent('drain')
  await turn()
  assert.deepEqual([drains, wire.length], [1, 2])
  assert.equal(near.send(new Uint8Array([3])), true)
})

test('closing sends what was sent in the same turn; the other end sees the bytes, then the end', async () => {
  const { near, far, received } = linkOf()
  near.send(new Uint8Array([1, 2, 3]))
  await near.close()
  await until(() => far.status === 'closed', 'the end')
  assert.deepEqual([...joinedBytes(received)], [1, 2, 3])
  assert.throws(() => near.send(new Uint8Array([4])))
})

test('what is sent while the connection below is closing is an error, as with the stock encrypter', async () => {
  const { near } = linkOf()
  const closing = near.close()
  assert.throws(() => near.send(new Uint8Array([1])))
  await closing
})

test('an abort of the connection below is an abort here, with the same error, and nothing is sent after it', async () => {
  const { near, far, wire } = linkOf()
  const ended = new Promise<unknown>((resolve) => near.addEventListener('close', ({ error }) => resolve(error)))
  near.send(new Uint8Array([1]))
  const why = new Error('enough')
  near.abort(why)
  assert.equal(await ended, why)
  await turn()
  assert.equal(wire.length, 0)
  await until(() => far.status !== 'open', 'the other end')
})

test('a paused stream holds what comes, and hands it over when it is resumed', async () => {
  const { near, far, received } = linkOf()
  far.pause()
  near.send(new Uint8Array([1]))
  await turn()
  await turn()
  assert.equal(received.length, 0)
  far.resume()
  await until(() => received.length === 1, 'it came')
})

test('no nonce is used twice: the counter counts little-endian behind four zeros, and ends at its limit', () => {
  const nonces = new NonceCounter(255)
  assert.deepEqual([...nonces.next()], [0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0])
  assert.deepEqual([...nonces.next()], [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  const last = new NonceCounter(nonceLimit - 1)
  assert.deepEqual([...last.next()], [0, 0, 0, 0, 0xfd, 0xff, 0xff, 0xff, 0, 0, 0, 0])
  assert.throws(
    () => last.next(),
    (error) => isMeshError(error, 'HANDSHAKE_FAILED')
  )
})
