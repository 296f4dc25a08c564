import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError } from '../../../src/core/base/index.ts'
import { splitWords } from '../../../src/cli/listen/words.ts'

test('a line is split as a shell splits quotes, and nothing in it is expanded', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['agent', ['agent']],
    ['  agent   --once ', ['agent', '--once']],
    [`python3 'my agent.py' --name "the planner"`, ['python3', 'my agent.py', '--name', 'the planner']],
    [`a\\ b c\\"d`, ['a b', 'c"d']],
    [`"a \\"b\\" \\\\ \\n"`, ['a "b" \\ \\n']],
    [`'a \\ "b"'`, ['a \\ "b"']],
    [`a'b'"c"d`, ['abcd']],
    [`'' ""`, ['', '']],
    [
      'echo $HOME ~ * ; rm -rf / | cat > x && true `id`',
      ['echo', '$HOME', '~', '*', ';', 'rm', '-rf', '/', '|', 'cat', '>', 'x', '&&', 'true', '`id`']
    ],
    ['a\tb\nc', ['a', 'b', 'c']]
  ]
  for (const [text, words] of cases) assert.deepEqual(splitWords(text), words, text)
})

test('a line that names no program, or does not end, is a usage error', () => {
  for (const text of ['   ', "'open", '"open', 'ends with \\', 'zero\0byte'])
    assert.throws(
      () => splitWords(text),
      (error) => isMeshError(error, 'USAGE'),
      JSON.stringify(text)
    )
})

test('whatever the words are, quoting them gives them back', () => {
  const alphabet = ['a', ' ', "'", '"', '\\', '$', '\n', '*', 'é', '😀']
  let seed = 7
  const next = (max: number): number => (seed = (seed * 48_271) % 2_147_483_647) % max
  for (let round = 0; round < 10_000; round++) {
    const words = Array.from({ length: 1 + next(4) }, () => Array.from({ length: next(6) }, () => alphabet[next(alphabet.length)] ?? '').join(''))
    assert.deepEqual(splitWords(words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')), words)
  }
})
