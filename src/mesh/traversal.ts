import { type Clock, MeshError } from '../core/base/index.ts'
import {
  type ConnectionPath,
  isDirectPath,
  type NetworkFacts,
  type PeerNetwork,
  type PlanInput,
  type PlanOutput,
  reasonOf,
  resultOf,
  type TraversalMeans,
  type TraversalMethod,
  TraversalPlan,
  type TraversalReport
} from '../core/nat/index.ts'
import { Driver } from './drive.ts'
import type { Timers } from './ports.ts'

/** The ways to a peer, as the parts that go them offer them. Each takes as long as its signal lets it, and rejects with the reason. */
export interface TraversalPorts {
  means(peerId: string): Promise<TraversalMeans>
  /** What is known of our own network. */
  ownFacts(): NetworkFacts | undefined
  /** How the peer is reached now; undefined while it is not. */
  pathTo(peerId: string): ConnectionPath | undefined
  /** Asks the peer about its network, over the connection that there is. */
  hello(peerId: string, signal: AbortSignal): Promise<PeerNetwork>
  /** Dials direct addresses, whatever connections there are; `round` 2: those that the peer told by `hello`. */
  dial(peerId: string, round: 1 | 2, signal: AbortSignal): Promise<ConnectionPath>
  relay(peerId: string, signal: AbortSignal): Promise<ConnectionPath>
  /** Has the peer dial us. */
  reversal(peerId: string, signal: AbortSignal): Promise<ConnectionPath>
  ice(peerId: string, policy: 'all' | 'stun' | 'turn', signal: AbortSignal): Promise<ConnectionPath>
}

export interface TraversalOptions {
  readonly peerId: string
  readonly method: TraversalMethod
  readonly ports: TraversalPorts
  readonly clock: Clock
  readonly timers: Timers
  /** Whether the report shall name the peer's class in any case. */
  readonly wantsFacts: boolean
}

/** One traversal of one peer: runs the plan of core/nat over the ways that there are. */
export class Traversal {
  readonly #options: TraversalOptions
  readonly #tries = new Map<number, AbortController>()
  readonly #ended = new AbortController()
  readonly #result = Promise.withResolvers<TraversalReport>()
  #driver: Driver<PlanInput, PlanOutput> | undefined

  constructor(options: TraversalOptions) {
    this.#options = options
  }

  /** Takes as long as core/nat/plan.ts says at most. @throws {MeshError} ABORTED with the signal; a peer that is not reached is a report */
  async run(signal: AbortSignal): Promise<TraversalReport> {
    const { peerId, method, ports, clock, timers, wantsFacts } = this.#options
    this.#result.promise.catch(() => undefined)
    const onAbort = (): void => this.#result.reject(new MeshError('ABORTED', { operation: 'The traversal' }))
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    try {
      const plan = new TraversalPlan({ method, means: await ports.means(peerId), own: ports.ownFacts(), wantsFacts })
      this.#driver = new Driver<PlanInput, PlanOutput>(plan, { clock, timers, perform: (output) => this.#perform(output) })
      if (!signal.aborted) this.#driver.input({ type: 'begin' })
      return this.#truthful(await this.#result.promise)
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#driver?.stop()
      this.#ended.abort()
      for (const controller of this.#tries.values()) controller.abort()
    }
  }

  /** A connection to the peer was opened, by whomever. */
  arrived(path: ConnectionPath): void {
    this.#driver?.input({ type: 'arrived', path })
  }

  /** Our own network was measured. */
  measured(facts: NetworkFacts): void {
    this.#driver?.input({ type: 'own', facts })
  }

  #perform(output: PlanOutput): void {
    switch (output.type) {
      case 'start':
        void this.#start(output)
        break
      case 'abort':
        this.#tries.get(output.id)?.abort()
        this.#tries.delete(output.id)
        break
      case 'ask':
        void this.#ask(output.budgetMs)
        break
      case 'usable':
        break
      case 'done':
        this.#result.resolve(output.report)
        break
      default:
        output satisfies never
    }
  }

  async #start(start: Extract<PlanOutput, { readonly type: 'start' }>): Promise<void> {
    const { id } = start
    const controller = new AbortController()
    this.#tries.set(id, controller)
    try {
      const path = await this.#go(start, controller.signal)
      this.#driver?.input({ type: 'connected', id, path })
    } catch (error) {
      this.#driver?.input({ type: 'failed', id, reason: reasonOf(error) })
    } finally {
      this.#tries.delete(id)
    }
  }

  #go({ technique, round }: Extract<PlanOutput, { readonly type: 'start' }>, signal: AbortSignal): Promise<ConnectionPath> {
    const { ports, peerId } = this.#options
    switch (technique) {
      case 'dial':
        return ports.dial(peerId, round, signal)
      case 'relay':
        return ports.relay(peerId, signal)
      case 'reversal':
        return ports.reversal(peerId, signal)
      case 'ice':
        return ports.ice(peerId, 'all', signal)
      case 'ice-stun':
        return ports.ice(peerId, 'stun', signal)
      case 'ice-turn':
        return ports.ice(peerId, 'turn', signal)
    }
  }

  async #ask(budgetMs: number): Promise<void> {
    const { ports, peerId } = this.#options
    try {
      const peer = await ports.hello(peerId, AbortSignal.any([this.#ended.signal, AbortSignal.timeout(budgetMs)]))
      this.#driver?.input({ type: 'told', peer })
    } catch {
      // A peer of an older version does not know the question: its class stays unknown.
      this.#driver?.input({ type: 'untold' })
    }
  }

  /** What is true at the end: a connection may have been lost meanwhile, or another one may stand beside it. */
  #truthful(report: TraversalReport): TraversalReport {
    const now = this.#options.ports.pathTo(this.#options.peerId)
    if (now === report.now) return report
    if (report.method !== 'auto') return { ...report, now }
    if (now === undefined) return { ...report, now, path: now, result: 'failed', reason: 'the connection was lost again' }
    const reason = isDirectPath(now) ? undefined : (report.reason ?? 'the better connection was lost again')
    return { ...report, now, path: now, result: resultOf(now), reason }
  }
}
