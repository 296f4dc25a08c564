import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { run } from '../../src/cli/main.ts'
import { pictureOf } from '../../src/cli/top-command.ts'
import { Terminal } from './narrow.ts'
import { finished, Home } from './support.ts'

/** Keys of a person at a terminal. */
class Keyboard extends Readable {
  readonly isTTY = true
  isRaw = false
  override _read(): void {}
  setRawMode(on: boolean): this {
    this.isRaw = on
    return this
  }
}

async function watch(home: Home, columns: number) {
  const [stdout, stderr, stdin] = [new Terminal(columns), new Terminal(columns), new Keyboard()]
  const interrupts = new EventEmitter()
  const running = run({
    argv: ['p2p', 'top', '--interval', '0.2'],
    environment: home.environment,
    stdin: stdin as Readable as NodeJS.ReadStream,
    stdout: stdout.stream,
    stderr: stderr.stream,
    version: '0.0.0-test',
    daemonEntry: new URL('./fake-daemon.ts', import.meta.url),
    onInterrupt: (handler) => void interrupts.on('interrupt', handler)
  })
  return { stdout, stdin, interrupts, running }
}

test('top draws in place on a terminal, at most as wide and as high as it is, and gives it back at q', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--name', 'me')
  const { stdout, stdin, running } = await watch(home, 40)
  await untilSeen(stdout, /(\u001b\[H[^\u001b]*.*){3}/s)
  assert.ok(stdin.isRaw)
  stdin.push('q')
  assert.equal(await running, 0)
  assert.ok(stdout.text.startsWith('\u001b[?1049h\u001b[?25l'), 'the other screen, without a cursor')
  assert.ok(stdout.text.endsWith('\u001b[?25h\u001b[?1049l'))
  assert.ok(!stdin.isRaw)
  // Each picture goes over the one before and is not preceded by an empty screen: nothing flickers.
  assert.doesNotMatch(stdout.text, /\u001b\[2J/)
  for (const picture of stdout.text.split('\u001b[H').slice(1)) {
    const lines = picture.split('\u001b[J')[0]?.split('\r\n') ?? []
    assert.ok(lines.length <= stdout.rows)
    for (const line of lines) assert.ok(line.replaceAll(/\u001b\[[\d;]*[mK]/g, '').length <= 40, line)
  }
  assert.match(stdout.text, /agent-001/)
})

async function untilSeen(terminal: Terminal, pattern: RegExp): Promise<void> {
  const signal = AbortSignal.timeout(30_000)
  while (!pattern.test(terminal.text)) await once(terminal, 'shown', { signal })
}

test('Ctrl-C ends top as well, as a key and as a signal', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  for (const end of ['key', 'signal'] as const) {
    const { stdout, stdin, interrupts, running } = await watch(home, 80)
    await untilSeen(stdout, /\u001b\[H/)
    if (end === 'key') stdin.push('\u0003')
    else interrupts.emit('interrupt')
    assert.equal(await running, 0)
    assert.ok(stdout.text.endsWith('\u001b[?25h\u001b[?1049l'))
  }
})

test('without a terminal top is one picture without a control character', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  const { code, stdout } = await home.p2p('top')
  assert.equal(code, 0)
  assert.match(stdout, /2 connected/)
  assert.doesNotMatch(stdout, /\u001b/)
})

test('under --json top is a picture a line until it is ended, with rates from the second on', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  const child = home.spawn(['p2p', 'top', '--json', '--interval', '0.2'])
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    if (text.split('\n').length > 3) child.kill('SIGINT')
  })
  const { code } = await finished(child)
  assert.equal(code, 0)
  const pictures = text
    .trimEnd()
    .split('\n')
    .map((line) => catalogue.top.output(z).parse(JSON.parse(line)))
  assert.ok(pictures.length >= 3)
  assert.deepEqual(
    pictures.slice(0, 2).map(({ perSecond }) => perSecond !== undefined),
    [false, true]
  )
})

test('rates are those between two pictures, and never negative after a restart', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  const status = catalogue.status.output(z).parse(JSON.parse((await home.p2p('status', '--detailed', '--json')).stdout))
  const first = pictureOf(status, undefined, 1_000)
  const later = pictureOf({ ...status, bytes: { sent: status.bytes.sent + 500, received: 0 } }, first, 3_000)
  assert.deepEqual(later.perSecond, { sent: 250, received: 0 })
})
