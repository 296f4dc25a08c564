import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue, type CommandName } from '../../src/api/index.ts'
import { errorCodes, MeshError, safeJson, safeText } from '../../src/core/base/index.ts'
import { guarded } from '../../src/cli/guarded.ts'
import { Output } from '../../src/cli/output.ts'
import { renderers } from '../../src/cli/render.ts'
import { DaemonLog } from '../../src/daemon/log.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { hostileTexts, isHarmless } from '../core/base/hostile-text.ts'
import { HostileValues } from './hostile-value.ts'

/** Whatever a peer writes into whatever it can fill, a terminal and a log show it and do not obey it. */

const seed = Number(process.env['SEED'] ?? 20_261_123)
const rounds = 40

class Screen extends Writable {
  text = ''
  readonly isTTY: boolean
  readonly columns: number

  constructor(isTTY: boolean, columns = 80) {
    super()
    this.isTTY = isTTY
    this.columns = columns
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

interface Shown {
  readonly output: Output
  readonly stdout: Screen
  readonly stderr: Screen
}

function shown({
  json = false,
  isTTY = false,
  columns = 80
}: {
  readonly json?: boolean
  readonly isTTY?: boolean
  readonly columns?: number
}): Shown {
  const [stdout, stderr] = [new Screen(isTTY, columns), new Screen(isTTY, columns)]
  const streams = { stdout: stdout as Writable as NodeJS.WriteStream, stderr: stderr as Writable as NodeJS.WriteStream }
  return { output: new Output(streams, { json, quiet: false, environment: {} }), stdout, stderr }
}

const withoutColours = (text: string): string => text.replaceAll(/\u001b\[(?:0|1|2|31|32|33|30;107)m/g, '')
/** Without what the layout marks cells and lines with, which the output takes away. */
const withoutMarks = (text: string): string => text.replaceAll(/[\u001e\u001f]/g, '')

function valuesOf(name: CommandName): readonly unknown[] {
  const schema = catalogue[name].output(z)
  assert.ok(schema instanceof z.ZodType)
  const values = new HostileValues(z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' }), new SeededRandom(seed))
  return Array.from({ length: rounds }, () => values.next())
}

/** These show text of this program itself, or a file that it wrote: only what comes out of the output is judged. */
const ownTextOnly: ReadonlySet<string> = new Set(['servicePrint', 'completion', 'context', 'help', 'demo'])

/** As `commands` calls them: by the value, the output and what was asked for. */
type AnyRenderer = (value: unknown, output: Output, input: object) => readonly string[]

for (const name of Object.keys(catalogue) as CommandName[]) {
  test(`${name}: no text from outside steers the terminal, and --json keeps its meaning`, async () => {
    const render = renderers[name] as AnyRenderer
    for (const value of valuesOf(name)) {
      for (const isTTY of [false, true]) {
        const { output, stdout } = shown({ isTTY, columns: 40 })
        const lines = render(value, output, {})
        const raw = withoutMarks(withoutColours(lines.join('\n')))
        if (!ownTextOnly.has(name) && !isHarmless(raw)) assert.fail(`${name} shows it as it stands: ${JSON.stringify(culprit(raw))}`)
        await output.result(value, () => lines)
        assert.ok(isHarmless(withoutColours(stdout.text)), name)
      }
      const { output, stdout } = shown({ json: true })
      await output.result(value, () => [])
      assert.ok(isHarmless(stdout.text) && stdout.text.indexOf('\n') === stdout.text.length - 1, name)
      assert.deepEqual(JSON.parse(stdout.text), JSON.parse(JSON.stringify(value)))
    }
  })
}

/** What is wrong with a text, with a little of what stands around it. */
function culprit(text: string): string {
  const index = Array.from(text).findIndex((character) => !isHarmless(character))
  return Array.from(text)
    .slice(Math.max(0, index - 30), index + 10)
    .join('')
}

test('every error is told harmlessly, with hostile details, to people and as JSON', async () => {
  for (const code of errorCodes) {
    for (const text of hostileTexts) {
      const details = new Proxy(
        {},
        { get: (_, field) => (['candidates', 'nearest', 'names', 'missing'].includes(String(field)) ? [text, text] : text) }
      )
      const error = makeError(code, details, text)
      const people = shown({ isTTY: true, columns: 40 })
      await people.output.error(error)
      assert.ok(isHarmless(withoutColours(people.stderr.text)), `${code} ${JSON.stringify(text.slice(0, 40))}`)
      const machine = shown({ json: true })
      await machine.output.error(error)
      assert.equal((JSON.parse(machine.stderr.text) as { readonly error: { readonly code: string } }).error.code, code)
      assert.ok(isHarmless(machine.stderr.text))
    }
  }
})

/** Some details are lists: which, differs. */
function makeError(code: (typeof errorCodes)[number], details: object, text: string): MeshError {
  try {
    const error = new MeshError(code, details as MeshError['details'])
    void error.hint
    return error
  } catch {
    return new MeshError(code, new Proxy({}, { get: () => [text] }) as MeshError['details'])
  }
}

test('a note, a line of progress and a place that forgot are guarded all the same', async () => {
  for (const text of hostileTexts) {
    const { output, stdout, stderr } = shown({ isTTY: true })
    output.note(`about ${text}`)
    await output.result(1, () => [text, `${output.paint('red', text)} after`])
    assert.ok(isHarmless(withoutColours(stderr.text)))
    assert.ok(isHarmless(withoutColours(stdout.text)))
  }
  const { output } = shown({ isTTY: true })
  assert.equal(guarded(output.paint('green', '✓ zürich')), output.paint('green', '✓ zürich'))
})

test('the log holds no hostile text as it stands, in names, values and events, and each record is one line of JSON', () => {
  for (const text of hostileTexts) {
    const lines: string[] = []
    const log = new DaemonLog({ write: (line) => void lines.push(line) }, 'trace')
    log.record({ level: 'info', event: text, fields: { name: text, peers: [text, text], [text]: text, reason: text } })
    log.error(new MeshError('PEER_UNREACHABLE', { peer: text, reason: text }), { route: text })
    assert.equal(lines.length, 2)
    for (const line of lines) {
      assert.ok(isHarmless(line) && line.indexOf('\n') === line.length - 1, JSON.stringify(line.slice(0, 200)))
      assert.doesNotThrow(() => void JSON.parse(line))
    }
  }
})

test('safe text of any text is harmless, shows harmless text as it is, and safe JSON means the same', () => {
  for (const text of hostileTexts) {
    assert.ok(isHarmless(safeText(text)) && !/[\n\t]/.test(safeText(text)))
    assert.ok(isHarmless(safeText(text, { multiline: true })))
    assert.ok(isHarmless(safeJson({ [text]: [text] })))
    assert.deepEqual(JSON.parse(safeJson({ [`k${text}`]: [text] })), JSON.parse(JSON.stringify({ [`k${text}`]: [text] })))
  }
  const random = new SeededRandom(seed)
  for (let index = 0; index < 2_000; index++) {
    const bytes = random.bytes(48)
    const text = new TextDecoder('utf-16le').decode(bytes) + String.fromCodePoint(((bytes[0] ?? 0) * 0x1100 + (bytes[1] ?? 0)) % 0x11_0000)
    assert.ok(isHarmless(safeText(text)), JSON.stringify(text))
    assert.equal(JSON.parse(safeJson(text)), text)
    if (isHarmless(text) && !/[\n\t]/.test(text)) assert.equal(safeText(text), text)
  }
})
