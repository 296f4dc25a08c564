import { type Cell, type CellCipher, cellCommands, cellSizes } from '../../../src/core/onion/index.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Place, Way } from './relay-chain.ts'
import { gameWorld, isRelay } from './tagging-games.ts'

/** What the first of two who work together sends on in place of one cell. `nothing wrong` is for comparison. */
export const manipulations = [
  'nothing wrong',
  'one bit',
  'a bit of R',
  'a mark over all',
  'zeros',
  'a body of its own',
  'the next cell',
  'the last cell again',
  'halves of two',
  'another label'
] as const
export type Manipulation = (typeof manipulations)[number]

/** Who the two are. The first stands nearer to where the cells come from, and honest relays stand between them. */
export const pacts = ['guard and last relay', 'guard and destination', 'last relay and guard', 'destination and guard'] as const
export type Pact = (typeof pacts)[number]

/** Relays of the circuit: one honest one between the two relays is the least. */
const relays = 3

interface Places {
  /** Where the first has the cells in his hands. */
  readonly way: Way
  readonly link: number
  /** The links of the second, and his number as a member, from 1. */
  readonly sees: readonly number[]
  readonly second: number
}

const placesOf: Readonly<Record<Pact, Places>> = {
  'guard and last relay': { way: 'forward', link: 1, sees: [relays - 1, relays], second: relays },
  'guard and destination': { way: 'forward', link: 1, sees: [relays], second: relays + 1 },
  'last relay and guard': { way: 'backward', link: relays - 1, sees: [0, 1], second: 1 },
  'destination and guard': { way: 'backward', link: relays, sees: [0, 1], second: 1 }
}

/** All that the second has in the end. */
export interface Sight {
  /** Cells of his links in their order: where, which way, which command. */
  readonly shape: readonly string[]
  /** What each of the first's cells is after the second took off (or put on) his own layer, without the honest ones after him. */
  readonly bodies: readonly Uint8Array[]
  /** How the first changed the cell: what he would look for. */
  readonly mark: Uint8Array
}

/** One circuit, on which the first sends `cells` cells on and spoils number `at`: what the second sees. The same seed gives the same circuit, keys and messages. */
export function collude(
  cipher: CellCipher,
  {
    pact,
    manipulation,
    seed,
    at,
    cells
  }: { readonly pact: Pact; readonly manipulation: Manipulation; readonly seed: number; readonly at: number; readonly cells: number }
): Sight {
  const { way, link, sees, second } = placesOf[pact]
  const random = new SeededRandom(seed)
  const { chain, cipher: armed } = gameWorld(cipher, relays, { random })
  const [shape, bodies]: [string[], Uint8Array[]] = [[], []]
  // Until no more cells are RELAY_EARLY without need.
  for (let early = 0; early < 8; early++) chain.write('forward', random.bytes(900))
  chain.settle()
  const first = new First(manipulation, at, new SeededRandom(seed + 1))
  chain.meddle = (cell, place) => {
    const released = isAt(place, { way, link }) && isRelay(cell) ? first.release(cell) : [cell]
    if (sees.includes(place.link)) for (const { command } of released) shape.push(`${place.link} ${place.way} ${command}`)
    // What goes out of the second, where his layer is on and the next is not.
    if (second <= relays && isAt(place, { way, link: way === 'forward' ? second : 0 })) for (const { body } of released) bodies.push(body.slice())
    return released
  }
  armed.watch = (hop, body) => {
    if (second > relays && hop === second) bodies.push(body.slice())
  }
  // One by one: how many follow at once is the first's to choose, whatever he does to a cell.
  const messages = new SeededRandom(seed + 2)
  for (let count = 0; count < cells && !chain.client.hasEnded; count++) {
    chain.write(way, messages.bytes(900))
    chain.settle()
  }
  return { shape, bodies, mark: first.mark }
}

const isAt = (place: Place, { way, link }: Pick<Places, 'way' | 'link'>): boolean => place.link === link && place.way === way

/** The first attacker: lets cells go on, and something else in place of number `at`. */
class First {
  mark = new Uint8Array(cellSizes.body)
  readonly #manipulation: Manipulation
  readonly #at: number
  readonly #random: SeededRandom
  #count = 0
  #last: Cell | undefined
  #held: Cell | undefined

  constructor(manipulation: Manipulation, at: number, random: SeededRandom) {
    this.#manipulation = manipulation
    this.#at = at
    this.#random = random
  }

  release(cell: Cell): readonly Cell[] {
    const copy = { ...cell, body: cell.body.slice() }
    const number = this.#count++
    const released = number < this.#at ? [copy] : number === this.#at ? this.#spoil(copy) : this.#after(copy)
    this.#last = { ...cell, body: cell.body.slice() }
    return released
  }

  #after(cell: Cell): readonly Cell[] {
    const held = this.#held
    this.#held = undefined
    if (held === undefined) return [cell]
    if (this.#manipulation === 'the next cell') return [cell]
    return [this.#changed(held, Buffer.concat([held.body.subarray(0, 32), cell.body.subarray(32)]))]
  }

  #spoil(cell: Cell): readonly Cell[] {
    const { body } = cell
    const changed = body.slice()
    switch (this.#manipulation) {
      case 'nothing wrong':
        return [cell]
      case 'one bit':
        changed[5] = (changed[5] ?? 0) ^ 1
        return [this.#changed(cell, changed)]
      case 'a bit of R':
        changed[700] = (changed[700] ?? 0) ^ 128
        return [this.#changed(cell, changed)]
      case 'a mark over all':
        for (const [index, byte] of this.#random.bytes(body.length).entries()) changed[index] = (changed[index] ?? 0) ^ byte
        return [this.#changed(cell, changed)]
      case 'zeros':
        return [this.#changed(cell, changed.fill(0))]
      case 'a body of its own':
        return [this.#changed(cell, this.#random.bytes(body.length))]
      case 'the last cell again':
        return [this.#changed(cell, this.#last?.body.slice() ?? changed.fill(1))]
      case 'the next cell':
      case 'halves of two':
        this.#held = cell
        return []
      case 'another label':
        return [{ ...cell, command: cell.command === cellCommands.relay ? cellCommands.relayEarly : cellCommands.relay }]
    }
  }

  #changed(cell: Cell, body: Uint8Array): Cell {
    for (const [index, byte] of body.entries()) this.mark[index] = byte ^ (cell.body[index] ?? 0)
    return { ...cell, body }
  }
}

/** How many bits of two byte strings differ. */
export function distance(a: Uint8Array, b: Uint8Array): number {
  let bits = 0
  for (const [index, byte] of a.entries()) for (let rest = byte ^ (b[index] ?? 0); rest > 0; rest &= rest - 1) bits++
  return bits
}

/** Chi-square of the bytes against even chances: 255 on average, with a deviation of 22.6. */
export function chiSquare(bodies: readonly Uint8Array[]): number {
  const counts = new Float64Array(256)
  let all = 0
  for (const body of bodies) for (const byte of body) counts[byte] = (counts[byte] ?? 0) + 1
  for (const body of bodies) all += body.length
  const expected = all / 256
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}
