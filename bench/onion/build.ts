import { setTimeout as pause } from 'node:timers/promises'
import type { OnionStatus } from '../../src/mesh/onion/circuit-report.ts'
import type { Floor } from '../verdict.ts'
import { type BenchNode, BenchNodes } from './nodes.ts'
import { median, type Section } from './section.ts'

const delayMs = 20
/** The milliseconds that k steps take at least, when the i-th goes i links there and back: k(k+1)·L. */
const bound = (steps: number): number => steps * (steps + 1) * delayMs
const warmAtMost: Readonly<Record<number, number>> = { 3: 200, 5: 300 }
const warmUps = 2

interface Built {
  readonly hops: number
  readonly isWarm: boolean
  readonly attempts: number
  readonly buildMs: number
  readonly stepMs: readonly number[]
  readonly rttMs: number
}

async function build(node: BenchNode, peer: string, hops: number): Promise<Built> {
  const built = await node.ask<Built>({ do: 'circuit', peer, hops })
  if (built.hops !== hops) throw new Error(`${built.hops} relays instead of ${hops}`)
  return built
}

async function buildWarm(node: BenchNode, peer: string, hops: number): Promise<Built> {
  for (;;) {
    const { circuits } = await node.ask<OnionStatus>({ do: 'onion' })
    if (circuits.spare > 0) break
    await pause(20)
  }
  return build(node, peer, hops)
}

/** As many relays as the circuit has, a destination, and two callers: one makes no spare circuits, since it does not route its own messages so. */
async function measure(hops: number, rounds: number): Promise<{ readonly cold: readonly Built[]; readonly warm: readonly Built[] }> {
  using nodes = new BenchNodes(delayMs)
  for (let relay = 0; relay < hops; relay++) await nodes.add({ kind: 'mesh', config: { onionRouting: true } })
  const endpoint = { kind: 'mesh', config: { onionRouting: true, onionRelay: false, onionHops: hops } } as const
  const destination = await nodes.add(endpoint)
  const caller = await nodes.add({ kind: 'mesh', config: { onionRouting: false, onionHops: hops } })
  await nodes.known(hops, hops + 1)
  const [cold, warm]: [Built[], Built[]] = [[], []]
  // Relays have links with each other already in a mesh that is in use: the first circuits open them.
  for (let round = -warmUps * hops; round < rounds; round++) {
    const built = await build(caller, destination.peerId, hops)
    if (round >= 0) cold.push(built)
  }
  const ready = await nodes.add(endpoint)
  await nodes.known(hops, hops + 2)
  for (let round = -warmUps; round < rounds; round++) {
    const built = await buildWarm(ready, destination.peerId, hops)
    if (round >= 0) warm.push(built)
  }
  return { cold, warm }
}

const middle = (built: readonly Built[]): number => median(built.map(({ buildMs }) => buildMs))

function report(name: string, hops: number, built: readonly Built[]): void {
  const steps = (built[0]?.stepMs ?? []).map((_, index) => median(built.map(({ stepMs }) => stepMs[index] ?? Number.NaN)).toFixed(0))
  const retried = built.filter(({ attempts }) => attempts > 1).length
  process.stdout.write(
    `  ${name} over ${hops}  ${middle(built).toFixed(0).padStart(5)} ms   steps ${steps.join(' ')}   round trip ${median(built.map(({ rttMs }) => rttMs)).toFixed(0)} ms${retried > 0 ? `   ${retried} built in more than one attempt` : ''}\n`
  )
}

/** How long a circuit takes to be there, with links of 20 ms one way between real processes. */
export const buildTime: Section = {
  name: 'build',
  run: async (rounds) => {
    const floors: Floor[] = []
    process.stdout.write(`Circuits with links of ${delayMs} ms one way, those between relays open already; medians of ${rounds}\n`)
    for (const hops of [3, 5]) {
      const { cold, warm } = await measure(hops, rounds)
      report('cold', hops, cold)
      report('warm', hops, warm)
      const least = bound(hops + 1)
      floors.push(
        { name: `cold build over ${hops}, of the bound of ${least} ms`, value: middle(cold) / least, unit: 'times', atMost: 1.25 },
        { name: `warm build over ${hops}`, value: middle(warm), unit: 'ms', atMost: warmAtMost[hops] ?? 0 }
      )
      const notWarm = warm.filter(({ isWarm }) => !isWarm).length
      if (notWarm > 0) throw new Error(`${notWarm} circuits were not led on from a spare one`)
    }
    return floors
  }
}
