import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encode } from 'cborg'
import { MeshError, millis, wallMillis } from '../../../src/core/base/index.ts'
import {
  type AckOutcome,
  type AdmitOutcome,
  encodeEnvelope,
  encodeVolatile,
  InboxMachine,
  type InboxOutput,
  type InboxPeer,
  openReceipts,
  type Receipt,
  type Via
} from '../../../src/core/message/index.ts'
import { alice, batchFrame, batchOf, bob, carol, envelope, epoch, instant, tools, volatileMessage } from './samples.ts'

type Output<Type extends InboxOutput['type']> = Extract<InboxOutput, { type: Type }>

const limits = { paired: true, commands: true, blocked: false, maxMessages: 1_000, maxBytes: 1e9, maxMessagesOfSource: 1_000, maxBytesOfSource: 1e9 }
const fromAlice: InboxPeer = { publicKey: alice.publicKey, limits, messagesPerSecond: 1_000 }

class Inbox {
  readonly machine = new InboxMachine({ signer: bob, ...tools })
  now = 1_000
  readonly outputs: InboxOutput[] = []

  input(input: Parameters<InboxMachine['handle']>[0]): readonly InboxOutput[] {
    const outputs = this.machine.handle(input, millis(this.now))
    this.outputs.push(...outputs)
    return outputs
  }

  batch(frame: Uint8Array, change: { readonly peer?: InboxPeer; readonly stream?: number; readonly via?: Via } = {}): void {
    this.input({
      type: 'batch',
      stream: change.stream ?? 1,
      via: change.via ?? 'direct',
      peer: change.peer ?? fromAlice,
      frame,
      at: instant(this.now)
    })
  }

  all<Type extends InboxOutput['type']>(type: Type): readonly Output<Type>[] {
    return this.outputs.filter((output): output is Output<Type> => output.type === type)
  }

  last<Type extends InboxOutput['type']>(type: Type): Output<Type> {
    const found = this.all(type).at(-1)
    assert.ok(found, `no output ${type}`)
    return found
  }

  admitted(...outcomes: readonly AdmitOutcome[]): void {
    this.input({ type: 'admitted', token: this.last('admit').token, outcomes })
  }

  receipts(): readonly Receipt[] {
    return this.all('receipts').flatMap(({ frame }) => openReceipts(frame, { peer: bob.publicKey, self: alice.publicKey }, tools.verifier).receipts)
  }
}

const stored = (position = 1): AdmitOutcome => ({ outcome: 'stored', repeat: false, position })
const ackOf = (id: string, change: Partial<AckOutcome> = {}): AckOutcome => ({
  source: alice.publicKey,
  via: 'direct',
  id,
  changed: true,
  known: true,
  epoch,
  sequence: 1,
  digest: new Uint8Array(32),
  ...change
})

describe('inbox: admission', () => {
  it('signs a receipt only after the store said that the message is committed', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1))
    assert.deepEqual(
      inbox.outputs.map(({ type }) => type),
      ['admit']
    )
    inbox.admitted(stored())
    assert.deepEqual(
      inbox.outputs.map(({ type }) => type),
      ['admit', 'arrived', 'receipts']
    )
    const [receipt] = inbox.receipts()
    const { message } = inbox.last('arrived').messages[0] ?? assert.fail()
    assert.deepEqual(receipt, { id: 'm-1', digest: tools.sha256(message.envelope), epoch, sequence: 1, state: 'stored', code: undefined })
  })

  it('answers each message of a batch with its own outcome, and announces only what is new', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1, 2, 3, 4, 5))
    inbox.admitted(
      stored(9),
      { outcome: 'stored', repeat: true, position: 3 },
      { outcome: 'read', repeat: true, position: 2 },
      { outcome: 'held', repeat: false, position: 10 },
      { outcome: 'refused', code: 'QUOTA', repeat: false }
    )
    assert.deepEqual(
      inbox.receipts().map(({ state, code }) => code ?? state),
      ['stored', 'stored', 'read', 'held', 'QUOTA']
    )
    assert.deepEqual(
      inbox.last('arrived').messages.map(({ position, state }) => [position, state]),
      [
        [9, 'unread'],
        [10, 'held']
      ]
    )
    assert.deepEqual(inbox.last('refused'), { type: 'refused', code: 'QUOTA', delivery: 'durable', messages: 1 })
  })

  it('gives the store what is left of a message’s life by the sender’s own times', () => {
    const inbox = new Inbox()
    inbox.batch(batchFrame([encodeEnvelope(envelope({ ttlS: 10, timestamp: wallMillis(5_000) }))], { sentAt: 12_500 }))
    assert.equal(inbox.last('admit').messages[0]?.ttlMs, 2_500)
  })

  it('tells the sender that the disk is full, and that nothing was stored', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1, 2))
    inbox.input({ type: 'admit-failed', token: inbox.last('admit').token, error: new MeshError('DISK_FULL') })
    assert.deepEqual(
      inbox.receipts().map(({ code }) => code),
      ['DISK_FULL', 'DISK_FULL']
    )
    assert.equal(inbox.all('arrived').length, 0)
  })

  it('says nothing at all once the store has failed', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1))
    inbox.batch(batchOf(2))
    inbox.input({ type: 'admit-failed', token: 2, error: new MeshError('STORE_FAILED', { reason: 'fsync' }) })
    inbox.input({ type: 'admitted', token: 1, outcomes: [stored()] })
    assert.equal(inbox.all('receipts').length, 0)
  })
})

