import assert from 'node:assert/strict'
import { test } from 'node:test'
import { traceSteps } from '../../src/api/catalogue/comfort.ts'
import { traceOutcome } from '../../src/cli/comfort-commands.ts'
import { MeshError } from '../../src/core/base/index.ts'
import { startRig } from './harness.ts'

test('each step is told once, in its order, and one that fails ends the way with its own error', async (t) => {
  const { client, mesh } = await startRig(t)
  mesh.quantum = () => Promise.reject(new MeshError('DOWNGRADE_DETECTED', { peer: 'agent-001', level: 3 }))
  const report = await client.call('trace', { peer: 'agent-001' })
  assert.deepEqual(
    report.steps.map(({ step }) => step),
    traceSteps
  )
  assert.deepEqual(
    report.steps.slice(-3).map(({ state }) => state),
    ['skipped', 'failed', 'skipped']
  )
  assert.equal(report.ok, false)
  assert.deepEqual([traceOutcome(report)?.code, traceOutcome(report)?.exitCode], ['DOWNGRADE_DETECTED', 8])
})

test('a peer without a connection is looked for, and what was tried is told', async (t) => {
  const { client } = await startRig(t)
  const { steps } = await client.call('trace', { peer: 'offline' })
  const connection = steps.find(({ step }) => step === 'connection')
  assert.equal(connection?.state, 'ok')
  assert.ok(
    connection?.more.some((line) => line.includes('no answer in 3 s')),
    connection?.more.join('\n')
  )
})

test('where circuits are the rule no direct way is gone, unless it is asked for', async (t) => {
  const { client, mesh } = await startRig(t, { onion_routing: true })
  const direct: string[] = []
  const [nat, ping] = [mesh.nat.bind(mesh), mesh.ping.bind(mesh)]
  mesh.nat = (...args) => (direct.push('nat'), nat(...args))
  mesh.ping = (...args) => (direct.push('ping'), ping(...args))
  const onion = await client.call('trace', { peer: 'agent-001' })
  assert.deepEqual([onion.onion, direct], [true, []])
  const states = new Map(onion.steps.map(({ step, state }) => [step, state]))
  assert.deepEqual([states.get('circuit'), states.get('connection'), states.get('round-trip')], ['ok', 'skipped', 'skipped'])
  const asked = await client.call('trace', { peer: 'agent-001', via: 'direct' })
  assert.deepEqual([asked.onion, direct], [false, ['ping']])
})
