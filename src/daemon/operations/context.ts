import type { InputOf, OperationName, Operations, OutputOf } from '../../api/index.ts'
import type { Mesh } from '../../mesh/mesh.ts'
import type { Claims } from '../claims.ts'
import type { Caller } from '../access.ts'
import type { EventFeed } from '../gateway/event-feed.ts'
import type { Gateway } from '../gateway/gateway.ts'

/** What an operation works on. */
export interface Context {
  readonly mesh: Mesh
  /** What happens in the node, as it happens. */
  readonly feed: EventFeed
  readonly gateway: Gateway
  /** Who calls, and what that caller may do. */
  readonly caller: Caller
  /** Of the node and of the daemon, in Prometheus text format. */
  metrics(): Promise<string>
  /** Aborts when the caller went away. */
  readonly signal: AbortSignal
  /** Who has which messages in hand. */
  readonly claims: Claims
  readonly self: { readonly profile: string; readonly stateFolder: string; readonly pid: number; readonly socket: string; readonly version: string }
  /** Stops the daemon once the answer is out. */
  requestStop(): void
}

export type Handler<Name extends OperationName> = (input: InputOf<Operations[Name]>, context: Context) => Promise<OutputOf<Operations[Name]>>
export type StreamHandler<Name extends OperationName> = (
  input: InputOf<Operations[Name]>,
  context: Context
) => AsyncIterable<OutputOf<Operations[Name]>>

/** `given` without what is undefined: the mesh tells "not given" from "given as undefined". */
export function present<T extends object>(given: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const kept: { [Key in keyof T]?: Exclude<T[Key], undefined> } = {}
  for (const key of Object.keys(given) as (keyof T)[]) {
    const value = given[key]
    if (value !== undefined) kept[key] = value as Exclude<T[typeof key], undefined>
  }
  return kept
}
