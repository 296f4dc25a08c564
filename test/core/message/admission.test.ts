import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type AdmissionFacts,
  type AdmissionLimits,
  decideAdmission,
  type InboundMessage,
  type KnownMessage
} from '../../../src/core/message/index.ts'
import { alice, epoch, instant } from './samples.ts'

const message = (change: Partial<InboundMessage> = {}): InboundMessage => ({
  source: alice.publicKey,
  via: 'direct',
  epoch,
  sequence: 10,
  id: 'm-10',
  type: 'Thought',
  priority: 5,
  digest: new Uint8Array(32).fill(1),
  envelope: new Uint8Array(100),
  proof: new Uint8Array(),
  received: instant(0),
  ttlMs: 1_000,
  ...change
})
const facts = (change: Partial<AdmissionFacts> = {}): AdmissionFacts => ({
  floor: 1,
  bySequence: undefined,
  byId: undefined,
  messages: 0,
  bytes: 0,
  messagesOfSource: 0,
  bytesOfSource: 0,
  ...change
})
const limits = (change: Partial<AdmissionLimits> = {}): AdmissionLimits => ({
  paired: true,
  commands: true,
  blocked: false,
  maxMessages: 10,
  maxBytes: 10_000,
  maxMessagesOfSource: 5,
  maxBytesOfSource: 500,
  ...change
})
const known = (change: Partial<KnownMessage> = {}): KnownMessage => ({
  epoch,
  sequence: 10,
  id: 'm-10',
  digest: new Uint8Array(32).fill(1),
  state: 'unread',
  position: 3,
  ...change
})

function verdict(change: {
  readonly message?: Partial<InboundMessage>
  readonly facts?: Partial<AdmissionFacts>
  readonly limits?: Partial<AdmissionLimits>
}): string {
  const decision = decideAdmission(message(change.message), facts(change.facts), limits(change.limits))
  if (decision.action === 'insert') return `insert ${decision.state}`
  const { outcome } = decision
  return outcome.outcome === 'refused' ? outcome.code : `${outcome.outcome}${outcome.repeat ? ' again' : ''}`
}

describe('admission', () => {
  it('takes what is new: unread of a paired peer, held of another', () => {
    assert.equal(verdict({}), 'insert unread')
    assert.equal(verdict({ limits: { paired: false } }), 'insert held')
  })

  it('answers a repeat as before, whatever the limits, the clock and the pairing say now', () => {
    const later = { message: { ttlMs: -5, type: 'Command' }, limits: { paired: false, commands: false, blocked: true, maxMessages: 0 } } as const
    assert.equal(verdict({ ...later, facts: { floor: 11, bySequence: known() } }), 'stored again')
    assert.equal(verdict({ ...later, facts: { bySequence: known({ state: 'read' }) } }), 'read again')
    assert.equal(verdict({ ...later, facts: { bySequence: known({ state: 'held' }) } }), 'held again')
  })

  it('refuses a sequence or an id that stands for other content', () => {
    assert.equal(verdict({ facts: { bySequence: known({ digest: new Uint8Array(32) }) } }), 'ID_CONFLICT')
    assert.equal(verdict({ facts: { bySequence: known({ id: 'other' }) } }), 'ID_CONFLICT')
    assert.equal(verdict({ facts: { byId: known({ sequence: 4 }) } }), 'ID_CONFLICT')
  })

  it('refuses a replay below the floor that the sender signed, and takes the floor itself', () => {
    assert.equal(verdict({ facts: { floor: 11 } }), 'EXPIRED')
    assert.equal(verdict({ facts: { floor: 10 } }), 'insert unread')
  })

  it('refuses a sequence 65,536 ahead of the floor, and takes the one below', () => {
    assert.equal(verdict({ message: { sequence: 65_537 } }), 'PROTOCOL_LIMIT')
    assert.equal(verdict({ message: { sequence: 65_536 } }), 'insert unread')
  })

  it('refuses what has outlived its ttl', () => {
    assert.equal(verdict({ message: { ttlMs: 0 } }), 'EXPIRED')
    assert.equal(verdict({ message: { ttlMs: 1 } }), 'insert unread')
  })

  it('refuses a Command of whoever has no right to it, paired or not, and nothing else of theirs', () => {
    for (const paired of [true, false]) {
      assert.equal(verdict({ message: { type: 'Command' }, limits: { paired, commands: false } }), 'COMMAND_NOT_ALLOWED')
      assert.equal(verdict({ message: { type: 'Response' }, limits: { paired, commands: false } }), paired ? 'insert unread' : 'insert held')
    }
    assert.equal(verdict({ message: { type: 'Command' } }), 'insert unread')
  })

  it('refuses everything of a peer that is blocked, paired or not', () => {
    for (const paired of [true, false]) assert.equal(verdict({ limits: { paired, blocked: true } }), 'NOT_ALLOWED')
  })

  it('refuses at each quota, and takes the last that fits', () => {
    assert.equal(verdict({ facts: { messages: 10 } }), 'QUOTA')
    assert.equal(verdict({ facts: { messages: 9 } }), 'insert unread')
    assert.equal(verdict({ facts: { messagesOfSource: 5 } }), 'QUOTA')
    assert.equal(verdict({ facts: { bytes: 9_901 } }), 'QUOTA')
    assert.equal(verdict({ facts: { bytes: 9_900 } }), 'insert unread')
    assert.equal(verdict({ facts: { bytesOfSource: 401 } }), 'QUOTA')
  })
})

