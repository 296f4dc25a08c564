import { MeshError } from '../base/index.ts'
import type { MeshOptions } from './index.ts'
import { checkListItem } from './list-items.ts'
import { suggest } from './suggest.ts'
import { type OptionEntry, type OptionKey, optionTable } from './table.ts'

export type OptionSource = 'flag' | 'environment' | 'file' | 'default'
export type OptionValue = boolean | number | string | readonly string[]

/** Values by their key in the table. */
export type OptionValues = { readonly [Key in OptionKey]?: OptionValue }

/** Where values come from, the strongest first: flag, environment, file, default. */
export interface OptionLayers {
  readonly flags?: Readonly<Record<string, unknown>>
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** The parsed configuration file, or the object that was given to the library. */
  readonly file?: unknown
}

export interface ResolvedOptions {
  readonly options: MeshOptions
  readonly sources: Readonly<Record<OptionKey, OptionSource>>
}

const optionKeys = Object.keys(optionTable) as readonly OptionKey[]
const environmentPrefix = 'SYNAPTIC_MESH_'
/** Names with the prefix that are no options: they are read where paths are chosen, or tell a handler which message it has. */
const reservedEnvironment: ReadonlySet<string> = new Set(
  ['PROFILE', 'CONFIG', 'DATA_DIR', 'MESSAGE', 'MESSAGE_TYPE', 'MESSAGE_FROM'].map((name) => environmentPrefix + name)
)
const entries: Readonly<Record<OptionKey, OptionEntry>> = optionTable

const camelCase = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
const keysByName: ReadonlyMap<string, OptionKey> = new Map(optionKeys.flatMap((key) => [[key, key] as const, [camelCase(key), key] as const]))

/**
 * All layers as one complete, validated, frozen object.
 * @throws {MeshError} OPTION_INVALID, OPTION_UNKNOWN, ADDRESS_INVALID (each names the path), NOT_AVAILABLE for a part that is not built.
 */
export function resolveOptions(layers: OptionLayers): ResolvedOptions {
  const chosen: readonly (readonly [OptionSource, OptionValues])[] = [
    ['flag', readValues(layers.flags ?? {}, (key) => optionTableFlag(key))],
    ['environment', readEnvironment(layers.environment ?? {})],
    ['file', readValues(layers.file ?? {}, (name) => name)]
  ]
  const options: Record<string, OptionValue> = {}
  const sources: Partial<Record<OptionKey, OptionSource>> = {}
  for (const key of optionKeys) {
    const layer = chosen.find(([, values]) => values[key] !== undefined)
    const value = layer?.[1][key] ?? entries[key].default
    options[camelCase(key)] = typeof value === 'object' ? Object.freeze([...value]) : value
    sources[key] = layer?.[0] ?? 'default'
  }
  return Object.freeze({ options: Object.freeze(options) as MeshOptions, sources: Object.freeze(sources) as Record<OptionKey, OptionSource> })
}

/** The library's `config`: keys in camelCase or snake_case. @throws {MeshError} as `resolveOptions`. */
export const resolveConfig = (config: unknown): MeshOptions => resolveOptions({ file: config }).options

/** The key of the table for a name in either spelling. @throws {MeshError} OPTION_UNKNOWN with the nearest name. */
export function optionKey(name: string, path = name): OptionKey {
  const key = keysByName.get(name)
  if (key !== undefined) return key
  const suggestion = suggest(name, optionKeys)
  throw new MeshError('OPTION_UNKNOWN', { path: path.slice(0, 80), ...(suggestion === undefined ? {} : { suggestion }) })
}

/** `value` when the option takes it. @throws {MeshError} OPTION_INVALID, ADDRESS_INVALID, NOT_AVAILABLE */
export function checkOption(key: OptionKey, value: unknown, path: string = key): OptionValue {
  const entry = entries[key]
  const checked = checkValue(entry, value, path)
  if (entry.built === false && checked !== entry.default) throw new MeshError('NOT_AVAILABLE', { feature: path })
  return checked
}

/** The value that a text of the command line or the environment stands for. @throws {MeshError} as `checkOption`. */
export function parseOption(key: OptionKey, text: string, path: string = key): OptionValue {
  const entry = entries[key]
  switch (entry.type) {
    case 'boolean':
      return checkOption(key, booleanWords.get(text.toLowerCase()) ?? text, path)
    case 'integer':
      return checkOption(key, /^-?\d{1,15}$/.test(text) ? Number(text) : text, path)
    case 'list':
      return checkOption(
        key,
        text.split(/[\s,]+/).filter((item) => item !== ''),
        path
      )
    case 'text':
    case 'choice':
      return checkOption(key, text, path)
  }
}

/** The value of an option as it may be seen: of a secret one only whether it is set. */
export const shownValue = (key: OptionKey, value: OptionValue): OptionValue => (entries[key].secret === true && value !== '' ? '(set)' : value)

