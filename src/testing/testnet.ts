import type { LogRecord, Mesh } from '../mesh/mesh.ts'
import { createMesh, type MeshConfig, type MeshSetup } from '../node/create-mesh.ts'

export interface TestnetOptions {
  /** Options of every node, over those of a testnet; a function gets the number of the node. */
  readonly config?: MeshConfig | ((index: number) => MeshConfig)
  readonly setup?: MeshSetup | ((index: number) => MeshSetup)
  /** Whether the first node is the bootstrap peer of the others; default true. */
  readonly bootstrap?: boolean
  /** Every log record, with the number of the node. */
  readonly onLog?: (index: number, record: LogRecord) => void
}

/** Real nodes in this process, on 127.0.0.1 and ports of the system's choice, with mDNS off and their state in memory. */
export interface Testnet extends AsyncDisposable {
  readonly nodes: readonly Mesh[]
  /** The n-th node, from 0. */
  node(index: number): Mesh
  /** Starts one more. */
  add(config?: MeshConfig, setup?: MeshSetup): Promise<Mesh>
  /** Pairs two nodes by invite, as people do. */
  pair(a: Mesh, b: Mesh): Promise<void>
  stop(): Promise<void>
}

/** All nodes of a testnet call from one address: what protects a node from that is wide open. */
const openLimits = { inboundConnectionsPerSecond: 1_000, gater: { perAddress: 10_000, halfOpenPerAddress: 10_000 } } as const

/** Starts `count` real nodes that find each other. Stop it with `stop()` or `await using`. */
export async function createTestnet(count: number, options: TestnetOptions = {}): Promise<Testnet> {
  const nodes: Mesh[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.splice(0).map((node) => node.stop()))
  }
  const add = async (config: MeshConfig = {}, setup: MeshSetup = {}): Promise<Mesh> => {
    const index = nodes.length
    const node = await createMesh(
      {
        name: `node-${index}`,
        network: 'testnet',
        listenAddrs: ['/ip4/127.0.0.1/tcp/0'],
        mdns: false,
        ...bootstrapOf(nodes, options),
        ...at(options.config, index),
        ...config
      },
      { hostLimits: openLimits, onLog: (record) => options.onLog?.(index, record), ...at(options.setup, index), ...setup }
    )
    nodes.push(node)
    return node
  }
  try {
    for (let index = 0; index < count; index++) await add()
  } catch (error) {
    await stop()
    throw error
  }
  return { nodes, node: (index) => nodeAt(nodes, index), add, pair, stop, [Symbol.asyncDispose]: stop }
}

async function pair(a: Mesh, b: Mesh): Promise<void> {
  const { invite } = await a.invite()
  await b.join(invite)
}

function bootstrapOf(nodes: readonly Mesh[], { bootstrap = true }: TestnetOptions): MeshConfig {
  const [first] = nodes
  return first === undefined || !bootstrap ? {} : { bootstrapPeers: first.addresses().slice(0, 1) }
}

function nodeAt(nodes: readonly Mesh[], index: number): Mesh {
  const node = nodes[index]
  if (node === undefined) throw new RangeError(`the testnet has ${nodes.length} nodes, there is no number ${index}`)
  return node
}

const at = <Value extends object>(value: Value | ((index: number) => Value) | undefined, index: number): Value | Record<string, never> =>
  value === undefined ? {} : typeof value === 'function' ? value(index) : value
