import assert from 'node:assert/strict'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ControlClient } from '../../src/api/index.ts'
import { isMeshError } from '../../src/core/base/index.ts'

const isRoot = process.geteuid?.() === 0

test('a socket that another user planted is not spoken to', { skip: isRoot ? false : 'only root can give a socket away' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sm-'))
  const socketPath = join(folder, 'control.sock')
  let requests = 0
  const planted = createServer((_request, response) => {
    requests += 1
    response.end('{}')
  })
  planted.listen(socketPath)
  await once(planted, 'listening')
  t.after(() => {
    planted.close()
    rmSync(folder, { recursive: true })
  })
  chownSync(socketPath, 12_345, 12_345)
  const client = new ControlClient({ socketPath, profile: 'default' })
  await assert.rejects(
    client.call('status', {}),
    (error) => isMeshError(error, 'DAEMON_UNREACHABLE') && String(error.details['reason']).includes('another user')
  )
  assert.equal(requests, 0)
})
