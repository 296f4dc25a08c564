import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MeshError } from '../../../src/core/base/index.ts'
import { type OutboxEntry } from '../../../src/core/message/index.ts'
import { bob, carol } from './samples.ts'

import { diskFull, entryOf, Outbox, stored } from './outbox-harness.ts'

describe('outbox: accepting', () => {
  it('says submitted only after the commit', () => {
    const outbox = new Outbox()
    const call = outbox.submit()
    assert.deepEqual(
      outbox.fresh().map(({ type }) => type),
      ['enqueue']
    )
    outbox.commit(call)
    assert.equal(outbox.last('submitted').entry.state, 'accepted')
  })

  it('counts sequences for each destination from 1', () => {
    const outbox = new Outbox()
    for (const id of ['a', 'b', 'c']) outbox.accept({ id })
    outbox.accept({ id: 'd', destination: { kind: 'peer', key: carol.publicKey, label: '' } })
    assert.deepEqual(
      outbox.all('enqueue').map(({ row }) => row.sequence),
      [1, 2, 3, 1]
    )
  })

  it('takes the same id with the same content as the same message, and refuses it with another', () => {
    const outbox = new Outbox()
    const first = outbox.submit()
    const again = outbox.submit()
    assert.equal(outbox.all('enqueue').length, 1)
    outbox.commit(first)
    assert.deepEqual(
      outbox.all('submitted').map(({ call, duplicate }) => [call, duplicate]),
      [
        [first, false],
        [again, true]
      ]
    )
    outbox.submit({ body: new Uint8Array(3) })
    assert.equal(outbox.last('rejected').error.code, 'ID_CONFLICT')
    outbox.submit({ priority: 1 })
    assert.equal(outbox.last('submitted').duplicate, true)
  })

  it('passes on what the store says of an id that it knows', () => {
    const outbox = new Outbox()
    const conflict = outbox.submit()
    outbox.input({ type: 'enqueued', results: [{ call: conflict, outcome: { outcome: 'conflict' } }] })
    assert.equal(outbox.last('rejected').error.code, 'ID_CONFLICT')
    const repeat = outbox.submit()
    const row: OutboxEntry = { ...entryOf(outbox.last('enqueue').row), state: 'read', sequence: 77 }
    outbox.input({ type: 'enqueued', results: [{ call: repeat, outcome: { outcome: 'duplicate', row } }] })
    assert.deepEqual(outbox.last('submitted'), { type: 'submitted', call: repeat, entry: row, duplicate: true })
    assert.deepEqual(outbox.machine.counts, { queued: 0, direct: 0, bytes: 0, inFlight: 0 })
    // The numbers of both were free again.
    outbox.accept({ id: 'next' })
    assert.equal(outbox.last('enqueue').row.sequence, 1)
  })

  it('refuses over its quota of messages and of bytes, and takes more once some were delivered', () => {
    const outbox = new Outbox({ maxMessages: 2 })
    outbox.accept({ id: 'a' })
    outbox.accept({ id: 'b' })
    outbox.submit({ id: 'c' })
    assert.equal(outbox.last('rejected').error.code, 'QUOTA')
    outbox.connect()
    outbox.settle()
    outbox.receive(stored)
    outbox.settle()
    outbox.accept({ id: 'c' })
    assert.equal(outbox.last('submitted').entry.id, 'c')
    const small = new Outbox({ maxBytes: 10 })
    small.submit({ body: new Uint8Array(11) })
    assert.equal(small.last('rejected').error.code, 'QUOTA')
  })

  it('rejects a submit that the disk has no room for, and keeps nothing of it', () => {
    const outbox = new Outbox()
    const call = outbox.submit()
    outbox.input({ type: 'enqueue-failed', call, error: diskFull })
    assert.equal(outbox.last('rejected').error.code, 'DISK_FULL')
    assert.equal(outbox.machine.counts.queued, 0)
    outbox.accept()
    assert.equal(outbox.last('submitted').entry.id, 'm-1')
  })

  it('does nothing more once the store has failed', () => {
    const outbox = new Outbox()
    outbox.accept()
    outbox.connect()
    outbox.input({ type: 'settle-failed', token: outbox.last('settle').token, error: new MeshError('STORE_FAILED', { reason: 'fsync' }) })
    outbox.fresh()
    outbox.input({ type: 'receipts', source: bob.publicKey, frame: new Uint8Array() })
    outbox.submit({ id: 'x' })
    assert.deepEqual(
      outbox.fresh().map((output) => (output.type === 'rejected' ? output.error.code : output.type)),
      ['STORE_FAILED']
    )
    assert.equal(outbox.machine.wakeAt, undefined)
  })
})
