import { dirname } from 'node:path'
import type { ErrorCode } from '../../src/core/base/index.ts'
import { checkProgram } from '../../src/cli/listen/exec-handler.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import type { Rig } from '../api/harness.ts'
import { runHere } from '../cli/support.ts'

interface World {
  readonly me: Mesh
  readonly rig: Rig
}

type AgentCode = Extract<ErrorCode, 'HANDLER_NOT_FOUND' | 'HANDLER_FAILED' | 'CONSUMER_UNKNOWN' | 'CONSUMER_LIMIT' | 'AGENT_UNKNOWN' | 'AGENT_LIMIT'>

/** How errors of handlers, readers and agents come about. */
export const agentProducers: Readonly<Record<AgentCode, (world: World) => unknown>> = {
  HANDLER_NOT_FOUND: () => checkProgram(['no-such-program-here'], process.env),
  HANDLER_FAILED: async ({ rig }) => {
    rig.mesh.receive({ id: 'poison' })
    const { stderr } = await runHere(
      ['p2p', 'listen', '--exec', 'false', '--once', '--attempts', '1', '--json', '--data-dir', dirname(rig.paths.stateFolder)],
      { PATH: process.env['PATH'], HOME: '/' }
    )
    return JSON.parse(stderr.trim().split('\n').at(-1) ?? '').error
  },
  CONSUMER_UNKNOWN: ({ me }) => me.inbox.removeConsumer('nobody'),
  CONSUMER_LIMIT: async ({ me }) => {
    for (let index = 0; index <= 32; index++) await me.inbox.useConsumer(`reader-${index}`)
  },
  AGENT_UNKNOWN: ({ me }) => me.agents.remove('nobody'),
  AGENT_LIMIT: async ({ me }) => {
    for (let index = 0; index <= 16; index++) await me.agents.add(`agent-${index}`)
  }
}
