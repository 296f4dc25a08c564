import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { isSkipped, Lab } from './lab.ts'

const namespaces = (prefix: string): readonly string[] =>
  spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((line) => new RegExp(`^${prefix}-`).test(line))

test('every NAT of the laboratory is what it says, and nothing of it stays', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  const lab = await Lab.up()
  try {
    const lines = (await lab.natlab('types')).trim().split('\n')
    assert.equal(lines.length, 23)
    assert.deepEqual(
      lines.filter((line) => !line.endsWith(' ok')),
      []
    )
  } finally {
    await lab.down()
  }
  assert.deepEqual(namespaces(lab.prefix), [])
  assert.equal(existsSync(lab.folder), false)
})

test('a laboratory that cannot be made removes what it had', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  // The second site takes the number of the first.
  await assert.rejects(Lab.up({ sites: ['port1:15:port', 'port2:15:port'], publicHosts: ['open1:3'] }), /up failed/)
  assert.deepEqual(namespaces(`d${process.pid}x[0-9]+`), [])
})

test('delay and loss are what was asked for', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  await using lab = await Lab.up({ sites: ['port1:15:port'] })
  const connectMs = async (): Promise<number> => {
    const started = performance.now()
    const { code } = await lab.run('port1', ['bash', '-c', '< /dev/tcp/11.77.2.2/3478'])
    assert.equal(code, 0)
    return performance.now() - started
  }
  await lab.delay(200, 0)
  const slow = await connectMs()
  assert.ok(slow >= 400, `a round trip took ${slow} ms`)
  await lab.delay(0, 100)
  const { code } = await lab.run('port1', ['timeout', '1', 'bash', '-c', '< /dev/tcp/11.77.2.2/3478'])
  assert.notEqual(code, 0, 'nothing comes through')
  await lab.delay(0, 0)
  const fast = await connectMs()
  assert.ok(fast < slow / 2, `without delay it took ${fast} ms`)
})
