import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeBatch, decodeEnvelope, type Via } from '../../../src/core/message/index.ts'
import { Outbox, type Output } from './outbox-harness.ts'
import { bob, draft, epoch, instant } from './samples.ts'

const stored = { state: 'stored' } as const

class Routes extends Outbox {
  connectOver(via: Via, link: number): void {
    this.input({ type: 'connected', destination: bob.publicKey, via, link, path: via })
  }

  lose(via: Via, link: number): void {
    this.input({ type: 'disconnected', destination: bob.publicKey, via, link })
  }

  /** Ids of what was sent over a link, each time. */
  sentOver(link: number): readonly string[] {
    return this.all('send')
      .filter((send) => send.link === link)
      .flatMap(idsOf)
  }
}

const idsOf = ({ frame }: Output<'send'>): readonly string[] => decodeBatch(frame).envelopes.map((bytes) => decodeEnvelope(bytes).id)
const connects = (outbox: Outbox): readonly Via[] => outbox.all('connect').map(({ via }) => via)

describe('outbox: routes', () => {
  it('asks for the route of each message, and for no other', () => {
    const outbox = new Routes()
    outbox.accept({ id: 'hidden', via: 'onion' })
    assert.deepEqual(connects(outbox), ['onion'])
    outbox.accept({ id: 'plain' })
    assert.deepEqual(connects(outbox), ['onion', 'direct'])
    assert.deepEqual(
      [...outbox.rows.values()].map(({ id, via, sequence }) => [id, via, sequence]),
      [
        ['hidden', 'onion', 1],
        ['plain', 'direct', 2]
      ],
      'one order of sequences for both'
    )
  })

  it('sends nothing over an open stream of the other route, however long it waits', () => {
    const outbox = new Routes()
    outbox.connectOver('direct', 1)
    outbox.accept({ id: 'hidden', via: 'onion', ttlS: 300 })
    outbox.accept({ id: 'plain' })
    outbox.input({ type: 'unreachable', destination: bob.publicKey, via: 'onion' })
    outbox.receive(stored)
    outbox.settle()
    outbox.advanceTo(outbox.now + 200_000)
    assert.deepEqual(outbox.sentOver(1), ['plain'])
    assert.deepEqual(outbox.states('plain'), ['sent', 'stored'])
    outbox.connectOver('onion', 2)
    outbox.settle()
    assert.deepEqual(outbox.sentOver(2), ['hidden'])
    assert.equal(outbox.last('send').via, 'onion')
    outbox.receive(stored)
    outbox.settle()
    assert.equal(outbox.last('state').entry.path, 'onion')
  })

  it('sends what was under way again over the same route only, when its stream is gone', () => {
    const outbox = new Routes()
    outbox.connectOver('direct', 1)
    outbox.connectOver('onion', 2)
    outbox.accept({ id: 'hidden', via: 'onion' })
    outbox.accept({ id: 'plain' })
    assert.deepEqual([outbox.sentOver(1), outbox.sentOver(2)], [['plain'], ['hidden']])
    outbox.lose('onion', 2)
    outbox.advanceTo(outbox.now + 29_000)
    assert.deepEqual(outbox.sentOver(1), ['plain'], 'the direct stream does not take over')
    outbox.connectOver('onion', 3)
    outbox.input({ type: 'loaded', token: outbox.last('load').token, rows: [...outbox.rows.values()] })
    assert.deepEqual(outbox.sentOver(3), ['hidden'])
  })

  it('waits for each route by itself: failures of the one do not slow the other', () => {
    const outbox = new Routes()
    outbox.accept({ id: 'hidden', via: 'onion' })
    for (let failures = 0; failures < 12; failures++) {
      outbox.input({ type: 'unreachable', destination: bob.publicKey, via: 'onion' })
      outbox.input({ type: 'reachable', destination: bob.publicKey, via: 'onion' })
    }
    outbox.input({ type: 'unreachable', destination: bob.publicKey, via: 'onion' })
    assert.deepEqual([outbox.last('save-retry').retry.via, outbox.last('save-retry').retry.attempts], ['onion', 13])
    const before = connects(outbox).length
    outbox.input({ type: 'reachable', destination: bob.publicKey, via: 'direct' })
    assert.equal(connects(outbox).length, before, 'what is told of the one route says nothing of the other')
    outbox.accept({ id: 'plain' })
    assert.equal(connects(outbox).at(-1), 'direct')
    outbox.connectOver('direct', 1)
    outbox.settle()
    assert.deepEqual(outbox.sentOver(1), ['plain'])
  })

  it('keeps route, floor and backoff over a restart', () => {
    const before = new Routes()
    before.accept({ id: 'hidden', via: 'onion' })
    before.accept({ id: 'plain' })
    const pending = [...before.rows.values()].map(({ envelope, ...row }) => ({ ...row, bytes: envelope.length }))
    const retries = [{ destination: bob.publicKey, via: 'onion', attempts: 12, lastAttempt: instant(1_000_000) } as const]
    const outbox = new Routes({ recovery: { epoch, pending, sequences: [{ destination: bob.publicKey, sequence: 2 }], retries } })
    outbox.input({ type: 'start' })
    assert.deepEqual(connects(outbox), ['direct'], 'the other one waits for its backoff')
    assert.deepEqual([outbox.machine.counts.queued, outbox.machine.counts.direct], [2, 1])
    outbox.connectOver('direct', 1)
    outbox.settle()
    outbox.input({ type: 'loaded', token: outbox.last('load').token, rows: [...before.rows.values()] })
    assert.deepEqual(outbox.sentOver(1), ['plain'])
    assert.equal(decodeBatch(outbox.last('send').frame).header.floor, 1, 'a message that waits on one route holds the floor of both')
    outbox.advanceTo(outbox.now + 25_000)
    outbox.input({ type: 'retry', call: 900, id: 'hidden' })
    assert.equal(connects(outbox).at(-1), 'onion')
  })

  it('takes a repeat of a message as that message, whatever route the repeat names', () => {
    const outbox = new Routes()
    outbox.accept({ id: 'hidden', via: 'onion' })
    outbox.submit({ id: 'hidden', via: 'direct' })
    const { entry, duplicate } = outbox.last('submitted')
    assert.deepEqual([duplicate, entry.via], [true, 'onion'])
    outbox.connectOver('direct', 1)
    assert.deepEqual(outbox.sentOver(1), [])
  })

  it('forgets a peer to which nothing was ever sent once both of its streams are gone, and not before', () => {
    const outbox = new Routes()
    outbox.connectOver('direct', 1)
    outbox.connectOver('onion', 2)
    outbox.lose('onion', 2)
    outbox.accept(draft())
    assert.deepEqual(outbox.sentOver(1), ['m-1'], 'the direct stream is still known')
    assert.deepEqual(connects(outbox), [])
  })
})
