import { availableParallelism, loadavg } from 'node:os'
import type { MeshConfig } from '../../src/node/index.ts'
import type { LabNet } from './net.ts'

/** Of the matrix; the first host of each kind dials the second of another. */
export const kinds = ['open', 'cone', 'addr', 'port', 'sym', 'dbl', 'tcp', 'v6'] as const
export type Kind = (typeof kinds)[number]
export type Pair = readonly [string, string]

/** The 36 pairs of two kinds, each with itself too. */
export const matrix: readonly Pair[] = kinds.flatMap((one, index) => kinds.slice(index).map((other): Pair => [`${one}1`, `${other}2`]))

/** The 22 pairs that ICE with STUN alone reaches (measured with WebRTC of js-libp2p): everything but a symmetric NAT with one that filters by port, and no UDP. */
export const directPairs: ReadonlySet<string> = new Set([
  ...['open', 'cone', 'addr', 'port', 'sym', 'dbl', 'v6'].map((kind) => `open1 ${kind}2`),
  ...['cone', 'addr', 'port', 'sym', 'dbl', 'v6'].map((kind) => `cone1 ${kind}2`),
  ...['addr', 'port', 'sym', 'dbl', 'v6'].map((kind) => `addr1 ${kind}2`),
  ...['port1 port2', 'port1 dbl2', 'dbl1 dbl2', 'v61 v62']
])

const atOnce = 3

export const isDirect = (path: string | undefined): boolean => path !== undefined && path !== 'relayed' && path !== 'turn'

/** How one pair got through to each other, from two nodes that never met. Times are in milliseconds. */
export interface PairResult {
  readonly pair: string
  readonly tries: number
  /** From the dial to the first byte that came back. */
  readonly firstByteMs: number | undefined
  /** How it was connected right then. */
  readonly firstPath: string | undefined
  /** From the dial to the end of the traversal. */
  readonly settledMs: number | undefined
  /** How each side says that they are connected in the end, and how the message went. */
  readonly paths: readonly (string | undefined)[]
  readonly status: string | undefined
  readonly notes: readonly string[]
}

export interface PairLimits {
  readonly firstByteMs: number
  readonly settledMs: number
}

/** The figures are for a machine that does nothing else; on a busy one the pairs have to get through all the same. */
export function limitsNow({ firstByteMs, settledMs }: PairLimits): PairLimits {
  const isBusy = (loadavg()[0] ?? 0) > 2 * availableParallelism()
  return { firstByteMs: isBusy ? 4 * firstByteMs : firstByteMs, settledMs: isBusy ? 2 * settledMs : settledMs }
}

/** What a pair shall show and did not. */
export function faultsOf(result: PairResult, limits: PairLimits): readonly string[] {
  const { pair, firstByteMs = Infinity, settledMs = Infinity, paths, status } = result
  return [
    ...(status === 'stored' ? [] : [`the message is ${status ?? 'lost'}`]),
    ...(firstByteMs <= limits.firstByteMs ? [] : [`first byte after ${Math.round(firstByteMs)} ms`]),
    ...(settledMs <= limits.settledMs ? [] : [`settled after ${Math.round(settledMs)} ms`]),
    // Of several direct connections each side takes the newest that it has.
    ...(new Set(paths.map((path) => (isDirect(path) ? 'direct' : path))).size === 1 ? [] : [`told as ${paths.join(', ')}`]),
    ...(isDirect(paths[0]) || !directPairs.has(pair) ? [] : [`is ${paths[0] ?? 'not connected'}, not direct`])
  ]
}

/** Two fresh nodes: the first dials the second, they are paired, and a message goes over what the traversal came to. */
export async function meet(net: LabNet, [one, other]: Pair, config: MeshConfig = {}): Promise<PairResult> {
  const notes: string[] = []
  let result: PairResult = {
    pair: `${one} ${other}`,
    tries: 1,
    firstByteMs: undefined,
    firstPath: undefined,
    settledMs: undefined,
    paths: [],
    status: undefined,
    notes
  }
  const [a, b] = await Promise.all([net.host(one), net.host(other)])
  try {
    const [, { address }] = await Promise.all([net.start(one, config), net.start(other, config)])
    const started = performance.now()
    const firstByteMs = await a.call('ping', address)
    const { peerId } = await b.call('facts')
    result = { ...result, firstByteMs, firstPath: (await a.call('peer', peerId)).path }
    await a.call('join', await b.call('invite'), 'other')
    const pathOf = async (): Promise<string | undefined> => (await a.call('peer', 'other')).path
    const { attempts, own, their, reason } = await a.call('nat', 'other', 'auto')
    const tried = attempts.map(({ technique, ok, ms, reason: why }) => `${technique} ${ok ? 'ok' : why} ${Math.round(ms)} ms`)
    notes.push(`${own}/${their}: ${tried.join(', ')}${reason === undefined ? '' : `; ${reason}`}`)
    result = { ...result, settledMs: performance.now() - started }
    const { status, path } = await a.call('send', 'other', 'hello')
    const seen = (await b.call('peer', (await a.call('facts')).peerId)).path
    result = { ...result, status, paths: [path, await pathOf(), seen] }
  } catch (error) {
    notes.push(String(error))
  } finally {
    await Promise.all([a, b].map((host) => host.call('stop').catch((error: unknown) => notes.push(String(error)))))
  }
  return result
}

/** Meets all pairs, three at a time and each host in one pair at a time; a pair with a fault gets one try more. */
export async function meetAll(net: LabNet, pairs: readonly Pair[], limits: PairLimits): Promise<readonly PairResult[]> {
  const waiting = [...pairs]
  const busy = new Set<string>()
  const results: PairResult[] = []
  const free = (): Pair | undefined => {
    const index = waiting.findIndex((pair) => pair.every((host) => !busy.has(host)))
    return index === -1 ? undefined : waiting.splice(index, 1)[0]
  }
  const worker = async (): Promise<void> => {
    while (waiting.length > 0) {
      const pair = free()
      if (pair === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        continue
      }
      for (const host of pair) busy.add(host)
      const first = await meet(net, pair)
      const isGood = faultsOf(first, limits).length === 0
      results.push(isGood ? first : { ...(await meet(net, pair)), tries: 2 })
      for (const host of pair) busy.delete(host)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

/** The matrix as a table for people: the path, the first byte and the end of each pair. */
export function table(results: readonly PairResult[]): string {
  const ms = (value: number | undefined): string => (value === undefined ? '-' : String(Math.round(value)))
  return results
    .toSorted((one, other) => one.pair.localeCompare(other.pair))
    .map(({ pair, paths, firstPath, firstByteMs, settledMs, tries, notes }) =>
      [pair.padEnd(13), (paths[0] ?? 'none').padEnd(13), `first byte ${ms(firstByteMs)} (${firstPath ?? '-'})`, `settled ${ms(settledMs)}`]
        .concat(tries > 1 ? ['second try'] : [], notes)
        .join('  ')
    )
    .join('\n')
}
