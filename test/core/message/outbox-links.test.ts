import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../../src/core/base/index.ts'
import { decodeBatch } from '../../../src/core/message/index.ts'
import { bob, carol, epoch, instant } from './samples.ts'

import { entryOf, Outbox, sequencesOf, stored } from './outbox-harness.ts'

describe('outbox: lost connections', () => {
  it('sends again over the next stream what has no receipt, the same bytes with a new signature', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept()
    const first = decodeBatch(outbox.last('send').frame)
    outbox.input({ type: 'disconnected', destination: bob.publicKey, via: 'direct', link: 1 })
    outbox.advanceTo(outbox.now + 600)
    assert.equal(outbox.all('connect').length, 1)
    outbox.connect(2)
    const load = outbox.last('load')
    outbox.input({ type: 'loaded', token: load.token, rows: [...outbox.rows.values()] })
    const second = decodeBatch(outbox.last('send').frame)
    assert.deepEqual(second.envelopes.map(toHex), first.envelopes.map(toHex))
    assert.notEqual(toHex(second.signature), toHex(first.signature))
    assert.equal(outbox.last('send').link, 2)
  })

  it('waits longer after each failure, at most a minute, and saves how often it failed', () => {
    const outbox = new Outbox()
    outbox.accept({ ttlS: 2_592_000 })
    for (let failures = 1; failures <= 40; failures++) {
      outbox.input({ type: 'unreachable', destination: bob.publicKey, via: 'direct' })
      assert.equal(outbox.last('save-retry').retry.attempts, failures)
      const before = outbox.now
      while (outbox.all('connect').length <= failures) outbox.wake()
      assert.ok(outbox.now - before <= Math.min(60_000, 500 * 2 ** (failures - 1)))
    }
  })

  it('does not forget its failures because of a connection without a receipt', () => {
    const outbox = new Outbox()
    outbox.accept()
    for (let link = 1; link <= 6; link++) {
      outbox.connect(link)
      outbox.input({ type: 'disconnected', destination: bob.publicKey, via: 'direct', link })
      while (outbox.all('connect').length <= link) outbox.wake()
    }
    assert.equal(outbox.last('save-retry').retry.attempts, 6)
    outbox.connect(9)
    outbox.settle()
    const load = outbox.last('load')
    outbox.input({ type: 'loaded', token: load.token, rows: [...outbox.rows.values()] })
    outbox.receive(stored)
    assert.equal(outbox.last('save-retry').retry.attempts, 0)
  })

  it('goes on with the backoff of the process before', () => {
    const before = new Outbox()
    before.accept()
    const pending = [...before.rows.values()].map(entryOf)
    const retries = [{ destination: bob.publicKey, via: 'direct', attempts: 12, lastAttempt: instant(1_000_000) } as const]
    const outbox = new Outbox({ recovery: { epoch, pending, sequences: [], retries } })
    outbox.input({ type: 'start' })
    assert.equal(outbox.all('connect').length, 0)
    assert.ok((outbox.machine.wakeAt ?? 0) > outbox.now)
    outbox.input({ type: 'unreachable', destination: bob.publicKey, via: 'direct' })
    outbox.advanceTo(outbox.now + 60_000)
    assert.equal(outbox.all('connect').length, 1)
  })

  it('tries at once when the peer is known to be there, or when it is told to', () => {
    const outbox = new Outbox()
    outbox.accept()
    for (let failures = 0; failures < 10; failures++) {
      outbox.input({ type: 'unreachable', destination: bob.publicKey, via: 'direct' })
      const before = outbox.all('connect').length
      if (failures % 2 === 0) outbox.input({ type: 'reachable', destination: bob.publicKey, via: 'direct' })
      else outbox.input({ type: 'retry', call: 100 + failures, id: undefined })
      assert.equal(outbox.all('connect').length, before + 1)
    }
    assert.equal(outbox.last('retried').count, 1)
    outbox.input({ type: 'reachable', destination: carol.publicKey, via: 'direct' })
    assert.equal(outbox.last('save-retry').retry.attempts, 10)
  })

  it('takes an attempt to connect that is never answered as a failure, after a minute', () => {
    const outbox = new Outbox()
    outbox.accept()
    outbox.advanceTo(outbox.now + 59_999)
    assert.equal(outbox.all('save-retry').length, 0)
    outbox.advanceTo(outbox.now + 501)
    assert.equal(outbox.last('save-retry').retry.attempts, 1)
    assert.equal(outbox.all('connect').length, 2)
  })

  it('resets a stream over which no receipt came for 30 s, and sends again', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept()
    outbox.advanceTo(outbox.now + 29_999)
    assert.equal(outbox.all('reset').length, 0)
    outbox.advanceTo(outbox.now + 1)
    assert.deepEqual(
      outbox.all('reset').map(({ link }) => link),
      [1]
    )
    outbox.advanceTo(outbox.now + 500)
    assert.equal(outbox.all('connect').length, 1)
  })

  it('does not reset a slow stream as long as some receipts come', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept({ id: 'slow' })
    for (let index = 0; index < 6; index++) {
      outbox.advanceTo(outbox.now + 20_000)
      outbox.accept({ id: `m-${index}` })
      outbox.receive(stored)
    }
    assert.equal(outbox.all('reset').length, 0)
    outbox.advanceTo(outbox.now + 30_000)
    assert.equal(outbox.all('reset').length, 1)
  })
})

describe('outbox: a link that carries so much only', () => {
  const body = (length: number): { readonly body: Uint8Array } => ({ body: new Uint8Array(length) })

  it('passes by a message that is too large for it, which goes over the next one that can', () => {
    const outbox = new Outbox()
    outbox.connect(1, 10_000)
    outbox.accept(body(20_000))
    outbox.accept({ ...body(100), id: 'm-2' })
    assert.deepEqual(
      outbox.all('send').map(({ frame }) => sequencesOf(frame)),
      [[2]]
    )
    assert.deepEqual(outbox.states('m-1'), [], 'nobody is told that it was sent')
    assert.equal(outbox.rows.get('m-1')?.state, 'accepted')
    outbox.receive(stored)
    outbox.settle()
    outbox.connect(2)
    outbox.settle()
    const load = outbox.all('load').at(-1)
    if (load !== undefined) outbox.input({ type: 'loaded', token: load.token, rows: [...outbox.rows.values()] })
    assert.deepEqual(sequencesOf(outbox.last('send').frame), [1])
    assert.equal(outbox.last('send').link, 2)
  })

  it('has no more under way on it, without receipts, than it carries', () => {
    const outbox = new Outbox()
    outbox.connect(1, 6_000)
    for (let index = 0; index < 2; index++) outbox.accept({ ...body(4_000), id: `m-${index}` })
    const sent = (): unknown => outbox.all('send').map(({ frame }) => sequencesOf(frame))
    assert.deepEqual(sent(), [[1]])
    outbox.receive(stored)
    outbox.settle()
    outbox.settle()
    assert.deepEqual(sent(), [[1], [2]])
  })

  it('lets a message that never fits expire as one that was never sent', () => {
    const outbox = new Outbox()
    outbox.connect(1, 1_000)
    outbox.accept({ ...body(20_000), ttlS: 60 })
    outbox.advanceTo(outbox.now + 61_000)
    outbox.settle()
    assert.equal(outbox.all('send').length, 0)
    assert.deepEqual(outbox.states(), ['failed EXPIRED'])
  })
})
