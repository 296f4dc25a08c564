import { createHash } from 'node:crypto'
import type { AdmissionLimits, InboundMessage, Instant, OutboxRow } from '../../src/core/message/index.ts'
import { millis, utf8, wallMillis } from '../../src/core/base/index.ts'

export const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())

/** 32 bytes that stand for a peer's public key. */
export const keyOf = (name: string): Uint8Array => sha256(utf8(`key ${name}`))
export const epochOf = (name: string): Uint8Array => sha256(utf8(`epoch ${name}`)).slice(0, 16)

export const instant = (monotonic = 1_000, bootId = 'boot-1'): Instant => ({
  bootId,
  monotonic: millis(monotonic),
  wall: wallMillis(1_700_000_000_000 + monotonic)
})

export const generous: AdmissionLimits = {
  paired: true,
  commands: true,
  blocked: false,
  maxMessages: 1_000_000,
  maxBytes: 2 ** 40,
  maxMessagesOfSource: 1_000_000,
  maxBytesOfSource: 2 ** 40
}

/** A message of the outbox; what is not given is made from `id`. */
export function outboxRow(id: string, given: Partial<OutboxRow> = {}): OutboxRow {
  const envelope = given.envelope ?? utf8(`envelope of ${id}`)
  return {
    id,
    destination: keyOf('destination'),
    via: 'direct',
    sequence: 1,
    type: 'Thought',
    priority: 5,
    ttlMs: 86_400_000,
    accepted: instant(),
    envelope,
    digest: sha256(utf8(`what the caller gave ${id}`)),
    state: 'accepted',
    attempts: 0,
    path: '',
    failure: '',
    settledMs: 0,
    ...given
  }
}

/** A message that arrived; what is not given is made from `id`. */
export function inbound(id: string, sequence: number, given: Partial<InboundMessage> = {}): InboundMessage {
  const envelope = given.envelope ?? utf8(`envelope ${sequence} ${id}`)
  return {
    source: keyOf('source'),
    via: 'direct',
    epoch: epochOf('first'),
    sequence,
    id,
    type: 'Thought',
    priority: 5,
    digest: sha256(envelope),
    envelope,
    proof: utf8(`proof of ${id}`),
    received: instant(),
    ttlMs: 86_400_000,
    ...given
  }
}

export const unread = { after: 0, limit: 1_000, types: undefined, source: undefined, states: ['unread'], handOut: false } as const