/** All options as they may be seen, in an object that may end in a log. */
export const shownOptions = (options: MeshOptions): MeshOptions => {
  const secrets = optionKeys.filter((key) => entries[key].secret === true).map((key): string => camelCase(key))
  const shown = Object.entries(options).map(([name, value]) => [name, secrets.includes(name) && value !== '' ? '(set)' : value] as const)
  return Object.freeze({ ...options, ...Object.fromEntries(shown) })
}

/** What an option takes, in words. */
export function allowedValues(key: OptionKey): string {
  const entry = entries[key]
  switch (entry.type) {
    case 'boolean':
      return 'true or false'
    case 'integer':
      return entry.values === undefined ? `a whole number from ${entry.min} to ${entry.max}` : oneOf(entry.values)
    case 'text':
      return entry.allowed
    case 'choice':
      return oneOf(entry.choices)
    case 'list':
      return `a list of at most ${entry.maxItems} addresses`
  }
}

const booleanWords: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const)
])

const oneOf = (values: readonly (string | number)[]): string => `one of ${values.join(', ')}`
const optionTableFlag = (name: string): string => {
  const key = keysByName.get(name)
  return (key === undefined ? undefined : entries[key].flag) ?? `--${name.replaceAll('_', '-')}`
}

function readValues(layer: unknown, pathOf: (name: string) => string): OptionValues {
  if (typeof layer !== 'object' || layer === null || Array.isArray(layer)) {
    throw new MeshError('OPTION_INVALID', { path: 'config', value: shown(layer), allowed: 'a table of options' })
  }
  const values: Partial<Record<OptionKey, OptionValue>> = {}
  for (const [name, value] of Object.entries(layer)) {
    const key = optionKey(name, pathOf(name))
    if (value === undefined) continue
    if (values[key] !== undefined)
      throw new MeshError('OPTION_INVALID', { path: pathOf(name), value: 'given twice', allowed: 'given once, in one spelling' })
    values[key] = checkOption(key, value, pathOf(name))
  }
  return values
}

function readEnvironment(environment: Readonly<Record<string, string | undefined>>): OptionValues {
  const values: Partial<Record<OptionKey, OptionValue>> = {}
  for (const name of Object.keys(environment)) {
    if (!name.startsWith(environmentPrefix) || reservedEnvironment.has(name)) continue
    if (keysByName.get(name.slice(environmentPrefix.length).toLowerCase()) !== undefined) continue
    const suggestion = suggest(name, optionKeys.map(environmentName))
    throw new MeshError('OPTION_UNKNOWN', { path: name.slice(0, 80), ...(suggestion === undefined ? {} : { suggestion }) })
  }
  for (const key of optionKeys) {
    const name = [environmentName(key), ...(entries[key].env ?? [])].find((candidate) => environment[candidate] !== undefined)
    if (name !== undefined) values[key] = parseOption(key, environment[name] ?? '', name)
  }
  return values
}

/** The name of an option in the environment. */
export const environmentName = (key: OptionKey): string => environmentPrefix + key.toUpperCase()

function checkValue(entry: OptionEntry, value: unknown, path: string): OptionValue {
  const fail = (allowed: string): never => {
    throw new MeshError('OPTION_INVALID', { path, value: entry.secret === true ? 'what was given' : shown(value), allowed })
  }
  switch (entry.type) {
    case 'boolean':
      return typeof value === 'boolean' ? value : fail('true or false')
    case 'integer': {
      if (typeof value === 'number' && Number.isInteger(value) && value >= entry.min && value <= entry.max && entry.values?.includes(value) !== false)
        return value
      return fail(entry.values === undefined ? `a whole number from ${entry.min} to ${entry.max}` : oneOf(entry.values))
    }
    case 'text':
      return typeof value === 'string' && entry.pattern.test(value) ? value : fail(entry.allowed)
    case 'choice':
      return typeof value === 'string' && entry.choices.includes(value) ? value : fail(oneOf(entry.choices))
    case 'list':
      return checkList(entry, value, path)
  }
}

function checkList(entry: OptionEntry & { readonly type: 'list' }, value: unknown, path: string): readonly string[] {
  const isList = Array.isArray(value) && value.length <= entry.maxItems
  if (!isList) throw new MeshError('OPTION_INVALID', { path, value: shown(value), allowed: `a list of at most ${entry.maxItems} addresses` })
  return value.map((item: unknown, index) => {
    const itemPath = `${path}[${index}]`
    if (typeof item !== 'string') throw new MeshError('OPTION_INVALID', { path: itemPath, value: shown(item), allowed: 'an address' })
    return checkListItem(item, entry.of, itemPath)
  })
}

/** A value as an error tells it: short, and a table or list by its kind only. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value === '' ? 'empty' : JSON.stringify(value.slice(0, 80))
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'a table'
  return String(value)
}
