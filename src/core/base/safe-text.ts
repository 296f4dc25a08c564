/**
 * What must never reach a terminal or a log from outside: C0 and C1 controls (tab and line feed are decided by the caller), DEL, soft hyphen, zero-width and
 * bidirectional characters, line and paragraph separators, variation selectors, interlinear marks, fillers, tags and lone surrogates.
 */
const unsafe =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|\p{Cs}/gu

/** The most characters of one remote text that are shown. */
export const safeTextCharacters = 4_096

const visible = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/**
 * Text from outside, made harmless for a terminal or a log line: what could move the cursor, hide or reorder text shows as `\u{…}`, and more than
 * `maxCharacters` are cut with a note of how many are missing. `multiline` keeps tab and line feed.
 */
export function safeText(text: string, options: { readonly maxCharacters?: number; readonly multiline?: boolean } = {}): string {
  const { maxCharacters = safeTextCharacters, multiline = false } = options
  const shown = text.length > maxCharacters ? text.slice(0, maxCharacters) : text
  const escaped = shown.replace(unsafe, (character) => (multiline && (character === '\n' || character === '\t') ? character : visible(character)))
  return shown === text ? escaped : `${escaped}… (${text.length - maxCharacters} more characters)`
}

/** `value` as one line of JSON with the same meaning, in which no such character stands as itself. */
export function safeJson(value: unknown): string {
  return JSON.stringify(value).replace(unsafe, (character) => {
    let escaped = ''
    for (let index = 0; index < character.length; index++) escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
    return escaped
  })
}
