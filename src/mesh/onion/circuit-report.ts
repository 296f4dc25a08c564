import type { KemLevel, WallMillis } from '../../core/base/index.ts'
import type { AnonymityReport } from '../../core/onion/index.ts'
import type { CallOptions, PeerReference } from '../mesh.ts'

/** building: hops are being added; ready: it takes streams; draining: its successor takes what is new. */
export const circuitStates = ['building', 'ready', 'draining'] as const
export type CircuitState = (typeof circuitStates)[number]

/** What `circuit` may be asked for. */
export interface CircuitCall extends CallOptions {
  /** Relays at least, the destination not counted: 1 to 8, by default `onion_hops`. */
  readonly hops?: number
  /** The level of ML-KEM with every hop: 1, 3 or 5; by default the node's own. */
  readonly level?: number
  /** Takes as many relays as there are, at least one, where there are fewer than `hops`. */
  readonly allowShort?: boolean
  /** Whether the report names the relays. They are a secret of this node: whoever knows them knows whom to ask. */
  readonly showPath?: boolean
}

/** A circuit of this node's own. */
export interface CircuitInfo {
  /** For this node alone; no relay knows it. */
  readonly id: string
  /** Where it leads; undefined for a spare one. */
  readonly peer: PeerReference | undefined
  readonly state: CircuitState
  /** Relays, the destination not counted. */
  readonly hops: number
  readonly level: KemLevel
  readonly openedAt: WallMillis
  /** When its successor takes over what is new. */
  readonly expiresAt: WallMillis
  readonly streams: number
  readonly cells: { readonly sent: number; readonly received: number }
  /** The relays in order, where they were asked for. */
  readonly path: readonly PeerReference[] | undefined
}

/** What building a circuit gave: it is up, and its far end has answered over it. */
export interface CircuitReport extends CircuitInfo {
  readonly peer: PeerReference
  /** Relays that were asked for. */
  readonly wanted: number
  /** Whether a spare circuit was taken, so that only the destination had to be added. */
  readonly isWarm: boolean
  /** Whether messages to the peer go over it from now on: it has as many relays as `onion_hops` says, and the node's level. */
  readonly carriesMessages: boolean
  /** Whether those do that are sent with `via: 'onion'`. */
  readonly carriesVia: boolean
  readonly attempts: number
  /** From the call to the last hop's answer. */
  readonly buildMs: number
  /** How long each hop of the last attempt took, in order; of a spare circuit the destination alone. */
  readonly stepMs: readonly number[]
  /** There and back over the whole circuit. */
  readonly rttMs: number
  readonly anonymity: AnonymityReport
}

/** What `status` says of onion circuits. */
export interface OnionStatus {
  /** Whether messages go over circuits by themselves. */
  readonly routing: boolean
  /** relay: carries the circuits of others; endpoint: takes circuits to itself only; none: neither. */
  readonly role: 'relay' | 'endpoint' | 'none'
  /** lan: the rules about networks, families and age are waived. */
  readonly policy: 'lan' | 'strict'
  /** Members of the directory: relays, ourselves not counted, and those that can be reached over circuits. */
  readonly known: { readonly relays: number; readonly endpoints: number }
  /** Circuits of our own: with a destination, and spare ones. */
  readonly circuits: { readonly open: number; readonly spare: number }
  /** What this node carries for others; undefined when it is no relay and no endpoint. */
  readonly serving: { readonly links: number; readonly circuits: number; readonly cells: number; readonly queuedBytes: number } | undefined
}
