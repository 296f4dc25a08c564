import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { isMeshError } from '../../../src/core/base/index.ts'
import { checkProgram, execHandler, type ExecOptions } from '../../../src/cli/listen/exec-handler.ts'
import { ProcessGroups } from '../../../src/cli/listen/process-groups.ts'
import { heard, hostileBodies } from './message.ts'
import { untilGone } from './running.ts'

const never = new AbortController().signal

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sm-exec-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A handler that runs `source` as a program of its own. */
const opened: ProcessGroups[] = []
after(() => opened.forEach((groups) => groups.endAll()))

function handlerOf(source: string, options: Partial<ExecOptions> & { readonly args?: readonly string[] } = {}) {
  const { args = [], ...rest } = options
  const groups = new ProcessGroups()
  opened.push(groups)
  const handle = execHandler({
    words: [process.execPath, '-e', source, ...args],
    environment: { PATH: process.env['PATH'], HOME: '/nowhere', SECRET: 'canary' },
    env: [],
    profile: { SYNAPTIC_MESH_PROFILE: 'default' },
    timeoutMs: 60_000,
    answerBytes: 65_536,
    groups,
    ...rest
  })
  return handle
}

const readStdin = `const text = require('node:fs').readFileSync(0, 'utf8');`
test('the message comes on standard input as one line of JSON, and whatever its body says is in the body only', async () => {
  const handle = handlerOf(`${readStdin} process.stdout.write(JSON.stringify({ text, argv: process.argv.slice(1), env: process.env }))`)
  for (const body of hostileBodies) {
    const message = heard({ body, sender: { ...heard().sender, paired: false }, paired: false })
    const { outcome, stdout, exitCode } = await handle(message, never)
    assert.deepEqual([outcome, exitCode], ['done', 0])
    if (body.length > 60_000) continue
    const seen: { readonly text: string; readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } = JSON.parse(stdout)
    assert.equal(seen.text.indexOf('\n'), seen.text.length - 1)
    const parsed: ReturnType<typeof heard> = JSON.parse(seen.text)
    assert.deepEqual(parsed, JSON.parse(JSON.stringify(message)))
    assert.equal(parsed.untrusted, true)
    assert.deepEqual(parsed.sender, { peerId: message.source, name: 'agent-001', verified: true, paired: false })
    assert.deepEqual(seen.argv, [])
    const elsewhere = JSON.stringify([{ ...parsed, body: '' }, seen.env])
    assert.ok(!elsewhere.includes(JSON.stringify(body).slice(1, -1)), 'the body is somewhere else, too')
    // Nothing that a terminal or a model could take for something else is on the line.
    assert.doesNotMatch(seen.text.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u200b\u202e\u2028]/)
  }
})

test('the environment has the ids of the message, what finds the profile, and what was named: nothing else', async () => {
  const source = `${readStdin} process.stdout.write(JSON.stringify(process.env))`
  const seen = JSON.parse((await handlerOf(source)(heard({ id: 'a.b-c_1' }), never)).stdout)
  assert.deepEqual(Object.keys(seen).sort(), [
    'HOME',
    'PATH',
    'SYNAPTIC_MESH_MESSAGE',
    'SYNAPTIC_MESH_MESSAGE_FROM',
    'SYNAPTIC_MESH_MESSAGE_TYPE',
    'SYNAPTIC_MESH_PROFILE'
  ])
  assert.equal(seen.SYNAPTIC_MESH_MESSAGE, 'a.b-c_1')
  assert.equal(seen.SYNAPTIC_MESH_MESSAGE_TYPE, 'Thought')
  const named = JSON.parse((await handlerOf(source, { env: ['SECRET'] })(heard(), never)).stdout)
  assert.equal(named.SECRET, 'canary')
  const odd = JSON.parse((await handlerOf(source)(heard({ id: 'a b\n$(id)' }), never)).stdout)
  assert.equal(odd.SYNAPTIC_MESH_MESSAGE, undefined)
})

test('a message of a mebibyte arrives whole, and one that nobody reads is no error', async () => {
  const body = 'x'.repeat(1_048_576)
  const { stdout } = await handlerOf(`${readStdin} process.stdout.write(String(JSON.parse(text).body.length))`)(heard({ body }), never)
  assert.equal(stdout, String(body.length))
  assert.equal((await handlerOf('')(heard({ body }), never)).outcome, 'done')
})

