/** Messages a second and round trips of 1 KiB between two processes on loopback, against plain libp2p, HyperDHT and the same with synchronous=OFF. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { type NatsFigures, natsFigures } from './messages/nats.ts'
import { verdict } from './verdict.ts'

type Figures = Readonly<Record<string, number>>

interface Pair {
  readonly name: string
  run(name: string, count: number): Promise<Figures>
  stop(): Promise<void>
}

interface Child {
  readonly address: string
  ask(request: object): Promise<Figures>
  stop(): Promise<void>
}

const rounds = Number(process.argv[2] ?? 5)
const answerTimeoutMs = 180_000

async function startChild(file: string, args: readonly string[]): Promise<Child> {
  const child: ChildProcessByStdio<Writable, Readable, null> = spawn(process.execPath, [join(import.meta.dirname, 'messages', file), ...args], {
    stdio: ['pipe', 'pipe', 'ignore']
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<Figures & { readonly address?: string; readonly error?: string }> => {
    const timer = setTimeout(() => child.kill('SIGKILL'), answerTimeoutMs)
    const { value, done } = await lines.next()
    clearTimeout(timer)
    if (done === true) throw new Error(`${file} ended`)
    return JSON.parse(value as string)
  }
  const { address = '' } = await next()
  return {
    address,
    ask: async (request) => {
      child.stdin.write(`${JSON.stringify(request)}\n`)
      const answer = await next()
      if (answer.error !== undefined) throw new Error(`${file}: ${answer.error}`)
      return answer
    },
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve())
        child.stdin.write('{"do":"stop"}\n')
      })
  }
}

async function startPair(name: string, file: string, args: readonly string[] = []): Promise<Pair> {
  const [sender, recipient] = await Promise.all([startChild(file, args), startChild(file, args)])
  await sender.ask({ do: 'connect', address: recipient.address })
  return {
    name,
    run: (what, count) => sender.ask({ do: 'run', name: what, count }),
    stop: async () => {
      await Promise.all([sender.stop(), recipient.stop()])
    }
  }
}

/** A copy of the source in which the store does not flush: what durability costs is the difference. */
async function withoutFlush(): Promise<{ readonly entry: string; readonly remove: () => Promise<void> }> {
  const root = join(import.meta.dirname, '..')
  const folder = await mkdtemp(join(root, 'build-unflushed-'))
  await cp(join(root, 'src'), join(folder, 'src'), { recursive: true })
  const file = join(folder, 'src/node/sqlite/open.ts')
  const text = await readFile(file, 'utf8')
  const changed = text.replace('synchronous = FULL', 'synchronous = OFF').replace('synchronous !== 2', 'synchronous !== 0')
  if (changed === text || changed.includes('= FULL')) throw new Error('the store no longer sets synchronous where this bench expects it')
  await writeFile(file, changed)
  return { entry: join(folder, 'src/node/index.ts'), remove: () => rm(folder, { recursive: true }) }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Runs the same work on each of the pairs in turn, `rounds` times, and takes the median of each. The first round warms up. */
async function interleave(
  pairs: readonly Pair[],
  work: { readonly name: string; readonly count: number; readonly figure: string }
): Promise<readonly number[]> {
  const samples = pairs.map((): number[] => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [index, pair] of pairs.entries()) {
      const figures = await pair.run(work.name, work.count)
      if (round > 0) samples[index]?.push(figures[work.figure] ?? Number.NaN)
    }
  }
  const medians = samples.map(median)
  for (const [index, pair] of pairs.entries()) {
    const values = (samples[index] ?? []).map((value) => value.toFixed(value < 100 ? 2 : 0)).join(' ')
    process.stdout.write(
      `${work.name.padEnd(12)} ${work.figure.padEnd(10)} ${pair.name.padEnd(34)} ${(medians[index] ?? Number.NaN).toFixed(2).padStart(12)}   (${values})\n`
    )
  }
  return medians
}

const entry = join(import.meta.dirname, '../src/node/index.ts')
const unflushed = await withoutFlush()
const pairs: Pair[] = []
const start = async (...args: Parameters<typeof startPair>): Promise<Pair> => {
  const pair = await startPair(...args)
  pairs.push(pair)
  return pair
}
try {
  const ours = await start('synaptic-mesh', 'mesh.ts', [entry])
  const off = await start('the same with synchronous=OFF', 'mesh.ts', [unflushed.entry])
  const plain = await start('plain libp2p, one write a message', 'plain-libp2p.ts')
  const hyperdht = await start('HyperDHT', 'hyperdht.ts')

  const [durable = 0, durableOff = 0] = await interleave([ours, off], { name: 'durable', count: 10_000, figure: 'perSecond' })
  const [onePlain = 0] = await interleave([ours], { name: 'durable-one', count: 100, figure: 'p50' })
  const [flood = 0, floodPlain = 0, floodHyper = 0] = await interleave([ours, plain, hyperdht], {
    name: 'flood',
    count: 200_000,
    figure: 'perSecond'
  })
  const [echo = 0, echoPlain = 0] = await interleave([ours, plain], { name: 'echo', count: 5_000, figure: 'p50' })

  const nats: NatsFigures | undefined = spawnSync('which', ['nats-server']).status === 0 ? await natsFigures() : undefined
  if (nats === undefined) process.stdout.write('NATS: not here (apt-get install nats-server prints it beside)\n')
  else {
    process.stdout.write(`core NATS, published and received: ${nats.core.toFixed(0)} a second\n`)
    process.stdout.write(
      `JetStream with its defaults, pipelined publish and acknowledgement: ${nats.jetStream.toFixed(0)} a second (acknowledges before fsync)\n`
    )
  }
  process.stdout.write(`volatile against HyperDHT: ${(flood / floodHyper).toFixed(2)} (target 1)\n`)
  verdict([
    {
      name: 'durable, acknowledged',
      value: durable,
      unit: '/s',
      atLeast: 3_000,
      reference: { name: 'the same with synchronous=OFF', value: durableOff, ratioAtLeast: 0.3 }
    },
    { name: 'durable against synchronous=OFF', value: durable / durableOff, unit: 'of it', atLeast: 0.3 },
    { name: 'one durable message, p50', value: onePlain, unit: 'ms', atMost: 15 },
    { name: 'volatile against plain libp2p', value: flood / floodPlain, unit: 'times', atLeast: 5 },
    { name: "volatile request against libp2p's echo", value: echo / echoPlain, unit: 'times', atMost: 1.5 }
  ])
} finally {
  await Promise.all(pairs.map((pair) => pair.stop()))
  await unflushed.remove()
}
