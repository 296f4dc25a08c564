/** Bytes through an encrypted connection on loopback: ours against stock Noise and against raw TCP, in sends of 64 KiB and of 1 KiB. */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { type Contestant, type Sender, call, contestants } from './throughput/ends.ts'
import { verdict } from './verdict.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '11' }, mebibytes: { type: 'string', default: '48' } } })
const rounds = Math.max(11, Number(values.rounds))
const mebibyte = 1_048_576

/** The largest plaintext of a record, and a small one: what each send holds. */
const sizes = { '64 KiB': 65_519, '1 KiB': 1_024 } as const
type SizeName = keyof typeof sizes
const countOf = (size: SizeName): number => Math.ceil((Number(values.mebibytes) * mebibyte * (size === '1 KiB' ? 0.25 : 1)) / sizes[size])

/** MiB for each second of CPU. */
interface Figures {
  /** Of both ends together. */
  readonly both: number
  /** Of the busier end: what two processes with a core each would reach. */
  readonly busier: number
}

interface Pipe {
  readonly sender: Sender
  readonly worker: Worker
}

async function open(name: Contestant): Promise<Pipe> {
  const worker = new Worker(new URL('throughput/receiver.ts', import.meta.url), { workerData: name })
  const [port]: number[] = await once(worker, 'message')
  return { worker, sender: await call(name, port ?? 0) }
}

async function measure({ sender, worker }: Pipe, size: SizeName): Promise<Figures> {
  const bytes = new Uint8Array(sizes[size]).fill(7)
  const count = countOf(size)
  const answer = once(worker, 'message')
  worker.postMessage(count * bytes.length)
  const before = process.threadCpuUsage()
  await sender.send(bytes, count)
  const [receiverMs = Number.NaN]: number[] = await answer
  const { user, system } = process.threadCpuUsage(before)
  const senderMs = (user + system) / 1_000
  const amount = (1_000 * count * bytes.length) / mebibyte
  return { both: amount / (senderMs + receiverMs), busier: amount / Math.max(senderMs, receiverMs) }
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

/** What was measured of each contestant, round by round. */
type Rounds = ReadonlyMap<Contestant, readonly Figures[]>

/** Every contestant once in each round, in an order that turns, after one round that does not count. */
async function interleave(pipes: ReadonlyMap<Contestant, Pipe>, size: SizeName): Promise<Rounds> {
  const found = new Map(contestants.map((name) => [name, [] as Figures[]]))
  for (let round = -1; round < rounds; round++) {
    for (const [index] of contestants.entries()) {
      const name = contestants[(index + round + 1) % contestants.length] ?? 'raw TCP'
      const pipe = pipes.get(name)
      if (pipe === undefined) continue
      const figures = await measure(pipe, size)
      if (round >= 0) found.get(name)?.push(figures)
    }
  }
  process.stdout.write(`Sends of ${size}, MiB for each second of CPU, medians of ${rounds} rounds: both ends together, and the busier end\n`)
  for (const [name, all] of found) {
    const [both, busier] = [median(all.map((each) => each.both)), median(all.map((each) => each.busier))]
    process.stdout.write(`  ${name.padEnd(16)} ${both.toFixed(0).padStart(6)} ${busier.toFixed(0).padStart(6)}\n`)
  }
  return found
}

/** The median of the ratios of each round: what else the machine does in a round, it does to both. */
function hybridTo(found: Rounds, other: Contestant, figure: keyof Figures): number {
  const others = found.get(other) ?? []
  return median((found.get('hybrid level 3') ?? []).map((each, round) => each[figure] / (others[round]?.[figure] ?? Number.NaN)))
}

const pipes = new Map<Contestant, Pipe>()
for (const name of contestants) pipes.set(name, await open(name))
const large = await interleave(pipes, '64 KiB')
const small = await interleave(pipes, '1 KiB')
for (const { sender, worker } of pipes.values()) {
  sender.close()
  await worker.terminate()
}

verdict([
  { name: '64 KiB: hybrid / stock, both ends', value: hybridTo(large, 'stock /noise', 'both'), unit: 'times', atLeast: 0.95 },
  { name: '1 KiB: hybrid / stock, both ends', value: hybridTo(small, 'stock /noise', 'both'), unit: 'times', atLeast: 0.95 },
  { name: '64 KiB: hybrid / raw TCP, busier end (target 0.40)', value: hybridTo(large, 'raw TCP', 'busier'), unit: 'times', atLeast: 0.25 }
])