describe('inbox: wrong input', () => {
  const misbehaved = (frame: Uint8Array, peer = fromAlice): string | undefined => {
    const inbox = new Inbox()
    inbox.batch(frame, { peer })
    assert.equal(inbox.all('admit').length, 0)
    assert.equal(inbox.all('receipts').length, 0)
    return inbox.all('misbehaved')[0]?.error.code
  }

  it('of another source than the channel’s peer is misbehaviour', () => {
    assert.equal(misbehaved(batchOf(1), { ...fromAlice, publicKey: carol.publicKey }), 'IDENTITY_MISMATCH')
  })

  it('with an envelope that names another source or destination than its batch is misbehaviour', () => {
    const other = { kind: 'peer', key: carol.publicKey, label: '' } as const
    assert.equal(misbehaved(batchFrame([encodeEnvelope(envelope({ source: other }))])), 'IDENTITY_MISMATCH')
    assert.equal(misbehaved(batchFrame([encodeEnvelope(envelope({ destination: other }))])), 'IDENTITY_MISMATCH')
    assert.equal(misbehaved(batchFrame([encodeEnvelope(envelope({ epoch: new Uint8Array(16).fill(9) }))])), 'IDENTITY_MISMATCH')
  })

  it('with a signature that does not verify, or bytes that are no batch, is misbehaviour', () => {
    assert.equal(
      misbehaved(batchFrame([encodeEnvelope(envelope())], { signer: { publicKey: alice.publicKey, sign: carol.sign.bind(carol) } })),
      'SIGNATURE_INVALID'
    )
    assert.equal(misbehaved(Uint8Array.of(1, 2, 3)), 'MESSAGE_MALFORMED')
    assert.equal(misbehaved(batchFrame([Uint8Array.of(0xff)])), 'MESSAGE_MALFORMED')
  })

  it('of an envelope version that is not known gets a signed refusal, the rest of its batch is taken', () => {
    const inbox = new Inbox()
    const future = encode([2, 'future', epoch, 5, 'whatever'])
    inbox.batch(batchFrame([future, encodeEnvelope(envelope())]))
    assert.equal(inbox.last('admit').messages.length, 1)
    inbox.admitted(stored())
    assert.deepEqual(
      inbox.receipts().map(({ id, code, state }) => [id, code ?? state]),
      [
        ['future', 'UNSUPPORTED_VERSION'],
        [envelope().id, 'stored']
      ]
    )
    inbox.batch(batchFrame([future]))
    assert.equal(inbox.all('admit').length, 1)
    assert.equal(inbox.receipts().length, 3)
  })

  it('of an envelope that breaks a rule of its version gets a signed refusal', () => {
    const inbox = new Inbox()
    inbox.batch(batchFrame([encodeEnvelope(envelope({ priority: 11 })), encodeEnvelope(envelope({ id: 'zero', sequence: 0 }))]))
    assert.deepEqual(
      inbox.receipts().map(({ code }) => code),
      ['MESSAGE_MALFORMED', 'MESSAGE_MALFORMED']
    )
  })
})

