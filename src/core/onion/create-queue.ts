/** A CREATE that waits for its handshake. */
export interface WaitingCreate {
  readonly link: number
  readonly circuit: number
  /** `cellSizes.create` bytes. */
  readonly request: Uint8Array
}

export const createQueueLimits = { lane: 32, all: 512 } as const

/**
 * CREATEs that wait: lanes take turns, so that one who asks often waits behind himself only. A lane is a neighbour, or a link that worked for its place.
 * A full lane takes no more.
 */
export class CreateQueue {
  readonly #lanes = new Map<string, WaitingCreate[]>()
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Puts a CREATE into its lane; the one for which there is no room then: itself, or when all places are taken the last one of the longest lane. */
  push(lane: string, create: WaitingCreate): WaitingCreate | undefined {
    const waiting = this.#lanes.get(lane) ?? []
    if (waiting.length >= createQueueLimits.lane) return create
    waiting.push(create)
    this.#lanes.set(lane, waiting)
    this.#length += 1
    return this.#length > createQueueLimits.all ? this.#dropOfLongest() : undefined
  }

  /** How many go before one that comes into a lane now. */
  ahead(lane: string): number {
    const own = this.#lanes.get(lane)?.length ?? 0
    let ahead = 0
    for (const [name, { length }] of this.#lanes) ahead += name === lane ? length : Math.min(length, own + 1)
    return ahead
  }

  /** The next one: the first of the lane whose turn it is. */
  next(): WaitingCreate | undefined {
    for (const [lane, waiting] of this.#lanes) {
      const create = waiting.shift()
      // Moved to the end: the map keeps the order of turns.
      this.#lanes.delete(lane)
      if (waiting.length > 0) this.#lanes.set(lane, waiting)
      if (create === undefined) continue
      this.#length -= 1
      return create
    }
    return undefined
  }

  #dropOfLongest(): WaitingCreate | undefined {
    let longest: WaitingCreate[] = []
    for (const waiting of this.#lanes.values()) if (waiting.length > longest.length) longest = waiting
    const dropped = longest.pop()
    if (dropped !== undefined) this.#length -= 1
    return dropped
  }

  /** Forgets those of a link, or the one of a circuit of it. */
  remove(link: number, circuit?: number): void {
    for (const [lane, waiting] of this.#lanes) {
      const left = waiting.filter((create) => create.link !== link || (circuit !== undefined && create.circuit !== circuit))
      this.#length -= waiting.length - left.length
      if (left.length > 0) this.#lanes.set(lane, left)
      else this.#lanes.delete(lane)
    }
  }
}
