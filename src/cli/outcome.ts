import type { Catalogue, OutputOf } from '../api/index.ts'
import { MeshError } from '../core/base/index.ts'

type Report = OutputOf<Catalogue['outboxCancel']>

/** What a report of sending means for the exit code: undefined when it went as asked. */
export function outcomeOf(report: Report, asked: { readonly wait: string; readonly volatile: boolean }): MeshError | undefined {
  if (report.members !== undefined) return groupOutcome(report, asked)
  const peer = report.to.map(({ name }) => name).join(', ')
  switch (report.status) {
    case 'stored':
    case 'read':
    case 'held':
      return undefined
    case 'accepted':
    case 'sent':
      if (asked.volatile || asked.wait === 'accepted') return undefined
      return new MeshError('NOT_STORED_YET', { peer, ttlS: Math.max(0, Math.round((report.expiresAt - report.acceptedAt - report.ms) / 1000)) })
    case 'failed':
      return reported(report, peer)
    case 'expired-unknown':
      return new MeshError('EXPIRED_UNKNOWN', { what: `The message ${report.id}` })
  }
}

const maxNamed = 8
const onTheWay: ReadonlySet<Report['status']> = new Set(['accepted', 'sent', 'held'])

/** Of a message to a group: whom it has not reached, who cannot be told it any more, or who has it in time. */
function groupOutcome({ group, members = [] }: Report, asked: { readonly wait: string }): MeshError | undefined {
  const missing = members.filter(({ status }) => !['stored', 'read'].includes(status))
  const isFine = missing.length === 0 || (asked.wait === 'accepted' && missing.every(({ status }) => onTheWay.has(status)))
  if (isFine) return undefined
  const names = missing.slice(0, maxNamed).map(({ peer, status, error }) => `${peer.name} (${error?.code ?? status})`)
  const more = missing.length > maxNamed ? [`${missing.length - maxNamed} more`] : []
  const details = { stored: members.length - missing.length, members: members.length, missing: [...names, ...more].join(', ') }
  return new MeshError('GROUP_INCOMPLETE', { group: group?.name ?? 'the group', ...details })
}

/** The error that a report tells, in its own words. */
function reported(report: Report, peer: string): MeshError {
  if (report.error === undefined) return new MeshError('REFUSED', { peer })
  const error = new MeshError(report.error.code, { peer, id: report.id, candidates: [] })
  error.message = report.error.message
  return error
}

/** What a report of a traversal means for the exit code: undefined when there is a connection as it was asked for. */
export function natOutcome({ result, peer, method, now, reason }: OutputOf<Catalogue['nat']>): MeshError | undefined {
  if (result !== 'failed') return undefined
  const details = { peer: peer.name, reason }
  return method === 'auto' ? new MeshError('PEER_UNREACHABLE', details) : new MeshError('NAT_METHOD_FAILED', { ...details, method, now })
}
