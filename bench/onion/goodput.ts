import type { Via } from '../../src/core/message/index.ts'
import type { Floor } from '../verdict.ts'
import { type BenchNode, BenchNodes } from './nodes.ts'
import { median, type Section } from './section.ts'

const hops = 3
const routes = ['direct', 'onion'] as const satisfies readonly Via[]
/** Of one turn: some 300 ms for each. */
const mebibytesOfTurn: Readonly<Record<Via, number>> = { direct: 24, onion: 4 }
/** What a relay lets one neighbour send, far more than here: what is measured is no limit. */
const bytesPerSecond = 1_073_741_824

type Rates = Readonly<Record<Via, number>>

async function rate(node: BenchNode, via: Via): Promise<number> {
  const mebibytes = mebibytesOfTurn[via]
  return (1_000 * mebibytes) / (await node.ask<number>({ do: 'flood', via, mebibytes }))
}

/** Bytes through one session, directly and over a circuit of three relays, in turn: the same two processes at the ends of both. */
async function measure(rounds: number): Promise<readonly Rates[]> {
  using nodes = new BenchNodes()
  for (let relay = 0; relay < hops; relay++) await nodes.add({ kind: 'mesh', config: { onionRouting: true, onionBytesPerSecond: bytesPerSecond } })
  const destination = await nodes.add({
    kind: 'session',
    config: { onionRouting: true, onionRelay: false, onionBytesPerSecond: bytesPerSecond }
  })
  const sender = await nodes.add({ kind: 'session', config: { onionRouting: false, onionHops: hops } })
  await nodes.known(hops, hops + 1)
  const { peerId: peer, address } = destination
  for (const via of routes) await sender.ask({ do: 'open', peer, address, via })
  const found: Rates[] = []
  for (let round = -2; round < rounds; round++) {
    const rates = { direct: await rate(sender, 'direct'), onion: await rate(sender, 'onion') }
    if (round >= 0) found.push(rates)
  }
  return found
}

/** What one circuit carries on loopback, five processes at work, against a direct session of two of them. */
export const goodput: Section = {
  name: 'goodput',
  run: async (rounds) => {
    const found = await measure(rounds)
    const middle = (via: Via): number => median(found.map((rates) => rates[via]))
    process.stdout.write(`Bytes through one session, MiB/s, medians of ${rounds} rounds: ${hops} relays that limit nobody\n`)
    for (const via of routes) process.stdout.write(`  ${via.padEnd(8)} ${middle(via).toFixed(1).padStart(7)}\n`)
    return [
      { name: `goodput over ${hops} relays / direct`, value: median(found.map(({ onion, direct }) => onion / direct)), unit: 'times', atLeast: 0.15 }
    ] satisfies readonly Floor[]
  }
}