describe('inbox: receipts for readers', () => {
  it('read goes out for what was acknowledged now, when the sender can be reached', () => {
    const inbox = new Inbox()
    inbox.input({ type: 'peer-connected', publicKey: alice.publicKey, via: 'direct' })
    inbox.input({
      type: 'acked',
      outcomes: [ackOf('a'), ackOf('b', { changed: false }), ackOf('c', { known: false, changed: false, digest: undefined })]
    })
    assert.deepEqual(
      inbox.receipts().map(({ id, state }) => [id, state]),
      [['a', 'read']]
    )
  })

  it('waits for a sender that is away, in frames of 256', () => {
    const inbox = new Inbox()
    inbox.input({ type: 'acked', outcomes: Array.from({ length: 600 }, (_, index) => ackOf(`m-${index}`)) })
    assert.equal(inbox.all('receipts').length, 0)
    inbox.input({ type: 'peer-connected', publicKey: alice.publicKey, via: 'direct' })
    assert.equal(inbox.all('receipts').length, 3)
    assert.equal(inbox.receipts().length, 600)
    inbox.input({ type: 'peer-disconnected', publicKey: alice.publicKey, via: 'direct' })
    inbox.input({ type: 'acked', outcomes: [ackOf('later')] })
    assert.equal(inbox.all('receipts').length, 3)
  })

  it('takes the route of the message: what came over a circuit is never spoken of over a connection, nor the other way', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1), { stream: 7, via: 'onion' })
    assert.equal(inbox.last('admit').messages[0]?.via, 'onion')
    inbox.admitted(stored())
    assert.deepEqual([inbox.last('receipts').stream, inbox.last('receipts').via], [7, 'onion'])
    inbox.input({ type: 'acked', outcomes: [ackOf('hidden', { via: 'onion' }), ackOf('plain')] })
    assert.equal(inbox.all('receipts').length, 1)
    inbox.input({ type: 'peer-connected', publicKey: alice.publicKey, via: 'direct' })
    assert.deepEqual([inbox.last('receipts').via, inbox.receipts().at(-1)?.id], ['direct', 'plain'])
    inbox.input({ type: 'peer-connected', publicKey: alice.publicKey, via: 'onion' })
    assert.deepEqual([inbox.last('receipts').via, inbox.receipts().at(-1)?.id], ['onion', 'hidden'])
    inbox.input({ type: 'peer-disconnected', publicKey: alice.publicKey, via: 'onion' })
    inbox.input({ type: 'acked', outcomes: [ackOf('later', { via: 'onion' })] })
    assert.equal(inbox.all('receipts').length, 3)
  })

  it('keeps a bounded number of them, the newest', () => {
    const inbox = new Inbox()
    for (let index = 0; index < 20_000; index++) inbox.input({ type: 'acked', outcomes: [ackOf(`m-${index}`)] })
    inbox.input({ type: 'peer-connected', publicKey: alice.publicKey, via: 'direct' })
    const kept = inbox.receipts()
    assert.ok(kept.length >= 4_096 && kept.length <= 8_192)
    assert.equal(kept.at(-1)?.id, 'm-19999')
  })

  it('says stored of what was held and is released', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1))
    const [message] = inbox.last('admit').messages
    inbox.admitted({ outcome: 'held', repeat: false, position: 1 })
    inbox.input({ type: 'peer-connected', publicKey: alice.publicKey, via: 'direct' })
    inbox.input({ type: 'released', rows: [{ ...(message ?? assert.fail()), position: 1, state: 'unread', handedOut: 0 }] })
    assert.deepEqual(
      inbox.receipts().map(({ state }) => state),
      ['held', 'stored']
    )
  })
})

describe('inbox: flow', () => {
  it('pauses a stream while too much of it waits for the store, and resumes it below half', () => {
    const inbox = new Inbox()
    const frame = batchFrame([encodeEnvelope(envelope({ body: new Uint8Array(1_000_000) }))])
    for (let index = 0; index < 6; index++) inbox.batch(frame)
    assert.equal(inbox.all('pause').length, 1)
    for (let token = 1; token <= 3; token++) inbox.input({ type: 'admitted', token, outcomes: [stored()] })
    assert.equal(inbox.all('resume').length, 0)
    inbox.input({ type: 'admitted', token: 4, outcomes: [stored()] })
    assert.deepEqual(
      inbox.all('resume').map(({ stream }) => stream),
      [1]
    )
  })

  it('pauses a peer over its rate until the debt is paid, and nobody else', () => {
    const inbox = new Inbox()
    const slow: InboxPeer = { ...fromAlice, messagesPerSecond: 10 }
    const frame = batchOf(...Array.from({ length: 60 }, (_, index) => index + 1))
    inbox.batch(frame, { peer: slow })
    assert.equal(inbox.all('pause').length, 1)
    inbox.input({ type: 'admitted', token: 1, outcomes: [] })
    assert.equal(inbox.all('resume').length, 0)
    assert.equal(inbox.machine.wakeAt, 2_000)
    inbox.now = 2_000
    inbox.input({ type: 'wake' })
    assert.equal(inbox.all('resume').length, 1)
    assert.equal(inbox.machine.wakeAt, undefined)
  })

  it('forgets a stream that was closed, while its batches still get their receipts', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1))
    inbox.input({ type: 'stream-closed', stream: 1 })
    inbox.admitted(stored())
    assert.equal(inbox.receipts().length, 1)
    assert.equal(inbox.machine.pendingBatches, 0)
  })
})

