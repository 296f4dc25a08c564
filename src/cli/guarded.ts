import { safeText } from '../core/base/index.ts'

/** The colours of this program, and those of a QR code. */
const ownColours = /(\u001b\[(?:0|1|2|31|32|33|30;107)m)/
const plain = /^[\u0020-\u007e]*$/

/**
 * A finished line, in which nothing but our own colours can steer the terminal. What comes from outside is made safe where a line is put together; this is the
 * second lock, for the place that forgets it.
 */
export function guarded(line: string): string {
  if (plain.test(line)) return line
  const parts = line.split(ownColours)
  return parts.map((part, index) => (index % 2 === 1 ? part : safeText(part, { maxCharacters: Infinity, multiline: true }))).join('')
}
