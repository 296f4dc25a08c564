import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeBatch, type OutboxState, type Receipt, sealReceipts } from '../../../src/core/message/index.ts'
import { alice, bob, carol, epoch, tools } from './samples.ts'

import { Outbox, type Output } from './outbox-harness.ts'

describe('outbox: receipts', () => {
  const sent = (): Outbox => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept()
    return outbox
  }

  it('of a state end the sending with that state', () => {
    for (const state of ['stored', 'read', 'held'] as const) {
      const outbox = sent()
      outbox.receive({ state })
      outbox.settle()
      assert.deepEqual(outbox.states(), ['sent', state])
    }
  })

  it('of a refusal that stays end it as failed at once', () => {
    for (const code of ['COMMAND_NOT_ALLOWED', 'EXPIRED', 'ID_CONFLICT', 'UNSUPPORTED_VERSION', 'MESSAGE_MALFORMED'] as const) {
      const outbox = sent()
      outbox.receive(code)
      outbox.settle()
      assert.deepEqual(outbox.states(), ['sent', `failed ${code}`])
    }
  })

  it('of a refusal that may pass make it wait and try again, until the ttl ends it with that code', () => {
    for (const code of ['QUOTA', 'DISK_FULL', 'PROTOCOL_LIMIT'] as const) {
      const outbox = sent()
      outbox.receive(code)
      assert.equal(outbox.all('settle').length, 0)
      for (let tries = 2; tries < 6; tries++) {
        while (outbox.all('send').length < tries) {
          outbox.wake()
          const load = outbox.fresh().find((output): output is Output<'load'> => output.type === 'load')
          if (load !== undefined) outbox.input({ type: 'loaded', token: load.token, rows: [...outbox.rows.values()] })
        }
        outbox.receive(code)
      }
      outbox.input({ type: 'disconnected', destination: bob.publicKey, via: 'direct', link: 1 })
      outbox.advanceTo(outbox.now + 3_600_000)
      outbox.settle()
      assert.deepEqual(outbox.states(), ['sent', `failed ${code}`])
    }
  })

  it('are ignored when they speak of other bytes, another epoch, sequence, or peer', () => {
    const outbox = sent()
    const [bytes] = decodeBatch(outbox.last('send').frame).envelopes
    const right: Receipt = { id: 'm-1', digest: tools.sha256(bytes ?? new Uint8Array()), epoch, sequence: 1, state: 'stored', code: undefined }
    const wrong: readonly Receipt[] = [
      { ...right, digest: new Uint8Array(32) },
      { ...right, epoch: new Uint8Array(16) },
      { ...right, sequence: 2 },
      { ...right, id: 'other' }
    ]
    for (const each of wrong) outbox.input({ type: 'receipts', source: bob.publicKey, frame: sealReceipts(alice.publicKey, [each], bob) })
    outbox.input({ type: 'receipts', source: carol.publicKey, frame: sealReceipts(alice.publicKey, [right], carol) })
    assert.equal(outbox.all('settle').length, 0)
    outbox.input({ type: 'receipts', source: bob.publicKey, frame: sealReceipts(alice.publicKey, [right], bob) })
    assert.equal(outbox.all('settle').length, 1)
  })

  it('that are forged or broken are reported, and change nothing', () => {
    const outbox = sent()
    const [bytes] = decodeBatch(outbox.last('send').frame).envelopes
    const right: Receipt = { id: 'm-1', digest: tools.sha256(bytes ?? new Uint8Array()), epoch, sequence: 1, state: 'stored', code: undefined }
    const frames = [
      sealReceipts(alice.publicKey, [right], { publicKey: bob.publicKey, sign: carol.sign.bind(carol) }),
      sealReceipts(alice.publicKey, [right], carol),
      new Uint8Array(3)
    ]
    for (const frame of frames) outbox.input({ type: 'receipts', source: bob.publicKey, frame })
    assert.deepEqual(
      outbox.all('misbehaved').map(({ error }) => error.code),
      ['SIGNATURE_INVALID', 'IDENTITY_MISMATCH', 'MESSAGE_MALFORMED']
    )
    assert.equal(outbox.all('settle').length, 0)
  })

  it('upgrade what ended as stored or held, after a look into the store, and never go back', () => {
    const outbox = sent()
    const { frame } = outbox.last('send')
    outbox.receive({ state: 'held' })
    outbox.settle()
    const upgrade = (state: 'stored' | 'read' | 'held', row: OutboxState): number => {
      const before = outbox.all('settle').length
      outbox.receive({ state }, frame)
      const load = outbox.last('load')
      outbox.input({ type: 'loaded', token: load.token, rows: [{ ...(outbox.rows.get('m-1') ?? assert.fail()), state: row }] })
      const made = outbox.all('settle').length - before
      if (made > 0) outbox.settle()
      return made
    }
    assert.equal(upgrade('stored', 'held'), 1)
    assert.equal(upgrade('read', 'stored'), 1)
    for (const [state, row] of [
      ['held', 'stored'],
      ['stored', 'read'],
      ['stored', 'failed'],
      ['read', 'expired-unknown'],
      ['stored', 'stored']
    ] as const)
      assert.equal(upgrade(state, row), 0)
    assert.deepEqual(outbox.states(), ['sent', 'held', 'stored', 'read'])
  })

  it('of unknown messages cost a bounded number of look-ups', () => {
    const outbox = sent()
    for (let index = 0; index < 200; index++) {
      const unknown: Receipt = { id: `u-${index}`, digest: new Uint8Array(32), epoch, sequence: 1, state: 'read', code: undefined }
      outbox.input({ type: 'receipts', source: bob.publicKey, frame: sealReceipts(alice.publicKey, [unknown], bob) })
    }
    assert.equal(outbox.all('load').length, 64)
  })
})

describe('outbox: receipts of strangers', () => {
  it('of a peer to which nothing was ever sent are misbehaviour, before they are decoded', () => {
    const outbox = new Outbox()
    outbox.connect()
    outbox.accept()
    const subject = { id: 'm-1', digest: new Uint8Array(32), epoch, sequence: 1 }
    const frame = sealReceipts(alice.publicKey, [{ ...subject, state: 'read', code: undefined }], carol)
    outbox.input({ type: 'receipts', source: carol.publicKey, frame })
    outbox.input({ type: 'connected', destination: carol.publicKey, via: 'direct', link: 9, path: 'direct' })
    outbox.input({ type: 'receipts', source: carol.publicKey, frame })
    assert.deepEqual(
      outbox.all('misbehaved').map(({ error }) => error.code),
      ['MESSAGE_MALFORMED', 'MESSAGE_MALFORMED']
    )
    assert.equal(outbox.all('load').length, 0)
  })
})
