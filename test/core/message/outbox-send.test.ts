import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeBatch, messageLimits } from '../../../src/core/message/index.ts'
import { bob, epoch } from './samples.ts'

import { entryOf, Outbox, type Output, sequencesOf, stored } from './outbox-harness.ts'

describe('outbox: sending', () => {
  it('asks for a connection once, marks as sent, sends, and tells stored after its own commit', () => {
    const outbox = new Outbox()
    outbox.accept()
    outbox.accept({ id: 'm-2' })
    assert.equal(outbox.all('connect').length, 1)
    outbox.connect()
    assert.deepEqual(
      outbox.last('settle').changes.map(({ id, state }) => [id, state]),
      [
        ['m-1', 'sent'],
        ['m-2', 'sent']
      ]
    )
    assert.equal(outbox.all('send').length, 0)
    outbox.settle()
    assert.equal(outbox.last('send').messages, 2)
    outbox.receive(stored)
    assert.deepEqual(outbox.states(), ['sent'])
    outbox.settle()
    assert.deepEqual(outbox.states(), ['sent', 'stored'])
    assert.equal(outbox.machine.counts.queued, 0)
  })

  it('with a stream at hand writes the message as sent right away, and sends after that commit', () => {
    const outbox = new Outbox()
    outbox.connect()
    const call = outbox.submit()
    assert.equal(outbox.last('enqueue').row.state, 'sent')
    assert.equal(outbox.all('send').length, 0)
    outbox.commit(call)
    assert.equal(outbox.last('submitted').entry.state, 'accepted')
    assert.equal(outbox.all('send').length, 1)
    assert.equal(outbox.all('settle').length, 0)
  })

  it('says accepted again of what was written as sent and never was', () => {
    const outbox = new Outbox()
    outbox.connect()
    const call = outbox.submit()
    outbox.input({ type: 'disconnected', destination: bob.publicKey, via: 'direct', link: 1 })
    outbox.commit(call)
    outbox.connect(2)
    outbox.advanceTo(outbox.now + 1_000)
    // Sent over the new stream: fine either way. Now one that waits in the queue when the stream goes.
    const waiting = new Outbox()
    waiting.connect()
    const calls = Array.from({ length: 3 }, (_, index) => waiting.submit({ id: `x-${index}` }))
    for (const each of calls) waiting.commit(each)
    assert.equal(waiting.all('send').length, 2)
    waiting.input({ type: 'disconnected', destination: bob.publicKey, via: 'direct', link: 1 })
    assert.deepEqual(
      waiting.last('settle').changes.map(({ id, state }) => [id, state]),
      [['x-2', 'accepted']]
    )
  })

  it('sends higher priorities first, then in the order of acceptance', () => {
    const outbox = new Outbox()
    for (const [index, priority] of [3, 9, 3, 10, 9].entries()) outbox.accept({ id: `p-${index}`, priority })
    outbox.connect()
    outbox.settle()
    assert.deepEqual(sequencesOf(outbox.last('send').frame), [4, 2, 5, 1, 3])
  })

  it('fills batches to 256 messages or 256 KiB, and a large message travels alone', () => {
    const outbox = new Outbox()
    outbox.commit(...Array.from({ length: 600 }, (_, index) => outbox.submit({ id: `s-${index}` })))
    outbox.connect()
    outbox.settle()
    assert.deepEqual(
      outbox.all('send').map(({ messages }) => messages),
      [256, 256]
    )
    const large = new Outbox()
    for (const id of ['a', 'b']) large.accept({ id, body: new Uint8Array(messageLimits.bodyBytes) })
    large.connect()
    large.settle()
    assert.deepEqual(
      large.all('send').map(({ messages }) => messages),
      [1, 1]
    )
    for (const { frame } of large.all('send')) assert.ok(frame.length <= messageLimits.frameBytes)
  })

  it('keeps at most 4,096 messages or about 4 MiB under way without a receipt', () => {
    const outbox = new Outbox()
    outbox.commit(...Array.from({ length: 6_000 }, (_, index) => outbox.submit({ id: `s-${index}` })))
    outbox.connect()
    outbox.settle()
    assert.equal(outbox.machine.counts.inFlight, 4_096)
    const wide = new Outbox()
    wide.commit(...Array.from({ length: 12 }, (_, index) => wide.submit({ id: `s-${index}`, body: new Uint8Array(1_000_000) })))
    wide.connect()
    wide.settle()
    assert.ok(wide.machine.counts.inFlight <= 5)
    for (let round = 0; wide.machine.counts.queued > 0; round++) {
      assert.ok(round < 20)
      for (const { frame } of wide.fresh().filter(({ type }) => type === 'send') as readonly Output<'send'>[]) wide.receive(stored, frame)
      for (const { token } of wide.fresh().filter(({ type }) => type === 'settle') as readonly Output<'settle'>[])
        wide.input({ type: 'settled', token })
      for (const output of wide.all('load'))
        wide.input({ type: 'loaded', token: output.token, rows: output.ids.flatMap((id) => wide.rows.get(id) ?? []) })
    }
  })

  it('gathers what is accepted while two small batches are under way', () => {
    const outbox = new Outbox()
    outbox.connect()
    for (let index = 0; index < 50; index++) outbox.accept({ id: `s-${index}` })
    assert.deepEqual(
      outbox.all('send').map(({ messages }) => messages),
      [1, 1]
    )
    outbox.receive(stored)
    assert.equal(outbox.last('send').messages, 48)
  })
})