describe('admission of messages to a group', () => {
  const friends = { maxMessages: 100, maxBytes: 100_000, maxMessagesOfSource: 50, maxBytesOfSource: 50_000 }
  const stranger = limits({ paired: false, commands: false, maxMessagesOfSource: 1, asMember: friends })

  it('takes what a member sends as unread, with the limits of a friend, and no Command of it', () => {
    const crowded = facts({ messagesOfSource: 10 })
    assert.deepEqual(decideAdmission(message({ standing: 'member' }), crowded, stranger), { action: 'insert', state: 'unread' })
    const full = decideAdmission(message({ standing: 'member' }), facts({ messagesOfSource: 50 }), stranger)
    assert.deepEqual(full, { action: 'answer', outcome: { outcome: 'refused', code: 'QUOTA', repeat: false } })
    const command = decideAdmission(message({ standing: 'member', type: 'Command' }), facts(), stranger)
    assert.deepEqual(command, { action: 'answer', outcome: { outcome: 'refused', code: 'COMMAND_NOT_ALLOWED', repeat: false } })
  })

  it('refuses what comes from outside, paired or not, and nothing of a blocked peer gets in as a member', () => {
    const refused = (code: string): unknown => ({ action: 'answer', outcome: { outcome: 'refused', code, repeat: false } })
    assert.deepEqual(decideAdmission(message({ standing: 'outside' }), facts(), stranger), refused('GROUP_NOT_MEMBER'))
    assert.deepEqual(decideAdmission(message({ standing: 'outside' }), facts(), limits()), refused('GROUP_NOT_MEMBER'))
    assert.deepEqual(decideAdmission(message({ standing: 'member' }), facts(), limits({ paired: false, blocked: true })), refused('NOT_ALLOWED'))
  })

  it('treats what names a group that is not known like any message of its source', () => {
    assert.deepEqual(decideAdmission(message({ standing: 'unknown' }), facts(), stranger), { action: 'insert', state: 'held' })
    assert.deepEqual(decideAdmission(message({ standing: 'unknown' }), facts(), limits()), { action: 'insert', state: 'unread' })
    const full = decideAdmission(message({ standing: 'unknown' }), facts({ messagesOfSource: 1 }), stranger)
    assert.deepEqual(full, { action: 'answer', outcome: { outcome: 'refused', code: 'QUOTA', repeat: false } })
  })
})
