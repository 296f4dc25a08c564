import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MessageStream } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { messageOf } from '../../src/mesh/piece-list.ts'
import { startTestHost, until } from './support.ts'

const pieces: readonly Uint8Array[] = [new Uint8Array([1, 2]), new Uint8Array(5_000).fill(3), new Uint8Array([4])]
const whole = Uint8Array.from(pieces.flatMap((piece) => [...piece]))

/** What of `message` is one of our arrays, and not a copy. */
const ours = (message: ReturnType<typeof messageOf>): number => {
  const found = message instanceof Uint8Array ? [message] : [...message]
  return found.filter((array) => pieces.includes(array)).length
}

test('pieces reach the other side in order, and a stream of libp2p gets the arrays themselves', async () => {
  const [near, far] = multiaddrConnectionPair()
  const received: number[] = []
  far.addEventListener('message', ({ data }) => received.push(...data.subarray()))
  const message = messageOf(near, pieces)
  assert.equal(ours(message), 3)
  near.send(message)
  await until(() => received.length === whole.length, 'all has come')
  assert.deepEqual(Uint8Array.from(received), whole)
})

test('a stream over yamux takes pieces, too', async () => {
  await using a = await startTestHost()
  await using b = await startTestHost()
  const received: number[] = []
  await b.libp2p.handle('/pieces', (stream) => {
    stream.addEventListener('message', ({ data }) => received.push(...data.subarray()))
  })
  const stream = await a.libp2p.dialProtocol(b.libp2p.getMultiaddrs(), '/pieces')
  const message = messageOf(stream, pieces)
  assert.equal(ours(message), 3, 'libp2p has changed: pieces are copied for every write')
  stream.send(message)
  await until(() => received.length === whole.length, 'all has come')
  assert.deepEqual(Uint8Array.from(received), whole)
})

test('a stream that keeps no list gets one array, and one piece stays as it is', () => {
  const other: Pick<MessageStream, 'send'> = { send: () => true }
  const [first = assert.fail()] = pieces
  assert.deepEqual(messageOf(other, pieces), whole)
  assert.equal(messageOf(other, [first]), first)
})
