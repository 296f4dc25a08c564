import type { Catalogue, OutputOf } from '../../api/index.ts'
import { MeshError } from '../../core/base/index.ts'
import type { DemoNode } from './demo-node.ts'

type CircuitReport = OutputOf<Catalogue['demo']>['circuits'][number]

const buildMs = 30_000
const deliverMs = 20_000
/** How many relays each circuit has in a mesh that is large enough, and under which name its end is known. */
const plans = [
  { alias: 'peer-123', hops: 3, place: 3 },
  { alias: 'peer-456', hops: 5, place: 5 }
] as const

export interface DemoCircuitsOptions {
  readonly say: (text: string) => void
  readonly signal: AbortSignal
}

/** Circuits of three and of five relays through the demo's own nodes, and a message over each. */
export class DemoCircuits {
  readonly #nodes: readonly DemoNode[]
  readonly #options: DemoCircuitsOptions

  constructor(nodes: readonly DemoNode[], options: DemoCircuitsOptions) {
    this.#nodes = nodes
    this.#options = options
  }

  async run(): Promise<CircuitReport[]> {
    const reports: CircuitReport[] = []
    for (const { alias, hops, place } of plans) reports.push(await this.#one(alias, Math.min(hops, this.#nodes.length - 2), place))
    return reports
  }

  /** The first node pairs with the end under its alias, builds the circuit, and sends. */
  async #one(alias: string, hops: number, place: number): Promise<CircuitReport> {
    const { say, signal } = this.#options
    const [from, to] = [this.#node(0), this.#node(place % (this.#nodes.length - 1) === 0 ? 1 : place % this.#nodes.length)]
    const { invite } = await to.client.call('invite', {})
    await from.client.call('join', { invite, as: alias })
    const call = { deadlineMs: buildMs + 5_000, signal }
    const circuit = await from.client.call('circuitOpen', { peer: alias, hops, timeoutMs: buildMs }, call)
    say(
      `${from.name} → ${alias} (${to.name}): a circuit over ${circuit.hops} relays in ${circuit.buildMs} ms, round trip ${Math.round(circuit.rttMs)} ms; ${circuit.anonymity.senders} could be its sender`
    )
    const input = { destination: alias, content: `nobody on the way knows that this is from ${from.name}`, timeoutMs: deliverMs }
    const { status, path = '', ms } = await from.client.call('message', input, { deadlineMs: deliverMs + 5_000, signal })
    say(`${from.name} → ${alias}: a Thought ${status} in ${Math.round(ms)} ms, path ${path}`)
    return { from: from.name, to: to.name, relays: circuit.hops, buildMs: circuit.buildMs, rttMs: circuit.rttMs, status, path, ms }
  }

  #node(index: number): DemoNode {
    const node = this.#nodes[index]
    if (node === undefined) throw new MeshError('INTERNAL', { reason: 'the demo has no nodes' })
    return node
  }
}
