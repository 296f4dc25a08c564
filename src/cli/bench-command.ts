import { cpus } from 'node:os'
import type { Catalogue, InputOf, OutputOf } from '../api/index.ts'
import { MeshError } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'
import { RemoteDaemon } from './remote.ts'
import { renderers } from './render.ts'

type Report = OutputOf<Catalogue['bench']>
type Input = InputOf<Catalogue['bench']>

const pingsAtOnce = 20
const handshakes = 5

/** Measures this machine, or the way to a peer. */
export async function bench(input: Input, context: CommandContext): Promise<void> {
  const started = performance.now()
  const { output } = context
  const report = input.peer === undefined ? { local: await local(input, context) } : { way: await way(input.peer, input, context) }
  const seconds = Math.round((performance.now() - started) / 100) / 10
  await output.result({ ...report, seconds }, (value) => renderers.bench(value, output))
}

async function local({ seconds }: Input, { output, signal, loadDaemonModule }: CommandContext): Promise<Report['local']> {
  output.progress('measuring')
  const module = await loadDaemonModule()
  const figures = await module.benchmark({ seconds, signal, onStep: (what) => output.progress(`measuring: ${what}`) })
  const processors = cpus()
  return { node: process.versions.node, cpu: processors[0]?.model.trim() ?? 'unknown', cores: processors.length, ...figures }
}

/** Round trips for as long as was asked, one after the other, and a few handshakes of sessions that are closed again. */
async function way(peer: string, { seconds, via }: Input, context: CommandContext): Promise<NonNullable<Report['way']>> {
  const { output, signal } = context
  const direct = via === undefined ? {} : { via }
  output.progress(`round trips to ${peer}`)
  await using daemon = new RemoteDaemon(context)
  const { peers } = await daemon.call('peers', { peer })
  const found = peers[0]
  if (found === undefined) throw new MeshError('PEER_UNKNOWN', { name: peer, nearest: [] })
  const times: number[] = []
  const end = performance.now() + seconds * 1000
  while (times.length === 0 || performance.now() < end) {
    const { rttMs } = await daemon.call('ping', { peer, count: pingsAtOnce, ...direct })
    times.push(...rttMs)
    if (signal.aborted) throw new MeshError('ABORTED', { operation: 'bench' })
  }
  output.progress(`handshakes with ${peer}`)
  const sessions = []
  for (let index = 0; index < handshakes; index++) sessions.push(await daemon.call('quantum', { peer, ...direct }))
  const [first] = sessions
  const { peerId, name } = found
  return {
    peer: { peerId, name },
    ...(first === undefined ? {} : { path: first.path }),
    roundTripMs: timesOf(times),
    level: first?.level ?? 0,
    handshakeMs: timesOf(sessions.map(({ handshakeMs }) => handshakeMs))
  }
}

function timesOf(times: readonly number[]): NonNullable<Report['way']>['roundTripMs'] {
  const sorted = times.toSorted((one, other) => one - other)
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { count: times.length, minMs: at(0), medianMs: at(0.5), p95Ms: at(0.95), maxMs: at(1) }
}
