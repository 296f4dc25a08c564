/** Start of the command line against an empty Node, and memory of the daemon: idle, and after 100,000 messages. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ControlClient } from '../src/api/index.ts'
import { profilePaths } from '../src/core/options/index.ts'
import { verdict } from './verdict.ts'

const rounds = Number(process.argv[2] ?? 31)
const messages = Number(process.argv[3] ?? 100_000)
const atOnce = 16
const bin = fileURLToPath(new URL('../bin/synaptic-mesh.js', import.meta.url))
const data = mkdtempSync(join(tmpdir(), 'synaptic-mesh-bench-'))
const environment = { ...process.env, SYNAPTIC_MESH_DATA_DIR: data }

function run(args: readonly string[]): { readonly ms: number; readonly stdout: string } {
  const started = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env: environment, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return { ms: performance.now() - started, stdout }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const clientOf = (profile: string): ControlClient =>
  new ControlClient(profilePaths({ environment: {}, home: data, platform: process.platform, profile, dataDir: data }), { keepAlive: true })
const mebibytes = (bytes: number): number => bytes / 1_048_576
const rssOf = async (client: ControlClient): Promise<number> => (await client.call('status', {})).daemon.rssBytes

function startTimes(): Readonly<Record<'empty' | 'help' | 'status', number>> {
  const lines = { empty: ['-e', '0'], help: [bin, 'p2p', '--help'], status: [bin, 'p2p', 'status'] } as const
  const times: Record<keyof typeof lines, number[]> = { empty: [], help: [], status: [] }
  const names = Object.keys(lines) as (keyof typeof lines)[]
  // The first round fills the cache of compiled code.
  for (const name of names) run(lines[name])
  for (let round = 0; round < rounds; round++) for (const name of names) times[name].push(run(lines[name]).ms)
  return { empty: median(times.empty), help: median(times.help), status: median(times.status) }
}

/** Sends durable messages from one node to the other, and takes them out there, as an agent would. */
async function exchange(sender: ControlClient, recipient: ControlClient): Promise<void> {
  const gone = new AbortController()
  const reader = acknowledgeAll(recipient, gone.signal)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next++ < messages)
      await sender.call('message', { destination: 'recipient', content: 'x'.repeat(1_024), timeoutMs: 60_000 }, { deadlineMs: 65_000 })
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  gone.abort()
  await reader
}

async function acknowledgeAll(client: ControlClient, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { messages: taken } = await client.call('inboxRead', { limit: 1_000 })
    if (taken.length > 0) await client.call('inboxAck', { id: taken.map(({ id }) => id) })
    else if (signal.aborted) return
    else await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const local = ['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--network', 'bench']
try {
  run([bin, 'p2p', 'init', ...local])
  const times = startTimes()
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  const idle = await rssOf(clientOf('default'))
  for (const name of ['sender', 'recipient']) run([bin, 'p2p', 'init', '--profile', name, '--name', name, ...local])
  const { invite } = JSON.parse(run([bin, 'p2p', 'invite', '--profile', 'recipient', '--json']).stdout)
  run([bin, 'p2p', 'join', invite, '--profile', 'sender'])
  const [sender, recipient] = [clientOf('sender'), clientOf('recipient')]
  const before = { sender: await rssOf(sender), recipient: await rssOf(recipient) }
  const started = performance.now()
  await exchange(sender, recipient)
  const seconds = (performance.now() - started) / 1000
  // Long enough for the daemons to see that it is quiet.
  await new Promise((resolve) => setTimeout(resolve, 15_000))
  const after = { sender: await rssOf(sender), recipient: await rssOf(recipient) }
  process.stdout.write(
    `medians of ${rounds} interleaved runs: empty node ${times.empty.toFixed(1)} ms, --help ${times.help.toFixed(1)} ms, status ${times.status.toFixed(1)} ms\n`
  )
  process.stdout.write(
    `${messages} messages through the command API in ${seconds.toFixed(1)} s; memory of sender ${mebibytes(before.sender).toFixed(0)} → ${mebibytes(after.sender).toFixed(0)} MiB, of recipient ${mebibytes(before.recipient).toFixed(0)} → ${mebibytes(after.recipient).toFixed(0)} MiB\n`
  )
  verdict([
    { name: 'p2p --help', value: times.help / times.empty, unit: 'times an empty node', atMost: 4 },
    { name: 'p2p status', value: times.status / times.empty, unit: 'times an empty node', atMost: 4 },
    { name: 'idle daemon', value: mebibytes(idle), unit: 'MiB', atMost: 150 },
    { name: `sender after ${messages} messages`, value: after.sender / before.sender, unit: 'times before', atMost: 1.3 },
    { name: `recipient after ${messages} messages`, value: after.recipient / before.recipient, unit: 'times before', atMost: 1.3 }
  ])
} finally {
  for (const profile of ['default', 'sender', 'recipient'])
    spawnSync(process.execPath, [bin, 'p2p', 'stop', '--profile', profile], { env: environment })
  rmSync(data, { recursive: true, force: true })
}
