import assert from 'node:assert/strict'
import { test } from 'node:test'
import { completionLines } from '../../src/cli/completion/complete-line.ts'
import { liveNames, namesMs } from '../../src/cli/completion/live-names.ts'
import { startRig } from '../api/harness.ts'

/** A machine that is busy may miss the 300 ms. */
async function untilNamed<T>(ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
  const deadline = Date.now() + 20_000
  let found = await ask()
  while (found.length === 0 && Date.now() < deadline) found = await ask()
  return found
}

/** What would do something in a shell, or hide what it does. */
const hostile = [
  '$(touch x)',
  '`id`',
  'a b',
  "a'b",
  '"',
  '-rf',
  '--exec',
  'a;b',
  'a|b',
  'a\\b',
  '\u001b[2J',
  'a\nb',
  '~root',
  '*',
  'a\u202eb',
  '!x',
  'x=$y',
  ''
]

test('a paired peer with a name that a shell would act on is offered by its id, and its name nowhere', async (t) => {
  const { mesh, paths } = await startRig(t)
  const peers = await mesh.peers()
  const [first] = peers
  assert.ok(first)
  mesh.peers = async () => hostile.map((name, index) => ({ ...first, name, claimedName: name, paired: true, peerId: `12D3KooWpeer${index}` }))
  const offered = await untilNamed(() => liveNames('peer', paths))
  assert.deepEqual(
    offered.map(({ value }) => value),
    hostile.map((_, index) => `12D3KooWpeer${index}`)
  )
})

test('ids of messages are the word of their senders: what could harm is not offered', async (t) => {
  const { mesh, paths } = await startRig(t)
  for (const [index, id] of [...hostile.filter((each) => each !== ''), 'good-1'].entries()) mesh.receive({ id, position: index + 1 })
  assert.deepEqual(
    (await untilNamed(() => liveNames('message', paths))).map(({ value }) => value),
    ['good-1']
  )
})

test('a daemon that takes too long is given up after 300 ms', async (t) => {
  const { mesh, paths } = await startRig(t)
  const { promise, resolve } = Promise.withResolvers<never[]>()
  mesh.peers = () => promise
  const started = performance.now()
  assert.deepEqual(await liveNames('peer', paths), [])
  const ms = performance.now() - started
  assert.ok(ms >= namesMs - 20 && ms < 10_000, `${ms} ms`)
  resolve([])
})

test('what a shell is answered has one candidate a line and no control character', async (t) => {
  const { paths } = await startRig(t)
  const environment = { HOME: '/nonexistent', SYNAPTIC_MESH_DATA_DIR: paths.configFile.replace(/\/[^/]*$/, '') }
  const lines = await untilNamed(() => completionLines(['3', 'synaptic-mesh', 'p2p', 'ping', ''], environment))
  assert.ok(
    lines.some((line) => line.startsWith('agent-001\t')),
    lines.join('|')
  )
  for (const line of lines) assert.match(line, /^[^\t\n\u001b]+(\t[^\t\n\u001b]*)?$/)
})
