import { after, type Millis, millis, wallMillis } from '../../../src/core/base/index.ts'
import {
  type ConnectionPath,
  type NatClass,
  type NatFacts,
  type PeerNetwork,
  type PlanInput,
  type PlanOutput,
  type Technique,
  type TraversalMeans,
  type TraversalMethod,
  TraversalPlan,
  type TraversalReport
} from '../../../src/core/nat/index.ts'

/** How a way behaves: it connects, fails, or says nothing at all. */
export type Behaviour =
  | { readonly kind: 'connects'; readonly afterMs: number; readonly path: ConnectionPath }
  | { readonly kind: 'fails'; readonly afterMs: number; readonly reason: string }
  | { readonly kind: 'silent' }

export interface Situation {
  readonly method: TraversalMethod
  readonly means: TraversalMeans
  readonly own: NatFacts | undefined
  /** undefined: it never answers. */
  readonly peer: { readonly network: PeerNetwork; readonly afterMs: number } | undefined
  readonly ways: Readonly<Record<Technique, Behaviour>>
  /** The peer connects to us by itself. */
  readonly arrives?: { readonly afterMs: number; readonly path: ConnectionPath } | undefined
  readonly wantsFacts?: boolean
}

export function facts(natClass: NatClass, changes: Partial<NatFacts> = {}): NatFacts {
  const mapping = natClass === 'symmetric' ? 'address-and-port-dependent' : natClass === 'unknown' ? 'unknown' : 'endpoint-independent'
  return {
    natClass,
    mapping,
    filtering: natClass === 'port-restricted' || natClass === 'symmetric' ? 'address-and-port-dependent' : 'unknown',
    udp: natClass === 'udp-blocked' ? 'blocked' : 'open',
    publicAddress: undefined,
    ipv6: false,
    probedAt: wallMillis(0),
    ...changes
  }
}

export const network = (natClass: NatClass, changes: Partial<PeerNetwork> = {}): PeerNetwork => ({
  facts: facts(natClass),
  ice: true,
  turn: false,
  hasNewAddresses: false,
  ...changes
})

export const everything: TraversalMeans = {
  connected: undefined,
  hasAddresses: true,
  hasRelays: true,
  iceUnavailable: undefined,
  hasTurn: false,
  isReachable: false
}

const silent: Behaviour = { kind: 'silent' }
export const nothingWorks: Situation['ways'] = { dial: silent, relay: silent, reversal: silent, ice: silent, 'ice-stun': silent, 'ice-turn': silent }
export const connects = (path: ConnectionPath, afterMs: number): Behaviour => ({ kind: 'connects', afterMs, path })
export const fails = (afterMs: number, reason = 'refused'): Behaviour => ({ kind: 'fails', afterMs, reason })

export interface Run {
  readonly report: TraversalReport
  readonly endedAt: number
  readonly outputs: readonly { readonly at: number; readonly output: PlanOutput }[]
  /** How many of a technique ran at one time at most. */
  readonly mostAtOnce: ReadonlyMap<Technique, number>
}

/** Runs a plan on a virtual clock against ways that behave as told. */
export function run(situation: Situation): Run {
  const { method, means, own, wantsFacts = false } = situation
  const plan = new TraversalPlan({ method, means, own, wantsFacts })
  const queue: { readonly at: Millis; readonly input: PlanInput }[] = [{ at: millis(1_000), input: { type: 'begin' } }]
  const start = millis(1_000)
  if (situation.arrives !== undefined)
    queue.push({ at: after(start, situation.arrives.afterMs), input: { type: 'arrived', path: situation.arrives.path } })
  const outputs: { at: number; output: PlanOutput }[] = []
  const open = new Map<number, Technique>()
  const mostAtOnce = new Map<Technique, number>()
  for (let steps = 0; steps < 1_000; steps++) {
    queue.sort((a, b) => a.at - b.at)
    const { wakeAt } = plan
    const first = queue[0]
    if (first === undefined && wakeAt === undefined) throw new Error('the plan waits for nothing and is not done')
    const isWake = first === undefined || (wakeAt !== undefined && wakeAt < first.at)
    const { at, input } = isWake ? { at: wakeAt ?? start, input: { type: 'wake' } as const } : first
    if (!isWake) queue.shift()
    for (const output of plan.handle(input, at)) {
      outputs.push({ at: at - start, output })
      if (output.type === 'done') return { report: output.report, endedAt: at - start, outputs, mostAtOnce }
      if (output.type === 'abort') open.delete(output.id)
      if (output.type === 'ask' && situation.peer !== undefined)
        queue.push({ at: after(at, situation.peer.afterMs), input: { type: 'told', peer: situation.peer.network } })
      if (output.type !== 'start') continue
      open.set(output.id, output.technique)
      mostAtOnce.set(
        output.technique,
        Math.max(mostAtOnce.get(output.technique) ?? 0, [...open.values()].filter((each) => each === output.technique).length)
      )
      const way = situation.ways[output.technique]
      if (way.kind === 'connects') queue.push({ at: after(at, way.afterMs), input: { type: 'connected', id: output.id, path: way.path } })
      if (way.kind === 'fails') queue.push({ at: after(at, way.afterMs), input: { type: 'failed', id: output.id, reason: way.reason } })
    }
    if (input.type === 'connected' || input.type === 'failed') open.delete(input.id)
  }
  throw new Error('the plan never ends')
}

export const startedOf = ({ outputs }: Run): readonly (readonly [Technique, number])[] =>
  outputs.flatMap(({ at, output }) => (output.type === 'start' ? [[output.technique, at] as const] : []))
