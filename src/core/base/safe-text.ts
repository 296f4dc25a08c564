/**
 * What may reach a terminal or a log from outside, a list of what is allowed as a list of what is not forgets something: letters, marks, numbers, punctuation, symbols
 * and spaces (Unicode Standard, section 4.5). That leaves out C0 and C1 controls (tab and line feed are decided by the caller), DEL, format characters (soft hyphen,
 * zero-width, bidirectional, tags), line and paragraph separators, lone surrogates, private-use characters, and what this version of Unicode does not know.
 * Among the allowed these show nothing and are left out too: fillers, variation selectors, the blank Braille pattern, the null notehead. More than eight marks on
 * one letter would be drawn over the lines above and below.
 */
const unsafe =
  /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]|[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\u{16fe4}\u{1d159}\u{e0100}-\u{e01ef}]|\p{M}(?<=\p{M}{9})/gu

/** Most texts: nothing to look for. */
const plain = /^[\u0020-\u007e]*$/

/** The most characters of one remote text that are shown. */
export const safeTextCharacters = 4_096

const visible = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`

/**
 * Text from outside, made harmless for a terminal or a log line: what could move the cursor, hide or reorder text shows as `\u{…}`, and more than
 * `maxCharacters` are cut with a note of how many are missing. `multiline` keeps tab and line feed.
 */
export function safeText(text: string, options: { readonly maxCharacters?: number; readonly multiline?: boolean } = {}): string {
  const { maxCharacters = safeTextCharacters, multiline = false } = options
  const shown = text.length > maxCharacters ? cut(text, maxCharacters) : text
  const escaped = plain.test(shown)
    ? shown
    : shown.replace(unsafe, (character) => (multiline && (character === '\n' || character === '\t') ? character : visible(character)))
  return shown === text ? escaped : `${escaped}… (${text.length - shown.length} more characters)`
}

/** The first `max` characters, or one fewer where that would halve one. */
function cut(text: string, max: number): string {
  const isHalved = /[\ud800-\udbff]/.test(text.charAt(max - 1)) && /[\udc00-\udfff]/.test(text.charAt(max))
  return text.slice(0, isHalved ? max - 1 : max)
}

/** `value` as one line of JSON with the same meaning, in which no such character stands as itself. */
export function safeJson(value: unknown): string {
  const text = JSON.stringify(value)
  if (plain.test(text)) return text
  return text.replace(unsafe, (character) => {
    let escaped = ''
    for (let index = 0; index < character.length; index++) escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
    return escaped
  })
}
