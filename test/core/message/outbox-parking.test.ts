import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeEnvelope, type Receipt, sealReceipts } from '../../../src/core/message/index.ts'
import { entryOf, Outbox } from './outbox-harness.ts'
import { alice, bob, draft, epoch, instant, tools } from './samples.ts'

const parkMs = 3_000
let calls = 1_000

/** Puts a message into the outbox that is about to be gossiped. */
function park(outbox: Outbox, id = 'm-1'): void {
  const call = ++calls
  outbox.input({ type: 'submit', call, draft: draft({ id }), at: instant(outbox.now), parkMs })
  outbox.commit(call)
}

const gossiped = (outbox: Outbox, isGiven = true, id = 'm-1'): void => void outbox.input({ type: 'gossiped', ids: [id], isGiven })

/** Bob's receipt for a message that he never got alone. */
function receipt(outbox: Outbox, id = 'm-1'): void {
  const { envelope = new Uint8Array() } = outbox.rows.get(id) ?? {}
  const { sequence } = decodeEnvelope(envelope)
  const receipts: readonly Receipt[] = [{ id, digest: tools.sha256(envelope), epoch, sequence, state: 'stored', code: undefined }]
  outbox.input({ type: 'receipts', source: bob.publicKey, frame: sealReceipts(alice.publicKey, receipts, bob) })
}

describe('outbox: messages to a whole group', () => {
  it('wait while others go, and end by a receipt without having been sent alone', () => {
    const outbox = new Outbox()
    outbox.connect()
    park(outbox)
    gossiped(outbox)
    outbox.accept({ id: 'm-2' })
    assert.equal(outbox.all('send').length, 1, 'the other one only')
    receipt(outbox)
    outbox.settle()
    assert.deepEqual(outbox.states('m-1'), ['sent', 'stored'])
    assert.equal(outbox.all('state').findLast(({ entry }) => entry.id === 'm-1')?.entry.path, 'gossip')
    outbox.advanceTo(outbox.now + 10_000)
    assert.equal(outbox.all('send').length, 1)
  })

  it('go alone after their time without a receipt', () => {
    const outbox = new Outbox()
    outbox.connect()
    park(outbox)
    gossiped(outbox)
    outbox.advanceTo(outbox.now + parkMs - 1)
    assert.equal(outbox.all('send').length, 0)
    outbox.advanceTo(outbox.now + 1)
    assert.equal(outbox.all('send').length, 1)
    outbox.receive({ state: 'stored' })
    outbox.settle()
    assert.deepEqual(outbox.states(), ['sent', 'stored'])
    assert.equal(outbox.last('state').entry.path, 'direct')
  })

  it('go alone at once when there was nobody to give them to, and ask for a connection', () => {
    const outbox = new Outbox()
    park(outbox)
    assert.equal(outbox.all('connect').length, 0)
    gossiped(outbox, false)
    assert.equal(outbox.all('connect').length, 1)
    outbox.connect()
    assert.equal(outbox.all('send').length, 1)
  })

  it('are sent alone by the process after one that died, and count as sent', () => {
    const first = new Outbox()
    park(first)
    gossiped(first)
    const [row] = first.rows.values()
    assert.ok(row !== undefined && row.state === 'sent', 'before a byte of it left, the store says so')
    const pending = [entryOf(row)]
    const second = new Outbox({ recovery: { epoch, pending, sequences: [{ destination: bob.publicKey, sequence: row.sequence }], retries: [] } })
    second.input({ type: 'start' })
    assert.equal(second.all('connect').length, 1)
  })

  it('end with their ttl like any other, as unknown once they were gossiped', () => {
    const outbox = new Outbox()
    const call = ++calls
    outbox.input({ type: 'submit', call, draft: draft({ id: 'm-1', ttlS: 1 }), at: instant(outbox.now), parkMs })
    outbox.commit(call)
    gossiped(outbox)
    outbox.advanceTo(outbox.now + 2_000)
    outbox.settle()
    assert.deepEqual(outbox.states(), ['sent', 'expired-unknown'])
  })

  it('are not said never to have left while they may be leaving', () => {
    const outbox = new Outbox()
    const call = ++calls
    outbox.input({ type: 'submit', call, draft: draft({ id: 'm-1', ttlS: 1 }), at: instant(outbox.now), parkMs })
    outbox.commit(call)
    outbox.advanceTo(outbox.now + 2_000)
    outbox.settle()
    assert.deepEqual(outbox.states(), ['expired-unknown'])
  })

  it('can be cancelled, and then are not sent alone', () => {
    const outbox = new Outbox()
    outbox.connect()
    park(outbox)
    outbox.input({ type: 'cancel', call: ++calls, id: 'm-1' })
    outbox.settle()
    outbox.advanceTo(outbox.now + parkMs)
    assert.deepEqual(outbox.states(), ['failed CANCELLED'])
    assert.equal(outbox.all('send').length, 0)
  })

  it('take one receipt, and no notice of a second one', () => {
    const outbox = new Outbox()
    outbox.connect()
    park(outbox)
    gossiped(outbox)
    receipt(outbox, 'm-1')
    receipt(outbox, 'm-1')
    outbox.settle()
    assert.deepEqual(outbox.states(), ['sent', 'stored'], 'one receipt is enough')
  })
})
