/** A node with circuits in a process of its own: does what its parent asks, and shows all that its relay holds. */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { createMesh, type Mesh } from '../../src/node/index.ts'
import type { NodeReport, OnionCalls, RelayDump } from './onion-node.ts'
import { type Inspected, StateWalk } from './state-walk.ts'

const [folder = '', name = '', bootstrap = ''] = process.argv.slice(2)

/** They belong to the node: its directory, its own circuits, its connections. What a relay knows of a circuit does not lie behind them. */
const notOfRelays = [
  'Workbench',
  'FrameLink',
  'CellLinks',
  'CircuitStream',
  'EndpointStreams',
  'OnionService',
  'OnionKeys',
  'Tracker',
  'Timeout',
  'TimersList'
]

/** Where a mesh node has its circuits. */
const onion = ['#parts', 'onion'] as const

const mesh: Mesh = await createMesh(
  {
    name,
    network: 'onion-state',
    listenAddrs: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    onionRouting: true,
    ...(bootstrap === '' ? {} : { bootstrapPeers: [bootstrap] })
  },
  {
    stateFolder: join(folder, 'state'),
    // All nodes call from one address.
    hostLimits: { inboundConnectionsPerSecond: 1_000, gater: { perAddress: 10_000, halfOpenPerAddress: 10_000 } },
    onLog: (record) => appendFileSync(join(folder, 'log'), `${JSON.stringify(record)}\n`)
  }
)
const arrived: string[] = []
mesh.on('message', ({ id, body }) => arrived.push(`${id} ${new TextDecoder().decode(body)}`))

function dumpRelay(): RelayDump {
  using walk = new StateWalk(notOfRelays)
  const service = walk.at(walk.inspect(mesh), ...onion, 'relay')
  const table = service && walk.at(service, '#machine', '#table')
  const circuits = table && walk.at(table, 'circuits')
  const links = table && walk.at(table, 'links')
  if (service === undefined || circuits === undefined || links === undefined)
    throw new Error('the relay keeps its circuits elsewhere: this dump looks at nothing')
  return {
    circuits: walk.values(circuits).map((circuit) => walk.walk(circuit)),
    links: walk.values(links).map((link) => walk.walk(link)),
    callers: callersOf(walk, service),
    whole: walk.walk(service)
  }
}

/** With whom libp2p has the connection of each link. */
function callersOf(walk: StateWalk, service: Inspected): RelayDump['callers'] {
  const links = walk.at(service, '#links')
  return (links === undefined ? [] : walk.values(links)).flatMap((state) => {
    const [id, peerId] = [walk.at(state, 'link', 'id')?.value, walk.at(state, 'link', '#stream', '#options', 'peerId')?.value]
    return typeof id === 'number' && typeof peerId === 'string' ? [{ id, peerId }] : []
  })
}

/** The numbers of the node's own circuits, on the links to its guards. */
function ownNumbers(): readonly number[] {
  using walk = new StateWalk(notOfRelays)
  const circuits = walk.at(walk.inspect(mesh), ...onion, '#client', '#circuits')
  return (circuits === undefined ? [] : walk.values(circuits)).flatMap((held) => Number(walk.at(held, 'circuit', '#number')?.value ?? []))
}

const report = async (): Promise<NodeReport> => {
  const { onion } = await mesh.status()
  return { peerId: mesh.peerId, addresses: mesh.addresses(), relays: onion.known.relays, metrics: await mesh.metrics(), arrived }
}

const calls: OnionCalls = {
  report,
  invite: async () => (await mesh.invite()).invite,
  join: async ({ invite, alias }) => void (await mesh.join(invite, { alias })),
  circuit: async ({ peer, hops }) => {
    const { id, path = [], hops: relays } = await mesh.circuit(peer, { hops, showPath: true })
    return { id, relays, path: path.map(({ peerId }) => peerId) }
  },
  send: async ({ peer, text }) => {
    const { id, status, path } = await mesh.send(peer, text, { timeoutMs: 20_000 })
    return { id, status, path }
  },
  dump: () => Promise.resolve(dumpRelay()),
  own: () => Promise.resolve(ownNumbers()),
  stop: () => mesh.stop()
}

interface Call {
  readonly id: number
  readonly name: keyof OnionCalls
  readonly argument: never
}

process.once('disconnect', () => process.exit(0))
process.on('message', ({ id, name: call, argument }: Call) => {
  const answer = async (): Promise<unknown> => calls[call](argument)
  answer().then(
    (result) => process.send?.({ id, result }),
    (error: unknown) => process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  )
})
process.send?.({ id: 0, result: await report() })
