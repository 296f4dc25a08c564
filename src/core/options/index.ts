import type { OptionEntry, OptionKey, optionTable } from './table.ts'

export { type AddressUse, checkAddress } from './address.ts'
export { parseIceServer } from './list-items.ts'
export { checkProfileName, type PathInputs, profilePaths, type ProfilePaths } from './paths.ts'
export {
  allowedValues,
  checkOption,
  environmentName,
  optionKey,
  type OptionLayers,
  type OptionSource,
  type OptionValue,
  type OptionValues,
  parseOption,
  resolveConfig,
  type ResolvedOptions,
  resolveOptions,
  shownOptions,
  shownValue
} from './resolve.ts'
export { type OptionEntry, type OptionKey, optionTable } from './table.ts'

type CamelCase<Text extends string> = Text extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Text

type ValueOf<Entry extends OptionEntry> = Entry extends { readonly type: 'boolean' }
  ? boolean
  : Entry extends { readonly type: 'integer' }
    ? number
    : Entry extends { readonly type: 'list' }
      ? readonly string[]
      : Entry extends { readonly type: 'choice'; readonly choices: readonly (infer Choice)[] }
        ? Choice
        : string

/** Every option with its value: complete, validated, frozen. */
export type MeshOptions = { readonly [Key in OptionKey as CamelCase<Key>]: ValueOf<(typeof optionTable)[Key]> }
