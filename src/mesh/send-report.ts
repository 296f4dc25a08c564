import { type ErrorReport, type ErrorCode, errorTable, MeshError, wallMillis } from '../core/base/index.ts'
import type { OutboxEntry } from '../core/message/index.ts'
import type { PeerReference, SendReport } from './mesh.ts'

/** The states in which the sending of a message has ended. */
export const settledStates: ReadonlySet<OutboxEntry['state']> = new Set(['stored', 'read', 'held', 'failed', 'expired-unknown'])

/** A row of the outbox as callers get it. */
export function sendReport(entry: OutboxEntry, to: PeerReference): SendReport {
  return {
    id: entry.id,
    to: [to],
    type: entry.type,
    priority: entry.priority,
    status: entry.state,
    via: entry.via,
    path: entry.path === '' ? undefined : entry.path,
    ms: entry.settledMs,
    attempts: entry.attempts,
    acceptedAt: entry.accepted.wall,
    expiresAt: wallMillis(entry.accepted.wall + entry.ttlMs),
    error: failureOf(entry, to)
  }
}

function failureOf(entry: OutboxEntry, to: PeerReference): ErrorReport | undefined {
  const details = { id: entry.id, what: `Message ${entry.id}`, peer: to.name, where: `The inbox of ${to.name}`, protocol: 'delivery' }
  if (entry.state === 'expired-unknown') return new MeshError('EXPIRED_UNKNOWN', details).report()
  if (entry.state !== 'failed') return undefined
  const code: ErrorCode = entry.failure in errorTable ? (entry.failure as ErrorCode) : 'REFUSED'
  return new MeshError(code, { ...details, reason: code === 'REFUSED' ? entry.failure : undefined }).report()
}
