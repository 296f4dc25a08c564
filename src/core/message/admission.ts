import { equalBytes } from '../base/index.ts'
import type { AdmissionLimits, AdmitOutcome, InboundMessage, SourceLimits } from './store-port.ts'
import { type InboxState, messageLimits, type RefusalCode } from './types.ts'

/** A row of the inbox, as far as admission must know it. */
export interface KnownMessage {
  readonly epoch: Uint8Array
  readonly sequence: number
  readonly id: string
  readonly digest: Uint8Array
  readonly state: InboxState
  readonly position: number
}

/** What the store knows when it decides about one message; the counts include what was admitted earlier in the same transaction. */
export interface AdmissionFacts {
  /** The highest floor recorded for (source, epoch), this call's floor included; 0 when there is none. */
  readonly floor: number
  /** The row with the same source, epoch and sequence. */
  readonly bySequence: KnownMessage | undefined
  /** The row with the same source and id. Needed only when `bySequence` is undefined. */
  readonly byId: KnownMessage | undefined
  /** Unread and held messages: all of them, and those of the source; bytes are those of their envelopes. */
  readonly messages: number
  readonly bytes: number
  readonly messagesOfSource: number
  readonly bytesOfSource: number
}

export type AdmissionDecision =
  /** Insert the row in this state, at the next position. */
  | { readonly action: 'insert'; readonly state: 'unread' | 'held' }
  /** Nothing is written; this is the outcome. */
  | { readonly action: 'answer'; readonly outcome: AdmitOutcome }

const refuse = (code: RefusalCode): AdmissionDecision => ({ action: 'answer', outcome: { outcome: 'refused', code, repeat: false } })

/**
 * Decides about one message from a source. Pure: the stores ask it inside their transaction, so that every store decides alike.
 * The order matters: a repeat is answered as before whatever the limits, the clock or the pairing say now.
 */
export function decideAdmission(message: InboundMessage, facts: AdmissionFacts, limits: AdmissionLimits): AdmissionDecision {
  const { bySequence, byId } = facts
  if (bySequence !== undefined) return isSame(bySequence, message) ? repeat(bySequence) : refuse('ID_CONFLICT')
  if (byId !== undefined) return refuse('ID_CONFLICT')
  if (limits.blocked) return refuse('NOT_ALLOWED')
  // The sender stated, signed, that everything below its floor has ended: what comes now is a replay of a row that was pruned.
  if (message.sequence < facts.floor) return refuse('EXPIRED')
  if (message.sequence >= facts.floor + messageLimits.sequenceWindow) return refuse('PROTOCOL_LIMIT')
  if (message.ttlMs <= 0) return refuse('EXPIRED')
  if (message.type === 'Command' && !limits.commands) return refuse('COMMAND_NOT_ALLOWED')
  if (message.standing === 'outside') return refuse('GROUP_NOT_MEMBER')
  const isMember = message.standing === 'member'
  if (isOverQuota(message, facts, isMember ? (limits.asMember ?? limits) : limits)) return refuse('QUOTA')
  return { action: 'insert', state: limits.paired || isMember ? 'unread' : 'held' }
}

function isSame(row: KnownMessage, message: InboundMessage): boolean {
  return row.id === message.id && equalBytes(row.digest, message.digest)
}

function repeat(row: KnownMessage): AdmissionDecision {
  const outcome = row.state === 'unread' ? 'stored' : row.state
  return { action: 'answer', outcome: { outcome, repeat: true, position: row.position } }
}

function isOverQuota(message: InboundMessage, facts: AdmissionFacts, limits: SourceLimits): boolean {
  const bytes = message.envelope.length
  return (
    facts.messages + 1 > limits.maxMessages ||
    facts.bytes + bytes > limits.maxBytes ||
    facts.messagesOfSource + 1 > limits.maxMessagesOfSource ||
    facts.bytesOfSource + bytes > limits.maxBytesOfSource
  )
}
