import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { inRoot } from '../../scripts/lib/paths.ts'
import { patienceMs } from './gateway-support.ts'
import { type Rig, startRig } from './harness.ts'

/** The example client for Python, as somebody would run it. */

const hasPython = spawnSync('python3', ['--version']).status === 0
const options = hasPython ? {} : { skip: 'python3 is not installed' }

interface Run {
  /** The lines of stdout so far, as values. */
  next(): Promise<Readonly<Record<string, unknown>>>
  ended(): Promise<{ readonly code: number; readonly stderr: string }>
}

function python(t: TestContext, rig: Rig, command: { readonly words: readonly string[]; readonly mode?: number }): Run {
  const { words, mode = 0o600 } = command
  const file = join(rig.paths.stateFolder, `token-${mode}`)
  writeFileSync(file, `${rig.token('agent')}\n`, { mode })
  const child = spawn('python3', [inRoot('examples/python/client.py'), '--token-file', file, '--port', String(rig.port), ...words], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.after(() => child.kill('SIGKILL'))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (stderr += text))
  const closed = once(child, 'close', { signal: AbortSignal.timeout(patienceMs) })
  const lines: string[] = []
  let held = ''
  let wake: () => void = () => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (held + text).split('\n')
    held = parts.pop() ?? ''
    lines.push(...parts)
    wake()
  })
  return {
    next: async () => {
      const timeout = AbortSignal.timeout(patienceMs)
      while (lines.length === 0) {
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        wake = resolve
        timeout.addEventListener('abort', () => reject(new Error(`nothing on stdout: ${stderr}`)), { once: true })
        await promise
      }
      return JSON.parse(lines.shift() ?? '') as Readonly<Record<string, unknown>>
    },
    ended: async () => ({ code: Number((await closed)[0]), stderr })
  }
}

test('the example in Python sends, waits for a message and acknowledges it', options, async (t) => {
  const rig = await startRig(t)
  const sent = python(t, rig, { words: ['send', 'agent-001', 'ünïcode "quoted"', '--type', 'coordination'] })
  const report = await sent.next()
  assert.deepEqual([report['status'], report['type']], ['stored', 'AgentCoordination'])
  assert.equal((await sent.ended()).code, 0)
  const poll = python(t, rig, { words: ['poll'] })
  rig.mesh.receive({ id: 'a', body: new TextEncoder().encode('line\nline \u2028') })
  assert.equal((await poll.next())['body'], 'line\nline \u2028')
  assert.equal((await poll.ended()).code, 0)
  assert.equal(rig.mesh.received[0]?.state, 'read')
})

test('it follows events, and goes on with a cursor', options, async (t) => {
  const rig = await startRig(t)
  const first = python(t, rig, { words: ['events', '--count', '2'] })
  assert.equal((await first.next())['event'], 'live')
  rig.mesh.receive({ id: 'a' })
  const told = await first.next()
  assert.equal(told['event'], 'message')
  assert.equal((await first.ended()).code, 0)
  rig.mesh.receive({ id: 'b' })
  const again = python(t, rig, { words: ['events', '--after', String(told['cursor']), '--count', '2'] })
  assert.equal((await again.next())['event'], 'live')
  assert.match(JSON.stringify(await again.next()), /"id":"b"/)
})

test('it tells an error with its hint, and takes no token that others could read', options, async (t) => {
  const rig = await startRig(t)
  const { code, stderr } = await python(t, rig, { words: ['send', 'agent-007', 'x'] }).ended()
  assert.equal(code, 1)
  assert.match(stderr, /PEER_UNKNOWN.*\n.*Nearest names/)
  const open = await python(t, rig, { words: ['send', 'agent-001', 'x'], mode: 0o644 }).ended()
  assert.match(open.stderr, /open to others/)
  assert.deepEqual(rig.mesh.calls, ['send agent-007'])
})
