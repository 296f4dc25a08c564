import type { MetricRegistry } from '../../core/metrics/index.ts'
import type { RelayCounters } from '../../core/onion/index.ts'
import type { OnionStatus } from './circuit-report.ts'

/** What the metrics tell of circuits. */
export interface OnionNumbers {
  readonly status: OnionStatus
  readonly relay: RelayCounters
}

/** Brings the gauges and totals of circuits up to date. */
export function countOnion(registry: MetricRegistry, { status, relay }: OnionNumbers): void {
  registry.set('onionMembers', { role: 'relay' }, status.known.relays)
  registry.set('onionMembers', { role: 'endpoint' }, status.known.endpoints)
  for (const state of ['open', 'spare'] as const) registry.set('onionCircuits', { state }, status.circuits[state])
  if (status.serving === undefined) return
  registry.set('onionLinks', {}, status.serving.links)
  registry.set('onionRelayCircuits', {}, relay.circuits)
  registry.set('onionRelayQueued', {}, relay.queuedBytes)
  registry.countTo('onionRelayCells', { direction: 'forward' }, relay.cellsForward)
  registry.countTo('onionRelayCells', { direction: 'backward' }, relay.cellsBackward)
  registry.countTo('onionRelayHandshakes', { result: 'answered' }, relay.handshakes)
  registry.countTo('onionRelayHandshakes', { result: 'refused' }, relay.refused)
  registry.countTo('onionRelayHandshakes', { result: 'puzzle' }, relay.puzzles)
  registry.countTo('onionRelayExtends', { result: 'taken' }, relay.extends)
  registry.countTo('onionRelayExtends', { result: 'failed' }, relay.extendsFailed)
  registry.countTo('onionRelayEnded', { reason: 'violation' }, relay.violations)
  registry.countTo('onionRelayEnded', { reason: 'stuck' }, relay.stuck)
}
