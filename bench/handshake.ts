/** Handshakes of hybrid Noise against stock and our own classical Noise, in memory and as whole libp2p dials on loopback. */
import { noise } from '@libp2p/noise'
import type { Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { hybridNoise } from '../src/node/noise.ts'
import { classicalId, hybridId, meet, type NoiseSide, ourSide, stockSide } from '../test/net/noise-pair.ts'
import { startNode } from '../test/net/noise-support.ts'
import { verdict } from './verdict.ts'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '21' }, handshakes: { type: 'string', default: '60' }, dials: { type: 'string', default: '40' } }
})
const rounds = Math.max(11, Number(values.rounds))

interface Contestant {
  readonly name: string
  readonly count: number
  readonly run: () => Promise<void>
}

interface Figures {
  /** Of one run. */
  readonly cpuMs: number
  readonly wallMs: number
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

/** Nobody pays for what those before left behind. */
async function measure({ count, run }: Contestant): Promise<Figures> {
  collectGarbage()
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  for (let index = 0; index < count; index++) await run()
  const { user, system } = process.cpuUsage(cpu)
  return { cpuMs: (user + system) / 1_000 / count, wallMs: (performance.now() - wall) / count }
}

/** What was measured of each contestant, round by round. */
type Rounds = ReadonlyMap<string, readonly Figures[]>

/** Every contestant once in each round, in an order that turns, after one round that does not count. */
async function interleave(contestants: readonly Contestant[]): Promise<Rounds> {
  const found = new Map(contestants.map(({ name }) => [name, [] as Figures[]]))
  for (let round = -1; round < rounds; round++) {
    for (const [index] of contestants.entries()) {
      const contestant = contestants[(index + round + 1) % contestants.length]
      if (contestant === undefined) continue
      const figures = await measure(contestant)
      if (round >= 0) found.get(contestant.name)?.push(figures)
    }
  }
  return found
}

/** The median of the ratios of each round: what else the machine does in a round, it does to both. */
const ratioOf = (found: Rounds, pair: readonly [string, string], figure: keyof Figures): number => {
  const [above = [], below = []] = pair.map((name) => (found.get(name) ?? []).map((each) => each[figure]))
  return median(above.map((value, round) => value / (below[round] ?? Number.NaN)))
}

function inMemory(name: string, sides: readonly [NoiseSide, NoiseSide], protocol: string): Contestant {
  const run = async (): Promise<void> => {
    const outcomes = await meet(sides[0], sides[1], { protocol })
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
  return { name, count: Number(values.handshakes), run }
}

const pairOf = async (side: () => Promise<NoiseSide>): Promise<readonly [NoiseSide, NoiseSide]> => [await side(), await side()]

/** Dials, and waits until the other side has closed too: else the next dial would measure this one's end. */
function dialling(name: string, from: Libp2p, to: Libp2p): Contestant {
  const addresses: Multiaddr[] = to.getMultiaddrs()
  const run = async (): Promise<void> => {
    const connection = await from.dial(addresses, { force: true })
    const ended = Promise.all(to.getConnections(from.peerId).map((each) => new Promise((resolve) => each.addEventListener('close', resolve))))
    await connection.close()
    await ended
  }
  return { name, count: Number(values.dials), run }
}

function show(title: string, found: Rounds): void {
  process.stdout.write(`${title}, medians of ${rounds} rounds\n`)
  for (const [name, all] of found) {
    const [cpuMs, wallMs] = [median(all.map((each) => each.cpuMs)), median(all.map((each) => each.wallMs))]
    process.stdout.write(
      `  ${name.padEnd(28)} ${cpuMs.toFixed(3)} ms CPU  ${wallMs.toFixed(3)} ms wall  ${Math.round(1_000 / cpuMs)} per CPU second\n`
    )
  }
}

const handshakes = await interleave([
  inMemory('stock /noise', await pairOf(stockSide), classicalId),
  // Neither level is the other's: what is left is /noise.
  inMemory('ours /noise', [await ourSide({ levels: [1] }), await ourSide({ levels: [5] })], classicalId),
  inMemory('hybrid level 3', await pairOf(ourSide), hybridId),
  inMemory('hybrid level 1', await pairOf(() => ourSide({ levels: [1] })), '/synaptic-mesh/noise-mlkem512-hfs/0.1.0'),
  inMemory('hybrid level 5', await pairOf(() => ourSide({ levels: [5] })), '/synaptic-mesh/noise-mlkem1024-hfs/0.1.0')
])
show('A handshake in memory, both sides', handshakes)

const nodes = [await startNode([noise()]), await startNode([noise()]), await startNode(hybridNoise()), await startNode(hybridNoise())] as const
const dials = await interleave([dialling('stock /noise', nodes[0], nodes[1]), dialling('hybrid level 3', nodes[2], nodes[3])])
show('A whole libp2p dial on loopback (TCP, encrypter, yamux), both sides, with its end', dials)
await Promise.all(nodes.map(async (node) => node.stop()))

const [stock, hybrid] = ['stock /noise', 'hybrid level 3']
verdict([
  { name: 'hybrid level 3 handshakes a second / stock classical', value: ratioOf(handshakes, [stock, hybrid], 'cpuMs'), unit: 'times', atLeast: 1 },
  { name: 'CPU of hybrid level 3 / our own classical', value: ratioOf(handshakes, [hybrid, 'ours /noise'], 'cpuMs'), unit: 'times', atMost: 1.35 },
  { name: 'CPU of a dial, hybrid / stock', value: ratioOf(dials, [hybrid, stock], 'cpuMs'), unit: 'times', atMost: 1.25 },
  { name: 'time of a dial, hybrid / stock', value: ratioOf(dials, [hybrid, stock], 'wallMs'), unit: 'times', atMost: 1.25 }
])
