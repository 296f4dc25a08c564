import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { bundleChild } from './bundle-child.ts'
import { MeshDaemon, pair } from './mesh-daemon.ts'

const yearMs = 31_557_600_000
const jumps: readonly (readonly [string, number])[] = [
  ['ten years ahead', 10 * yearMs],
  ['to 1970', -Date.now()]
]

test('a wall clock that jumps between two starts loses nothing, expires nothing and delivers nothing twice', { timeout: 120_000 }, async (t) => {
  const base = mkdtempSync(join(tmpdir(), 'sm-clock-'))
  const program = await bundleChild(join(import.meta.dirname, '../..'), join(base, 'program'), 'daemon')
  const sender = await MeshDaemon.create(base, 'alpha', program)
  const recipient = await MeshDaemon.create(base, 'beta', program)
  t.after(async () => {
    await Promise.all([sender.kill(), recipient.kill()])
    rmSync(base, { recursive: true, force: true })
  })
  for (const daemon of [sender, recipient]) daemon.start()
  await Promise.all([sender.ready(), recipient.ready()])
  await pair(sender, recipient)

  for (const [index, [name, shiftMs]] of jumps.entries()) {
    const id = `jump-${index}`
    await recipient.kill()
    await sender.client.call('message', { destination: 'beta', content: name, id, wait: 'accepted', ttlS: 3_600 })
    await sender.kill()
    sender.start(shiftMs)
    recipient.start(index === 1 ? -shiftMs : 0)
    await Promise.all([sender.ready(), recipient.ready()])
    const report = await sender.client.call(
      'message',
      { destination: 'beta', content: name, id, wait: 'stored', ttlS: 3_600, timeoutMs: 30_000 },
      { deadlineMs: 40_000 }
    )
    assert.ok(['stored', 'read'].includes(report.status), `${name}: ${report.status}`)
    const { messages } = await recipient.client.call('inboxRead', {})
    assert.deepEqual(
      messages.map((message) => [message.id, message.body, message.redelivered]),
      [[id, name, false]],
      name
    )
    await recipient.client.call('inboxAck', { id: [id] })
    await sender.kill()
    sender.start()
    await sender.ready()
    assert.deepEqual((await recipient.client.call('inboxRead', {})).messages, [], name)
  }
})
