import type { Via } from '../../src/core/message/index.ts'
import type { Floor } from '../verdict.ts'
import { type BenchNode, BenchNodes } from './nodes.ts'
import { median, type Section } from './section.ts'

const hops = 3
const messagesOfTurn = 20
const routes = ['direct', 'onion'] as const satisfies readonly Via[]

async function latencies(node: BenchNode, peer: string, via: Via): Promise<readonly number[]> {
  const found: number[] = []
  for (let sent = 0; sent < messagesOfTurn; sent++) found.push((await node.ask<{ readonly ms: number }>({ do: 'send', peer, via })).ms)
  return found
}

type Latencies = Readonly<Record<Via, readonly number[]>>

async function measure(rounds: number): Promise<Latencies> {
  using nodes = new BenchNodes()
  for (let relay = 0; relay < hops; relay++) await nodes.add({ kind: 'mesh', config: { onionRouting: true } })
  const recipient = await nodes.add({ kind: 'stored', config: { onionRouting: true, onionRelay: false } })
  const sender = await nodes.add({ kind: 'stored', config: { onionRouting: false, onionHops: hops } })
  await sender.ask({ do: 'join', invite: await recipient.ask<string>({ do: 'invite' }) })
  await nodes.known(hops, hops + 1)
  const found: Record<Via, number[]> = { direct: [], onion: [] }
  for (let round = -1; round < rounds; round++) {
    for (const via of routes) {
      const each = await latencies(sender, recipient.peerId, via)
      if (round >= 0) found[via].push(...each)
    }
  }
  return found
}

/** One durable message of 1 KiB from `send` to `stored`, over a circuit that is there and directly, one at a time. */
export const message: Section = {
  name: 'message',
  run: async (rounds) => {
    const found = await measure(rounds)
    process.stdout.write(`One durable message of 1 KiB, one at a time, median of ${rounds * messagesOfTurn}\n`)
    for (const via of routes) process.stdout.write(`  ${via.padEnd(8)} ${median(found[via]).toFixed(2).padStart(7)} ms\n`)
    return [
      { name: `a message over ${hops} relays / direct`, value: median(found.onion) / median(found.direct), unit: 'times', atMost: 4 }
    ] satisfies readonly Floor[]
  }
}
