import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { profilePaths } from '../../src/core/options/index.ts'
import { bindControlSocket } from '../../src/daemon/control-socket.ts'
import { temporaryFolder } from '../node/temp.ts'

test('a start that was killed while it bound the socket does not keep the next one from binding it', async (t) => {
  const base = temporaryFolder(t)
  const paths = profilePaths({ profile: 'a', environment: {}, home: base, platform: process.platform, dataDir: base })
  mkdirSync(paths.runtimeFolder, { recursive: true, mode: 0o700 })
  const dead = spawnSync(process.execPath, ['-e', '']).pid
  for (const content of [String(dead), '']) {
    writeFileSync(join(paths.runtimeFolder, 'bind.lock'), content)
    const server = createServer()
    await bindControlSocket(server, paths)
    assert.equal(existsSync(join(paths.runtimeFolder, 'bind.lock')), false)
    server.close()
    await once(server, 'close')
  }
})
