import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Claims } from '../../src/daemon/claims.ts'
import { startRig } from './harness.ts'

const message = (id: string, position: number, delivery: 'durable' | 'volatile' = 'durable') => ({
  ...{ id, position, delivery },
  source: { peerId: 'p', name: 'p' }
})

test('a message is in one hand at a time, under each name by itself, until it is done or its holder is gone', () => {
  const claims = new Claims()
  const [one, two] = [{}, {}]
  assert.equal(claims.claim(one, '', message('m', 1)), true)
  assert.equal(claims.claim(two, '', message('m', 1)), false)
  assert.equal(claims.claim(one, '', message('m', 1)), false)
  assert.equal(claims.claim(two, 'named', message('m', 1)), true)
  claims.done('', message('m', 1))
  assert.equal(claims.claim(two, '', message('m', 1)), true)
  const released: number[] = []
  claims.onReleased((position) => released.push(position))
  claims.claim(two, '', message('later', 9))
  claims.release(two)
  claims.release(two)
  assert.deepEqual(released, [1])
  assert.equal(claims.claim(one, '', message('later', 9)), true)
})

test('a volatile message goes to one holder, and what is remembered of them is bounded', () => {
  const claims = new Claims()
  assert.equal(claims.claim({}, '', message('v', 0, 'volatile')), true)
  assert.equal(claims.claim({}, '', message('v', 0, 'volatile')), false)
  for (let index = 0; index < 1_000; index++) claims.claim({}, '', message(`v${index}`, 0, 'volatile'))
  assert.equal(claims.claim({}, '', message('v', 0, 'volatile')), true)
})

test('callers that claim share what is there, and what one left goes to the other', async (t) => {
  const { client, mesh } = await startRig(t)
  for (let index = 1; index <= 4; index++) mesh.receive({ id: `m${index}` })
  const first = new AbortController()
  const taken = client.stream('listen', { claim: true }, { signal: first.signal })
  assert.equal((await taken.next()).value?.id, 'm1')
  const second = new AbortController()
  const others = client.stream('listen', { claim: true }, { signal: second.signal })
  const next = others.next()
  // Both are there: what arrives now goes to one of them.
  await client.call('inboxAck', { id: ['m1'] })
  const released = once(first.signal, 'abort')
  first.abort()
  await released
  await taken.next().catch(() => undefined)
  const seen = [(await next).value?.id]
  while (seen.length < 3) seen.push((await others.next()).value?.id)
  assert.deepEqual(seen, ['m2', 'm3', 'm4'])
  second.abort()
})

test('who does not claim gets what others have in hand', async (t) => {
  const { client, mesh } = await startRig(t)
  mesh.receive({ id: 'm1' })
  const ended = new AbortController()
  const claiming = client.stream('listen', { claim: true }, { signal: ended.signal })
  assert.equal((await claiming.next()).value?.id, 'm1')
  for await (const { id } of client.stream('listen', { once: true })) assert.equal(id, 'm1')
  ended.abort()
})
