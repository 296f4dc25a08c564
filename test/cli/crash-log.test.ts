import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Home } from './support.ts'

test('what stands in the place of the crash log is neither followed nor emptied', { timeout: 60_000 }, async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  const victim = join(home.folder, 'victim')
  const crashLog = join(home.paths.stateFolder, 'daemon.crash.log')
  const plant: Readonly<Record<string, () => void>> = {
    'symbolic link': () => symlinkSync(victim, crashLog),
    'hard link': () => linkSync(victim, crashLog),
    pipe: () => assert.equal(spawnSync('mkfifo', ['-m', '600', crashLog]).status, 0),
    folder: () => mkdirSync(crashLog)
  }
  for (const [name, make] of Object.entries(plant)) {
    writeFileSync(victim, 'untouched', { mode: 0o600 })
    make()
    const { code, stderr } = await home.p2p('start', '--json')
    assert.deepEqual([code, JSON.parse(stderr).error.code], [4, 'PATH_UNSAFE'], name)
    assert.equal(readFileSync(victim, 'utf8'), 'untouched', name)
    rmSync(crashLog, { recursive: true })
  }
  writeFileSync(crashLog, 'of the last time', { mode: 0o600 })
  assert.equal((await home.p2p('start')).code, 0)
  assert.equal(readFileSync(crashLog, 'utf8'), '')
})

test('a state folder that others may enter holds no crash log of a daemon that refuses it', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  chmodSync(home.paths.stateFolder, 0o777)
  const { stderr } = await home.p2p('start', '--json')
  assert.match(JSON.parse(stderr).error.code, /^(PERMISSIONS_UNSAFE|PATH_UNSAFE)$/)
})
