import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleChild } from './bundle-child.ts'
import { Proc, sleep } from './proc.ts'
import { type LedgerVerdict, StoreLedger } from './store-ledger.ts'

export interface KillOptions {
  readonly kills: number
  readonly seed: number
  /** The tree that holds src and test; a copy when a fault is planted in it. */
  readonly root: string
}

export interface KillReport extends LedgerVerdict {
  readonly kills: number
  /** Kills that came before the store was open. */
  readonly duringStart: number
  readonly seconds: number
}

/** Kills a process that writes to a store, at random moments, again and again on the same folder, and counts what is missing at the end. */
export async function killStores({ kills, seed, root }: KillOptions): Promise<KillReport> {
  const base = mkdtempSync(join(tmpdir(), 'synaptic-mesh-kill-'))
  const folder = join(base, 'state')
  const child = await bundleChild(root, join(base, 'program'))
  const random = randomOf(seed)
  const ledger = new StoreLedger()
  const started = performance.now()
  let duringStart = 0
  try {
    for (let run = 0; run < kills; run++) {
      const proc = Proc.node([child, folder, String(run)])
      if (random() < 0.8) await proc.line('open')
      await sleep(random() * 120)
      await proc.kill()
      if (!proc.lines.includes('open')) duringStart += 1
      ledger.take(proc.lines)
    }
    return { ...ledger.compare(folder), kills, duringStart, seconds: (performance.now() - started) / 1_000 }
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

/** Uniform numbers in [0, 1), the same for a seed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
