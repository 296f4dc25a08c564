/** A binary heap: `pop` gives the item that comes before all others. */
export class Heap<Item> {
  readonly #comesBefore: (a: Item, b: Item) => boolean
  readonly #items: Item[] = []

  constructor(comesBefore: (a: Item, b: Item) => boolean) {
    this.#comesBefore = comesBefore
  }

  get size(): number {
    return this.#items.length
  }

  peek(): Item | undefined {
    return this.#items[0]
  }

  push(item: Item): void {
    const items = this.#items
    let index = items.length
    items.push(item)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = items[parentIndex]
      if (parent === undefined || !this.#comesBefore(item, parent)) break
      items[index] = parent
      index = parentIndex
    }
    items[index] = item
  }

  pop(): Item | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (items.length > 0 && last !== undefined) this.#sink(last)
    return first
  }

  /** The items in no particular order. */
  items(): readonly Item[] {
    return this.#items
  }

  /** Drops every item that `isKept` refuses, in linear time. */
  retain(isKept: (item: Item) => boolean): void {
    const kept = this.#items.filter(isKept)
    this.#items.length = 0
    for (const item of kept) this.push(item)
  }

  #sink(item: Item): void {
    const items = this.#items
    let index = 0
    for (;;) {
      const left = items[2 * index + 1]
      const right = items[2 * index + 2]
      if (left === undefined) break
      const isRight = right !== undefined && this.#comesBefore(right, left)
      const child = isRight ? right : left
      if (!this.#comesBefore(child, item)) break
      items[index] = child
      index = 2 * index + (isRight ? 2 : 1)
    }
    items[index] = item
  }
}

/** A message that waits to be sent. */
export interface Prioritized {
  readonly priority: number
  readonly sequence: number
}

/** The order of sending: higher priority first, then in the order of acceptance. */
export const isSentBefore = (a: Prioritized, b: Prioritized): boolean =>
  a.priority === b.priority ? a.sequence < b.sequence : a.priority > b.priority
