import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Section } from './section.ts'
import type { TaggingResult, TaggingShare } from './tagging-worker.ts'

const cells = 1_000_000
/** Seeds of two threads never meet. */
const seedsOfThread = 100_000

async function play(share: TaggingShare): Promise<TaggingResult> {
  const worker = new Worker(new URL('tagging-worker.ts', import.meta.url), { workerData: share })
  const [result]: TaggingResult[] = await once(worker, 'message')
  if (result === undefined) throw new Error('a thread ended without a result')
  return result
}

/**
 * A million tampered cells over the machines of relays (test/core/onion/tagging-games.ts), and as many over the layers alone, where nobody ends the circuit and
 * attackers undo what they did (test/crypto/tampered-cells.ts). Seeds from SEED on (1 by default); the suite plays ten thousand.
 */
export const tagging: Section = {
  name: 'tagging',
  isOnRequest: true,
  run: async () => {
    const seed = Number(process.env['SEED'] ?? 1)
    const threads = availableParallelism()
    const startedAt = performance.now()
    const shares = Array.from({ length: threads }, (_, index) => ({ cells: Math.ceil(cells / threads), seed: seed + index * seedsOfThread }))
    const results = await Promise.all(shares.map(play))
    const sum = (of: 'machines' | 'layers' | 'wrong'): number => results.reduce((all, each) => all + each[of], 0)
    const seconds = Math.round((performance.now() - startedAt) / 1_000)
    process.stdout.write(
      `Tampered by ${results[0]?.backend ?? ''}, seeds from ${seed}, ${threads} threads, ${seconds} s: ${sum('machines')} cells over relays, ${sum('layers')} over layers\n`
    )
    return [
      { name: 'tampered cells over relays', value: sum('machines'), unit: '', atLeast: cells },
      { name: 'cells recognised or delivered, circuits alive, tags that fit', value: sum('wrong'), unit: '', atMost: 0 }
    ]
  }
}