test('the exit code decides: 0 is done, anything else and a signal is a failure', async () => {
  assert.equal((await handlerOf('process.exit(0)')(heard(), never)).outcome, 'done')
  const failed = await handlerOf('console.error("no good"); process.exit(3)')(heard(), never)
  assert.deepEqual([failed.outcome, failed.exitCode, failed.reason, failed.stderr], ['failed', 3, 'exit code 3', 'no good\n'])
  const killed = await handlerOf('process.kill(process.pid, "SIGKILL")')(heard(), never)
  assert.deepEqual([killed.outcome, killed.signal], ['failed', 'SIGKILL'])
})

test('of a flood of output 64 KiB are kept, and the rest is counted', async () => {
  const flood = await handlerOf(
    `const chunk = 'o'.repeat(65536); for (let i = 0; i < 160; i++) { process.stdout.write(chunk); process.stderr.write(chunk) }`
  )(heard(), never)
  assert.equal(flood.outcome, 'done')
  assert.deepEqual([flood.stdout.length, flood.stderr.length], [65_536, 65_536])
  assert.deepEqual(flood.dropped, { stdout: 159 * 65_536, stderr: 159 * 65_536 })
})

test('a program that hangs is asked to end, then ended, with all that it started', async (t) => {
  const file = join(folderOf(t), 'pids')
  const source = `process.on('SIGTERM', () => {}); const { spawn } = require('node:child_process')
    const child = spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { stdio: 'inherit' })
    require('node:fs').writeFileSync(${JSON.stringify(file)}, process.pid + ' ' + child.pid); setInterval(() => {}, 1000)`
  const started = performance.now()
  const { outcome, reason } = await handlerOf(source, { timeoutMs: 2_000 })(heard(), never)
  assert.equal(outcome, 'failed')
  assert.match(reason ?? '', /longer than 2 s/)
  assert.ok(performance.now() - started >= 6_500, 'it had five seconds to end by itself')
  assert.ok(existsSync(file))
  for (const pid of readFileSync(file, 'utf8').split(' ')) await untilGone(Number(pid))
})

test('what a program leaves running in its process group ends with it, and what left the group is not waited for', async (t) => {
  const file = join(folderOf(t), 'pid')
  const leave = (detached: boolean): string => `const { spawn } = require('node:child_process')
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit', detached: ${detached} })
    require('node:fs').writeFileSync(${JSON.stringify(file)}, String(child.pid)); console.log('done'); process.exit(0)`
  const { outcome, stdout } = await handlerOf(leave(false))(heard(), never)
  assert.deepEqual([outcome, stdout], ['done', 'done\n'])
  await untilGone(Number(readFileSync(file, 'utf8')))
  const away = await handlerOf(leave(true))(heard(), never)
  const pid = Number(readFileSync(file, 'utf8'))
  process.kill(pid, 'SIGKILL')
  assert.deepEqual([away.outcome, away.stdout], ['done', 'done\n'])
})

test('an interrupted program is ended, and counts as interrupted even when it says that all is well', async (t) => {
  const file = join(folderOf(t), 'ready')
  const interrupted = new AbortController()
  const source = `process.on('SIGTERM', () => process.exit(0)); require('node:fs').writeFileSync(${JSON.stringify(file)}, ''); setInterval(() => {}, 1000)`
  const running = handlerOf(source)(heard(), interrupted.signal)
  while (!existsSync(file)) await new Promise((done) => setTimeout(done, 20))
  interrupted.abort()
  const { outcome, exitCode } = await running
  assert.deepEqual([outcome, exitCode], ['interrupted', 0])
})

test('a program that does not exist is told before anything is taken, by name', async (t) => {
  const file = join(folderOf(t), 'plain.txt')
  writeFileSync(file, 'not a program', { mode: 0o600 })
  for (const word of ['no-such-program-here', '/no/such/program', file])
    assert.throws(
      () => checkProgram([word], process.env),
      (error) => isMeshError(error, 'HANDLER_NOT_FOUND')
    )
  assert.doesNotThrow(() => checkProgram([process.execPath], {}))
  assert.doesNotThrow(() => checkProgram(['sh'], process.env))
  const gone = await execHandler({
    ...{ words: ['/no/such/program'], environment: {}, env: [], profile: {}, timeoutMs: 1_000, answerBytes: 100 },
    groups: new ProcessGroups()
  })(heard(), never)
  assert.equal(gone.outcome, 'failed')
  assert.match(gone.reason ?? '', /ENOENT/)
})
