/** Takes no room on a terminal: colours, combining and invisible marks. */
const invisible = /\u001b\[[0-9;]*m|[\u001c-\u001e]|[\p{Mn}\p{Me}\p{Cf}]/gu
/** Takes two columns: East Asian wide and full-width characters (Unicode Standard Annex #11), and emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/gu
const plain = /^[\u0020-\u007e]*$/

/** How many columns of a terminal `text` takes, on one line. */
export function displayWidth(text: string): number {
  if (plain.test(text)) return text.length
  const shown = text.replace(invisible, '')
  return Array.from(shown).length + (shown.match(wide)?.length ?? 0)
}

/** `text` with spaces after it up to `width` columns. */
export const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - displayWidth(text)))

/** The beginning of a line that fits `columns`, with … where something is missing. */
export function cutToWidth(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  let kept = ''
  let width = 0
  for (const character of text) {
    width += displayWidth(character)
    if (width > columns - 1) break
    kept += character
  }
  return `${kept}…`
}
