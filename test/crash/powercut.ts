import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMeshError } from '../../src/core/base/index.ts'
import { bundleChild } from './bundle-child.ts'
import { type Fault, plant } from './planted.ts'
import { Proc, sleep } from './proc.ts'
import { type LedgerVerdict, StoreLedger } from './store-ledger.ts'
import { randomOf } from './store-kill.ts'

const imageBytes = 80 * 1_048_576
/** Cuts from one image; then a new one, before it is full. */
const cutsOfImage = 8

/** How SQLite syncs in the run: FULL is the product, the others are planted to show what the method finds. */
export type Synchronous = 'FULL' | 'NORMAL' | 'OFF'

export interface PowerCutOptions {
  readonly cuts: number
  readonly seed: number
  readonly root: string
  readonly synchronous: Synchronous
  readonly onCut?: (cut: PowerCut) => void
}

/** One cut: what was confirmed before it, and what of that the disk does not have. */
export interface PowerCut extends LedgerVerdict {
  readonly lost: number
}

/** Why no power can be cut here; undefined when it can. */
export function whyNoPowerCut(): string | undefined {
  if (process.platform !== 'linux' || process.geteuid?.() !== 0) return 'skipped: power cuts need root on Linux'
  const base = mkdtempSync(join(tmpdir(), 'synaptic-mesh-loop-'))
  try {
    const disk = new Disk(base)
    disk.unmount()
    return undefined
  } catch (error) {
    return `skipped: no loop device can be mounted here: ${String(error).slice(0, 200)}`
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

/**
 * Cuts the power of a simulated disk while a process writes to its store on it: the process is stopped, the image copied as it is
 * (what the file system had not flushed is not in it), and the copy mounted as after a reboot.
 */
export async function cutPower({ cuts, seed, root, synchronous, onCut }: PowerCutOptions): Promise<readonly PowerCut[]> {
  const planted = synchronous === 'FULL' ? undefined : plant(synchronousFaults(synchronous))
  const base = mkdtempSync(join(tmpdir(), 'synaptic-mesh-cut-'))
  const random = randomOf(seed)
  const results: PowerCut[] = []
  try {
    const program = await bundleChild(planted?.root ?? root, join(base, 'program'))
    for (let image = 0; results.length < cuts; image++) {
      const folder = join(base, String(image))
      mkdirSync(folder)
      const more = await cutImage({ folder, program, random, cuts: Math.min(cutsOfImage, cuts - results.length), onCut })
      results.push(...more)
      rmSync(folder, { recursive: true, force: true })
    }
    return results
  } finally {
    rmSync(base, { recursive: true, force: true })
    planted?.remove()
  }
}

interface ImageRun {
  readonly folder: string
  readonly program: string
  readonly random: () => number
  readonly cuts: number
  readonly onCut: ((cut: PowerCut) => void) | undefined
}

async function cutImage({ folder, program, random, cuts, onCut }: ImageRun): Promise<readonly PowerCut[]> {
  const disk = new Disk(folder)
  const writer = Proc.node([program, join(disk.mounted, 'state'), '0'])
  const results: PowerCut[] = []
  try {
    await writer.line('stored')
    for (let index = 0; index < cuts; index++) {
      await sleep(60 + random() * 240)
      writer.signal('SIGSTOP')
      const lines = await settled(writer)
      const cut = disk.afterCut((mounted) => compare(lines, join(mounted, 'state')))
      writer.signal('SIGCONT')
      if (writer.hasEnded) throw new Error(`the writer ended: ${lines.at(-1)} ${writer.errors}`)
      results.push(cut)
      onCut?.(cut)
    }
    return results
  } finally {
    writer.signal('SIGCONT')
    await writer.kill()
    disk.unmount()
  }
}

/** All that a stopped process had written. */
async function settled(writer: Proc): Promise<readonly string[]> {
  for (let before = -1; before !== writer.lines.length;) {
    before = writer.lines.length
    await sleep(15)
  }
  return [...writer.lines]
}

function compare(lines: readonly string[], folder: string): PowerCut {
  const ledger = new StoreLedger()
  ledger.take(lines)
  const verdict = compared(ledger, folder)
  return { ...verdict, lost: verdict.lostAccepted.length + verdict.lostStored.length }
}

/** A store that a start refuses as damaged has lost everything. */
function compared(ledger: StoreLedger, folder: string): LedgerVerdict {
  try {
    return ledger.compare(folder)
  } catch (error) {
    if (!isMeshError(error, 'STATE_CORRUPT')) throw error
    return { ...ledger.nothingLeft(), damage: [error.message] }
  }
}

/** An ext4 file system in a file, mounted through a loop device. */
class Disk {
  readonly mounted: string
  readonly #image: string
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
    this.#image = join(folder, 'image')
    this.mounted = join(folder, 'mounted')
    writeFileSync(this.#image, '')
    truncateSync(this.#image, imageBytes)
    run('mkfs.ext4', '-q', '-F', this.#image)
    mount(this.#image, this.mounted)
  }

  /** What `look` finds on a copy of the image as it is now, mounted as after a reboot. */
  afterCut<Result>(look: (mounted: string) => Result): Result {
    const [copy, mounted] = [join(this.#folder, 'cut'), join(this.#folder, 'cut-mounted')]
    copyFileSync(this.#image, copy)
    mount(copy, mounted)
    try {
      return look(mounted)
    } finally {
      unmount(mounted)
      rmSync(copy)
    }
  }

  unmount(): void {
    unmount(this.mounted)
  }
}

function mount(image: string, at: string): void {
  mkdirSync(at, { recursive: true })
  run('mount', '-o', 'loop', image, at)
}

/** A process that was just killed, or somebody who looks at every new mount, may hold it for a moment. */
function unmount(at: string): void {
  for (let attempt = 0; ; attempt++) {
    try {
      return run('umount', at)
    } catch (error) {
      if (attempt >= 50) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    }
  }
}

function run(program: string, ...args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

const synchronousFaults = (synchronous: 'NORMAL' | 'OFF'): readonly Fault[] => [
  { file: 'src/node/sqlite/open.ts', search: 'PRAGMA synchronous = FULL', replace: `PRAGMA synchronous = ${synchronous}` },
  { file: 'src/node/sqlite/open.ts', search: 'synchronous !== 2', replace: 'synchronous > 2' }
]
