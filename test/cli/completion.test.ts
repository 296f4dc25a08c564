import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { catalogue, type Command, flagOf } from '../../src/api/index.ts'
import { complete } from '../../src/cli/completion/complete.ts'
import { fakeBin, Home } from './support.ts'

/** A bash in which synaptic-mesh is installed and its completion was sourced, as people do. */
class Shell {
  readonly home: Home
  readonly #bin: string

  constructor(t: TestContext) {
    this.home = new Home(t)
    this.#bin = join(this.home.folder, 'bin')
    mkdirSync(this.#bin)
    writeFileSync(join(this.#bin, 'synaptic-mesh'), `#!/bin/sh\nexec '${process.execPath}' '${fakeBin}' "$@"\n`)
    chmodSync(join(this.#bin, 'synaptic-mesh'), 0o755)
  }

  /** What bash has in COMPREPLY for the last of `words`. */
  reply(...words: readonly string[]): readonly string[] {
    const script = `
      source <(synaptic-mesh p2p completion bash) || exit 9
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _synaptic_mesh synaptic-mesh
      printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', script, 'bash', 'synaptic-mesh', ...words], {
      encoding: 'utf8',
      cwd: this.home.folder,
      timeout: 60_000,
      env: { ...this.home.environment, PATH: `${this.#bin}:${dirname(process.execPath)}:/usr/bin:/bin` }
    })
    assert.equal(status, 0, stderr)
    return stdout.split('\n').filter((line) => line !== '')
  }

  /** The same of what the daemon knows: a machine that is busy may miss the 300 ms. */
  live(...words: readonly string[]): readonly string[] {
    const deadline = Date.now() + 20_000
    let found = this.reply(...words)
    while (found.length === 0 && Date.now() < deadline) found = this.reply(...words)
    return found
  }
}

test('bash completes commands, subcommands, flags, choices and options', (t) => {
  const shell = new Shell(t)
  assert.deepEqual(shell.reply('p'), ['p2p'])
  assert.ok(['trace', 'trust', 'top'].every((word) => shell.reply('p2p', 't').includes(word)))
  assert.deepEqual(shell.reply('p2p', 'circuit', 'cl'), ['close'])
  assert.deepEqual(shell.reply('p2p', 'message', 'x', '--msg-type', 'th'), ['thought'])
  assert.deepEqual(shell.reply('p2p', 'message', 'x', '--msg-type', '=', 'th'), ['thought'])
  assert.deepEqual(shell.reply('p2p', 'message', 'x', '--prio'), ['--priority'])
  assert.deepEqual(shell.reply('p2p', 'config', 'set', 'max_p'), ['max_peers'])
  assert.deepEqual(shell.reply('p2p', 'completion', 'f'), ['fish'])
  assert.deepEqual(shell.reply('p2p', 'help', 'exit'), ['exit-codes'])
  assert.deepEqual(shell.reply('p2p', 'quantum', 'x', '--level', ''), ['1', '3', '5'])
})

test('bash completes files where a file is wanted, with their names as they are', (t) => {
  const shell = new Shell(t)
  writeFileSync(join(shell.home.folder, 'my notes $(x).toml'), '')
  assert.deepEqual(shell.reply('p2p', 'status', '--config', 'my'), ['my notes $(x).toml'])
  assert.deepEqual(shell.reply('p2p', 'status', '--data-dir', 'bi'), ['bin'])
})

test('peers are completed from the daemon that runs, by their names when paired and by their ids otherwise; what could harm is left out', async (t) => {
  const shell = new Shell(t)
  await shell.home.p2p('init')
  const names = shell.live('p2p', 'message', '')
  assert.ok(names.includes('agent-001') && names.includes('agent-002'), names.join(' '))
  assert.ok(!names.includes('stranger') && names.some((name) => name.startsWith('12D3KooWstranger')))
  assert.deepEqual(shell.live('p2p', 'ping', 'agent-'), ['agent-001', 'agent-002'])
  assert.deepEqual(shell.live('p2p', 'listen', '--from', 'agent-002'), ['agent-002'])
  for (const name of names) assert.match(name, /^[\p{L}\p{N}][\p{L}\p{N}._:@+-]*$/u)
})

test('groups and agents are completed by their names, messages by their ids', async (t) => {
  const shell = new Shell(t)
  await shell.home.p2p('init')
  await shell.home.p2p('agent', 'add', 'planner')
  await shell.home.p2p('group', 'create', 'swarm-alpha', '--member', 'agent-001')
  await shell.home.p2p('message', 'offline', 'later', '--wait', 'accepted', '--id', 'mine-1')
  assert.deepEqual(shell.live('p2p', 'agent', 'remove', 'pl'), ['planner'])
  assert.deepEqual(shell.live('p2p', 'message', 'x', 'y', '--label', 'pl'), ['planner'])
  assert.deepEqual(shell.live('p2p', 'group', 'leave', 'swarm'), ['swarm-alpha'])
  assert.deepEqual(shell.live('p2p', 'message', 'swarm'), ['swarm-alpha'])
  assert.deepEqual(shell.live('p2p', 'outbox', 'cancel', 'mi'), ['mine-1'])
  assert.deepEqual(shell.live('p2p', 'help', 'inbox', 'ac'), ['ack'])
})

test('nothing is started for a completion, and a daemon that does not answer is not waited for', async (t) => {
  const shell = new Shell(t)
  await shell.home.p2p('init', '--no-start')
  assert.deepEqual(shell.reply('p2p', 'ping', ''), [])
  assert.equal(shell.home.pid(), undefined)
  const silent = createServer(() => undefined)
  mkdirSync(shell.home.paths.runtimeFolder, { recursive: true, mode: 0o700 })
  silent.listen(shell.home.paths.socketPath)
  await once(silent, 'listening')
  t.after(() => silent.close())
  const { code, stdout } = await shell.home.run(['__complete', '3', 'synaptic-mesh', 'p2p', 'ping', ''])
  assert.deepEqual([code, stdout], [0, ''])
})

test('a shell is answered whatever it asks, without an error', async (t) => {
  const home = new Home(t)
  for (const args of [
    [],
    ['x'],
    ['99999999999'],
    ['-1', 'a'],
    ['2', 'synaptic-mesh'],
    ['3', 'synaptic-mesh', 'p2p', '--profile', '../..', ''],
    ['1', 'a', '\u001b[2J']
  ]) {
    const { code, stderr, stdout } = await home.run(['__complete', ...args])
    assert.deepEqual([code, stderr], [0, ''], args.join(' '))
    assert.doesNotMatch(stdout, /\u001b/)
  }
})

test('the profile that was typed is the one that is asked', () => {
  const { globals, kind } = complete(['synaptic-mesh', 'p2p', 'ping', '--profile=alice', '--data-dir', '/d', ''], 6)
  assert.deepEqual([globals.get('--profile'), globals.get('--data-dir'), kind], ['alice', '/d', 'peer'])
})

test('every flag of every command is proposed, and every field that names something of the node asks it', () => {
  const commands: readonly Command[] = Object.values(catalogue)
  for (const { words, fields } of commands) {
    const proposed = complete(['synaptic-mesh', 'p2p', ...words, '--'], words.length + 2).candidates.map(({ value }) => value)
    for (const [name, field] of Object.entries(fields)) {
      const flag = flagOf(name, field)
      if (flag !== undefined) assert.ok(proposed.includes(flag), `${words.join(' ')} ${flag}`)
      if (field.position === undefined || !['peer', 'destination', 'circuit', 'group'].includes(name)) continue
      const filler = Array.from({ length: field.position }, () => 'x')
      assert.equal(complete(['synaptic-mesh', 'p2p', ...words, ...filler, ''], 2 + words.length + filler.length).kind, name)
    }
  }
})

test('the scripts of zsh and fish are ones that these shells read', async (t) => {
  const home = new Home(t)
  const found = ['zsh', 'fish'].filter((shell) => ['/bin', '/usr/bin', '/usr/local/bin'].some((folder) => existsSync(join(folder, shell))))
  for (const shell of ['bash', ...found]) {
    const { stdout } = await home.p2p('completion', shell)
    const { status, stderr } = spawnSync(shell, ['-n'], { input: stdout, encoding: 'utf8' })
    assert.equal(status, 0, `${shell}: ${stderr}`)
  }
})
