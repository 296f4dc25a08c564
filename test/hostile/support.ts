import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { LogRecord, Mesh } from '../../src/mesh/mesh.ts'
import type { LimitChanges } from '../../src/mesh/protocol-table.ts'
import type { MeshConfig } from '../../src/node/index.ts'
import { createTestnet, type Testnet } from '../../src/testing/testnet.ts'

/** Deadlines of the victim, so short that nobody waits for half a minute in a test. */
export const shortDeadlines = { firstByteMs: 400, frameMs: 400, writeMs: 800 } as const
export const patienceMs = 2_400

const limits = {
  pqs: { ...shortDeadlines, streamsPerSecond: 1_000 },
  message: { frameMs: shortDeadlines.frameMs },
  pairing: { frameMs: shortDeadlines.frameMs },
  card: { ...shortDeadlines, idleMs: 500, streamsPerSecond: 1_000 },
  pair: { ...shortDeadlines, idleMs: 500, streamsPerSecond: 1_000 },
  nat: { ...shortDeadlines, idleMs: 500, streamsPerSecond: 1_000 },
  ice: { ...shortDeadlines, idleMs: 500, streamsPerSecond: 1_000 },
  onion: { ...shortDeadlines, streamsPerSecond: 1_000 },
  onionDirectory: { ...shortDeadlines, idleMs: 500, streamsPerSecond: 1_000 }
} as const satisfies LimitChanges

export interface Battlefield extends AsyncDisposable {
  readonly net: Testnet
  readonly victim: Mesh
  /** Paired with the victim. */
  readonly honest: Mesh
  /** What the victim recorded. */
  readonly records: LogRecord[]
  /** An honest request and its answer; how long it took (ms). */
  serveHonest(): Promise<number>
}

/** A victim and an honest peer that is served meanwhile. @param config - options of the victim */
export async function startBattlefield(more: LimitChanges = {}, config: MeshConfig = {}): Promise<Battlefield> {
  const records: LogRecord[] = []
  const protocolLimits = {
    pqs: { ...limits.pqs, ...more.pqs },
    message: { ...limits.message, ...more.message },
    pairing: { ...limits.pairing, ...more.pairing },
    card: { ...limits.card, ...more.card },
    pair: { ...limits.pair, ...more.pair },
    nat: { ...limits.nat, ...more.nat },
    ice: { ...limits.ice, ...more.ice },
    onion: { ...limits.onion, ...more.onion },
    onionDirectory: { ...limits.onionDirectory, ...more.onionDirectory }
  }
  const net = await createTestnet(2, {
    bootstrap: false,
    config: (index) => (index === 0 ? config : {}),
    setup: { protocolLimits },
    onLog: (index, record) => {
      if (index === 0) records.push(record)
    }
  })
  const victim = net.node(0)
  const honest = net.node(1)
  await net.pair(victim, honest)
  let count = 0
  const serveHonest = async (): Promise<number> => {
    const startedAt = performance.now()
    const report = await honest.send(victim.peerId, `honest ${count++}`, { waitFor: 'stored', timeoutMs: 15_000 })
    if (report.status !== 'stored') throw new Error(`an honest message is ${report.status}: ${report.error?.message ?? ''}`)
    return performance.now() - startedAt
  }
  await serveHonest()
  return { net, victim, honest, records, serveHonest, [Symbol.asyncDispose]: () => net.stop() }
}

/** Bytes in use after a full collection. */
export function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') for (let round = 0; round < 3; round++) collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
