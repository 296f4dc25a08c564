import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { test } from 'node:test'
import type { InboxRow, OutboxRecovery, OutboxRow } from '../../src/core/message/index.ts'
import { StoreEngine } from '../../src/node/sqlite/engine.ts'
import { memoryPath } from '../../src/node/sqlite/open.ts'
import { migrate, migrations, schemaVersion } from '../../src/node/sqlite/schema.ts'
import { digestOf, seal } from '../../src/node/sqlite/seal.ts'
import { epochOf, generous, inbound, instant, keyOf, outboxRow, unread } from './messages.ts'
import { testStores } from './open-stores.ts'

/** What a node of the first release had in its store: one message that waits, one that was sent, a backoff, a message that arrived. */
function oldStore(database: DatabaseSync): void {
  for (const [number, state] of [
    [1, 'accepted'],
    [2, 'sent']
  ] as const) {
    const row = outboxRow(`old-${number}`, { sequence: number, state })
    const { id, destination, sequence, type, priority, ttlMs, accepted, envelope, digest, attempts, path, failure, settledMs } = row
    const scalars = [id, sequence, type, priority, ttlMs, accepted.bootId, accepted.monotonic, accepted.wall]
    database
      .prepare(
        `INSERT INTO outbox (id, destination, sequence, type, priority, ttl_ms, accepted_boot, accepted_monotonic, accepted_wall, envelope, digest, bytes, seal,
          state, attempts, path, failure, settled_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
      )
      .run(
        ...[id, destination, sequence, type, priority, ttlMs, accepted.bootId, accepted.monotonic, accepted.wall, envelope, digest, envelope.length],
        ...[seal({ scalars, bytes: [destination, digest, digestOf(envelope)] }), state, attempts, path, failure, settledMs]
      )
  }
  const insert = database.prepare(
    'INSERT INTO destinations (destination, sequence, attempts, retry_boot, retry_monotonic, retry_wall) VALUES (?, ?, ?, ?, ?, ?)'
  )
  const { bootId, monotonic, wall } = instant(9)
  insert.run(keyOf('destination'), 2, 3, bootId, monotonic, wall)
  insert.run(keyOf('never tried'), 7, 0, null, null, null)
  insert.run(keyOf('never sent to'), 0, 1, bootId, monotonic, wall)
  oldInbox(database)
}

function oldInbox(database: DatabaseSync): void {
  const { source, epoch, sequence, id, type, priority, ttlMs, received, digest, envelope, proof } = inbound('in-1', 4)
  const scalars = [id, sequence, type, priority, ttlMs, received.bootId, received.monotonic, received.wall]
  database.prepare('INSERT INTO sources (source_id, key, messages, bytes, used) VALUES (1, ?, 1, ?, 1)').run(source, envelope.length)
  database.prepare('INSERT INTO epochs (epoch_id, source_id, epoch, floor, used) VALUES (1, 1, ?, 1, 1)').run(epochOf('first'))
  assert.deepEqual(epoch, epochOf('first'))
  database
    .prepare(
      `INSERT INTO inbox (position, source_id, epoch_id, sequence, id, type, priority, ttl_ms, received_boot, received_monotonic, received_wall, digest, seal, bytes,
        envelope, proof, state) VALUES (1, 1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'unread')`
    )
    .run(
      ...[sequence, id, type, priority, ttlMs, received.bootId, received.monotonic, received.wall, digest],
      ...[seal({ scalars, bytes: [source, epoch, digest] }), envelope.length, envelope, proof]
    )
  database.exec(`UPDATE totals SET position = 1, unread = 1, bytes = ${envelope.length}, used = 1`)
}

test('what a node of the first release has in its store goes on directly: messages, sequences, backoff and inbox are all there', (t) => {
  const database = new DatabaseSync(memoryPath)
  t.after(() => database.close())
  migrate(database, 'mesh.db', migrations.slice(0, 1))
  oldStore(database)
  migrate(database, 'mesh.db')
  assert.equal(schemaVersion(database), migrations.length)
  const found = new StoreEngine(database, memoryPath).run([
    { number: 1, name: 'recoverOutbox', args: undefined },
    { number: 2, name: 'loadOutbox', args: ['old-1'] },
    { number: 3, name: 'listInbox', args: unread }
  ])
  assert.deepEqual(found.findings, [])
  const [recovered, loaded, listed] = found.replies.map((reply) => (reply.ok ? reply.value : assert.fail(reply.error.code))) as [
    OutboxRecovery,
    readonly OutboxRow[],
    readonly InboxRow[]
  ]
  assert.deepEqual(
    recovered.pending.map(({ id, via, sequence, state }) => [id, via, sequence, state]),
    [
      ['old-1', 'direct', 1, 'accepted'],
      ['old-2', 'direct', 2, 'sent']
    ]
  )
  const bySequence = recovered.sequences.toSorted((a, b) => a.sequence - b.sequence)
  assert.deepEqual(bySequence, [
    { destination: keyOf('destination'), sequence: 2 },
    { destination: keyOf('never tried'), sequence: 7 }
  ])
  assert.deepEqual(
    new Set(recovered.retries),
    new Set([
      { destination: keyOf('destination'), via: 'direct', attempts: 3, lastAttempt: instant(9) },
      { destination: keyOf('never sent to'), via: 'direct', attempts: 1, lastAttempt: instant(9) }
    ])
  )
  assert.deepEqual(loaded, [outboxRow('old-1', { sequence: 1 })])
  assert.deepEqual(
    listed.map(({ id, via, position }) => [id, via, position]),
    [['in-1', 'direct', 1]]
  )
})

test('a route that is no route any more is damage: the message is not sent either way', async (t) => {
  const { stores, folder, reopen } = await testStores(t)
  await stores.deliveryStore.enqueue(outboxRow('hidden', { via: 'onion' }))
  await stores.deliveryStore.saveRetry({ destination: keyOf('destination'), via: 'onion', attempts: 3, lastAttempt: instant(9) })
  await stores.deliveryStore.admit([inbound('in-1', 1, { via: 'onion' })], 1, generous)
  await stores.close()
  const database = new DatabaseSync(join(folder, 'mesh.db'))
  database.exec("UPDATE outbox SET via = 'onioo'; UPDATE inbox SET via = 'onioo'; UPDATE retries SET via = 'onioo'")
  database.close()
  const { deliveryStore } = await reopen()
  const { pending, retries } = await deliveryStore.recoverOutbox()
  assert.deepEqual([pending, retries], [[], []])
  assert.deepEqual(await deliveryStore.loadOutbox(['hidden']), [])
  assert.deepEqual(await deliveryStore.listInbox(unread), [])
})
