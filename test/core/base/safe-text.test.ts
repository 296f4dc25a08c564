import assert from 'node:assert/strict'
import { test } from 'node:test'
import { safeJson, safeText } from '../../../src/core/base/index.ts'

const ranges = (list: readonly (readonly [number, number])[]): string[] =>
  list.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)))

/** C0, DEL and C1, soft hyphen, zero-width, bidirectional, variation selectors, byte order mark, interlinear, tags, supplementary selectors. */
const dangerous = ranges([
  [0, 31],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xfe00, 0xfe0f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe007f],
  [0xe0100, 0xe01ef]
])
const allowed = /^[\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]*$/u

test('each dangerous character becomes visible', () => {
  for (const character of dangerous) {
    const code = character.codePointAt(0)?.toString(16) ?? ''
    assert.equal(safeText(`a${character}b`), `a\\u{${code}}b`, code)
  }
})

test('what comes out holds only what a terminal shows as it stands', () => {
  const nasty = `\u001b]8;;http://x\u0007click\u001b[2J\rover\u009b31m${dangerous.join('')}\ud800end`
  assert.match(safeText(nasty), allowed)
  assert.doesNotMatch(safeText(nasty, { multiline: true }).replaceAll(/[\n\t]/g, ''), /[^\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]/u)
})

test('words of every script and emoji stay as they are', () => {
  for (const text of ['plain', 'Zürich', 'Ελλάδα', 'מבחן', 'نص', '日本語', '🙂', 'a\u00a0b']) assert.equal(safeText(text), text)
})

test('only a body keeps its lines, and a long text is cut with a note', () => {
  assert.equal(safeText('a\nb'), 'a\\u{a}b')
  assert.equal(safeText('a\nb\tc', { multiline: true }), 'a\nb\tc')
  assert.equal(safeText('abcdef', { maxCharacters: 4 }), 'abcd… (2 more characters)')
  const started = performance.now()
  safeText('\u202e'.repeat(1_000_000))
  safeJson('\u202e'.repeat(1_000_000))
  assert.ok(performance.now() - started < 5_000)
})

test('JSON keeps its meaning and holds no such character', () => {
  const value = { [`k${dangerous.join('')}`]: dangerous.join('|'), list: ['\u{e0041}', '\u0085', '🙂'] }
  const text = safeJson(value)
  assert.deepEqual(JSON.parse(text), value)
  for (const character of dangerous) assert.ok(!text.includes(character))
})