describe('inbox: what is refused before the store is asked', () => {
  it('is what agents handed on more than eight times', () => {
    const inbox = new Inbox()
    const hops = [8, 9].map((hop) => envelope({ id: `hop-${hop}`, sequence: hop, thread: { root: 'r', hop, automatic: true } }))
    inbox.batch(batchFrame(hops.map(encodeEnvelope)))
    assert.deepEqual(
      inbox.last('admit').messages.map(({ id }) => id),
      ['hop-8']
    )
    inbox.admitted(stored())
    assert.deepEqual(
      inbox.receipts().map(({ id, state, code }) => [id, state, code]),
      [
        ['hop-9', 'refused', 'HOP_LIMIT'],
        ['hop-8', 'stored', undefined]
      ]
    )
  })

  it('is nothing of a blocked peer: the store decides, and the refusal is signed', () => {
    const inbox = new Inbox()
    inbox.batch(batchOf(1), { peer: { ...fromAlice, limits: { ...limits, paired: false, commands: false, blocked: true } } })
    assert.equal(inbox.last('admit').limits.blocked, true)
    inbox.admitted({ outcome: 'refused', code: 'NOT_ALLOWED', repeat: false })
    assert.deepEqual(
      inbox.receipts().map(({ state, code }) => [state, code]),
      [['refused', 'NOT_ALLOWED']]
    )
  })
})

describe('inbox: volatile messages', () => {
  const volatileFrame = (inbox: Inbox, frame: Uint8Array, peer = fromAlice): readonly InboxOutput[] =>
    inbox.input({ type: 'volatile', stream: 1, peer, frame })

  it('are handed on', () => {
    const [output] = volatileFrame(new Inbox(), encodeVolatile([volatileMessage({ id: 'a' }), volatileMessage({ id: 'b', type: 'Command' })]))
    assert.deepEqual(output?.type === 'volatile' && output.messages.map(({ id }) => id), ['a', 'b'])
  })

  it('of a peer that is not paired are dropped and counted', () => {
    const stranger = { ...fromAlice, limits: { ...limits, paired: false } }
    const outputs = volatileFrame(new Inbox(), encodeVolatile([volatileMessage({ id: 'a' }), volatileMessage({ type: 'Command' })]), stranger)
    assert.deepEqual(
      outputs.map((output) => output.type === 'refused' && [output.code, output.messages]),
      [['NOT_PAIRED', 2]]
    )
  })

  it('that are Commands of a peer without the right are dropped and counted, and the others are handed on', () => {
    const peer = { ...fromAlice, limits: { ...limits, commands: false } }
    const outputs = volatileFrame(new Inbox(), encodeVolatile([volatileMessage({ id: 'a' }), volatileMessage({ type: 'Command' })]), peer)
    assert.deepEqual(
      outputs.map((output) =>
        output.type === 'refused' ? [output.code, output.messages] : output.type === 'volatile' && output.messages.map(({ id }) => id)
      ),
      [['a'], ['COMMAND_NOT_ALLOWED', 1]]
    )
  })

  it('over the rate of the peer are dropped and counted', () => {
    const inbox = new Inbox()
    const slow: InboxPeer = { ...fromAlice, messagesPerSecond: 1 }
    for (let index = 0; index < 7; index++) volatileFrame(inbox, encodeVolatile([volatileMessage()]), slow)
    assert.equal(inbox.all('volatile').length, 5)
    assert.equal(inbox.all('refused').length, 2)
    inbox.now += 1_000
    volatileFrame(inbox, encodeVolatile([volatileMessage()]), slow)
    assert.equal(inbox.all('volatile').length, 6)
  })

  it('that nobody will read are not decoded: their number stands at the head of the frame', () => {
    const stranger = { ...fromAlice, limits: { ...limits, paired: false } }
    const [refused] = volatileFrame(new Inbox(), Uint8Array.of(3, 1, 0xff, 0xff), stranger)
    assert.deepEqual(refused?.type === 'refused' && [refused.code, refused.messages], ['NOT_PAIRED', 65_535])
    const [dropped] = volatileFrame(new Inbox(), Uint8Array.of(3, 1, 0xff, 0xff), { ...fromAlice, messagesPerSecond: 1 })
    assert.deepEqual(dropped?.type === 'refused' && [dropped.code, dropped.messages], ['PROTOCOL_LIMIT', 65_535])
  })

  it('that are malformed are misbehaviour', () => {
    const [output] = volatileFrame(new Inbox(), Uint8Array.of(3, 1, 0, 1))
    assert.equal(output?.type === 'misbehaved' && output.error.code, 'MESSAGE_MALFORMED')
  })
})
