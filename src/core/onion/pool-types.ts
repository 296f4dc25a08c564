import type { KemLevel, MeshError, Millis, Random, WallMillis } from '../base/index.ts'
import type { PathMember } from './path-member.ts'
import type { PathAsker, PathPolicyName } from './path-policy.ts'
import type { DroppedRelay, RelayRecordLimits } from './relay-record.ts'

/** Somebody wants a circuit to a destination. */
export interface CircuitWant {
  readonly type: 'want'
  /** Chosen by whoever asks; answered by one `ready` or `failed`. */
  readonly request: number
  /** A peer id. */
  readonly destination: string
  /** Relays at least, 1 to 8; by default the pool's. */
  readonly hops?: number
  /** By default the pool's. */
  readonly level?: KemLevel
  /** Takes fewer relays where there are fewer. */
  readonly allowShort?: boolean
  /** Not one that leads there already. */
  readonly isFresh?: boolean
}

export type PoolInput =
  /** The whole directory. `isSynced`: it has been compared with other nodes' since the start; nothing is drawn before, or whoever answers first would choose the guards. */
  | { readonly type: 'members'; readonly members: readonly PathMember[]; readonly isSynced: boolean }
  /** Whether any peer is connected: a guard that is not reached is not blamed while there is none. */
  | { readonly type: 'online'; readonly isOnline: boolean }
  | CircuitWant
  /** Nobody waits for the answer any more. */
  | { readonly type: 'cancel'; readonly request: number }
  /** All relays of `build` were added. */
  | { readonly type: 'built'; readonly circuit: number }
  /** The destination was added. */
  | { readonly type: 'extended'; readonly circuit: number }
  /** The circuit is gone: hop `hop` was not added. 1 is the guard (its link included), one more than the path has relays is the destination. */
  | { readonly type: 'failed'; readonly circuit: number; readonly hop: number; readonly error: MeshError }
  /** How much work is on it now: while there is any, it gets a successor before it expires. */
  | { readonly type: 'streams'; readonly circuit: number; readonly streams: number }
  /** What it carried while it was busy all the time. */
  | { readonly type: 'carried'; readonly circuit: number; readonly bytesPerSecond: number }
  /** It was there, and is gone: a relay or the other end ended it. */
  | { readonly type: 'ended'; readonly circuit: number }
  /** Nobody needs it any more. */
  | { readonly type: 'close'; readonly circuit: number }
  | { readonly type: 'wake' }

export type PoolOutput =
  /** Make a circuit over `path`, each step within `stepMs`; answered by `built` or `failed`. */
  | { readonly type: 'build'; readonly circuit: number; readonly path: readonly PathMember[]; readonly level: KemLevel; readonly stepMs: number }
  /** Add the destination; answered by `extended` or `failed`. */
  | { readonly type: 'extend'; readonly circuit: number; readonly destination: PathMember; readonly level: KemLevel; readonly stepMs: number }
  | {
      readonly type: 'ready'
      readonly request: number
      readonly circuit: number
      /** It had its relays when it was asked for. */
      readonly isWarm: boolean
      /** 0 when it led there already. */
      readonly attempts: number
    }
  | { readonly type: 'failed'; readonly request: number; readonly error: MeshError }
  /** New work goes to `to`; move there what is on `from`, then say that it has no streams, and it is closed. */
  | { readonly type: 'succeed'; readonly destination: string; readonly from: number; readonly to: number }
  /** End the circuit. No answer is needed. */
  | { readonly type: 'close'; readonly circuit: number }
  /** So many circuits more are wanted than there may be, and each of those that there are has work: what has been without use for longest shall end. */
  | { readonly type: 'crowded'; readonly count: number }
  /** Save this: the guards have changed. */
  | { readonly type: 'guards'; readonly bytes: Uint8Array }
  /** Warn: fewer than half of the last circuits through this relay came about, and it is left out for a while. */
  | ({ readonly type: 'dropped' } & DroppedRelay)

export const poolDefaults = {
  /** Circuits without a destination that are kept ready. */
  spares: 2,
  /** For new work a circuit is good for so long, more or less by up to `lifeSpreadMs`: of a spare one from when it was built, then from when it got its destination. */
  lifeMs: 600_000,
  lifeSpreadMs: 120_000,
  /** So long before the end a spare is replaced, and a circuit in use gets its successor. */
  aheadMs: 60_000,
  /** After its successor took over, a circuit ends at the latest after this. */
  drainMs: 300_000,
  /** No circuit gets older, whatever is on it. */
  hardMs: 3_000_000,
  attempts: 3,
  /** Of these so many may end at the destination. */
  destinationAttempts: 2,
  /** A build of which nothing was heard for so long is given up. */
  silentMs: 90_000,
  /** Builds at one time. */
  building: 4,
  /** Circuits at one time; a guard takes 64 of one link. */
  circuits: 56,
  wants: 512,
  /** A want waits so long for the first comparison of directories, or for a place. */
  patienceMs: 10_000,
  firstDelayMs: 1_000,
  maxDelayMs: 60_000
} as const

export type PoolLimits = { readonly [Key in keyof typeof poolDefaults]: number }

export interface PoolOptions {
  readonly random: Random
  /** The wall clock. */
  readonly wall: () => WallMillis
  readonly asker: PathAsker
  readonly policy: PathPolicyName
  /** Relays of a circuit at least: the option `onion_hops`. */
  readonly hops: number
  readonly level: KemLevel
  /** What the last `guards` output had. */
  readonly savedGuards?: Uint8Array | undefined
  readonly limits?: Partial<PoolLimits>
  /** How relays are judged that let builds fail. */
  readonly record?: Partial<RelayRecordLimits>
}

/** building: relays are being added; spare: leads nowhere yet; extending: the destination is being added; draining: its successor has its work. */
export type PoolCircuitState = 'building' | 'spare' | 'extending' | 'ready' | 'draining'

/** A circuit of the pool. */
export interface PoolCircuit {
  readonly id: number
  readonly state: PoolCircuitState
  readonly path: readonly PathMember[]
  readonly level: KemLevel
  /** Relays that were asked for. */
  readonly wanted: number
  readonly destination: string | undefined
  readonly startedAt: Millis
  /** The end for new work; of one that is not ready yet the end of patience. */
  readonly expiresAt: Millis
  readonly streams: number
}

/** The pool at a glance. */
export interface PoolStatus {
  readonly policy: 'lan' | 'strict'
  /** Relays from which paths are drawn. */
  readonly relays: number
  readonly circuits: Readonly<Record<PoolCircuitState, number>>
  readonly guards: { readonly known: number; readonly failing: number }
  readonly dropped: readonly DroppedRelay[]
  /** How often within ten minutes circuits ended by themselves that had work; at most 100. */
  readonly broken: number
  /** Why there are no spare circuits; undefined when there are, or soon. */
  readonly shortage: MeshError | undefined
}
