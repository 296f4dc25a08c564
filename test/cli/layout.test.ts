import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { MeshError } from '../../src/core/base/index.ts'
import { displayWidth } from '../../src/cli/display-width.ts'
import { fitted, verbatim } from '../../src/cli/layout.ts'
import { run } from '../../src/cli/main.ts'
import { Output } from '../../src/cli/output.ts'
import { table } from '../../src/cli/text.ts'
import { Terminal } from './narrow.ts'

/** The command line on a terminal of so many columns. */
async function onTerminal(columns: number, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const [stdout, stderr] = [new Terminal(columns), new Terminal(columns)]
  const code = await run({
    argv: args,
    environment: { HOME: '/nonexistent', SYNAPTIC_MESH_DATA_DIR: '/nonexistent/data', ...environment },
    stdin: Readable.from([]) as NodeJS.ReadStream,
    stdout: stdout.stream,
    stderr: stderr.stream,
    version: '0.0.0-test',
    daemonEntry: new URL('./fake-daemon.ts', import.meta.url),
    onInterrupt: () => undefined
  })
  return { code, stdout: stdout.text, stderr: stderr.text }
}

test('wide and combining characters take the room that they take on a terminal', () => {
  for (const [text, width] of [
    ['agent', 5],
    ['日本', 4],
    ['e\u0301', 1],
    ['✓ ok', 4],
    ['🙂', 2],
    ['\u001b[32mgreen\u001b[0m', 5],
    ['', 0]
  ] as const)
    assert.equal(displayWidth(text), width, text)
})

test('without a terminal a table keeps its columns, however wide', () => {
  const rows = table([
    ['a', 'x'.repeat(60), 'last'],
    ['日本', 'b', '']
  ])
  assert.deepEqual(fitted(rows, undefined), [`a     ${'x'.repeat(60)}  last`, '日本  b'])
})

test('on a terminal a table that does not fit becomes lines, all of its rows alike, and ids stay whole', () => {
  const id = '12D3KooW'.padEnd(52, 'x')
  const lines = fitted(
    table([
      ['alice', id, 'connected', 'paired'],
      ['bob', 'short', 'connected', 'paired']
    ]),
    40
  )
  assert.deepEqual(lines, ['alice', `  ${id}`, '  connected  paired', 'bob  short  connected  paired'])
})

test('a value beside its name is wrapped in its own column', () => {
  const rows = table([
    ['  name', 'one two three four five six seven'],
    ['  a', 'b']
  ])
  assert.deepEqual(fitted(rows, 34), ['  name  one two three four five', '        six seven', '  a     b'])
})

test('parts of a line that stand apart go to the next line whole', () => {
  assert.deepEqual(fitted(['stored at agent-001   id 0123456789'], 30), ['stored at agent-001', '  id 0123456789'])
  assert.deepEqual(fitted(['    indented words that are far too many'], 32), ['    indented words that are far', '      too many'])
})

test('data for other programs is never wrapped', () => {
  const script = `if true; then\n  ${'word '.repeat(30)}\nfi`
  assert.deepEqual(fitted(verbatim(script), 20), script.split('\n'))
  assert.deepEqual(fitted(verbatim(script), undefined), script.split('\n'))
})

test('no line of a random text is longer than the terminal unless it is one word', () => {
  let state = 7
  const next = (below: number): number => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) % below
  for (let round = 0; round < 500; round++) {
    const columns = 20 + next(60)
    const words = Array.from({ length: next(30) }, () => 'w'.repeat(1 + next(12)) + ' '.repeat(next(5)))
    const line = ' '.repeat(next(5)) + words.join(' ').trimEnd()
    const lines = fitted([line], columns)
    assert.deepEqual(lines.join(' ').split(/\s+/).filter(Boolean), line.split(/\s+/).filter(Boolean), line)
    for (const each of lines) assert.ok(displayWidth(each) <= columns, `${columns}: ${each}`)
  }
})

test('help fits a terminal of 40 columns, and has no colours', async () => {
  for (const args of [
    ['--help'],
    ['p2p', '--help'],
    ['p2p', 'message', '--help'],
    ['p2p', 'inbox', '--help'],
    ['p2p', 'help'],
    ['p2p', 'help', 'trust']
  ]) {
    const { code, stdout } = await onTerminal(40, args, { NO_COLOR: '1' })
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, /\u001b/)
    for (const line of stdout.split('\n')) {
      const longest = Math.max(...line.trim().split(/\s+/).map(displayWidth))
      assert.ok(displayWidth(line) <= 40 || longest > 20, `${args.join(' ')}: ${line}`)
    }
  }
})

test('an error is red on a terminal only, and not with NO_COLOR or a dumb terminal', async () => {
  const args = ['p2p', 'status']
  assert.match((await onTerminal(60, args)).stderr, /^\u001b\[31m✗\u001b\[0m /)
  for (const environment of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
    const { code, stderr } = await onTerminal(60, args, environment)
    assert.equal(code, 3)
    assert.doesNotMatch(stderr, /\u001b/)
    assert.match(stderr, /^✗ .*\(NOT_INITIALIZED\)/)
  }
})

test('an error keeps each proposed command on a line where it fits', async () => {
  const terminal = new Terminal(50)
  const output = new Output({ stdout: terminal.stream, stderr: terminal.stream }, { json: false, quiet: false, environment: { NO_COLOR: '1' } })
  await output.error(new MeshError('PEER_UNKNOWN', { name: 'agent-009', nearest: ['agent-001'] }))
  for (const line of terminal.text.trimEnd().split('\n')) assert.ok(displayWidth(line) <= 50, line)
  assert.match(terminal.text, /synaptic-mesh p2p peers$/m)
})
