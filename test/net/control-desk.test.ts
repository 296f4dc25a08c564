import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import { encodeEnvelope, type InboxRow } from '../../src/core/message/index.ts'
import { ControlDesk } from '../../src/mesh/groups/control-desk.ts'
import { Tracker } from '../../src/mesh/tracker.ts'

const type = 'application/vnd.synaptic-mesh.test+cbor'
const key = new Uint8Array(32).fill(1)

function row(id: string, contentType = type): InboxRow {
  const principal = { kind: 'peer', key, label: '' } as const
  const fields = { id, type: 'SwarmSync', source: principal, destination: principal, inReplyTo: undefined, expectsReply: false, priority: 9 } as const
  const envelope = encodeEnvelope({
    ...fields,
    version: 1,
    epoch: new Uint8Array(16),
    sequence: 1,
    ttlS: 60,
    timestamp: wallMillis(1),
    contentType,
    body: new Uint8Array()
  })
  return { id, source: key, envelope } as InboxRow
}

/** A desk over an inbox of these rows; what is acknowledged leaves it. */
function deskOver(rows: InboxRow[]) {
  const refused: string[] = []
  const failures: string[] = []
  const retries: (() => void)[] = []
  const tracker = new Tracker((_, error) => failures.push(error.code))
  const desk = new ControlDesk({
    platform: {
      deliveryStore: { listInbox: ({ control }: { readonly control?: boolean }) => Promise.resolve(control === true ? [...rows] : []) } as never,
      timers: { schedule: (_, run) => (retries.push(run), () => undefined) }
    },
    delivery: {
      ack: (messages) => {
        for (const { id } of messages)
          rows.splice(
            rows.findIndex((each) => each.id === id),
            1
          )
        return Promise.resolve([])
      }
    },
    tracker,
    onRefused: (_, error) => refused.push(error.code)
  })
  return { desk, tracker, refused, failures, retries, rows }
}

test('each word is handled in the order of its arrival, and acknowledged when it was', async () => {
  const { desk, tracker, rows } = deskOver([row('a'), row('b'), row('c')])
  const seen: string[] = []
  desk.assign(type, async ({ envelope }) => void seen.push(`${envelope.id} of ${rows.length}`))
  desk.poke()
  desk.poke()
  await tracker.settle()
  assert.deepEqual(seen, ['a of 3', 'b of 3', 'c of 3'])
  assert.equal(rows.length, 0)
})

test('a word that is wrong is counted and forgotten, and so is one of a kind that is not known; those behind them are handled', async () => {
  const { desk, tracker, rows, refused } = deskOver([row('wrong'), row('unknown', 'application/vnd.synaptic-mesh.later'), row('right')])
  const seen: string[] = []
  desk.assign(type, async ({ envelope }) => {
    if (envelope.id === 'wrong') throw new MeshError('SIGNATURE_INVALID', { what: 'a record' })
    seen.push(envelope.id)
  })
  desk.poke()
  await tracker.settle()
  assert.deepEqual([seen, refused, rows.length], [['right'], ['SIGNATURE_INVALID'], 0])
})

test('what the disk holds up stays in the inbox, with all behind it, and is tried again', async () => {
  const { desk, tracker, rows, failures, refused, retries } = deskOver([row('a'), row('b'), row('c')])
  const seen: string[] = []
  let isFull = true
  desk.assign(type, async ({ envelope }) => {
    if (isFull && envelope.id === 'b') throw new MeshError('DISK_FULL')
    seen.push(envelope.id)
  })
  desk.poke()
  await tracker.settle()
  assert.deepEqual([seen, rows.map(({ id }) => id), failures, refused], [['a'], ['b', 'c'], ['DISK_FULL'], []])
  isFull = false
  retries.at(-1)?.()
  await tracker.settle()
  assert.deepEqual([seen, rows.length], [['a', 'b', 'c'], 0])
  desk.stop()
  desk.poke()
  await tracker.settle()
})
