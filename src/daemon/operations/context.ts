import type { InputOf, OperationName, Operations, OutputOf } from '../../api/index.ts'
import type { Mesh } from '../../mesh/mesh.ts'

/** What an operation works on. */
export interface Context {
  readonly mesh: Mesh
  /** Aborts when the caller went away. */
  readonly signal: AbortSignal
  readonly self: { readonly profile: string; readonly pid: number; readonly socket: string; readonly version: string }
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
