/** What somebody would put into a name, a label, an address, a reason or a body to move a cursor, hide text, forge a line or fill memory. */

const range = (from: number, to: number): string => Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)).join('')

export const hostileTexts: readonly string[] = [
  range(0, 0x1f),
  range(0x7f, 0x9f),
  '\u001b[2J\u001b[Hroot# ',
  '\u001b]52;c;ZXZpbA==\u0007',
  '\u001b]8;;http://evil.example\u0007click\u001b]8;;\u0007',
  '\u001b]0;title\u001b\\',
  '\u001bP1$r\u001b\\ \u001b^pm\u001b\\ \u001b_apc\u001b\\',
  '\u009b31m\u009d0;title\u009c',
  '\u001b[31mred\u001b[0m',
  '\u001b[1mbold',
  'ok\rFAILED',
  'a\b\b\b\bb\u007f',
  'line\n✓ stored at bob in 1 ms   id 01FORGED',
  'tab\tcolumn\u001fcell\u001everbatim\u001d\u001c',
  '\u202eevil\u202c \u2066isolated\u2069 \u200ertl\u200f\u061c',
  'zero\u200bwidth\u200c\u200d\u2060\ufeff\u00ad',
  'tags\u{e0001}\u{e0041}\u{e0042}\u{e007f}',
  'selectors\ufe0f\u{e0100}\u180b',
  'fillers\u3164\u115f\u1160\uffa0\u034f\u17b4\u2800\u{1d159}',
  'separators\u2028\u2029\u0085',
  'lone\ud800 \udc00\udbff',
  'private\ue0b0\u{f0000}\u{10ffff}\uffff\ufdd0',
  'unassigned\u0378\u{2fe0}',
  'formats\u0600\u06dd\u070f\u08e2\u{110bd}\u{13430}\u{1bca0}\ufff9',
  `zalgo${'\u0301\u0316'.repeat(200)}`,
  '__proto__',
  'constructor',
  '%s%n%d ${process.env} `id` $(id) <script>alert(1)</script>',
  '日本語'.repeat(100),
  '🙂'.repeat(100),
  'x'.repeat(10_000),
  '\u202e'.repeat(2_000),
  ''
]

/** What may stand in human output besides line feeds and tabs: letters, marks, numbers, punctuation, symbols, spaces; and none of those among them that show nothing. */
export const isHarmless = (text: string): boolean =>
  /^[\n\t\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]*$/u.test(text) &&
  !/[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\u{16fe4}\u{1d159}\u{e0100}-\u{e01ef}]/u.test(text) &&
  !/\p{M}{9}/u.test(text)
