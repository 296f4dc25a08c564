import type { ErrorCode } from '../core/base/index.ts'
import type { z } from 'zod'

/** The schema library as an argument: a schema is made when it is needed, so that the command line starts without loading it. */
export type Zod = typeof z

interface FieldBase {
  readonly help: string
  /** Must be given. */
  readonly required?: true
  /** Also, or only, an argument without a name, at this place from 0. */
  readonly position?: number
  /** The name of the flag where it is not the field's in kebab-case; `false`: an argument only. */
  readonly flag?: string | false
  readonly short?: string
  /** Used by the command line itself, never sent to the daemon. */
  readonly local?: true
  /** A body or a secret: its value is in no error and no log. */
  readonly isPrivate?: true
  /** What stands for the value in the help. */
  readonly placeholder?: string
}

/** One input of a command. From it come the flag, its check, the schema of the control API and the docs. */
export type Field = FieldBase &
  (
    | { readonly type: 'text'; readonly min?: number; readonly max: number; readonly default?: string }
    /** `values`: these only. */
    | { readonly type: 'integer'; readonly min: number; readonly max: number; readonly default?: number; readonly values?: readonly number[] }
    /** On the command line a number of seconds, here milliseconds. */
    | { readonly type: 'seconds'; readonly minMs: number; readonly maxMs: number; readonly defaultMs?: number }
    /** `also`: other words for a choice, in lower case. */
    | { readonly type: 'choice'; readonly choices: readonly string[]; readonly default?: string; readonly also?: ReadonlyMap<string, string> }
    /** `negatable`: there is a `--no-` flag as well. */
    | { readonly type: 'boolean'; readonly default?: boolean; readonly negatable?: true }
    | {
        readonly type: 'list'
        readonly maxItems: number
        readonly maxCharacters: number
        /** Whether an item may be the empty text. */
        readonly takesEmpty?: true
        readonly choices?: readonly string[]
        readonly also?: ReadonlyMap<string, string>
      }
  )

export type Fields = Readonly<Record<string, Field>>

type FieldValue<F extends Field> = F extends { readonly type: 'text' }
  ? string
  : F extends { readonly type: 'integer' | 'seconds' }
    ? number
    : F extends { readonly type: 'boolean' }
      ? boolean
      : F extends { readonly choices: readonly (infer Choice)[] }
        ? F extends { readonly type: 'list' }
          ? readonly Choice[]
          : Choice
        : readonly string[]

type IsPresent<F> = F extends { readonly required: true } | { readonly default: unknown } | { readonly defaultMs: unknown } ? true : false

/** The input of a command once it was checked: defaults filled in. */
export type InputOf<C> = C extends { readonly fields: infer F extends Fields }
  ? { readonly [Key in keyof F as IsPresent<F[Key]> extends true ? Key : never]: FieldValue<F[Key]> } & {
      readonly [Key in keyof F as IsPresent<F[Key]> extends true ? never : Key]?: FieldValue<F[Key]> | undefined
    }
  : never

/** What a command answers; of a stream, one item. */
export type OutputOf<C> = C extends { readonly output: (zod: Zod) => Schema<infer Out> } ? Out : never

/** What is needed of a schema: it checks a value. */
export interface Schema<Out> {
  /** @throws when `value` does not have the shape. */
  parse(value: unknown): Out
}

/** Who may call: `read` looks, `agent` sends and receives, `admin` pairs and stops. Each includes those before it. */
export const scopes = ['read', 'agent', 'admin'] as const
export type Scope = (typeof scopes)[number]

export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: `/v1/${string}`
  readonly scope: Scope
  /** The answer is a line of JSON for each item, until either side ends it; `events`: as server-sent events, unless lines are asked for. */
  readonly stream?: true | 'events'
  /** Never answered over a port: what a stolen token must not do. */
  readonly socketOnly?: true
  /** The longest body of a request; 64 KiB unless told. */
  readonly maxBodyBytes?: number
}

/** One command. The catalogue holds them all. */
export interface Command<F extends Fields = Fields, Out = unknown> {
  /** As typed after `p2p`. */
  readonly words: readonly string[]
  /** Also what the first word alone does. */
  readonly isDefault?: true
  readonly help: string
  readonly fields: F
  readonly examples: readonly string[]
  /** The codes that it may end with, besides those of the daemon and of usage. */
  readonly errors: readonly ErrorCode[]
  readonly output: (zod: Zod) => Schema<Out>
  /** Absent: the command line does it by itself. */
  readonly route?: Route
}

/** States a command with the exact types of its input and its answer. */
export const command = <const F extends Fields, Out>(definition: Command<F, Out>): Command<F, Out> => definition

/** The flag of a field, such as `--msg-type`; undefined when it is an argument only. */
export function flagOf(name: string, field: Field): string | undefined {
  if (field.flag === false) return undefined
  return field.flag ?? `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}
