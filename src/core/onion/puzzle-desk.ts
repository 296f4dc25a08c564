import { equalBytes, type Random } from '../base/index.ts'
import type { WaitingCreate } from './create-queue.ts'
import { demandCell, type PuzzleDemand, type PuzzleSolution } from './puzzle-cells.ts'
import { isPuzzleSolved } from './puzzle.ts'
import type { Cell } from './types.ts'

export const puzzleDeskLimits = { perLink: 64, all: 1_024, leastBits: 14, mostBits: 18 } as const

interface Account {
  /** CREATEs that wait for work; the first is paid for first. */
  readonly parked: WaitingCreate[]
  demand: PuzzleDemand | undefined
}

/**
 * Where clients' CREATEs wait until work was done for them: one solution for each. A demand is of one link and ends with its solution, so that no work
 * pays twice, nor for somebody else.
 */
export class PuzzleDesk {
  readonly #random: Random
  readonly #relay: Uint8Array
  readonly #accounts = new Map<number, Account>()
  #parked = 0

  /** @param relay - this node's identity key, to which the work is bound. */
  constructor(random: Random, relay: Uint8Array) {
    this.#random = random
    this.#relay = relay
  }

  get length(): number {
    return this.#parked
  }

  /**
   * Keeps a CREATE until its link pays: the cells to send, and which one gave up its place for it. undefined when there is no room.
   * @param load - milliseconds of CREATEs that wait: the more, the more work
   */
  park(create: WaitingCreate, load: number): { readonly cells: readonly Cell[]; readonly dropped: WaitingCreate | undefined } | undefined {
    const account = this.#accounts.get(create.link) ?? { parked: [], demand: undefined }
    if (account.parked.length >= puzzleDeskLimits.perLink) return undefined
    const dropped = this.#parked < puzzleDeskLimits.all ? undefined : this.#dropOfMost(account.parked.length + 1)
    if (dropped === undefined && this.#parked >= puzzleDeskLimits.all) return undefined
    account.parked.push(create)
    this.#accounts.set(create.link, account)
    this.#parked += 1
    // Said again while it stands: the client may have missed it, and knows it by its seed.
    return { cells: [account.demand === undefined ? this.#demand(account, load) : demandCell(account.demand, this.#random)], dropped }
  }

  /** The last one of the link with most, if it has more than `least`. */
  #dropOfMost(least: number): WaitingCreate | undefined {
    let most: WaitingCreate[] = []
    for (const { parked } of this.#accounts.values()) if (parked.length > most.length) most = parked
    if (most.length <= least) return undefined
    const dropped = most.pop()
    if (dropped !== undefined) this.#parked -= 1
    return dropped
  }

  /**
   * Takes a solution: the CREATE that it pays for, and the next demand when more of them wait. `wrong` = not what was asked of this link;
   * a solution whose CREATE went meanwhile pays for nothing.
   */
  pay(
    link: number,
    { seed, nonce }: PuzzleSolution,
    load: number
  ): { readonly create: WaitingCreate; readonly cells: readonly Cell[] } | 'wrong' | 'late' {
    const account = this.#accounts.get(link)
    const demand = account?.demand
    if (account === undefined || demand === undefined) return 'late'
    if (!equalBytes(demand.seed, seed) || !isPuzzleSolved({ relay: this.#relay, ...demand }, nonce)) return 'wrong'
    account.demand = undefined
    const create = account.parked.shift()
    if (create === undefined) {
      this.#accounts.delete(link)
      return 'late'
    }
    this.#parked -= 1
    return { create, cells: account.parked.length > 0 ? [this.#demand(account, load)] : [] }
  }

  /** Forgets those of a link and its demand, or the one of a circuit of it. */
  remove(link: number, circuit?: number): void {
    const account = this.#accounts.get(link)
    if (account === undefined) return
    const left = circuit === undefined ? [] : account.parked.filter((create) => create.circuit !== circuit)
    this.#parked -= account.parked.length - left.length
    account.parked.splice(0, account.parked.length, ...left)
    if (circuit === undefined) this.#accounts.delete(link)
  }

  #demand(account: Account, load: number): Cell {
    const harder = Math.floor(Math.log2(Math.max(1, load / 50)))
    const difficulty = Math.min(puzzleDeskLimits.mostBits, puzzleDeskLimits.leastBits + harder)
    const demand = { seed: this.#random.bytes(16), difficulty }
    account.demand = demand
    return demandCell(demand, this.#random)
  }
}
