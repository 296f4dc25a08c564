import { MeshError } from '../base/index.ts'
import { messageLimits } from './types.ts'

const maxIdCharacters = 64
/** For each ASCII code whether an id may have it. */
const idCharacters = Uint8Array.from({ length: 128 }, (_, code) => (/[A-Za-z0-9._-]/.test(String.fromCharCode(code)) ? 1 : 0))
// Every pattern is linear: one class, one bounded quantifier.
const contentTypePattern = /^[\x20-\x7e]{1,127}$/
const controlCharacters = /[\u0000-\u001f\u007f-\u009f]/

/** Whether `text` can be a message id: 1–64 of A-Z a-z 0-9 . _ - */
export function isMessageId(text: string): boolean {
  if (text.length === 0 || text.length > maxIdCharacters) return false
  for (let index = 0; index < text.length; index++) if (idCharacters[text.charCodeAt(index)] !== 1) return false
  return true
}

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
