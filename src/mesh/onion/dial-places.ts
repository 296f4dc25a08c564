import { toHex } from '../../core/base/index.ts'

/** Below what a dialler does at one time, so that no attempt waits behind those that nobody answers. */
const all = 112
/** From then on who has more than a few gets no more. */
const many = 80
const ofNeighbour = 16
const few = 4

/** Calls to next hops that are under way: members that never answer are easy to name, and each call to one takes seconds. */
export class DialPlaces {
  /** By the member that is called: for whom the call began, and how many wait for it. */
  readonly #calls = new Map<string, { readonly neighbour: string; waiting: number }>()

  /** Takes a place for a neighbour, by its name; false when it has enough of them, or there are too many. Who waits for a call that is under way needs none. */
  take(neighbour: string, member: Uint8Array): boolean {
    const key = toHex(member)
    const call = this.#calls.get(key)
    if (call !== undefined) {
      call.waiting += 1
      return true
    }
    const own = [...this.#calls.values()].filter((each) => each.neighbour === neighbour).length
    if (this.#calls.size >= all || own >= (this.#calls.size >= many ? few : ofNeighbour)) return false
    this.#calls.set(key, { neighbour, waiting: 1 })
    return true
  }

  leave(member: Uint8Array): void {
    const key = toHex(member)
    const call = this.#calls.get(key)
    if (call === undefined) return
    call.waiting -= 1
    if (call.waiting === 0) this.#calls.delete(key)
  }
}
