import type { NetworkFacts } from './hopeless.ts'
import type { TraversalReport } from './report.ts'
import type { ConnectionPath, Technique } from './types.ts'

/** What a peer told of itself over a connection. */
export interface PeerNetwork {
  readonly facts: NetworkFacts
  /** Whether it can take part in an ICE run. */
  readonly ice: boolean
  /** Whether it has a TURN server of its own. */
  readonly turn: boolean
  /** Whether it told addresses that were not known when the first dial began. */
  readonly hasNewAddresses: boolean
}

/** What there is to reach a peer with. */
export interface TraversalMeans {
  /** How the peer is connected when the traversal begins; undefined when it is not. */
  readonly connected: ConnectionPath | undefined
  /** Whether direct addresses of the peer are known. */
  readonly hasAddresses: boolean
  /** Whether a relay is known over which it may be reached. */
  readonly hasRelays: boolean
  /** Why ICE cannot be used here, such as a package that is missing; undefined when it can. */
  readonly iceUnavailable: string | undefined
  readonly hasTurn: boolean
  /** Whether others can dial us: a public, mapped or forwarded address of ours. */
  readonly isReachable: boolean
}

export type PlanInput =
  | { readonly type: 'begin' }
  /** Our own network was measured, or measured anew. */
  | { readonly type: 'own'; readonly facts: NetworkFacts }
  /** The peer answered `ask`. */
  | { readonly type: 'told'; readonly peer: PeerNetwork }
  | { readonly type: 'untold' }
  | { readonly type: 'connected'; readonly id: number; readonly path: ConnectionPath }
  | { readonly type: 'failed'; readonly id: number; readonly reason: string }
  /** The peer connected to us by itself. */
  | { readonly type: 'arrived'; readonly path: ConnectionPath }
  | { readonly type: 'wake' }

export type PlanOutput =
  /** Begin a way; its end comes as `connected` or `failed` with the same id. `round` 2: the addresses that the peer told. */
  | { readonly type: 'start'; readonly id: number; readonly technique: Technique; readonly round: 1 | 2; readonly budgetMs: number }
  /** Stop a way: nothing that it brings is heard any more. */
  | { readonly type: 'abort'; readonly id: number; readonly technique: Technique }
  /** Ask the peer about its network, over the connection that there is. */
  | { readonly type: 'ask'; readonly budgetMs: number }
  /** There is a connection, though maybe not yet the best one. */
  | { readonly type: 'usable'; readonly path: ConnectionPath }
  | { readonly type: 'done'; readonly report: TraversalReport }

/** Times in milliseconds: design of the traversal, section 6. Successful ICE runs took 0.3 to 1.6 s, so that 6 s leave room for delay and loss. */
export const planTimes = {
  dialMs: 3_000,
  relayMs: 5_000,
  reversalMs: 4_000,
  iceMs: 6_000,
  /** How long ICE waits for what the peer says of its network, which may show that it is hopeless. */
  askMs: 1_500,
  /** After so long, a peer that knew nothing of its network may know more. */
  askAgainMs: 1_000,
  /** With a TURN server found: how long a dial or a reversal that runs may still beat it. */
  turnGraceMs: 1_000,
  autoMs: 9_500,
  /** With `stun` or `turn`, all of it. */
  forcedMs: 7_500
} as const
