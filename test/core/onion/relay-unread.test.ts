import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cellCommands, cellSizes } from '../../../src/core/onion/types.ts'
import { RelayWorld } from './relay-world.ts'

test('cells that mean nothing count for the rate of whoever sends them', () => {
  const world = new RelayWorld(83)
  const relay = world.relay('relay', { limits: { bytesPerSecond: 262_144 } })
  const { link } = world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })
  for (let frame = 0; frame < 10; frame++) relay.input({ type: 'cells', link, cells: [], ignored: 63 })
  const pauses = relay.outputs.flatMap((output) => (output.type === 'pause' ? [output.ms] : []))
  assert.ok(Math.max(...pauses) > 1_000, String(Math.max(...pauses)))
})

test('whoever reads nothing leaves no more than so many ends of circuits waiting', () => {
  const world = new RelayWorld(84)
  const relay = world.relay('relay')
  const lazy = world.outsider(relay, { kind: 'client', prefix: '198.51.100.0/24' })
  lazy.reads = false
  for (let circuit = 1; circuit <= 5_000; circuit++) {
    const body = world.random.bytes(cellSizes.body)
    lazy.send({ circuit, command: cellCommands.create, body }, { circuit, command: cellCommands.relay, body })
  }
  assert.equal(relay.machine.counters.circuits, 0)
  assert.ok(relay.machine.counters.queuedBytes <= 1_024 * cellSizes.cell, String(relay.machine.counters.queuedBytes))
})
