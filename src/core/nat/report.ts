import { type ErrorCode, isMeshError } from '../base/index.ts'
import type { ConnectionPath, NatClass, Technique, TraversalMethod } from './types.ts'

/** What came of a traversal, in one word. `direct`: without a NAT to open; `punched`: through NATs; both carry the traffic without anybody between. */
export const traversalResults = ['direct', 'punched', 'turn', 'relayed', 'failed'] as const
export type TraversalResult = (typeof traversalResults)[number]

/** What a path means for a result. */
export function resultOf(path: ConnectionPath): Exclude<TraversalResult, 'failed'> {
  if (path === 'onion') return 'relayed'
  return path === 'punched' || path === 'turn' || path === 'relayed' ? path : 'direct'
}

/** Whether the traffic goes between the two nodes themselves: over no relay and no TURN server. */
export const isDirectPath = (path: ConnectionPath): boolean => path !== 'relayed' && path !== 'turn' && path !== 'onion'

/** One way that was tried, or left out. */
export interface TraversalAttempt {
  readonly technique: Technique
  /** `ended`: it was stopped, since another way was there first, or its time was up. `skipped`: it was hopeless and never begun. */
  readonly outcome: 'connected' | 'failed' | 'ended' | 'skipped'
  /** From the begin of the traversal to the begin of this try. */
  readonly atMs: number
  /** From the begin of this try to its end; 0 when it was skipped. */
  readonly ms: number
  /** How the connection goes; undefined when there is none. */
  readonly path: ConnectionPath | undefined
  /** Why it gave no connection; undefined when it did. */
  readonly reason: string | undefined
}

/** What a traversal found out and reached. */
export interface TraversalReport {
  readonly method: TraversalMethod
  readonly result: TraversalResult
  /** How the connection that was asked for goes; undefined when there is none. */
  readonly path: ConnectionPath | undefined
  /** How the peer is reached now, whatever was asked for; undefined while it is not. */
  readonly now: ConnectionPath | undefined
  readonly own: NatClass
  readonly their: NatClass
  readonly attempts: readonly TraversalAttempt[]
  /** Why nothing better was reached; undefined for a direct connection, and for the TURN server that was asked for. */
  readonly reason: string | undefined
  /** Until the peer could be reached by any connection; undefined when it could not. */
  readonly usableMs: number | undefined
  /** All of it. */
  readonly ms: number
}

/** Codes whose sentence says no more than that it did not work. */
const generalCodes: readonly ErrorCode[] = ['PEER_UNREACHABLE', 'ICE_FAILED', 'ICE_UNAVAILABLE']

/** A failure in the words of a report, at most 200 characters. */
export function reasonOf(error: unknown): string {
  const reason = isMeshError(error) && generalCodes.includes(error.code) ? error.details['reason'] : undefined
  if (typeof reason === 'string') return reason.slice(0, 200)
  return (error instanceof Error ? error.message : String(error)).slice(0, 200)
}
