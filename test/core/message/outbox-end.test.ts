import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { wallMillis } from '../../../src/core/base/index.ts'
import { decodeBatch, decodeEnvelope } from '../../../src/core/message/index.ts'
import { epoch, instant } from './samples.ts'

import { diskFull, entryOf, Outbox, stored } from './outbox-harness.ts'

describe('outbox: the end', () => {
  it('of what was never sent is failed EXPIRED at its ttl', () => {
    const outbox = new Outbox()
    outbox.accept({ ttlS: 10 })
    outbox.advanceTo(outbox.now + 9_999)
    assert.deepEqual(outbox.states(), [])
    outbox.advanceTo(outbox.now + 1)
    outbox.settle()
    assert.deepEqual(outbox.states(), ['failed EXPIRED'])
    assert.equal(outbox.machine.counts.queued, 0)
  })

  it('of what was sent and not answered is expired-unknown, once a late receipt had its chance', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept({ ttlS: 10 })
    outbox.advanceTo(outbox.now + 29_999)
    assert.deepEqual(outbox.states(), ['sent'])
    outbox.advanceTo(outbox.now + 1)
    outbox.settle()
    assert.deepEqual(outbox.states(), ['sent', 'expired-unknown'])
  })

  it('makes room: what waited behind messages that expired under way is sent', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept({ id: 'a', ttlS: 5 })
    outbox.accept({ id: 'b', ttlS: 5 })
    outbox.accept({ id: 'c' })
    assert.equal(outbox.all('send').length, 2)
    outbox.advanceTo(outbox.now + 25_000)
    assert.equal(outbox.all('send').length, 3)
  })

  it('does not come sooner or later because the wall clock was set by ten years', () => {
    for (const jumpMs of [-315_360_000_000, 315_360_000_000]) {
      const before = new Outbox()
      before.accept({ ttlS: 100 })
      const at = instant(1_050_000, { wall: wallMillis(1_760_001_000_000 + jumpMs) })
      const outbox = new Outbox({ at, recovery: { epoch, pending: [...before.rows.values()].map(entryOf), sequences: [], retries: [] } })
      outbox.input({ type: 'start' })
      outbox.advanceTo(1_099_999)
      assert.equal(outbox.all('settle').length, 0)
      outbox.advanceTo(1_100_000)
      outbox.settle()
      assert.deepEqual(outbox.states(), ['failed EXPIRED'])
    }
  })

  it('keeps the recipient’s view of the age true when the wall clock was set', () => {
    const before = new Outbox()
    before.accept({ ttlS: 100 })
    const at = instant(1_050_000, { wall: wallMillis(4) })
    const outbox = new Outbox({ at, recovery: { epoch, pending: [...before.rows.values()].map(entryOf), sequences: [], retries: [] } })
    outbox.input({ type: 'start' })
    outbox.connect()
    outbox.settle()
    outbox.input({ type: 'loaded', token: outbox.last('load').token, rows: [...before.rows.values()] })
    const { header, envelopes } = decodeBatch(outbox.last('send').frame)
    assert.equal(header.sentAt - decodeEnvelope(envelopes[0] ?? new Uint8Array()).timestamp, 50_000)
  })

  it('by cancelling is told after its commit, and refused for what ended', () => {
    const outbox = new Outbox()
    outbox.accept()
    outbox.input({ type: 'cancel', call: 50, id: 'm-1' })
    assert.equal(outbox.all('cancelled').length, 0)
    outbox.input({ type: 'cancel', call: 51, id: 'm-1' })
    assert.equal(outbox.last('rejected').error.code, 'NOT_CANCELLABLE')
    outbox.settle()
    assert.equal(outbox.last('cancelled').call, 50)
    assert.deepEqual(outbox.states(), ['failed CANCELLED'])
    outbox.input({ type: 'cancel', call: 52, id: 'm-1' })
    outbox.input({ type: 'loaded', token: outbox.last('load').token, rows: [{ ...(outbox.rows.get('m-1') ?? assert.fail()), state: 'stored' }] })
    assert.equal(outbox.last('rejected').error.code, 'NOT_CANCELLABLE')
    outbox.input({ type: 'cancel', call: 53, id: 'nothing' })
    outbox.input({ type: 'loaded', token: outbox.last('load').token, rows: [] })
    assert.equal(outbox.last('rejected').error.code, 'MESSAGE_UNKNOWN')
  })

  it('waits for a full disk, and is told when it is written', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept()
    outbox.receive(stored)
    outbox.input({ type: 'settle-failed', token: outbox.last('settle').token, error: diskFull })
    assert.deepEqual(outbox.states(), ['sent'])
    assert.equal(decodeBatch(outbox.last('send').frame).header.floor, 1)
    outbox.advanceTo(outbox.now + 1_000)
    assert.equal(outbox.all('settle').length, 2)
    outbox.settle()
    assert.deepEqual(outbox.states(), ['sent', 'stored'])
  })

  it('does not send what a full disk could not mark as sent, until it can', () => {
    const outbox = new Outbox()
    outbox.accept()
    outbox.connect()
    outbox.input({ type: 'settle-failed', token: outbox.last('settle').token, error: diskFull })
    assert.equal(outbox.all('send').length, 0)
    outbox.advanceTo(outbox.now + 1_000)
    outbox.settle()
    if (outbox.all('load').length > 0) outbox.input({ type: 'loaded', token: outbox.last('load').token, rows: [...outbox.rows.values()] })
    assert.equal(outbox.all('send').length, 1)
  })

  it('leaves nothing behind in memory', () => {
    const outbox = new Outbox()
    outbox.connect()
    for (let round = 0; round < 200; round++) {
      outbox.commit(...Array.from({ length: 50 }, (_, index) => outbox.submit({ id: `r-${round}-${index}` })))
      outbox.receive(stored)
      outbox.settle()
      outbox.outputs.length = 0
    }
    assert.deepEqual(outbox.machine.counts, { queued: 0, direct: 0, bytes: 0, inFlight: 0 })
  })
})
