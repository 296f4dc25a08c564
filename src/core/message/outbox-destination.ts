import { Lane } from './outbox-lane.ts'
import { routes, type Via } from './types.ts'

/** A key for maps: two bytes a character. */
export function mapKey(bytes: Uint8Array): string {
  let key = ''
  for (let index = 0; index < bytes.length; index += 2) key += String.fromCharCode(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0))
  return key
}

/** The sequences of one destination, and its messages by route. Mutable: it belongs to one OutboxMachine. */
export class Destination {
  readonly publicKey: Uint8Array
  nextSequence: number
  readonly #lanes: Readonly<Record<Via, Lane>> = { direct: new Lane(this, 'direct'), onion: new Lane(this, 'onion') }
  /** Sequences given out, in order; those not in #live have ended. */
  #order: number[] = []
  #head = 0
  readonly #live = new Set<number>()

  constructor(publicKey: Uint8Array, nextSequence: number) {
    this.publicKey = publicKey
    this.nextSequence = nextSequence
  }

  lane(via: Via): Lane {
    return this.#lanes[via]
  }

  get lanes(): readonly Lane[] {
    return routes.map((via) => this.#lanes[via])
  }

  /** The lowest sequence that has not ended (its end committed), whatever its route; the next one when all have. */
  get floor(): number {
    while (this.#head < this.#order.length) {
      const sequence = this.#order[this.#head]
      if (sequence !== undefined && this.#live.has(sequence)) return sequence
      this.#head++
    }
    this.#order = []
    this.#head = 0
    return this.nextSequence
  }

  /** Whether no message was ever addressed to it. */
  get isUnused(): boolean {
    return this.nextSequence === 1
  }

  get isLinked(): boolean {
    return this.lanes.some(({ link }) => link !== undefined)
  }

  /** Reserves the next sequence, for a message that takes `lane`. */
  takeSequence(lane: Lane): number {
    const sequence = this.nextSequence++
    this.restore(sequence, lane)
    return sequence
  }

  /** Notes a sequence that has not ended; they must come in rising order. */
  restore(sequence: number, lane: Lane): void {
    this.#order.push(sequence)
    this.#live.add(sequence)
    lane.liveCount++
    if (sequence >= this.nextSequence) this.nextSequence = sequence + 1
  }

  /** Uses the number of a message that certainly is not in the store for the next one, when it was the last. */
  giveBack(sequence: number): void {
    if (this.#order.at(-1) === sequence && this.nextSequence === sequence + 1) {
      this.#order.pop()
      this.nextSequence = sequence
    }
  }

  /** Notes that the end of a sequence of `lane` is committed: the floor may rise. The lanes in which entries can be sent now that were too far ahead. */
  release(sequence: number, lane: Lane): readonly Lane[] {
    if (this.#live.delete(sequence)) lane.liveCount--
    const { floor } = this
    if (this.#head > 1_024 && this.#head * 2 > this.#order.length) {
      this.#order.splice(0, this.#head)
      this.#head = 0
    }
    return this.lanes.filter((each) => each.loosen(floor))
  }
}
