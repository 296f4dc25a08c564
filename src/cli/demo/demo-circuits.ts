import type { Catalogue, OutputOf } from '../../api/index.ts'
import { MeshError } from '../../core/base/index.ts'
import { count } from '../text.ts'
import type { DemoNode } from './demo-node.ts'

type CircuitReport = OutputOf<Catalogue['demo']>['circuits'][number]

const buildMs = 30_000
const deliverMs = 20_000
/** A node that is busy answers so late. */
const answerMs = 15_000
/** How long before a circuit is tried again: a node that was just started again is known by its old address for a moment. */
const retryEveryMs = 500
/** How many relays each circuit has in a mesh that is large enough, and under which name its end is known. */
const plans = [
  { alias: 'peer-123', hops: 3 },
  { alias: 'peer-456', hops: 5 }
] as const
/** Where circuits lead, the best first: not to the first node, which makes them, and only at last to the third, which was killed. */
const ends: readonly number[] = [3, 5, 4, 1, 2]

/** Relays of a circuit in a mesh of so many nodes: neither its maker nor its end is one. */
export const demoHops = (wanted: number, nodes: number): number => Math.max(1, Math.min(wanted, nodes - 2))

/** The places of the nodes at the ends of the demo's circuits, another one for each. */
export const demoEnds = (nodes: number): readonly number[] => ends.filter((place) => place < nodes).slice(0, plans.length)

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
    const places = demoEnds(this.#nodes.length)
    for (const [index, { alias, hops }] of plans.entries())
      reports.push(await this.#one(alias, demoHops(hops, this.#nodes.length), places[index] ?? 1))
    return reports
  }

  /** The first node pairs with the end under its alias, builds the circuit, and sends. */
  async #one(alias: string, hops: number, place: number): Promise<CircuitReport> {
    const { say, signal } = this.#options
    const [from, to] = [this.#node(0), this.#node(place)]
    const { invite } = await to.client.call('invite', {})
    await from.client.call('join', { invite, as: alias })
    const circuit = await this.#circuit(from, { peer: alias, hops })
    say(
      `${from.name} → ${alias} (${to.name}): a circuit over ${count(circuit.hops, 'relay')} in ${circuit.buildMs} ms, round trip ${Math.round(circuit.rttMs)} ms; ${circuit.anonymity.senders} could be its sender`
    )
    const input = { destination: alias, content: `nobody on the way knows that this is from ${from.name}`, timeoutMs: deliverMs }
    const { status, path = '', ms } = await from.client.call('message', input, { deadlineMs: deliverMs + answerMs, signal })
    say(`${from.name} → ${alias}: a Thought ${status} in ${Math.round(ms)} ms, path ${path}`)
    return { from: from.name, to: to.name, relays: circuit.hops, buildMs: circuit.buildMs, rttMs: circuit.rttMs, status, path, ms }
  }

  async #circuit({ client }: DemoNode, input: { readonly peer: string; readonly hops: number }): Promise<OutputOf<Catalogue['circuitOpen']>> {
    const { say, signal } = this.#options
    const deadline = performance.now() + buildMs
    for (;;) {
      try {
        return await client.call('circuitOpen', { ...input, timeoutMs: buildMs }, { deadlineMs: buildMs + answerMs, signal })
      } catch (error) {
        if (!(error instanceof MeshError) || !error.retryable || signal.aborted || performance.now() > deadline) throw error
        say(`a circuit to ${input.peer}: ${error.message}; trying again`)
        await new Promise((resolve) => setTimeout(resolve, retryEveryMs))
      }
    }
  }

  #node(index: number): DemoNode {
    const node = this.#nodes[index]
    if (node === undefined) throw new MeshError('INTERNAL', { reason: 'the demo has no nodes' })
    return node
  }
}
