import { hopelessReasons } from '../core/nat/index.ts'

const ownAddress = 'it is an address of this node'

/** What the system says of a dial (errno), and what a relay answers (libp2p's circuit relay v2), for people. */
const words: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ECONNRESET', 'connection reset'],
  ['EHOSTUNREACH', 'no way to that host'],
  ['ENETUNREACH', 'no way to that network'],
  ['EADDRNOTAVAIL', 'no way to that network'],
  ['ETIMEDOUT', 'no answer'],
  ['ENOTFOUND', 'no such host name'],
  ['EAI_AGAIN', 'the host name cannot be looked up now'],
  ['NO_RESERVATION', 'the relay does not hold the peer: it is off, or has no place there'],
  ['CONNECTION_FAILED', 'the relay does not get through to the peer'],
  ['PERMISSION_DENIED', 'the relay does not serve this node'],
  ['RESOURCE_LIMIT_EXCEEDED', 'the relay has no circuit left']
])
const codePattern = /\bstatus ([A-Z_]{5,})\b|\b(E[A-Z_]{5,})\b/

/** Most peers have addresses that a node without IPv6 cannot use, or that are no WebSocket: that is said only when there is nothing else to say. */
const minor: ReadonlySet<string> = new Set(['no way to that network', 'no WebSocket there', 'the connection ended'])

/** Why a dial did not connect: of several addresses each reason once, three at most. Addresses of this node itself are no reason. */
export function dialReason(error: unknown): string {
  if (!(error instanceof AggregateError)) return reasonOf(error)
  const reasons = [...new Set(leavesOf(error).map(reasonOf))].filter((reason) => reason !== ownAddress)
  const major = reasons.filter((reason) => !minor.has(reason))
  const told = major.length > 0 ? major : reasons
  return told.length === 0 ? hopelessReasons.noAddress : told.slice(0, 3).join('; ')
}

const leavesOf = (error: unknown): readonly unknown[] => (error instanceof AggregateError ? error.errors.flatMap(leavesOf) : [error])

function reasonOf(error: unknown): string {
  // libp2p sometimes rejects with the event that ended its waiting.
  if (!(error instanceof Error) && typeof error !== 'string') return 'the connection ended'
  const text = error instanceof Error ? error.message : error
  if (text.includes('is an address of this node')) return ownAddress
  const [, status, code] = codePattern.exec(text) ?? []
  const known = words.get(status ?? code ?? '')
  if (known !== undefined) return known
  if (/abort|timed? ?out|another address answered/i.test(text)) return 'no answer'
  // A WebSocket that does not open gives an event without a reason.
  if (text.includes('[object ')) return 'no WebSocket there'
  return text.slice(0, 120)
}
