import { type KemLevel, MeshError } from '../base/index.ts'
import { type NoiseSuite, rankedProtocols, suiteOf } from './suites.ts'

/** What was offered and authenticated, and what ran. */
export interface Negotiation {
  readonly initiator: readonly string[]
  readonly responder: readonly string[]
  /** The suite of the handshake that carried the lists. */
  readonly actual: NoiseSuite
  /** The peer's id, for the error. */
  readonly peer: string
}

/**
 * Compares what ran with the best suite that both lists hold. Both sides rank by our table, so that they judge alike.
 * A peer that sends no list is not judged here.
 * @throws {MeshError} DOWNGRADE_DETECTED
 */
export function expectBestSuite({ initiator, responder, actual, peer }: Negotiation): void {
  if (initiator.length === 0 || responder.length === 0) return
  const best = rankedProtocols.find((protocol) => initiator.includes(protocol) && responder.includes(protocol))
  if (best !== actual.protocol)
    throw new MeshError('DOWNGRADE_DETECTED', { reason: 'offers', peer, best: best ?? 'nothing', actual: actual.protocol })
}

/** A level of ML-KEM; 0 for the classical suite. */
export type ProtectionLevel = 0 | KemLevel

/** The highest level of ML-KEM among the offers, no higher than `limit`: 0 when there is none, the classical suite included. */
export function bestLevel(offers: readonly string[], limit: ProtectionLevel = 5): ProtectionLevel {
  let best: ProtectionLevel = 0
  for (const protocol of offers) {
    const level = suiteOf(protocol)?.kem ?? 0
    if (level > best && level <= limit) best = level
  }
  return best
}
