import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { serviceName, serviceText } from '../../src/cli/service/service-file.ts'
import { Home } from './support.ts'

async function installed(t: TestContext) {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  return { home, file: join(home.folder, '.config', 'systemd', 'user', 'synaptic-mesh.service') }
}

const kind = ['--kind', 'systemd'] as const

test('install writes a file of mode 0600 in one step, says what to run next, and does nothing the second time', async (t) => {
  const { home, file } = await installed(t)
  const first = await home.p2p('service', 'install', ...kind, '--json')
  assert.equal(first.code, 0, first.stderr)
  const report = JSON.parse(first.stdout)
  assert.deepEqual([report.file, report.changed, report.name], [file, true, 'synaptic-mesh.service'])
  assert.ok(report.next.some((line: string) => line.includes('enable --now synaptic-mesh.service')))
  assert.equal(readFileSync(file, 'utf8'), report.text)
  assert.equal(lstatSync(file).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(dirname(file)), ['synaptic-mesh.service'])
  const second = JSON.parse((await home.p2p('service', 'install', ...kind, '--json')).stdout)
  assert.equal(second.changed, false)
})

test('the program of the service is named by whole paths, and is the daemon of the profile', async (t) => {
  const { home } = await installed(t)
  const { stdout } = await home.p2p('service', 'print', ...kind)
  const words = [...(/^ExecStart=(.*)$/m.exec(stdout)?.[1] ?? '').matchAll(/"([^"]*)"/g)].map(([, word = '']) => word)
  const [node = '', ...rest] = words
  const script = rest.find((word) => word.endsWith('.js')) ?? ''
  assert.ok(isAbsolute(node) && existsSync(node) && isAbsolute(script) && existsSync(script), words.join(' '))
  assert.ok(words.includes('--disable-sigusr1') && words.includes('default'))
  assert.doesNotMatch(stdout, /MemoryDenyWriteExecute/)
  assert.match(stdout, /^NoNewPrivileges=yes$/m)
})

test('a service with what it says runs, and ends at SIGTERM with 0', async (t) => {
  const { home } = await installed(t)
  const { stdout } = await home.p2p('service', 'print', ...kind)
  const words = [...(/^ExecStart=(.*)$/m.exec(stdout)?.[1] ?? '').matchAll(/"([^"]*)"/g)].map(([, word = '']) => word)
  const [node = '', ...args] = words
  const child = spawn(node, args, { stdio: 'ignore', env: { HOME: home.folder } })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const deadline = Date.now() + 20_000
  let status = await home.p2p('status', '--no-start', '--json')
  while (status.code !== 0 && Date.now() < deadline) status = await home.p2p('status', '--no-start', '--json')
  assert.equal(status.code, 0, status.stderr)
  assert.equal(JSON.parse(status.stdout).daemon.pid, child.pid)
  child.kill('SIGTERM')
  assert.deepEqual(await exited, [0, null])
})

test('systemd takes the unit as it is', async (t) => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
    t.skip('systemd-analyze is not installed here')
    return
  }
  const { home, file } = await installed(t)
  await home.p2p('service', 'install', ...kind)
  const { status, stdout, stderr } = spawnSync('systemd-analyze', ['--user', 'verify', '--man=no', file], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], HOME: home.folder, XDG_RUNTIME_DIR: home.folder }
  })
  const said = (stdout + stderr).split('\n').filter((line) => line.includes('synaptic-mesh'))
  assert.deepEqual([status, said], [0, []], stdout + stderr)
})

test('a file of somebody else, a link and a folder at its place are left as they are', async (t) => {
  const { home, file } = await installed(t)
  mkdirSync(dirname(file), { recursive: true })
  const target = join(home.folder, 'precious')
  const plant: readonly (() => void)[] = [
    () => writeFileSync(file, '[Service]\nExecStart=/bin/true\n'),
    () => symlinkSync(target, file),
    () => mkdirSync(file)
  ]
  for (const [index, make] of plant.entries()) {
    writeFileSync(target, 'precious')
    spawnSync('rm', ['-rf', file])
    make()
    for (const verb of ['install', 'uninstall']) {
      const { code, stderr } = await home.p2p('service', verb, ...kind, '--json')
      assert.deepEqual([code, JSON.parse(stderr).error.code], [4, 'SERVICE_FOREIGN'], `${index} ${verb}`)
    }
    assert.equal(readFileSync(target, 'utf8'), 'precious')
    assert.ok(lstatSync(file, { throwIfNoEntry: false }) !== undefined)
    assert.equal(JSON.parse((await home.p2p('service', 'status', ...kind, '--json')).stdout).installed, 'foreign')
  }
})

test('uninstall removes what install wrote, also of an older version, and nothing else', async (t) => {
  const { home, file } = await installed(t)
  await home.p2p('service', 'install', ...kind)
  writeFileSync(file, readFileSync(file, 'utf8').replace('RestartSec=5', 'RestartSec=6'))
  assert.equal(JSON.parse((await home.p2p('service', 'status', ...kind, '--json')).stdout).installed, 'outdated')
  assert.equal(JSON.parse((await home.p2p('service', 'uninstall', ...kind, '--json')).stdout).removed, true)
  assert.ok(!existsSync(file))
  assert.equal(JSON.parse((await home.p2p('service', 'uninstall', ...kind, '--json')).stdout).removed, false)
})

test('a profile that does not exist gets no service', async (t) => {
  const { code, stderr } = await new Home(t).p2p('service', 'install', ...kind, '--json')
  assert.deepEqual([code, JSON.parse(stderr).error.code], [3, 'NOT_INITIALIZED'])
})

test('what stands in paths is no syntax of a unit or of a property list', () => {
  const program = {
    profile: 'a',
    command: ['/n o/$HOME/%h/"q"/\\', '<&>'],
    environment: { A: 'x "y" %z' },
    crashLog: '/l<>'
  }
  const unit = serviceText('systemd', program)
  assert.match(unit, /^ExecStart="\/n o\/\$\$HOME\/%%h\/\\"q\\"\/\\\\" "<&>"$/m)
  assert.match(unit, /^Environment="A=x \\"y\\" %%z"$/m)
  const plist = serviceText('launchd', program)
  assert.match(plist, /<string>&lt;&amp;&gt;<\/string>/)
  assert.equal(serviceName('systemd', 'alice'), 'synaptic-mesh-alice.service')
})
