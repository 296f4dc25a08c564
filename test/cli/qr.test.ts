import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from 'uqr'
import { qrLines } from '../../src/cli/qr.ts'

const invite = `smi1${'Ab3_Zy9-'.repeat(40)}`

/** The dark modules that a camera sees: of black ink on white, or of the gaps between light ink on a dark ground. */
function darkModules(lines: readonly string[], isInkDark: boolean): readonly boolean[][] {
  const rows = lines.map((line) => Array.from(line.replace(/\u001b\[[0-9;]*m/g, '')))
  const half = (blocks: string) => (row: readonly string[]) => row.map((block) => blocks.includes(block) === isInkDark)
  return rows.flatMap((row) => [half('█▀')(row), half('█▄')(row)])
}

for (const length of [98, 130, 230, 300]) {
  const text = invite.slice(0, length)
  test(`the code of an invite of ${length} characters is that of the standard, with a quiet zone of four, in colours and without`, () => {
    for (const coloured of [true, false]) {
      const code = qrLines(text, { columns: undefined, coloured })
      assert.ok('lines' in code)
      const expected = encode(text, { ecc: 'L', border: 4 })
      // An odd number of rows leaves half a line: it is as light as the quiet zone above it, or not drawn.
      assert.deepEqual(darkModules(code.lines, coloured).slice(0, expected.size), expected.data)
      assert.ok(
        expected.data
          .slice(0, 4)
          .flat()
          .every((isDark) => !isDark)
      )
      assert.ok(code.lines.every((line) => line.startsWith('\u001b[30;107m') === coloured))
    }
  })
}

test('a code that fits with a smaller quiet zone only has one, and what does not fit at all says what it needs', () => {
  const text = invite.slice(0, 130)
  const sizeAt = (columns: number): number | undefined => {
    const code = qrLines(text, { columns, coloured: false })
    return 'lines' in code ? code.lines[0]?.length : undefined
  }
  assert.deepEqual([sizeAt(120), sizeAt(49), sizeAt(48), sizeAt(45), sizeAt(44)], [49, 49, 45, 45, 43])
  assert.deepEqual(qrLines(text, { columns: 40, coloured: false }), { needs: 43 })
  // An invite with one address of IPv4.
  assert.ok('lines' in qrLines(invite.slice(0, 100), { columns: 40, coloured: true }))
})
