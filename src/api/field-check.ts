import { MeshError } from '../core/base/index.ts'
import type { Field, Fields } from './command.ts'

export type FieldInput = boolean | number | string | readonly string[]

/** What a field takes, in words. */
export function allowedOf(field: Field): string {
  switch (field.type) {
    case 'text':
      return field.min === undefined || field.min === 0 ? `at most ${field.max} characters` : `${field.min} to ${field.max} characters`
    case 'integer':
      return field.values === undefined ? `a whole number from ${field.min} to ${field.max}` : orList(field.values)
    case 'seconds':
      return `from ${field.minMs / 1000} to ${field.maxMs / 1000} seconds`
    case 'choice':
      return `one of ${field.choices.join(', ')}`
    case 'boolean':
      return 'true or false'
    case 'list':
      return field.choices === undefined
        ? `up to ${field.maxItems}, each of at most ${field.maxCharacters} characters${field.position === undefined ? ', by commas or by repeating the flag' : ''}`
        : `some of ${field.choices.join(', ')}`
  }
}

/** Whether a value is one that the field takes. */
function takes(field: Field, value: unknown): value is FieldInput {
  switch (field.type) {
    case 'text':
      return typeof value === 'string' && value.length >= (field.min ?? 0) && value.length <= field.max
    case 'integer':
      return isInteger(field, value)
    case 'seconds':
      return typeof value === 'number' && Number.isFinite(value) && value >= field.minMs && value <= field.maxMs
    case 'choice':
      return typeof value === 'string' && field.choices.includes(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'list':
      return Array.isArray(value) && value.length <= field.maxItems && value.every((item) => isListItem(field, item))
  }
}

function isInteger({ min, max, values }: Field & { readonly type: 'integer' }, value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max && (values === undefined || values.includes(value))
}

const orList = (values: readonly number[]): string => `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`

function isListItem(field: Field & { readonly type: 'list' }, item: unknown): boolean {
  if (typeof item !== 'string' || item.length > field.maxCharacters) return false
  return field.choices === undefined ? item !== '' || field.takesEmpty === true : field.choices.includes(item)
}

/** `value` when the field takes it. @throws {MeshError} OPTION_INVALID that names `path`. */
export function checkField(field: Field, value: unknown, path: string): FieldInput {
  if (takes(field, value)) return value
  const shown = shownValue(field, value)
  throw new MeshError('OPTION_INVALID', { path, value: shown, allowed: allowedOf(field) })
}

function shownValue(field: Field, value: unknown): string {
  if (typeof value === 'string')
    return field.isPrivate === true ? `${value.length} characters` : value === '' ? 'empty' : JSON.stringify(value.slice(0, 80))
  if (Array.isArray(value))
    return field.isPrivate === true ? `a list of ${value.length}` : JSON.stringify(value.slice(0, 8).map(shownItem)).slice(0, 80)
  return typeof value === 'object' && value !== null ? 'a table' : String(value)
}

/** The choice that was meant by a text: in any case, or by another word for it. */
export function meantBy(field: Field, text: string): string {
  if ((field.type !== 'choice' && field.type !== 'list') || field.choices === undefined || field.choices.includes(text)) return text
  const lower = text.toLowerCase()
  return field.choices.includes(lower) ? lower : (field.also?.get(lower) ?? text)
}

/** One item of a list: never what is within it, which may be nested deeper than a call stack reaches. */
const shownItem = (item: unknown): unknown =>
  typeof item === 'string' ? item.slice(0, 80) : typeof item === 'object' && item !== null ? 'a table' : item

/** The value that a text of the command line or of a query stands for; `seconds` become milliseconds when `isSeconds`. @throws as `checkField`. */
export function parseField(field: Field, text: string, context: { readonly path: string; readonly isSeconds: boolean }): FieldInput {
  switch (field.type) {
    case 'integer':
      return checkField(field, /^-?\d{1,16}$/.test(text) ? Number(text) : text, context.path)
    case 'seconds': {
      const number = /^\d{1,10}(\.\d{1,6})?$/.test(text) ? Number(text) : text
      return checkField(field, typeof number === 'number' && context.isSeconds ? Math.round(number * 1000) : number, context.path)
    }
    case 'boolean':
      return checkField(field, text === 'true' ? true : text === 'false' ? false : text, context.path)
    case 'list':
      return checkField(
        field,
        text
          .split(',')
          .filter((item) => item !== '')
          .map((item) => meantBy(field, item)),
        context.path
      )
    case 'text':
    case 'choice':
      return checkField(field, meantBy(field, text), context.path)
  }
}

/** What a field is when it is not given. */
export function defaultOf(field: Field): FieldInput | undefined {
  if (field.type === 'list') return undefined
  return field.type === 'seconds' ? field.defaultMs : field.default
}

/** The whole input of a command, checked and with its defaults. @throws {MeshError} OPTION_INVALID, OPTION_UNKNOWN, USAGE */
export function checkInput(fields: Fields, input: unknown): Readonly<Record<string, FieldInput>> {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw new MeshError('USAGE', { problem: 'The input must be a JSON object' })
  const given = new Map<string, unknown>(Object.entries(input))
  const checked: Record<string, FieldInput> = {}
  for (const [name, field] of Object.entries(fields)) {
    if (field.local === true) continue
    const value = given.get(name)
    given.delete(name)
    if (value === undefined && field.required === true) throw new MeshError('USAGE', { problem: `${name} is missing` })
    const chosen = value === undefined ? defaultOf(field) : checkField(field, value, name)
    if (chosen !== undefined) checked[name] = chosen
  }
  const unknown = given.keys().next()
  if (unknown.done !== true) throw new MeshError('OPTION_UNKNOWN', { path: unknown.value.slice(0, 80) })
  return checked
}
