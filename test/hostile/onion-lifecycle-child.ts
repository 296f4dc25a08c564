/** A relay, or an attacker, in a process of its own. */
import { setPriority } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { RelayCounters, RelayLimitValues } from '../../src/core/onion/index.ts'
import { maxAcceptedLinks } from '../../src/mesh/onion/cell-links.ts'
import { KnownNodes, startRelayNode } from '../net/onion-relay-support.ts'
import { type Attack, attacks, type Card } from './onion-attacks.ts'
import { serveParent } from './child-calls.ts'
import { hostsFrom } from './onion-raw.ts'
import { usedBytes } from './support.ts'

/** What a relay holds, and how it is. */
export interface Look {
  readonly used: number
  readonly rss: number
  /** Of the event loop since the last look that collected, in ms: the longest, and what 99 % were below. */
  readonly lagMs: number
  readonly lag99Ms: number
  readonly timers: number
  readonly connections: number
  readonly links: number
  readonly counters: RelayCounters
}

const [source = '127.0.0.1', limits = '{}'] = process.argv.slice(2)
const known = new KnownNodes()
const hosts = hostsFrom(source)
const values: Partial<RelayLimitValues> = JSON.parse(limits)
const isAttacker = source !== '127.0.0.1'
// On machines of their own attackers would not take the time of the others.
if (isAttacker) setPriority(19)
const node = await startRelayNode({
  known,
  limits: values,
  hostOptions: { maxLinks: maxAcceptedLinks },
  ...(isAttacker ? { hosts } : {})
})
const atOnce = 10
const delay = monitorEventLoopDelay({ resolution: 5 })
delay.enable()
const running: { readonly stop: () => void; readonly done: Promise<void>; readonly notes: Map<string, number> }[] = []

const calls = {
  card: (): Card => ({ target: node.target, addresses: node.addresses }),
  know: (cards: readonly Card[]): void => {
    for (const { target, addresses } of cards) known.add({ publicKey: target.publicKey, addresses })
  },
  look: ({ collect }: { readonly collect: boolean }): Look => {
    // What a test host keeps for its test.
    node.host.logs.length = node.host.refusals.length = 0
    const memory = process.memoryUsage()
    const look = {
      lagMs: delay.max / 1e6,
      lag99Ms: delay.percentile(99) / 1e6,
      used: collect ? usedBytes() : memory.heapUsed + memory.arrayBuffers,
      rss: memory.rss,
      timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
      connections: node.host.libp2p.getConnections().length,
      links: node.links.acceptedCount,
      counters: node.relay.counters
    }
    if (collect) delay.reset()
    return look
  },
  attack: ({
    name,
    ...field
  }: {
    readonly name: Attack
    readonly victim: Card
    readonly others: readonly Card[]
    readonly as: 'client' | 'relay'
  }): void => {
    const stopping = new AbortController()
    const notes = new Map<string, number>()
    const note = (what: string, count = 1): void => void notes.set(what, (notes.get(what) ?? 0) + count)
    const done = attacks[name]({ ...field, node, hosts, signal: stopping.signal, note }).catch((error: unknown) => note(String(error)))
    running.push({ stop: () => stopping.abort(), done, notes })
  },
  /** Builds circuits, uses and closes them; how many streams gave back what was sent. */
  live: async ({ path, count }: { readonly path: readonly [Card, ...Card[]]; readonly count: number }): Promise<number> => {
    let echoed = 0
    const one = async (): Promise<void> => {
      const circuit = await node.circuit(path[0])
      for (const { target } of path) await circuit.extend(target, 3, 10_000)
      await circuit.ping()
      const { publicKey } = (path.at(-1) ?? path[0]).target
      const stream = await circuit.open('pqs', { peerId: 'the far end', publicKey })
      await stream.send(new Uint8Array(3_000))
      for await (const frame of stream.frames()) {
        echoed += frame.length === 3_000 ? 1 : 0
        break
      }
      circuit.close()
    }
    for (let begun = 0; begun < count; begun += atOnce) await Promise.all(Array.from({ length: atOnce }, one))
    return echoed
  },
  notes: (): Readonly<Record<string, number>> => Object.assign({}, ...running.map(({ notes }) => Object.fromEntries(notes))),
  /** Ends all attacks, and tells what came of them. */
  cease: async (): Promise<Readonly<Record<string, number>>> => {
    const notes: Record<string, number> = {}
    for (const { stop } of running) stop()
    for (const attack of running.splice(0)) {
      await attack.done
      for (const [what, count] of attack.notes) notes[what] = (notes[what] ?? 0) + count
    }
    return notes
  }
}
export type LifecycleCalls = typeof calls

serveParent(calls)
