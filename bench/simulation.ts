/** Runs delivery through 50,000 seeded schedules of faults (--runs, --first), in the simulator. */
import { parseArgs } from 'node:util'
import { runDeliverySchedule } from '../src/testing/delivery-simulation.ts'
import { verdict } from './verdict.ts'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '50000' }, first: { type: 'string', default: '1' } } })
const first = Number(values.first)
const runs = Number(values.runs)
const ends: Record<string, number> = {}
let crashes = 0
const broken: string[] = []
const startedAt = performance.now()
for (let seed = first; seed < first + runs; seed++) {
  try {
    const report = await runDeliverySchedule({ seed })
    crashes += report.crashes
    for (const [end, count] of Object.entries(report.ends)) ends[end] = (ends[end] ?? 0) + count
  } catch (thrown) {
    broken.push(thrown instanceof Error ? thrown.message : String(thrown))
  }
}
const seconds = (performance.now() - startedAt) / 1_000
process.stdout.write(
  `${runs} schedules from seed ${first} in ${seconds.toFixed(0)} s (${Math.round((runs / seconds) * 60)} a minute), ${crashes} crashes\n`
)
for (const [end, count] of Object.entries(ends).toSorted(([, a], [, b]) => b - a)) process.stdout.write(`  ${end.padEnd(28)} ${count}\n`)
for (const text of broken.slice(0, 20)) process.stdout.write(`✗ ${text}\n`)
verdict([
  { name: 'schedules that broke a promise', value: broken.length, unit: 'schedules', atMost: 0 },
  { name: 'crashes', value: crashes, unit: 'crashes', atLeast: runs }
])
