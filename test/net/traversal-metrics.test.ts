import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metricCatalogue } from '../../src/core/metrics/index.ts'
import { connectionPaths, techniques, traversalResults } from '../../src/core/nat/index.ts'
import { dialOutcomes } from '../../src/core/nat/nat-frames.ts'
import { resolveConfig } from '../../src/core/options/index.ts'
import { NodeMetrics } from '../../src/mesh/node-metrics.ts'
import { FakeMesh } from '../api/fake-mesh.ts'
import { connects, everything, facts, fails, network, nothingWorks, run } from '../core/nat/plan-world.ts'

const onionRelay = {
  ...{ circuits: 1, queuedBytes: 2, waitingCreates: 3, cellsForward: 4, cellsBackward: 5, handshakes: 6, refused: 7, puzzles: 8 },
  ...{ extends: 9, extendsFailed: 10, violations: 11, stuck: 12 }
}
const gauges = { outbox: { queued: 0, direct: 0, bytes: 0, inFlight: 0 }, inboxBytes: 0, groups: ['joined'], onionRelay } as const

test('every way that was tried is counted by what came of it, and the time to a connection by its path', async () => {
  const metrics = new NodeMetrics(() => 0)
  const { report } = run({
    method: 'auto',
    means: everything,
    own: facts('port-restricted'),
    peer: { network: network('full-cone'), afterMs: 20 },
    ways: { ...nothingWorks, dial: fails(10), relay: connects('relayed', 50), ice: connects('punched', 300) }
  })
  metrics.traversed(report)
  const text = metrics.text(await new FakeMesh(resolveConfig({})).status(), gauges)
  for (const [method, result] of [
    ['dial', 'failed'],
    ['relay', 'relayed'],
    ['reversal', 'skipped'],
    ['ice', 'punched']
  ])
    assert.ok(text.includes(`synaptic_mesh_nat_attempts_total{method="${method}",result="${result}"} 1\n`), `${method} ${result}`)
  assert.ok(text.includes('synaptic_mesh_nat_connect_ms_sum{path="relayed"} 50\n'))
  assert.ok(text.includes('synaptic_mesh_nat_connect_ms_bucket{path="punched",le="500"} 1\n'))
  assert.ok(text.includes('synaptic_mesh_nat_connect_ms_sum{path="punched"} 370\n'))
})

test('who asked to be dialled is counted by what came of it', async () => {
  const metrics = new NodeMetrics(() => 0)
  metrics.dialled('dial-back', 'not-allowed')
  const text = metrics.text(await new FakeMesh(resolveConfig({})).status(), gauges)
  assert.ok(text.includes('synaptic_mesh_nat_dialled_total{purpose="dial-back",outcome="not-allowed"} 1\n'))
  assert.deepEqual(metricCatalogue.natDialled.labels.outcome, dialOutcomes)
})

test('the labels are all techniques, results and paths that there are', () => {
  assert.deepEqual(metricCatalogue.natAttempts.labels.method, techniques)
  assert.deepEqual(metricCatalogue.natAttempts.labels.result.toSorted(), [...traversalResults, 'ended', 'skipped'].toSorted())
  // A traversal never ends with a circuit.
  assert.deepEqual(
    metricCatalogue.natConnect.labels.path,
    connectionPaths.filter((path) => path !== 'onion')
  )
})
