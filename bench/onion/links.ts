import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { type Cell, type CellLayer, maxFrameCells } from '../../src/core/onion/index.ts'
import { cellCipher } from '../../src/crypto/cell/index.ts'
import type { CellLink, LinkHandler } from '../../src/mesh/onion/cell-link.ts'
import { keyOf } from '../../src/mesh/peer-book.ts'
import { type LinkNode, startLinkNode } from '../../test/net/onion-link-support.ts'
import type { Floor } from '../verdict.ts'
import { median, type Section } from './section.ts'

const settleMs = 100
const measureMs = 250
/** What may wait in the hop before it reads no more. */
const maxQueued = 512
const none: readonly Cell[] = []

/** What a relay does with the cells of one circuit, without its bookkeeping: one layer, another link. */
class Hop {
  cellsOfWrite = maxFrameCells
  passed = 0
  readonly #layer: CellLayer
  readonly #queue: Cell[] = []
  #head = 0
  #goOn: () => void = () => undefined
  #next: CellLink | undefined

  constructor(layer: CellLayer) {
    this.#layer = layer
  }

  /** The end towards the source. */
  readonly inward = (): LinkHandler => ({ take: () => none, receive: (cells) => this.#receive(cells), ended: () => undefined, circuits: 1 })

  /** The end towards the sink. */
  readonly outward = (link: CellLink): LinkHandler => {
    this.#next = link
    return { take: (max) => this.#take(max), receive: () => undefined, ended: () => undefined, circuits: 1 }
  }

  #receive(cells: readonly Cell[]): Promise<void> | undefined {
    for (const { circuit, command, body } of cells) {
      this.#layer.encrypt(command, body)
      this.#queue.push({ circuit: circuit + 1, command, body })
    }
    this.passed += cells.length
    this.#next?.wake()
    if (this.#queue.length - this.#head < maxQueued) return undefined
    return new Promise((resolve) => {
      this.#goOn = resolve
    })
  }

  #take(max: number): readonly Cell[] {
    const cells = this.#queue.slice(this.#head, this.#head + Math.min(max, this.cellsOfWrite))
    this.#head += cells.length
    if (this.#head >= maxQueued) {
      this.#queue.splice(0, this.#head)
      this.#head = 0
    }
    if (this.#queue.length - this.#head < maxQueued) this.#goOn()
    return cells
  }
}

async function peer(role: 'sink' | 'source', address = ''): Promise<{ readonly child: ChildProcess; readonly address: string }> {
  const child = fork(new URL('link-peer.ts', import.meta.url), [role, address], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [told]: unknown[] = await once(child, 'message')
  return { child, address: String(told) }
}

async function rate(hop: Hop, source: ChildProcess, cellsOfWrite: number): Promise<number> {
  hop.cellsOfWrite = cellsOfWrite
  source.send(cellsOfWrite)
  await pause(settleMs)
  const [cellsBefore, cpuBefore] = [hop.passed, process.cpuUsage()]
  await pause(measureMs)
  const { user, system } = process.cpuUsage(cpuBefore)
  return ((hop.passed - cellsBefore) * 1_000_000) / (user + system)
}

async function measure(node: LinkNode, rounds: number): Promise<{ readonly batched: readonly number[]; readonly single: readonly number[] }> {
  const { cipher } = await cellCipher()
  const hop = new Hop(cipher.layer({ keys: new Uint8Array(128).fill(1), chain: new Uint8Array(32).fill(2) }))
  await node.links.serve(hop.inward)
  const sink = await peer('sink')
  const source = await (async () => {
    const publicKey = keyOf(sink.address.split('/p2p/')[1] ?? '')
    await node.links.open({ as: 'relay', publicKey, addresses: [sink.address], make: hop.outward })
    return peer('source', String(node.host.libp2p.getMultiaddrs()[0]))
  })()
  const [batched, single]: [number[], number[]] = [[], []]
  try {
    for (let round = -1; round < rounds; round++) {
      const pair = [await rate(hop, source.child, maxFrameCells), await rate(hop, source.child, 1)] as const
      if (round < 0) continue
      batched.push(pair[0])
      single.push(pair[1])
    }
  } finally {
    for (const { child } of [source, sink]) child.kill()
  }
  return { batched, single }
}

/** One relay between two links, each in a process of its own: what a cell costs it in CPU of all its threads, cipher and libp2p included, in and out. */
export const links: Section = {
  name: 'links',
  run: async (rounds) => {
    await using node = await startLinkNode({ bare: true })
    const { batched, single } = await measure(node, rounds)
    const [many, one] = [median(batched), median(single)]
    process.stdout.write(`One hop over libp2p, medians of ${rounds} rounds\n`)
    for (const [name, cells] of [
      ['up to 63 cells a write', many],
      ['one cell a write', one]
    ] as const)
      process.stdout.write(
        `  ${name.padEnd(24)} ${(1_000_000 / cells).toFixed(1).padStart(6)} us ${Math.round(cells).toLocaleString('en-US').padStart(9)} cells/s a core\n`
      )
    const ratio = median(batched.map((cells, round) => cells / (single[round] ?? Number.NaN)))
    return [
      {
        name: 'cells through a hop, batched',
        value: many,
        unit: 'cells/s a core',
        atLeast: 20_000,
        reference: { name: 'one cell a write', value: one, ratioAtLeast: 1.5 }
      },
      { name: 'cells through a hop, batched / one a write', value: ratio, unit: 'times', atLeast: 1.5 }
    ] satisfies readonly Floor[]
  }
}
