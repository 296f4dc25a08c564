import { availableParallelism } from 'node:os'
import type { Via } from '../../src/core/message/index.ts'
import { type BenchNode, BenchNodes } from './nodes.ts'
import { median, type Section } from './section.ts'

const hops = 3
const processes = ['relay', 'relay', 'relay', 'destination', 'sender']
const routes = ['direct', 'onion'] as const satisfies readonly Via[]
/** Of one turn: less than a second for each. */
const mebibytesOfTurn: Readonly<Record<Via, number>> = { direct: 32, onion: 8 }
/** Turns that do not count: until then much of what runs is compiled. */
const warmUps = 3
/** What a relay lets one neighbour send, far more than here: what is measured is no limit. */
const bytesPerSecond = 1_073_741_824

interface Turn {
  /** MiB/s. */
  readonly rate: number
  /** CPU ms for each MiB, of all threads of each of the five processes. */
  readonly cpuMs: readonly number[]
}

type Turns = Readonly<Record<Via, Turn>>

async function turn(nodes: readonly BenchNode[], via: Via): Promise<Turn> {
  const mebibytes = mebibytesOfTurn[via]
  const cpu = (): Promise<readonly number[]> => Promise.all(nodes.map((node) => node.ask<number>({ do: 'cpu' })))
  const before = await cpu()
  const ms = (await nodes.at(-1)?.ask<number>({ do: 'flood', via, mebibytes })) ?? Number.NaN
  const after = await cpu()
  return { rate: (1_000 * mebibytes) / ms, cpuMs: after.map((now, index) => (now - (before[index] ?? Number.NaN)) / mebibytes) }
}

/** Bytes through one session, directly and over a circuit of three relays, in turn: the same two processes at the ends of both. */
async function measure(rounds: number): Promise<readonly Turns[]> {
  using nodes = new BenchNodes()
  const all: BenchNode[] = []
  const limits = { onionBytesPerSecond: bytesPerSecond }
  for (let relay = 0; relay < hops; relay++) all.push(await nodes.add({ kind: 'mesh', config: { onionRouting: true, ...limits } }))
  const destination = await nodes.add({ kind: 'session', config: { onionRouting: true, onionRelay: false, ...limits } })
  const sender = await nodes.add({ kind: 'session', config: { onionRouting: false, onionHops: hops } })
  all.push(destination, sender)
  await nodes.known(hops, hops + 1)
  const { peerId: peer, address } = destination
  for (const via of routes) await sender.ask({ do: 'open', peer, address, via })
  const found: Turns[] = []
  for (let round = -warmUps; round < rounds; round++) {
    const turns = { direct: await turn(all, 'direct'), onion: await turn(all, 'onion') }
    if (round >= 0) found.push(turns)
  }
  return found
}

/** What the busiest process of a turn would let through with a core for itself, in MiB/s. */
const bound = ({ cpuMs }: Turn): number => 1_000 / Math.max(...cpuMs)

function report(found: readonly Turns[]): void {
  process.stdout.write(`Bytes through one session in sends of 64 KiB, ${hops} relays that limit nobody, medians of ${found.length} rounds\n`)
  for (const via of routes) {
    const middle = (figure: (turn: Turn) => number): string => median(found.map((turns) => figure(turns[via]))).toFixed(1)
    const each = processes.map((name, index) => `${name} ${middle(({ cpuMs }) => cpuMs[index] ?? Number.NaN)}`)
    process.stdout.write(
      `  ${via.padEnd(8)} ${middle(({ rate }) => rate).padStart(6)} MiB/s by the clock, ${middle(bound).padStart(6)} with a core for each process; CPU ms for each MiB: ${each.join(', ')}\n`
    )
  }
}

/**
 * What one circuit carries on loopback against a direct session. Five processes do at least 8 steps of the cell cipher for each cell: with fewer cores than
 * processes the clock tells what the machine has, so that what each process needs is judged beside it.
 */
export const goodput: Section = {
  name: 'goodput',
  run: async (rounds) => {
    const found = await measure(rounds)
    report(found)
    const ratio = (figure: (turn: Turn) => number): number => median(found.map(({ onion, direct }) => figure(onion) / figure(direct)))
    const name = `goodput over ${hops} relays / direct`
    return [
      { name: `${name}, by the clock on ${availableParallelism()} cores`, value: ratio(({ rate }) => rate), unit: 'times', atLeast: 0.15 },
      { name: `${name}, with a core for each process`, value: ratio(bound), unit: 'times', atLeast: 0.15 }
    ]
  }
}
