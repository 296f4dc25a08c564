/** How nodes behind all kinds of NAT reach each other: path, first byte and time to a direct connection, medians of several runs (`-- 3 50 2`: 3 runs, 50 ms each way, 2 % lost). */
import { LabNet } from '../test/natlab/net.ts'
import { directPairs, isDirect, kinds, matrix, meetAll, type Pair, type PairResult } from '../test/natlab/pairs.ts'
import { type Floor, verdict } from './verdict.ts'

const [runs = 3, oneWayMs = 0, lossPercent = 0] = process.argv.slice(2).map(Number)
const pairs: readonly Pair[] = [...matrix, ['web1', 'open1']]
const limits = { firstByteMs: 500 + 16 * oneWayMs, settledMs: 10_000 }

const write = (text: string): void => void process.stdout.write(`${text}\n`)
const median = (values: readonly number[]): number => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN
const known = (values: readonly (number | undefined)[]): readonly number[] => values.filter((value) => value !== undefined)

/** Every run of every pair, whether it was good or not. */
async function measure(): Promise<readonly PairResult[]> {
  await using net = await LabNet.up()
  if (oneWayMs > 0 || lossPercent > 0) await net.lab.delay(oneWayMs, lossPercent)
  const results: PairResult[] = []
  for (let run = 0; run < runs; run++) results.push(...(await meetAll(net, pairs, limits)))
  return results
}

function cell(results: readonly PairResult[], pair: string): string {
  const of = results.filter((result) => result.pair === pair)
  if (of.length === 0) return ''
  const paths = [...new Set(of.map(({ paths: [path] }) => path ?? 'none'))].join('+')
  return `${paths} ${Math.round(median(known(of.map(({ firstByteMs }) => firstByteMs))))}/${Math.round(median(known(of.map(({ settledMs }) => settledMs))))}`
}

function printTable(results: readonly PairResult[]): void {
  write(`path, first byte / traversal in ms, medians of ${runs}; ${oneWayMs} ms each way, ${lossPercent} % lost\n`)
  write(`| | ${kinds.join(' | ')} |\n|${'---|'.repeat(kinds.length + 1)}`)
  for (const one of kinds) write(`| ${one} | ${kinds.map((other) => cell(results, `${one}1 ${other}2`)).join(' | ')} |`)
  write(`\nweb1 open1: ${cell(results, 'web1 open1')}\n`)
}

const results = await measure()
printTable(results)
const share = (isGood: (result: PairResult) => boolean, of = results): number => (100 * of.filter(isGood).length) / of.length
const direct = results.filter(({ paths: [path] }) => isDirect(path))
const floors: readonly Floor[] = [
  { name: 'reachable', value: share(({ status }) => status === 'stored'), unit: '%', atLeast: 100 },
  {
    name: 'direct, of the pairs where NATs allow it',
    value: share(
      ({ paths: [path] }) => isDirect(path),
      results.filter(({ pair }) => directPairs.has(pair))
    ),
    unit: '%',
    atLeast: 100
  },
  {
    name: 'first byte over the relay, median',
    value: median(known(results.map(({ firstByteMs }) => firstByteMs))),
    unit: 'ms',
    atMost: limits.firstByteMs
  },
  { name: 'direct connection, median', value: median(known(direct.map(({ settledMs }) => settledMs))), unit: 'ms', atMost: 1_000 + 40 * oneWayMs },
  { name: 'the longest traversal', value: Math.max(...known(results.map(({ settledMs }) => settledMs))), unit: 'ms', atMost: limits.settledMs }
]
verdict(floors)
