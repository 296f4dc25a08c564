import assert from 'node:assert/strict'
import type { ErrorCode, MeshError } from '../../src/core/base/index.ts'
import type { onionErrors } from '../../src/core/base/onion-errors.ts'
import { type Cell, cellCommands, cellSizes } from '../../src/core/onion/index.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { realWorld, World } from '../core/onion/circuit-support.ts'
import { idOf, members } from '../core/onion/path-support.ts'
import { PoolWorld } from '../core/onion/pool-world.ts'

type CircuitCode = Extract<ErrorCode, keyof typeof onionErrors>

/** The answer of a pool of this world to somebody who wants a circuit to member 9. */
function refusal(world: PoolWorld): MeshError {
  const answer = world.settle(world.want(idOf(9)))
  return answer.type === 'failed' ? answer.error : assert.fail('a circuit was made')
}

const cell = (command: Cell['command']): Cell => ({ circuit: 1, command, body: new Uint8Array(cellSizes.body) })

/** How a circuit of three hops ends when this cell comes in. */
function endedBy(command: Cell['command']): MeshError | undefined {
  const world = new World({ hops: 3 }).build()
  world.input({ type: 'cell', cell: cell(command) })
  return world.ending.error
}

/** For each code of circuits, what lets the software say it. */
export const circuitProducers: Readonly<Record<CircuitCode, () => unknown>> = {
  CIRCUIT_TOO_FEW_RELAYS: () => refusal(new PoolWorld([...members(2), ...members(9).slice(8)])),
  CIRCUIT_NO_ENDPOINT: () => refusal(new PoolWorld(members(8))),
  CIRCUIT_GUARDS_FAILED: () => {
    const world = new PoolWorld(members(9))
    world.run(5_000)
    for (const { peerId } of members(8)) world.dead.add(peerId)
    for (const { id } of world.pool.circuits) world.input({ type: 'ended', circuit: id })
    world.run(3_600_000)
    return refusal(world)
  },
  ONION_ONLY: async () => {
    await using net = await createTestnet(2, { config: { onionRouting: true } })
    return await net.node(0).ping(net.node(1).addresses()[0] ?? '')
  },
  CIRCUIT_BUILD_TIMEOUT: () => {
    const world = new PoolWorld(members(9), { limits: { spares: 0 } })
    for (const { peerId } of members(8)) world.silent.add(peerId)
    return refusal(world)
  },
  CIRCUIT_EXTEND_REFUSED: () => {
    const world = new World({ hops: 3 })
    world.failures.set(2, 'refused')
    return world.build().ending.error
  },
  CIRCUIT_DESTROYED: () => endedBy(cellCommands.destroy),
  CIRCUIT_HANDSHAKE_FAILED: () => {
    const world = realWorld(2)
    world.intercept = (passed) => {
      if (passed.command === cellCommands.created) passed.body[40] = (passed.body[40] ?? 0) ^ 1
      return [passed]
    }
    return world.build().ending.error
  },
  CIRCUIT_INTEGRITY: () => endedBy(cellCommands.relay),
  CIRCUIT_VIOLATION: () => endedBy(cellCommands.relayEarly),
  CIRCUIT_UNKNOWN: async () => {
    await using net = await createTestnet(1)
    return await net.node(0).closeCircuit('3f9a12c4')
  }
}