describe('outbox: floor and store', () => {
  it('signs the lowest sequence that has not ended as its floor, and only after the end is committed', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept({ id: 'a' })
    outbox.receive(stored)
    outbox.accept({ id: 'b' })
    assert.equal(decodeBatch(outbox.last('send').frame).header.floor, 1)
    outbox.settle()
    outbox.accept({ id: 'c' })
    assert.equal(decodeBatch(outbox.last('send').frame).header.floor, 2)
  })

  it('never sends a sequence that the recipient would refuse for being too far ahead', () => {
    const before = new Outbox()
    before.accept({ id: 'stuck', priority: 0 })
    const [stuck] = before.rows.values()
    const recovery = {
      epoch,
      pending: [entryOf(stuck ?? assert.fail())],
      sequences: [{ destination: bob.publicKey, sequence: messageLimits.sequenceWindow - 10 }],
      retries: []
    }
    const outbox = new Outbox({ recovery })
    outbox.commit(...Array.from({ length: 30 }, (_, index) => outbox.submit({ id: `far-${index}` })))
    outbox.connect()
    outbox.settle()
    outbox.input({ type: 'loaded', token: outbox.last('load').token, rows: stuck === undefined ? [] : [stuck] })
    assert.equal(outbox.last('send').messages, 11)
    assert.equal(Math.max(...sequencesOf(outbox.last('send').frame)), messageLimits.sequenceWindow)
    // Everything that was sent ends; the floor rises when that is committed, and the rest follows.
    outbox.receive(stored)
    assert.equal(outbox.all('send').length, 1)
    outbox.settle()
    outbox.settle()
    assert.equal(outbox.last('send').messages, 20)
  })

  it('loads what it does not hold in memory, and ends what has vanished from the store', () => {
    const first = new Outbox()
    first.accept({ id: 'kept' })
    first.accept({ id: 'gone' })
    const rows = [...first.rows.values()]
    const later = new Outbox({
      recovery: { epoch, pending: rows.map(entryOf), sequences: [{ destination: bob.publicKey, sequence: 2 }], retries: [] }
    })
    later.input({ type: 'start' })
    later.connect()
    later.settle()
    const load = later.last('load')
    assert.deepEqual(load.ids, ['kept', 'gone'])
    later.input({ type: 'loaded', token: load.token, rows: rows.slice(0, 1) })
    assert.deepEqual(sequencesOf(later.last('send').frame), [1])
    later.settle()
    assert.deepEqual(later.states('gone'), ['failed STATE_CORRUPT'])
  })
})
