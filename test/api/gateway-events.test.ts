import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { operations } from '../../src/api/index.ts'
import { MeshError } from '../../src/core/base/index.ts'
import { EventReader } from './gateway-support.ts'
import { raw, startRig } from './harness.ts'

const idsOf = (events: readonly { readonly event: string; readonly data: unknown }[]): readonly unknown[] =>
  events.flatMap(({ event, data }) => (event === 'message' && typeof data === 'object' && data !== null && 'id' in data ? [data.id] : []))

test('a reader hears of messages, of the outbox and of peers, each in the shape of the schema, with a cursor', async (t) => {
  const rig = await startRig(t)
  const reader = new EventReader(t, rig.port, { token: rig.token('read') })
  await reader.until('live')
  assert.match(reader.head, /content-type: text\/event-stream/i)
  assert.match(reader.head, /nosniff/)
  rig.mesh.receive({ id: 'a', body: new TextEncoder().encode('two\nlines \u2028 and\r\nevent: forged\n\n') })
  rig.mesh.emit('outbox', await rig.mesh.send('agent-001', 'x'))
  rig.mesh.emit('peer', { type: 'connected', peer: await rig.mesh.peer('agent-002') })
  const schema = operations.events.output(z)
  for (const wanted of ['message', 'outbox', 'peer']) {
    const { event, id, data } = await reader.next()
    assert.equal(event, wanted)
    assert.doesNotThrow(() => schema.parse({ event, cursor: id, data }))
  }
  assert.equal((await rig.client.call('inboxList', {})).messages[0]?.redelivered, false)
})

test('a reader that comes back with its cursor goes on where it was, by header or query, and misses nothing', async (t) => {
  const rig = await startRig(t)
  const token = rig.token('read')
  const first = new EventReader(t, rig.port, { token })
  await first.until('live')
  rig.mesh.receive({ id: 'a' })
  const { id } = await first.next()
  first.close()
  rig.mesh.receive({ id: 'b' })
  rig.mesh.receive({ id: 'c' })
  for (const back of [{ lastEventId: id, query: '?after=0' }, { query: `?after=${id}` }]) {
    const again = new EventReader(t, rig.port, { token, ...back })
    const events = [...(await again.until('live')), await again.next(), await again.next()]
    assert.deepEqual(
      [events.map(({ event }) => event), idsOf(events)],
      [
        ['live', 'message', 'message'],
        ['b', 'c']
      ]
    )
  }
})

test('after 0 the unread messages come first; a cursor of an earlier run is told missed, and the messages behind it come', async (t) => {
  const rig = await startRig(t)
  const token = rig.token('read')
  for (const id of ['a', 'b', 'c']) rig.mesh.receive({ id })
  const begin = await new EventReader(t, rig.port, { token, query: '?after=0' }).until('live')
  assert.deepEqual(
    [begin.map(({ event }) => event), idsOf(begin)],
    [
      ['message', 'message', 'message', 'live'],
      ['a', 'b', 'c']
    ]
  )
  const restarted = await new EventReader(t, rig.port, { token, lastEventId: 'aaaaaaaa.57.1' }).until('live')
  assert.deepEqual(restarted[0]?.data, { reason: 'restarted' })
  assert.deepEqual(idsOf(restarted), ['b', 'c'])
  // Whoever left in the middle of that goes on there.
  const middle = restarted[1]?.id ?? ''
  const rest = await new EventReader(t, rig.port, { token, lastEventId: middle }).until('live')
  assert.deepEqual(idsOf(rest), ['c'])
})

test('a reader that takes nothing is told how much it missed, and gets the messages all the same; memory stays bounded', async (t) => {
  const rig = await startRig(t)
  const slow = new EventReader(t, rig.port, { token: rig.token('read') })
  await slow.until('live')
  slow.pause()
  const body = new Uint8Array(65_536).fill(0x61)
  const count = 600
  for (let index = 0; index < count; index++) {
    rig.mesh.receive({ id: `m${index}`, body })
    if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  rig.mesh.receive({ id: 'last' })
  slow.resume()
  const seen: unknown[] = []
  let missed = 0
  while (seen.at(-1) !== 'last') {
    const told = await slow.next()
    if (told.event === 'missed') missed++
    seen.push(...idsOf([told]))
  }
  assert.ok(missed > 0)
  assert.deepEqual(seen, [...Array.from({ length: count }, (_, index) => `m${index}`), 'last'])
  const { text } = await rig.client.call('metrics', {})
  assert.match(text, /synaptic_mesh_api_missed_events_total [1-9]/)
})

test('only the events that are asked for come, as many as are asked for', async (t) => {
  const rig = await startRig(t)
  const reader = new EventReader(t, rig.port, { token: rig.token('read'), query: '?event=outbox&count=2' })
  await reader.until('live')
  rig.mesh.receive({ id: 'a' })
  const report = await rig.mesh.send('agent-001', 'x')
  rig.mesh.emit('outbox', report)
  rig.mesh.emit('outbox', report)
  assert.deepEqual([(await reader.next()).event, (await reader.next()).event], ['outbox', 'outbox'])
  await reader.closed()
})

test('over the socket the events are lines of JSON, and what is no cursor is refused before anything is sent', async (t) => {
  const rig = await startRig(t)
  rig.mesh.receive({ id: 'a' })
  const items: string[] = []
  for await (const item of rig.client.stream('events', { after: '0', count: 1 })) items.push(item.event)
  assert.deepEqual(items, ['message'])
  for (const after of ['1', 'x', '..', 'aaaaaaaa.1', 'aaaaaaaa.1.2.3', 'AAAAAAAA.1.2'])
    await assert.rejects(
      async () => {
        for await (const _item of rig.client.stream('events', { after })) assert.fail(after)
      },
      (error) => error instanceof MeshError && error.code === 'OPTION_INVALID'
    )
  const request = `GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nAuthorization: Bearer ${rig.token('read')}\r\nLast-Event-ID: ${'x'.repeat(99)}\r\n\r\n`
  assert.equal((await raw({ port: rig.port }, request)).status, 400)
})

test('there are so many readers and no more, and each that goes makes room', async (t) => {
  const rig = await startRig(t)
  const token = rig.token('read')
  const readers = await Promise.all(
    Array.from({ length: 64 }, async () => {
      const reader = new EventReader(t, rig.port, { token })
      await reader.until('live')
      return reader
    })
  )
  const request = `GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nAuthorization: Bearer ${token}\r\n\r\n`
  const { status, text } = await raw({ port: rig.port }, request)
  assert.equal(status, 503)
  assert.match(text, /GATEWAY_BUSY/)
  readers[0]?.close()
  for (;;) if ((await raw({ port: rig.port }, request, 200)).status === 200) break
})
