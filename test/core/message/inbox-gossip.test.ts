import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MeshError, millis } from '../../../src/core/base/index.ts'
import {
  type AdmitOutcome,
  encodeEnvelope,
  gossipReceiptTimes,
  type InboundMessage,
  InboxMachine,
  type InboxOutput,
  type InboxPeer,
  openReceipts
} from '../../../src/core/message/index.ts'
import { alice, bob, envelope, instant, tools } from './samples.ts'

const limits = { paired: true, commands: true, blocked: false, maxMessages: 1_000, maxBytes: 1e9, maxMessagesOfSource: 1_000, maxBytesOfSource: 1e9 }
const fromAlice: InboxPeer = { publicKey: alice.publicKey, limits, messagesPerSecond: 1_000 }
const start = 1_000

class Inbox {
  readonly machine = new InboxMachine({ signer: bob, ...tools })
  readonly outputs: InboxOutput[] = []

  input(input: Parameters<InboxMachine['handle']>[0], now = start): void {
    this.outputs.push(...this.machine.handle(input, millis(now)))
  }

  hear(id: string, sequence: number): void {
    const content = envelope({ id, sequence })
    const bytes = encodeEnvelope(content)
    const message: InboundMessage = {
      ...{ id, sequence, source: alice.publicKey, via: 'direct', epoch: content.epoch, type: content.type, priority: content.priority },
      ...{ digest: tools.sha256(bytes), envelope: bytes, proof: new Uint8Array(), received: instant(start), ttlMs: 60_000 }
    }
    this.input({ type: 'gossip', peer: fromAlice, message, envelope: content })
  }

  admitted(...outcomes: readonly AdmitOutcome[]): void {
    for (const outcome of outcomes) {
      const open = this.outputs.filter((output) => output.type === 'admit').at(outcomes.indexOf(outcome) - outcomes.length)
      assert.ok(open?.type === 'admit')
      this.input({ type: 'admitted', token: open.token, outcomes: [outcome] })
    }
  }

  receipts(): readonly string[] {
    const channel = { peer: bob.publicKey, self: alice.publicKey }
    return this.outputs
      .filter((output) => output.type === 'receipts')
      .map(({ frame }) =>
        openReceipts(frame, channel, tools.verifier)
          .receipts.map(({ id, state }) => `${id} ${state}`)
          .join(', ')
      )
  }
}

const stored = (position: number, repeat = false): AdmitOutcome => ({ outcome: 'stored', repeat, position })

describe('inbox: what came by gossip', () => {
  it('is told to its sender after the commit, together with the rest, within about a second', () => {
    const inbox = new Inbox()
    inbox.hear('m-1', 1)
    inbox.hear('m-2', 2)
    assert.equal(inbox.machine.wakeAt, undefined, 'nothing is promised before the commit')
    inbox.admitted(stored(1), stored(2))
    assert.equal(inbox.outputs.filter(({ type }) => type === 'arrived').length, 2)
    assert.deepEqual(inbox.receipts(), [])
    const at = inbox.machine.wakeAt
    assert.ok(at !== undefined && at >= start + gossipReceiptTimes.leastMs && at <= start + gossipReceiptTimes.leastMs + gossipReceiptTimes.spreadMs)
    inbox.input({ type: 'wake' }, at)
    assert.deepEqual(inbox.receipts(), ['m-1 stored, m-2 stored'])
    assert.equal(inbox.machine.wakeAt, undefined)
  })

  it('is told again when it is a repeat, and handed out once', () => {
    const inbox = new Inbox()
    inbox.hear('m-1', 1)
    inbox.admitted(stored(1, true))
    inbox.input({ type: 'wake' }, start + 2_000)
    assert.deepEqual(inbox.receipts(), ['m-1 stored'])
    assert.equal(inbox.outputs.filter(({ type }) => type === 'arrived').length, 0)
  })

  it('is refused in silence: the message that follows it alone is told why', () => {
    const inbox = new Inbox()
    inbox.hear('m-1', 1)
    inbox.admitted({ outcome: 'refused', code: 'QUOTA', repeat: false })
    inbox.hear('m-2', 2)
    const open = inbox.outputs.findLast((output) => output.type === 'admit')
    assert.ok(open?.type === 'admit')
    inbox.input({ type: 'admit-failed', token: open.token, error: new MeshError('DISK_FULL') })
    inbox.input({ type: 'wake' }, start + 2_000)
    assert.deepEqual(inbox.receipts(), [])
  })

  it('does not raise the floor of its sender', () => {
    const inbox = new Inbox()
    inbox.hear('m-1', 7)
    const [open] = inbox.outputs
    assert.ok(open?.type === 'admit' && open.floor === 0)
  })
})
