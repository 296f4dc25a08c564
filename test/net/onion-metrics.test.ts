import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveConfig } from '../../src/core/options/index.ts'
import { NodeMetrics } from '../../src/mesh/node-metrics.ts'
import { FakeMesh } from '../api/fake-mesh.ts'

const onionRelay = {
  ...{ circuits: 1, queuedBytes: 2, waitingCreates: 3, cellsForward: 4, cellsBackward: 5, handshakes: 6, refused: 7, puzzles: 8 },
  ...{ extends: 9, extendsFailed: 10, violations: 11, stuck: 12 }
}

test('metrics tell what became of circuits of our own, and what is carried for others, without a name of anybody', async () => {
  const metrics = new NodeMetrics(() => 0)
  metrics.circuitBuilt('relays', 300)
  metrics.circuitBuilt('destination', undefined)
  const status = await new FakeMesh(resolveConfig({})).status()
  const text = metrics.text(status, { outbox: { queued: 0, direct: 0, bytes: 0, inFlight: 0 }, inboxBytes: 0, groups: ['joined'], onionRelay })
  for (const line of [
    'members{role="relay"} 7',
    'members{role="endpoint"} 1',
    'circuits{state="open"} 1',
    'circuits{state="spare"} 2',
    'builds_total{result="built"} 1',
    'builds_total{result="failed"} 1',
    'build_ms_sum{part="relays"} 300',
    'relay_circuits 1',
    'relay_queued_bytes 2',
    'relay_cells_total{direction="forward"} 4',
    'relay_cells_total{direction="backward"} 5',
    'relay_handshakes_total{result="answered"} 6',
    'relay_handshakes_total{result="refused"} 7',
    'relay_handshakes_total{result="puzzle"} 8',
    'relay_extends_total{result="taken"} 9',
    'relay_extends_total{result="failed"} 10',
    'relay_ended_total{reason="violation"} 11',
    'relay_ended_total{reason="stuck"} 12',
    'links 4'
  ])
    assert.ok(text.includes(`synaptic_mesh_onion_${line}\n`), line)
  for (const each of text.split('\n').filter((line) => line.startsWith('synaptic_mesh_onion_'))) assert.doesNotMatch(each, /12D3KooW/)
})
