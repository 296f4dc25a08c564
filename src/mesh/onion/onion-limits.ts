import type { PoolLimits, RelayRecordLimits } from '../../core/onion/index.ts'

/** Other limits of circuits than the usual ones, for tests: each left out has its default. */
export interface OnionLimits {
  /** How many circuits there are, and how long each lives. */
  readonly pool?: Partial<PoolLimits>
  /** How relays are judged that let builds fail. */
  readonly record?: Partial<RelayRecordLimits>
  /** When the far end of a circuit is asked whether it is there, and when a circuit is given up that does not answer. */
  readonly probe?: { readonly idleMs: number; readonly deadMs: number }
  /** How long the far end may take to take a stream. */
  readonly openMs?: number
  /** When a session for messages over a circuit is closed that carries none. */
  readonly idleMs?: number
}
