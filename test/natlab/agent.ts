/**
 * One host of the laboratory: runs a node of ours, and does what lines of JSON on standard input ask for. An answer has the number of its request;
 * a line without one is an event. Ends when standard input does.
 */
import { createInterface } from 'node:readline'
import { isMeshError } from '../../src/core/base/index.ts'
import type { TraversalMethod } from '../../src/core/nat/index.ts'
import type { NatReport } from '../../src/mesh/nat-report.ts'
import type { NetcheckReport } from '../../src/mesh/netcheck-report.ts'
import type { CircuitInfo } from '../../src/mesh/onion/circuit-report.ts'
import { createMesh, type DetailedStatus, type Mesh, type MeshConfig, type PeerInfo, type SendOptions } from '../../src/node/index.ts'
import { Receiver, type Received, Sender, type Sent } from './stream.ts'

/** Milliseconds of a clock that all processes of the machine share. */
const now = (): number => performance.timeOrigin + performance.now()

export interface AgentLog {
  readonly event: string
  readonly level: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What an agent tells without being asked. */
export type AgentEvent =
  | { readonly event: 'peer'; readonly type: string; readonly peer: PeerInfo; readonly at: number }
  | { readonly event: 'message'; readonly message: string; readonly text: string; readonly at: number }
  | { readonly event: 'log'; readonly record: AgentLog; readonly at: number }

let mesh: Mesh | undefined
let sender: Sender | undefined
let receiver: Receiver | undefined

const running = (): Mesh => {
  if (mesh === undefined) throw new Error('no node runs')
  return mesh
}
const tell = (line: object): void =>
  void process.stdout.write(`${JSON.stringify(line, (_, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value))}\n`)

export interface NodeFacts {
  readonly peerId: string
  readonly addresses: readonly string[]
}

/** What can be asked for. Times are in milliseconds, `at` and `since` on the machine's clock. */
const calls = {
  async start(config: MeshConfig, stateFolder?: string): Promise<NodeFacts> {
    const log = (record: AgentLog): void => tell({ event: 'log', record, at: now() })
    mesh = await createMesh(config, { onLog: log, ...(stateFolder === undefined ? {} : { stateFolder }) })
    mesh.on('peer', ({ type, peer }) => tell({ event: 'peer', type, peer, at: now() }))
    mesh.on('message', ({ id, body }) => tell({ event: 'message', message: id, text: Buffer.from(body).toString(), at: now() }))
    return calls.facts()
  },
  async stop(): Promise<void> {
    sender?.stop()
    receiver?.stop()
    sender = receiver = undefined
    await mesh?.stop()
    mesh = undefined
  },
  facts: (): Promise<NodeFacts> => Promise.resolve({ peerId: running().peerId, addresses: running().addresses() }),
  status: (): Promise<DetailedStatus> => running().detailedStatus(),
  metrics: (): Promise<string> => running().metrics(),
  invite: (): Promise<string> =>
    running()
      .invite()
      .then(({ invite }) => invite),
  async join(invite: string, alias: string): Promise<number> {
    const started = now()
    await running().join(invite, { alias })
    return now() - started
  },
  /** How long the first round trip took, dialling and all. */
  async ping(name: string): Promise<number> {
    const started = now()
    await running().ping(name, { count: 1, timeoutMs: 15_000 })
    return now() - started
  },
  peer: (name: string): Promise<PeerInfo> => running().peer(name),
  nat: (name: string, method: TraversalMethod): Promise<NatReport> => running().nat(name, { method }),
  netcheck: (): Promise<NetcheckReport> => running().netcheck(),
  circuits: (): Promise<readonly CircuitInfo[]> => running().circuits({ showPath: true }),
  async send(
    to: string,
    text: string,
    options: SendOptions = {}
  ): Promise<{ readonly id: string; readonly status: string; readonly path?: string; readonly at: number }> {
    const at = now()
    const { id, status, path } = await running().send(to, text, options)
    return { id, status, at, ...(path === undefined ? {} : { path }) }
  },
  /** Begins to send durable messages at a steady rate. */
  pump(to: string, perSecond: number): Promise<void> {
    sender = new Sender(running(), to, perSecond)
    return Promise.resolve()
  },
  /** Ends that, and says what became of them; waits until all are stored. */
  async pumped(timeoutMs: number): Promise<Sent> {
    const ending = sender
    sender = undefined
    if (ending === undefined) throw new Error('nothing is sent')
    return ending.finish(timeoutMs)
  },
  /** Begins to read and acknowledge, as an agent does. */
  collect(): Promise<void> {
    receiver?.stop()
    receiver = new Receiver(running())
    return Promise.resolve()
  },
  collected: (): Promise<Received> => Promise.resolve((receiver ?? new Receiver(running())).report())
} as const

export type AgentCalls = typeof calls

async function answer(line: string): Promise<void> {
  const { id, call, args }: { readonly id: number; readonly call: keyof AgentCalls; readonly args: readonly never[] } = JSON.parse(line)
  try {
    const method: (...parameters: readonly never[]) => Promise<unknown> = calls[call]
    tell({ id, result: (await method(...args)) ?? null })
  } catch (error) {
    const code = isMeshError(error) ? error.code : 'INTERNAL'
    tell({ id, error: { code, message: error instanceof Error ? error.message : String(error), details: isMeshError(error) ? error.details : {} } })
  }
}

const lines = createInterface(process.stdin)
lines.on('line', (line) => void answer(line))
lines.once('close', () => {
  void calls.stop().finally(() => process.exit(0))
})
tell({ event: 'ready' })
