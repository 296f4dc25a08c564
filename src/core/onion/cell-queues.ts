import type { Millis } from '../base/index.ts'
import { type Cell, cellCommands, cellSizes } from './types.ts'

export const cellQueueLimits = {
  /** Cells that wait for one circuit in one direction; with one more the circuit ends. */
  circuitCells: 512,
  /** Cells that wait for all, in bytes. */
  bytes: 67_108_864
} as const

/** A queue: the cells of one circuit for one link. */
export interface QueueName {
  readonly link: number
  readonly circuit: number
}

interface Queue {
  readonly circuit: number
  cells: Cell[]
  /** When each of them came. */
  times: Millis[]
  /** The first one that was not taken yet. */
  head: number
}

interface LinkQueues {
  readonly peer: string
  readonly queues: Map<number, Queue>
  /** The circuits that have cells, in the order in which their turn comes. */
  turns: Queue[]
}

/**
 * What waits to be sent, for each link and circuit. A link's circuits take turns, cell by cell: a full one delays nobody (Tor's round-robin). When all
 * hold more than the bound, the queue that waits longest of the peer for whom most waits is to be dropped.
 */
export class CellQueues {
  readonly #circuitCells: number
  readonly #maxBytes: number
  readonly #links = new Map<number, LinkQueues>()
  readonly #peerCells = new Map<string, number>()
  #cells = 0
  /** The memory of the last frame of which a cell came, and the queues that may hold cells in it. */
  #frame: ArrayBufferLike | undefined
  readonly #borrowers = new Set<Queue>()

  constructor(limits: { readonly circuitCells?: number | undefined; readonly bytes?: number | undefined } = {}) {
    this.#circuitCells = limits.circuitCells ?? cellQueueLimits.circuitCells
    this.#maxBytes = limits.bytes ?? cellQueueLimits.bytes
  }

  /** What all queues hold, with the headers of their cells. */
  get bytes(): number {
    return this.#cells * cellSizes.cell
  }

  /** @param peer - whom the link belongs to: what waits for several links of one peer is weighed together. */
  openLink(link: number, peer: string): void {
    this.#links.set(link, { peer, queues: new Map(), turns: [] })
  }

  closeLink(link: number): void {
    for (const circuit of this.#links.get(link)?.queues.keys() ?? []) this.drop({ link, circuit })
    this.#links.delete(link)
  }

  /** Cells that wait for a link. */
  waiting(link: number): number {
    let cells = 0
    for (const queue of this.#links.get(link)?.turns ?? []) cells += lengthOf(queue)
    return cells
  }

  /** How many circuits of a link have cells that wait. */
  circuitsWaiting(link: number): number {
    return this.#links.get(link)?.turns.length ?? 0
  }

  has({ link, circuit }: QueueName): boolean {
    return this.#links.get(link)?.queues.has(circuit) === true
  }

  /** Puts a cell behind those of its circuit; false when that queue is full or the link is gone. DESTROY is always taken. */
  push(link: number, cell: Cell, now: Millis): boolean {
    const of = this.#links.get(link)
    if (of === undefined) return false
    let queue = of.queues.get(cell.circuit)
    if (queue === undefined) {
      queue = { circuit: cell.circuit, cells: [], times: [], head: 0 }
      of.queues.set(cell.circuit, queue)
      of.turns.push(queue)
    }
    if (lengthOf(queue) >= this.#circuitCells && cell.command !== cellCommands.destroy) return false
    this.#borrow(queue, cell)
    queue.cells.push(cell)
    queue.times.push(now)
    this.#count(of.peer, 1)
    return true
  }

  /**
   * A body that is part of a frame holds the whole frame, of which the bound counts a small part. Most cells are gone before the next frame comes; those that
   * are not get memory of their own then.
   */
  #borrow(queue: Queue, { body }: Cell): void {
    if (body.buffer.byteLength <= cellSizes.cell) return
    if (body.buffer !== this.#frame) {
      for (const { cells, head } of this.#borrowers)
        for (const [index, cell] of cells.entries()) if (index >= head && cell.body.buffer === this.#frame) cells[index] = owned(cell)
      this.#borrowers.clear()
      this.#frame = body.buffer
    }
    this.#borrowers.add(queue)
  }

  /** Up to `max` cells of a link, one of each circuit in turn. */
  take(link: number, max: number): Cell[] {
    const taken: Cell[] = []
    const of = this.#links.get(link)
    if (of === undefined) return taken
    let turn = 0
    while (taken.length < max && turn < of.turns.length) {
      const queue = of.turns[turn++]
      if (queue === undefined) break
      const cell = queue.cells[queue.head]
      if (cell !== undefined) taken.push(cell)
      queue.cells[queue.head++] = gone
      if (lengthOf(queue) === 0) this.#forget(of, queue)
      else of.turns.push(compacted(queue))
    }
    // Those who had their turn are behind the others already.
    of.turns.splice(0, turn)
    this.#count(of.peer, -taken.length)
    return taken
  }

  /** Forgets what waits for a circuit. */
  drop({ link, circuit }: QueueName): void {
    const of = this.#links.get(link)
    const queue = of?.queues.get(circuit)
    if (of === undefined || queue === undefined) return
    this.#forget(of, queue)
    of.turns = of.turns.filter((other) => other !== queue)
    this.#count(of.peer, -lengthOf(queue))
  }

  /** The queue that must be dropped, since all hold more than the bound; undefined while they do not. */
  overflow(): QueueName | undefined {
    if (this.bytes <= this.#maxBytes) return undefined
    const heaviest = this.#heaviestPeer()
    let oldest: (QueueName & { readonly since: Millis }) | undefined
    for (const [link, { peer, turns }] of this.#links) {
      if (peer !== heaviest) continue
      for (const queue of turns) {
        const since = queue.times[queue.head]
        if (since !== undefined && (oldest === undefined || since < oldest.since)) oldest = { link, circuit: queue.circuit, since }
      }
    }
    return oldest
  }

  #forget(of: LinkQueues, queue: Queue): void {
    of.queues.delete(queue.circuit)
    this.#borrowers.delete(queue)
  }

  #heaviestPeer(): string | undefined {
    let heaviest: string | undefined
    let most = 0
    for (const [peer, cells] of this.#peerCells) {
      if (cells <= most) continue
      most = cells
      heaviest = peer
    }
    return heaviest
  }

  #count(peer: string, cells: number): void {
    this.#cells += cells
    const left = (this.#peerCells.get(peer) ?? 0) + cells
    if (left > 0) this.#peerCells.set(peer, left)
    else this.#peerCells.delete(peer)
  }
}

const lengthOf = (queue: Queue): number => queue.cells.length - queue.head

/** In the place of a cell that was taken: it must not be held. */
const gone: Cell = { circuit: 0, command: cellCommands.padding, body: new Uint8Array(0) }

/** Arrays are cut where they were taken from only now and then. */
const cutAt = 64

function compacted(queue: Queue): Queue {
  if (queue.head < cutAt) return queue
  queue.cells = queue.cells.slice(queue.head)
  queue.times = queue.times.slice(queue.head)
  queue.head = 0
  return queue
}

const owned = (cell: Cell): Cell => ({ ...cell, body: cell.body.slice(), hasRoom: false })
