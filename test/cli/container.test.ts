/** The Dockerfile: what it states, and that what it starts runs, answers its health check and ends at SIGTERM. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { checkArguments, ownArguments, shellCommands } from '../../scripts/lib/command-lines.ts'
import { inRoot, root } from '../../scripts/lib/paths.ts'
import { fakeBin } from './support.ts'

interface Instruction {
  readonly word: string
  readonly text: string
  readonly stage: number
}

function read(): readonly Instruction[] {
  const text = readFileSync(inRoot('Dockerfile'), 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
  let stage = -1
  return text.split('\n').flatMap((line) => {
    const [, word = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line.trim()) ?? []
    if (word === 'FROM') stage++
    return word === '' ? [] : [{ word, text: rest.trim(), stage }]
  })
}

const all = read()
const last = all.filter(({ stage }) => stage === all.at(-1)?.stage)
const textOf = (word: string): string => last.findLast((each) => each.word === word)?.text ?? ''
const listOf = (text: string): readonly string[] => JSON.parse(text.slice(text.indexOf('[')))

test('the image runs without root, keeps its state in a volume and is checked', () => {
  assert.deepEqual([textOf('USER'), textOf('VOLUME'), textOf('STOPSIGNAL')], ['node', '/data', 'SIGTERM'])
  const user = last.findIndex(({ word }) => word === 'USER')
  assert.ok(last.slice(user).every(({ word }) => !['RUN', 'COPY', 'ADD', 'USER'].includes(word) || word === 'USER'))
  assert.match(textOf('HEALTHCHECK'), /--interval=\d+s .*CMD \["synaptic-mesh", "p2p", "status", "--json", "--no-start"/)
  assert.match(textOf('ENV'), /SYNAPTIC_MESH_DATA_DIR=\/data/)
})

test('nothing is fetched but from the lock file, and nothing secret is stated', () => {
  const text = all.map(({ word, text: rest }) => `${word} ${rest}`).join('\n')
  assert.doesNotMatch(text, /^ADD |curl|wget|apt-get|sudo|:latest|PASS|TOKEN|SECRET/m)
  assert.match(text, /^RUN npm ci --ignore-scripts$/m)
  for (const { text: image } of all.filter(({ word }) => word === 'FROM')) assert.match(image, /^node:24-bookworm-slim( AS build)?$/)
})

test('everything that is copied is there, and is let through by .dockerignore', () => {
  const letThrough = readFileSync(inRoot('.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1))
  const copied = all.filter(({ word, text }) => word === 'COPY' && !text.startsWith('--from')).flatMap(({ text }) => text.split(' ').slice(0, -1))
  for (const name of copied) assert.ok(existsSync(inRoot(name)) && letThrough.includes(name), name)
})

test('its lines are ones that the command line takes', async () => {
  const lines = [listOf(textOf('CMD'))[2] ?? '', listOf(textOf('HEALTHCHECK')).join(' ')]
  for (const line of lines) {
    const own = shellCommands(line.replaceAll('exec ', '')).flatMap((words) => ownArguments(words) ?? [])
    assert.ok(own.length > 0, line)
    for (const words of shellCommands(line.replaceAll('exec ', ''))) assert.equal(await checkArguments(ownArguments(words) ?? []), undefined, line)
  }
})

test('what it starts makes a node, passes the health check, ends at SIGTERM with 0, and is the same node the next time', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sm-container-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const [bin, data] = [join(folder, 'bin'), join(folder, 'data')]
  mkdirSync(bin)
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(join(bin, 'synaptic-mesh'), `#!/bin/sh\nexec '${process.execPath}' '${fakeBin}' "$@"\n`)
  chmodSync(join(bin, 'synaptic-mesh'), 0o755)
  const env = { PATH: `${bin}:${dirname(process.execPath)}:/usr/bin:/bin`, HOME: folder, SYNAPTIC_MESH_DATA_DIR: data }
  const [shell = '', ...args] = listOf(textOf('CMD'))
  const [check = '', ...checkArgs] = listOf(textOf('HEALTHCHECK'))
  assert.notEqual(spawnSync(check, checkArgs, { env }).status, 0)
  const ids: string[] = []
  for (let start = 0; start < 2; start++) {
    const child = spawn(shell, args, { env, stdio: 'ignore' })
    t.after(() => child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const deadline = Date.now() + 30_000
    let healthy = spawnSync(check, checkArgs, { env, encoding: 'utf8' })
    while (healthy.status !== 0 && Date.now() < deadline) healthy = spawnSync(check, checkArgs, { env, encoding: 'utf8' })
    assert.equal(healthy.status, 0, healthy.stderr)
    ids.push(JSON.parse(healthy.stdout).peerId)
    child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  }
  assert.equal(ids[0], ids[1])
})

test('Docker builds it where there is one', { timeout: 480_000 }, (t) => {
  if (spawnSync('docker', ['info'], { timeout: 10_000 }).status !== 0) {
    t.skip('no Docker daemon answers here')
    return
  }
  const { status, stderr } = spawnSync('docker', ['build', '--quiet', '--tag', 'synaptic-mesh-test', root], { encoding: 'utf8', timeout: 400_000 })
  assert.equal(status, 0, stderr)
})
