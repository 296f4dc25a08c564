import { type ErrorReport, MeshError } from '../core/base/index.ts'
import type { ConnectionPath, NatClass, ReachRate, Technique, TraversalMethod, TraversalReport, TraversalResult } from '../core/nat/index.ts'
import type { PeerReference } from './mesh.ts'

/** One way to a peer that was tried, or left out as hopeless. */
export interface NatAttempt {
  readonly technique: Technique
  readonly ok: boolean
  /** From its begin to its end; 0 when it was left out. */
  readonly ms: number
  readonly path: ConnectionPath | undefined
  /** Why it gave no connection. */
  readonly reason: string | undefined
}

/** A share of peers, between 0 and 1; undefined before the first. */
export interface NatRates {
  readonly count: number
  readonly reachableRate: number | undefined
  /** Over no relay and no TURN server. */
  readonly directRate: number | undefined
}

/** What `nat` found: how two nodes reach each other through their NATs, and what was tried. */
export interface NatReport {
  readonly peer: PeerReference
  readonly method: TraversalMethod
  readonly result: TraversalResult
  /** How the connection that was asked for goes; undefined when it did not come to be. */
  readonly path: ConnectionPath | undefined
  /** How the peer is reached now, whatever was asked for. */
  readonly now: ConnectionPath | undefined
  /** The relay that a relayed peer is reached over. */
  readonly relay: PeerReference | undefined
  readonly own: NatClass
  readonly their: NatClass
  readonly attempts: readonly NatAttempt[]
  /** Why nothing better was reached. */
  readonly reason: string | undefined
  /** Until a relayed peer is tried again by itself. */
  readonly retryInMs: number | undefined
  /** Until the peer could be reached by any connection. */
  readonly usableMs: number | undefined
  readonly ms: number
  readonly last100: NatRates
  /** NAT_METHOD_FAILED or PEER_UNREACHABLE when there is no connection of the kind that was asked for. */
  readonly error: ErrorReport | undefined
}

/** What the node knows beside the traversal itself. */
export interface NatSurroundings {
  readonly peer: PeerReference
  readonly relay: PeerReference | undefined
  readonly retryInMs: number | undefined
  readonly last100: ReachRate
}

/** A traversal as it is told to people and programs. */
export function natReport(traversal: TraversalReport, { peer, relay, retryInMs, last100 }: NatSurroundings): NatReport {
  const { method, result, path, now, own, their, reason, usableMs, ms } = traversal
  const attempts = traversal.attempts.map((attempt) => ({
    technique: attempt.technique,
    ok: attempt.outcome === 'connected',
    ms: attempt.ms,
    path: attempt.path,
    reason: attempt.reason
  }))
  const error = result === 'failed' ? failure(traversal, peer.name).report() : undefined
  return { peer, method, result, path, now, relay, own, their, attempts, reason, retryInMs, usableMs, ms, last100: natRates(last100), error }
}

export const natRates = ({ count, reachable, direct }: ReachRate): NatRates => ({ count, reachableRate: reachable, directRate: direct })

function failure({ method, now, reason }: TraversalReport, peer: string): MeshError {
  return method === 'auto' ? new MeshError('PEER_UNREACHABLE', { peer, reason }) : new MeshError('NAT_METHOD_FAILED', { peer, method, reason, now })
}
