import { MeshError } from '../base/index.ts'
import { messageLimits } from './types.ts'

// Every pattern is linear: one class, one bounded quantifier.
const idPattern = /^[A-Za-z0-9._-]{1,64}$/
const contentTypePattern = /^[\x20-\x7e]{1,127}$/
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/

/** Whether `text` can be a message id: 1–64 of A-Z a-z 0-9 . _ - */
export const isMessageId = (text: string): boolean => idPattern.test(text)

/** Whether `text` can be an agent label: at most 64 UTF-16 units, well formed, without control characters. May be empty. */
export const isLabel = (text: string): boolean =>
  text.length <= messageLimits.labelCharacters && (text.length === 0 || (text.isWellFormed() && !controlCharacters.test(text)))

/** Whether `text` can be a content type: 1–127 printable ASCII characters. */
export const isContentType = (text: string): boolean => contentTypePattern.test(text)

/** Whether `value` is an integer of at least `min` and at most `max`. */
export const isIntegerIn = (value: unknown, min: number, max: number): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max

/** An option of a send that is out of range. */
export function invalidOption(path: string, value: string | number, allowed: string): MeshError {
  return new MeshError('OPTION_INVALID', { path, value: String(value).slice(0, 80), allowed })
}
