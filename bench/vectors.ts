/** Runs the 10,000 accumulated rounds of ML-KEM by noble at all three levels, or at those named: `npm run bench vectors 1 5`. */
import type { KemLevel } from '../src/crypto/public.ts'
import { accumulate, accumulatedDigests, accumulatedRounds } from '../test/crypto/accumulated.ts'
import { verdict } from './verdict.ts'

const levels: readonly KemLevel[] = [1, 3, 5]
const wanted = process.argv.slice(2)
const wrong: KemLevel[] = []
for (const level of levels) {
  if (wanted.length > 0 && !wanted.includes(String(level))) continue
  const startedAt = process.cpuUsage()
  const digest = await accumulate(level)
  const { user, system } = process.cpuUsage(startedAt)
  if (digest !== accumulatedDigests[level]) wrong.push(level)
  process.stdout.write(`level ${level}: ${accumulatedRounds} rounds, ${((user + system) / 1_000_000).toFixed(1)} s of CPU, ${digest}\n`)
}
verdict([{ name: 'levels with another digest', value: wrong.length, unit: 'levels', atMost: 0 }])
